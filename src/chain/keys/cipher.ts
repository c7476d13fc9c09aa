/**
 * The three primitives that a keystore file needs: scrypt (RFC 7914), PBKDF2 (RFC 8018) and AES-128 in counter mode (NIST SP 800-38A). Node's
 * own where it is at hand (about ten times faster), else @noble/hashes and the browser's cipher; both give the same bytes
 * (cipher.test.ts).
 */
import { pbkdf2Async } from "@noble/hashes/pbkdf2.js";
import { scryptAsync } from "@noble/hashes/scrypt.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { nodeModule } from "../../base/platform.ts";

/** Cost of scrypt: n a power of two; it takes 128·n·r bytes. */
export interface ScryptCost {
  readonly n: number;
  readonly r: number;
  readonly p: number;
}

/** The primitives. */
export interface KeystoreCipher {
  scrypt(password: Uint8Array, salt: Uint8Array, cost: ScryptCost, bytes: number): Promise<Uint8Array>;
  /** With HMAC-SHA-256. */
  pbkdf2(password: Uint8Array, salt: Uint8Array, rounds: number, bytes: number): Promise<Uint8Array>;
  /** Encrypts and decrypts; key and iv have 16 bytes. */
  aes128ctr(key: Uint8Array, iv: Uint8Array, data: Uint8Array): Promise<Uint8Array>;
}

/** For any platform. */
export const portableCipher: KeystoreCipher = {
  scrypt: (password, salt, { n, r, p }, bytes) =>
    scryptAsync(password, salt, { N: n, r, p, dkLen: bytes, maxmem: 128 * n * r + 128 * r * p + (1 << 20) }),
  pbkdf2: (password, salt, rounds, bytes) => pbkdf2Async(sha256, password, salt, { c: rounds, dkLen: bytes }),
  async aes128ctr(key, iv, data) {
    const { subtle } = globalThis.crypto;
    const imported = await subtle.importKey("raw", key.slice(), "AES-CTR", false, ["encrypt"]);
    const algorithm = { name: "AES-CTR", counter: iv.slice(), length: 128 };
    return new Uint8Array(await subtle.encrypt(algorithm, imported, data.slice()));
  },
};

type NodeCrypto = NonNullable<ReturnType<typeof nodeModule<"node:crypto">>>;

/** By Node's own module. */
function nodeCipher(native: NodeCrypto): KeystoreCipher {
  const settle =
    (resolve: (bytes: Uint8Array) => void, reject: (thrown: unknown) => void) =>
    (error: Error | null, bytes: Uint8Array): void =>
      error === null ? resolve(new Uint8Array(bytes)) : reject(error);
  return {
    scrypt(password, salt, cost, bytes) {
      const { n, r, p } = cost;
      // OpenSSL holds to the RFC's n < 2^(16·r), which keystore files in use, the definition's own vector among them, do not.
      if (n >= 2 ** (16 * r)) return portableCipher.scrypt(password, salt, cost, bytes);
      return new Promise((resolve, reject) => {
        const maxmem = 128 * n * r + 128 * r * p + (1 << 20);
        native.scrypt(password, salt, bytes, { N: n, r, p, maxmem }, settle(resolve, reject));
      });
    },
    pbkdf2: (password, salt, rounds, bytes) =>
      new Promise((resolve, reject) => {
        native.pbkdf2(password, salt, rounds, bytes, "sha256", settle(resolve, reject));
      }),
    async aes128ctr(key, iv, data) {
      const cipher = native.createCipheriv("aes-128-ctr", key, iv);
      return new Uint8Array([...cipher.update(data), ...cipher.final()]);
    },
  };
}

const node = nodeModule("node:crypto");

/** The best for this platform. */
export const platformCipher: KeystoreCipher = node === undefined ? portableCipher : nodeCipher(node);
