import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { hexToBytes, recoverAddress } from "viem";
import { mnemonicToAccount, privateKeyToAccount } from "viem/accounts";
import { afterAll, describe, expect, it } from "vitest";
import { must } from "../../base/assert.ts";
import { toHex } from "../../base/hash.ts";
import { accountOf, accountOfBytes, addressOfKey, checksummed, parseAddress } from "./account.ts";
import { type KeyFolder, keyFolder } from "./keys.node.ts";
import { encryptKey } from "./keystore.ts";
import { keyOfMnemonic, newMnemonic } from "./mnemonic.ts";
import { isKey, newKey, signerOf } from "./signer.ts";

const LIGHT = { n: 2, r: 1, p: 1 };
const top = fs.mkdtempSync(path.join(os.tmpdir(), "skein-keys-"));
afterAll(() => fs.rmSync(top, { recursive: true }));

let serial = 0;
function newFolder(): { keys: KeyFolder; root: string } {
  const root = path.join(top, String(serial++));
  return { keys: keyFolder(root, LIGHT), root };
}

describe("keys", () => {
  it("have the addresses that everybody else computes", () => {
    for (let i = 0; i < 20; i++) {
      const key = newKey();
      const theirs = privateKeyToAccount(`0x${toHex(key)}`).address;
      expect(checksummed(addressOfKey(key))).toBe(theirs);
      expect(parseAddress(theirs)).toBe(theirs.toLowerCase());
      const flipped = theirs.replace(/[a-fA-F](?!x)/, (c) =>
        c === c.toLowerCase() ? c.toUpperCase() : c.toLowerCase(),
      );
      expect(parseAddress(flipped)).toBe(undefined);
    }
    expect([parseAddress("0x12"), parseAddress(""), parseAddress(`0x${"g".repeat(40)}`)]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  it("have the accounts that Bittensor maps addresses to", () => {
    // blake2b-256 of "evm:" and 20 zero bytes, by Python's hashlib.
    expect(accountOf(`0x${"00".repeat(20)}`)).toBe(
      "0xc2cdcf01af7163d2d99b2ec87954e4c1b735e9e9ea80f8775bf29dd9457eaca1",
    );
    expect(accountOf(`0x${"AB".repeat(20)}`)).toBe(accountOf(`0x${"ab".repeat(20)}`));
    expect(accountOfBytes(new Uint8Array(20).fill(0xab))).toBe(accountOf(`0x${"ab".repeat(20)}`));
  });

  it("sign as EVM chains expect", async () => {
    const key = newKey();
    const signer = signerOf(key);
    for (let i = 0; i < 20; i++) {
      const digest = newKey();
      const signature = await signer.sign(digest);
      expect(signature.length).toBe(65);
      expect(BigInt(`0x${toHex(signature.subarray(32, 64))}`) < 2n ** 255n).toBe(true);
      const found = await recoverAddress({ hash: `0x${toHex(digest)}`, signature: `0x${toHex(signature)}` });
      expect(found.toLowerCase()).toBe(signer.address);
      const theirs = await privateKeyToAccount(`0x${toHex(key)}`).sign({ hash: `0x${toHex(digest)}` });
      expect(hexToBytes(theirs)).toEqual(signature);
    }
    expect([isKey(new Uint8Array(32)), isKey(new Uint8Array(32).fill(255)), isKey(new Uint8Array(31).fill(1))]).toEqual(
      [false, false, false],
    );
  });

  it("come from mnemonics as in every wallet, and slips of the pen are noticed", async () => {
    const words = await newMnemonic();
    expect(words.split(" ")).toHaveLength(12);
    expect(checksummed(addressOfKey(await keyOfMnemonic(words)))).toBe(mnemonicToAccount(words).address);
    const known = `${"test ".repeat(11)}junk`;
    expect(checksummed(addressOfKey(await keyOfMnemonic(` ${known.toUpperCase()}\n`)))).toBe(
      "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
    );
    for (const wrong of [
      `${"test ".repeat(11)}test`,
      `${"test ".repeat(11)}junc`,
      "test junk",
      `${"test ".repeat(12)}junk`,
    ]) {
      await expect(keyOfMnemonic(wrong)).rejects.toMatchObject({ code: "data", remedy: expect.any(String) });
    }
  });
});

describe("the folder of keys", () => {
  it("makes keys without questions, and keeps them from others", async () => {
    const { keys, root } = newFolder();
    expect(await keys.list()).toEqual([]);
    const cold = await keys.create({ name: "ann" });
    const hot = await keys.create({ name: "ann", hotkey: "h1" });
    expect(cold).toMatchObject({ encrypted: false, account: accountOf(cold.address) });
    expect(checksummed(addressOfKey(await keyOfMnemonic(must(cold.mnemonic, "words"))))).toBe(cold.address);
    expect(hot.mnemonic).toBe(undefined);
    expect((await keys.load({ name: "ann" })).address).toBe(cold.address.toLowerCase());
    expect((await keys.list()).map(({ name, hotkey }) => [name, hotkey])).toEqual([
      ["ann", undefined],
      ["ann", "h1"],
    ]);
    expect(fs.statSync(path.join(root, "ann/coldkey.json")).mode & 0o777).toBe(0o600);
    expect(fs.statSync(path.join(root, "ann/hotkeys/h1.json")).mode & 0o777).toBe(0o600);
    await expect(keys.create({ name: "ann" })).rejects.toMatchObject({ code: "usage" });
    expect(await keys.ensure({ name: "ann" })).toMatchObject({ address: cold.address });
    fs.chmodSync(cold.file, 0o640);
    await expect(keys.load({ name: "ann" })).rejects.toMatchObject({
      code: "usage",
      remedy: expect.stringContaining("chmod 600"),
    });
  });

  it("encrypts where there is a password, and asks only then", async () => {
    const { keys } = newFolder();
    const made = await keys.create({ name: "bob" }, "secret");
    expect(made).toMatchObject({ encrypted: true });
    expect(fs.readFileSync(made.file, "utf8")).not.toMatch(/privateKey/);
    let asked = 0;
    const ask = async (): Promise<string> => ["secret", "wrong"][asked++] ?? "";
    expect((await keys.load({ name: "bob" }, ask)).address).toBe(made.address.toLowerCase());
    await expect(keys.load({ name: "bob" }, ask)).rejects.toMatchObject({ code: "usage" });
    await expect(keys.load({ name: "bob" })).rejects.toMatchObject({
      code: "usage",
      remedy: expect.stringContaining("password"),
    });
    await keys.create({ name: "eve" });
    await keys.load({ name: "eve" }, ask);
    expect(asked).toBe(2);
  });

  it("takes keys from wallets and gives them back", async () => {
    const { keys } = newFolder();
    const key = newKey();
    const address = checksummed(addressOfKey(key));
    const v3 = await encryptKey(key, "old", LIGHT);
    expect(await keys.importKey({ name: "hex" }, toHex(key))).toMatchObject({ address, encrypted: false });
    expect(await keys.importKey({ name: "v3" }, v3, { secretPassword: "old", password: "new" })).toMatchObject({
      address,
      encrypted: true,
    });
    expect(await keys.importKey({ name: "w" }, `${"test ".repeat(11)}junk`)).toMatchObject({
      address: "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
    });
    expect(await keys.exportKey({ name: "v3" }, "new")).toBe(`0x${toHex(key)}`);
    const exported = await keys.exportKey({ name: "hex" }, undefined, "third");
    expect(await keys.importKey({ name: "again" }, exported, { secretPassword: "third" })).toMatchObject({ address });
    await expect(keys.importKey({ name: "v3" }, toHex(key))).rejects.toMatchObject({ code: "usage" });
    for (const bad of ["", "0x12", "00".repeat(32), "ff".repeat(32), "{}", '{"privateKey":5}', "hello world"]) {
      await expect(keys.importKey({ name: "bad" }, bad)).rejects.toMatchObject({ code: "data" });
    }
    expect(await keys.find({ name: "bad" })).toBe(undefined);
  });

  it("refuses names that leave the folder, and passes over what is no key", async () => {
    const { keys, root } = newFolder();
    for (const name of ["", ".", "..", "a/b", "../x", "a ", "-a", "x".repeat(65), "a\0"]) {
      await expect(keys.create({ name }), name).rejects.toMatchObject({ code: "usage" });
      await expect(keys.create({ name: "a", hotkey: name }), name).rejects.toMatchObject({ code: "usage" });
    }
    await keys.create({ name: "ok" });
    fs.mkdirSync(path.join(root, "junk/hotkeys"), { recursive: true });
    fs.writeFileSync(path.join(root, "junk/coldkey.json"), "{");
    fs.writeFileSync(path.join(root, "junk/hotkeys/x.json"), "x".repeat(20_000));
    expect((await keys.list()).map(({ name }) => name)).toEqual(["ok"]);
    await expect(keys.load({ name: "junk" })).rejects.toMatchObject({ code: "data" });
    await expect(keys.load({ name: "none" })).rejects.toMatchObject({ code: "usage" });
  });
});
