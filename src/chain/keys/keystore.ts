/**
 * Encrypted key files, version 3 of the Web3 Secret Storage definition, which geth, MetaMask and most wallets read and write: scrypt (or, in
 * files of others, PBKDF2) makes 32 bytes of the password; the first 16 are the AES-128-CTR key of the private key, and keccak-256 of the
 * other 16 and the ciphertext tells a wrong password. Departures: none in what is written; of what is read, costs beyond base/limits.ts
 * are refused, because the file may be a stranger's.
 */
import { keccak_256 } from "@noble/hashes/sha3.js";
import { hexToBytes } from "@noble/hashes/utils.js";
import { concatBytes, equalBytes, utf8 } from "../../base/bytes.ts";
import { SkeinError } from "../../base/errors.ts";
import { toHex } from "../../base/hash.ts";
import { KEYSTORE_CHARS_MAX, PBKDF2_ROUNDS_MAX, SCRYPT_BYTES_MAX, SCRYPT_WORK_MAX } from "../../base/limits.ts";
import { addressOfKey } from "./account.ts";
import { type KeystoreCipher, platformCipher, type ScryptCost } from "./cipher.ts";
import { isKey, randomBytes } from "./signer.ts";

/** Cost of new files: 128 MiB and about half a second. */
export const SCRYPT_COST: ScryptCost = { n: 1 << 17, r: 8, p: 1 };

/** How the password becomes a key. */
type Derivation =
  | { readonly kdf: "scrypt"; readonly cost: ScryptCost; readonly salt: Uint8Array; readonly bytes: number }
  | { readonly kdf: "pbkdf2"; readonly rounds: number; readonly salt: Uint8Array; readonly bytes: number };

/** A keystore file, read and bounded. */
export interface Keystore {
  /** In lower case, where the file says it. Nothing proves it before the key is decrypted. */
  readonly address: string | undefined;
  readonly iv: Uint8Array;
  readonly ciphertext: Uint8Array;
  readonly mac: Uint8Array;
  readonly derivation: Derivation;
}

function damaged(why: string, cause?: unknown): SkeinError {
  const remedy = "take the file from a backup, or import the key from its mnemonic";
  return new SkeinError("data", `the key file is unusable: ${why}`, { remedy, cause });
}

function objectOf(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw damaged(`${what} is missing`);
  return value as Readonly<Record<string, unknown>>;
}

/** Bytes of a hex text, with or without 0x, of a length within bounds. */
function hexOf(value: unknown, what: string, min: number, max: number): Uint8Array {
  const text = typeof value === "string" ? value.replace(/^0x/, "") : "";
  if (!/^(?:[0-9a-fA-F]{2})*$/.test(text) || typeof value !== "string") throw damaged(`${what} is not hex`);
  if (text.length < 2 * min || text.length > 2 * max) throw damaged(`${what} has ${text.length / 2} bytes`);
  return hexToBytes(text);
}

function countOf(value: unknown, what: string, min: number, max: number): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < min || value > max) {
    throw damaged(`${what} is not a number from ${min} to ${max}`);
  }
  return value;
}

/** Reads a keystore file. Throws SkeinError("data") where it is none or asks for more work than is bearable. */
export function parseKeystore(text: string): Keystore {
  if (text.length > KEYSTORE_CHARS_MAX) throw damaged(`it has more than ${KEYSTORE_CHARS_MAX} characters`);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw damaged("it is not JSON", cause);
  }
  const file = objectOf(json, "the content");
  if (file["version"] !== 3) throw damaged("only version 3 is known");
  const crypto = objectOf(file["crypto"] ?? file["Crypto"], "the part crypto");
  if (crypto["cipher"] !== "aes-128-ctr") throw damaged("only the cipher aes-128-ctr is known");
  const address = file["address"];
  return {
    address: address === undefined ? undefined : `0x${toHex(hexOf(address, "address", 20, 20))}`,
    iv: hexOf(objectOf(crypto["cipherparams"], "cipherparams")["iv"], "iv", 16, 16),
    ciphertext: hexOf(crypto["ciphertext"], "ciphertext", 32, 32),
    mac: hexOf(crypto["mac"], "mac", 32, 32),
    derivation: derivationOf(crypto["kdf"], objectOf(crypto["kdfparams"], "kdfparams")),
  };
}

function derivationOf(kdf: unknown, params: Readonly<Record<string, unknown>>): Derivation {
  const salt = hexOf(params["salt"], "salt", 0, 64);
  const bytes = countOf(params["dklen"], "dklen", 32, 64);
  if (kdf === "pbkdf2") {
    if (params["prf"] !== "hmac-sha256") throw damaged("only the prf hmac-sha256 is known");
    return { kdf, salt, bytes, rounds: countOf(params["c"], "c", 1, PBKDF2_ROUNDS_MAX) };
  }
  if (kdf !== "scrypt") throw damaged("only the kdfs scrypt and pbkdf2 are known");
  const n = countOf(params["n"], "n", 2, 1 << 24);
  const r = countOf(params["r"], "r", 1, 1 << 10);
  const p = countOf(params["p"], "p", 1, 1 << 10);
  if ((n & (n - 1)) !== 0) throw damaged("n is not a power of two");
  if (128 * n * r > SCRYPT_BYTES_MAX || n * r * p > SCRYPT_WORK_MAX)
    throw damaged("opening it would take too much work");
  return { kdf, salt, bytes, cost: { n, r, p } };
}

function derive(derivation: Derivation, password: string, cipher: KeystoreCipher): Promise<Uint8Array> {
  const { salt, bytes } = derivation;
  return derivation.kdf === "scrypt"
    ? cipher.scrypt(utf8(password), salt, derivation.cost, bytes)
    : cipher.pbkdf2(utf8(password), salt, derivation.rounds, bytes);
}

function macOf(derived: Uint8Array, ciphertext: Uint8Array): Uint8Array {
  return keccak_256(concatBytes([derived.subarray(16, 32), ciphertext]));
}

/**
 * The private key of a keystore file. Throws SkeinError("usage") where the password is wrong, SkeinError("data") where the file is damaged.
 */
export async function decryptKey(
  text: string,
  password: string,
  cipher: KeystoreCipher = platformCipher,
): Promise<Uint8Array> {
  const { address, iv, ciphertext, mac, derivation } = parseKeystore(text);
  const derived = await derive(derivation, password, cipher);
  if (!equalBytes(macOf(derived, ciphertext), mac)) {
    throw new SkeinError("usage", "the password of the key is wrong", { remedy: "try again" });
  }
  const key = await cipher.aes128ctr(derived.subarray(0, 16), iv, ciphertext);
  if (!isKey(key)) throw damaged("what it holds is no private key");
  if (address !== undefined && addressOfKey(key) !== address) throw damaged("its key is not that of its address");
  return key;
}

/** A keystore file's text for `privateKey` (32 bytes). */
export async function encryptKey(
  privateKey: Uint8Array,
  password: string,
  cost: ScryptCost = SCRYPT_COST,
  cipher: KeystoreCipher = platformCipher,
): Promise<string> {
  const [salt, iv] = [randomBytes(32), randomBytes(16)];
  const derived = await derive({ kdf: "scrypt", cost, salt, bytes: 32 }, password, cipher);
  const ciphertext = await cipher.aes128ctr(derived.subarray(0, 16), iv, privateKey);
  const file = {
    version: 3,
    id: uuid(),
    address: addressOfKey(privateKey).slice(2),
    crypto: {
      cipher: "aes-128-ctr",
      cipherparams: { iv: toHex(iv) },
      ciphertext: toHex(ciphertext),
      kdf: "scrypt",
      kdfparams: { dklen: 32, ...cost, salt: toHex(salt) },
      mac: toHex(macOf(derived, ciphertext)),
    },
  };
  return `${JSON.stringify(file, undefined, 2)}\n`;
}

/** A random UUID (RFC 9562, version 4). */
function uuid(): string {
  const bytes = randomBytes(16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return toHex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
