/**
 * Names Node: the folder of keys. `<name>/coldkey.json` owns the money, `<name>/hotkeys/<hotkey>.json` does the daily work and belongs on the
 * machine that trains. A file is encrypted (keystore.ts) where a password was given, and plain otherwise: a newcomer is asked nothing, and
 * told that the file must be kept. Every file has mode 600; a plain one that others may read is refused.
 */
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { hexToBytes } from "@noble/hashes/utils.js";
import { fromUtf8, utf8 } from "../../base/bytes.ts";
import { SkeinError } from "../../base/errors.ts";
import { toHex } from "../../base/hash.ts";
import { KEYSTORE_CHARS_MAX } from "../../base/limits.ts";
import type { Address, Hash, Signer } from "../chain.ts";
import { namesIn, readBounded, writeWhole } from "../files.node.ts";
import { accountOf, addressOfKey, checksummed, parseAddress } from "./account.ts";
import type { ScryptCost } from "./cipher.ts";
import { decryptKey, encryptKey, parseKeystore } from "./keystore.ts";
import { keyOfMnemonic, looksLikeMnemonic, newMnemonic } from "./mnemonic.ts";
import { isKey, newKey, signerOf } from "./signer.ts";

/** Which key: the coldkey of `name`, or one of its hotkeys. */
export interface KeyName {
  readonly name: string;
  readonly hotkey?: string;
}

/** What is known of a key without its password. */
export interface KeyInfo extends KeyName {
  /** With the capitals of EIP-55. */
  readonly address: Address;
  readonly account: Hash;
  readonly encrypted: boolean;
  readonly file: string;
}

/** A key that was just made. */
export interface CreatedKey extends KeyInfo {
  /** The words that give the key back, which are stored nowhere; of coldkeys only. */
  readonly mnemonic: string | undefined;
}

/** A password, or how to ask for it; asked only where the file is encrypted. */
export type Password = string | (() => Promise<string>);

/** The folder of keys. Everything throws SkeinError: "usage" for names, passwords and missing keys, "data" for files, "store". */
export interface KeyFolder {
  /** All keys, by name; the coldkey before its hotkeys. Files that are no keys are left out. */
  list(): Promise<KeyInfo[]>;
  /** What is known of a key; undefined where there is none. */
  find(key: KeyName): Promise<KeyInfo | undefined>;
  /** Makes a key, encrypted where there is a password. Never replaces one. */
  create(key: KeyName, password?: string): Promise<CreatedKey>;
  /** What `create` does, unless there is a key already. */
  ensure(key: KeyName): Promise<KeyInfo>;
  load(key: KeyName, password?: Password): Promise<Signer>;
  /** Takes a key from elsewhere: hex digits, a mnemonic, or a keystore file's text with its password. Never replaces one. */
  importKey(key: KeyName, secret: string, options?: ImportOptions): Promise<KeyInfo>;
  /** A key to take elsewhere: a keystore file's text where a new password is given, else hex digits with 0x. */
  exportKey(key: KeyName, password?: Password, newPassword?: string): Promise<string>;
}

/** Passwords of an import. */
export interface ImportOptions {
  /** Of the keystore file that is imported. */
  readonly secretPassword?: Password;
  /** For the file that is written; plain without. */
  readonly password?: string;
}

/** Opens the folder `root`, which the first key creates. `cost` is for tests. */
export function keyFolder(root: string, cost?: ScryptCost): KeyFolder {
  const top = path.resolve(root);
  const write = async (key: KeyName, secret: Uint8Array, password: string | undefined): Promise<KeyInfo> => {
    const file = fileOf(top, key);
    await fs.mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
    const text = password === undefined ? plainFile(secret) : await encryptKey(secret, password, cost);
    if (!(await writeWhole(file, utf8(text), { mode: 0o600, ifAbsent: true }))) throw taken(key, file);
    return infoOf(key, file, text);
  };
  const find = async (key: KeyName): Promise<KeyInfo | undefined> => {
    const file = fileOf(top, key);
    const text = await textOf(file);
    return text === undefined ? undefined : infoOf(key, file, text);
  };
  const create = async (key: KeyName, password?: string): Promise<CreatedKey> => {
    if ((await find(key)) !== undefined) throw taken(key, fileOf(top, key));
    const mnemonic = key.hotkey === undefined ? await newMnemonic() : undefined;
    const secret = mnemonic === undefined ? newKey() : await keyOfMnemonic(mnemonic);
    return { ...(await write(key, secret, password)), mnemonic };
  };
  const secretOf = async (key: KeyName, password?: Password): Promise<Uint8Array> => {
    const file = fileOf(top, key);
    const text = await textOf(file);
    if (text === undefined) throw missing(key, file);
    if (plainKey(text) !== undefined) await refuseOpenFile(file);
    return await readSecret(text, password, file);
  };
  return {
    async list() {
      const found: (KeyInfo | undefined)[] = [];
      for (const key of await keysIn(top)) found.push(await find(key).catch(() => undefined));
      return found.filter((info) => info !== undefined);
    },
    find,
    create,
    ensure: async (key) => (await find(key)) ?? (await create(key)),
    load: async (key, password) => signerOf(await secretOf(key, password)),
    async importKey(key, secret, { secretPassword, password } = {}) {
      return await write(key, await readSecret(secret, secretPassword, "the imported key"), password);
    },
    async exportKey(key, password, newPassword) {
      const secret = await secretOf(key, password);
      return newPassword === undefined ? `0x${toHex(secret)}` : await encryptKey(secret, newPassword, cost);
    },
  };
}

/** Letters, digits, and . _ - inside: safe as a file's name everywhere. */
const NAME = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$/;

function fileOf(top: string, { name, hotkey }: KeyName): string {
  for (const part of hotkey === undefined ? [name] : [name, hotkey]) {
    if (NAME.test(part)) continue;
    const remedy = "use up to 64 letters, digits, and . _ - between them";
    throw new SkeinError("usage", `${JSON.stringify(part)} cannot be the name of a key`, { remedy });
  }
  return path.join(top, name, ...(hotkey === undefined ? ["coldkey.json"] : ["hotkeys", `${hotkey}.json`]));
}

async function keysIn(top: string): Promise<KeyName[]> {
  const keys: KeyName[] = [];
  for (const name of (await namesIn(top)).filter((n) => NAME.test(n))) {
    keys.push({ name });
    for (const file of await namesIn(path.join(top, name, "hotkeys"))) {
      const hotkey = file.replace(/\.json$/, "");
      if (file.endsWith(".json") && NAME.test(hotkey)) keys.push({ name, hotkey });
    }
  }
  return keys;
}

async function textOf(file: string): Promise<string | undefined> {
  const bytes = await readBounded(file, KEYSTORE_CHARS_MAX);
  return bytes === undefined ? undefined : fromUtf8(bytes);
}

function plainFile(secret: Uint8Array): string {
  const address = checksummed(addressOfKey(secret));
  const note = "Not encrypted: whoever reads this file owns the key.";
  return `${JSON.stringify({ address, privateKey: `0x${toHex(secret)}`, note }, undefined, 2)}\n`;
}

/** The key in a plain file or in bare hex digits; undefined where `text` is neither. */
function plainKey(text: string): Uint8Array | undefined {
  let hex: unknown = text.trim();
  if (text.trimStart().startsWith("{")) {
    try {
      hex = (JSON.parse(text) as Readonly<Record<string, unknown>>)["privateKey"];
    } catch {
      return undefined;
    }
  }
  if (typeof hex !== "string" || !/^(?:0x)?[0-9a-fA-F]{64}$/.test(hex)) return undefined;
  const key = hexToBytes(hex.replace(/^0x/, ""));
  return isKey(key) ? key : undefined;
}

async function readSecret(text: string, password: Password | undefined, what: string): Promise<Uint8Array> {
  const plain = plainKey(text);
  if (plain !== undefined) return plain;
  if (looksLikeMnemonic(text)) return await keyOfMnemonic(text);
  parseKeystore(text); // before anybody is asked for a password
  if (password === undefined) {
    const remedy = "give its password";
    throw new SkeinError("usage", `the key is encrypted: ${what}`, { remedy });
  }
  return await decryptKey(text, typeof password === "string" ? password : await password());
}

function infoOf(key: KeyName, file: string, text: string): KeyInfo {
  const plain = plainKey(text);
  const address = plain === undefined ? parseAddress(parseKeystore(text).address ?? "") : addressOfKey(plain);
  if (address === undefined) {
    const remedy = "import the key again: skein's own files say their address";
    throw new SkeinError("data", `the key file does not say its address: ${file}`, { remedy });
  }
  return { ...key, address: checksummed(address), account: accountOf(address), encrypted: plain === undefined, file };
}

async function refuseOpenFile(file: string): Promise<void> {
  if (process.platform === "win32") return; // permissions are lists there, and a home folder is its owner's
  const { mode } = await fs.stat(file);
  if ((mode & 0o077) === 0) return;
  throw new SkeinError("usage", `other users of this machine may read the key ${file}`, {
    details: `its mode is ${(mode & 0o777).toString(8)}, and it is not encrypted`,
    remedy: `run: chmod 600 ${file}, and move the money to a new key if others may have read it`,
  });
}

function shownName({ name, hotkey }: KeyName): string {
  return hotkey === undefined ? `the coldkey ${name}` : `the hotkey ${name}/${hotkey}`;
}

function taken(key: KeyName, file: string): SkeinError {
  const remedy = "choose another name, or move the file away";
  return new SkeinError("usage", `there is ${shownName(key)} already`, { details: file, remedy });
}

function missing(key: KeyName, file: string): SkeinError {
  const remedy = "create it, or look at the list of keys";
  return new SkeinError("usage", `there is no such key: ${shownName(key)}`, { details: file, remedy });
}
