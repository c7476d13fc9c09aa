import { hexToBytes } from "@noble/hashes/utils.js";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { utf8 } from "../../base/bytes.ts";
import { toHex } from "../../base/hash.ts";
import { addressOfKey } from "./account.ts";
import { platformCipher, portableCipher } from "./cipher.ts";
import { decryptKey, encryptKey, parseKeystore } from "./keystore.ts";
import { newKey } from "./signer.ts";

/** The two vectors of the Web3 Secret Storage definition: one key, password "testpassword". */
const SECRET = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";
const VECTORS = {
  pbkdf2: {
    crypto: {
      cipher: "aes-128-ctr",
      cipherparams: { iv: "6087dab2f9fdbbfaddc31a909735c1e6" },
      ciphertext: "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
      kdf: "pbkdf2",
      kdfparams: {
        c: 262144,
        dklen: 32,
        prf: "hmac-sha256",
        salt: "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd",
      },
      mac: "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2",
    },
    id: "3198bc9c-6672-5ab3-d995-4942343ae5b6",
    version: 3,
  },
  scrypt: {
    crypto: {
      cipher: "aes-128-ctr",
      cipherparams: { iv: "83dbcc02d8ccb40e466191a123791e0e" },
      ciphertext: "d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c",
      kdf: "scrypt",
      kdfparams: {
        dklen: 32,
        n: 262144,
        r: 1,
        p: 8,
        salt: "ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19",
      },
      mac: "2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097",
    },
    id: "3198bc9c-6672-5ab3-d995-4942343ae5b6",
    version: 3,
  },
};
const LIGHT = { n: 2, r: 1, p: 1 };
const KEY = hexToBytes(SECRET);

describe("keystore files", () => {
  it("open as the definition's vectors say", async () => {
    expect(addressOfKey(KEY)).toBe("0x008aeeda4d805471df9b2a5b0f38a0c3bcba786b");
    for (const file of [VECTORS.pbkdf2, VECTORS.scrypt]) {
      expect(toHex(await decryptKey(JSON.stringify(file), "testpassword"))).toBe(SECRET);
    }
  }, 60_000);

  it("come back, and say whose they are", async () => {
    const key = newKey();
    const text = await encryptKey(key, "pässword", LIGHT);
    expect(await decryptKey(text, "pässword", portableCipher)).toEqual(key);
    expect(parseKeystore(text).address).toBe(addressOfKey(key));
    expect(JSON.parse(text)).toMatchObject({ version: 3, crypto: { kdfparams: { ...LIGHT, dklen: 32 } } });
    expect(JSON.parse(text).id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    await expect(decryptKey(text, "password")).rejects.toMatchObject({ code: "usage" });
  });

  it("are refused where they were changed", async () => {
    const text = await encryptKey(KEY, "x", LIGHT);
    const file = JSON.parse(text);
    const other = JSON.stringify({ ...file, address: "11".repeat(20) });
    await expect(decryptKey(other, "x")).rejects.toMatchObject({ code: "data" });
    file.crypto.ciphertext = file.crypto.ciphertext.replace(/^./, (c: string) => (c === "0" ? "1" : "0"));
    await expect(decryptKey(JSON.stringify(file), "x")).rejects.toMatchObject({ code: "usage" });
  });

  it("are refused where they ask for too much work, before any is done", () => {
    const of = (params: object): (() => unknown) => {
      const crypto = { ...VECTORS.scrypt.crypto, kdfparams: { ...VECTORS.scrypt.crypto.kdfparams, ...params } };
      return () => parseKeystore(JSON.stringify({ version: 3, crypto }));
    };
    expect(of({ n: 1 << 18, r: 8, p: 1 })).not.toThrow();
    const greedy = [
      { n: 1 << 24 },
      { n: 1 << 20, r: 8 },
      { p: 1000 },
      { n: 3 },
      { n: 0 },
      { n: -2 },
      { r: 0 },
      { p: 1.5 },
    ];
    for (const params of [
      ...greedy,
      { dklen: 16 },
      { dklen: 1e6 },
      { salt: "zz" },
      { salt: "00".repeat(65) },
      { n: "8" },
    ]) {
      expect(of(params), JSON.stringify(params)).toThrow(expect.objectContaining({ code: "data" }));
    }
    const pbkdf2 = { ...VECTORS.pbkdf2.crypto, kdfparams: { ...VECTORS.pbkdf2.crypto.kdfparams, c: 1e9 } };
    const long = `"${"x".repeat(20_000)}"`;
    for (const text of [
      JSON.stringify({ version: 3, crypto: pbkdf2 }),
      long,
      "",
      "{}",
      "[]",
      "null",
      '{"version":3}',
    ]) {
      expect(() => parseKeystore(text)).toThrow(expect.objectContaining({ code: "data" }));
    }
  });

  it("survive any JSON and any mutation", () => {
    const parse = (text: string): boolean => {
      try {
        return parseKeystore(text).mac.length === 32;
      } catch (thrown) {
        return (thrown as { code?: string }).code === "data";
      }
    };
    fc.assert(fc.property(fc.json(), parse));
    const template = JSON.stringify(VECTORS.scrypt);
    fc.assert(
      fc.property(fc.nat(template.length), fc.nat(40), fc.string(), (at, drop, put) =>
        parse(template.slice(0, at) + put + template.slice(at + drop)),
      ),
      { numRuns: 1000 },
    );
    const part = fc.record({
      cipher: fc.jsonValue(),
      cipherparams: fc.jsonValue(),
      kdf: fc.jsonValue(),
      kdfparams: fc.jsonValue(),
    });
    fc.assert(
      fc.property(part, (crypto) =>
        parse(JSON.stringify({ version: 3, crypto: { ...VECTORS.scrypt.crypto, ...crypto } })),
      ),
    );
  });
});

describe("the ciphers", () => {
  it("agree", async () => {
    const [password, salt] = [utf8("password"), utf8("NaCl")];
    const cost = { n: 1024, r: 8, p: 2 };
    expect(await portableCipher.scrypt(password, salt, cost, 64)).toEqual(
      await platformCipher.scrypt(password, salt, cost, 64),
    );
    expect(await portableCipher.pbkdf2(password, salt, 5, 40)).toEqual(
      await platformCipher.pbkdf2(password, salt, 5, 40),
    );
    // NIST SP 800-38A, F.5.1
    const key = hexToBytes("2b7e151628aed2a6abf7158809cf4f3c");
    const counter = hexToBytes("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
    const text = hexToBytes("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51");
    for (const cipher of [portableCipher, platformCipher]) {
      expect(toHex(await cipher.aes128ctr(key, counter, text))).toBe(
        "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff",
      );
    }
  });
});
