/**
 * sha256, the project's only content hash. Bytes in, bytes or lower-case hex out.
 *
 * The portable implementation is @noble/hashes; where Node's own is at hand it is used instead (measured here on a 2.6 GHz
 * Zen 4: about 10× faster, which matters for checkpoints). Both give the same bytes, which hash.test.ts checks.
 */
import { sha256 as nobleSha256 } from "@noble/hashes/sha2.js";
import { hexToBytes } from "@noble/hashes/utils.js";
import { assert } from "./assert.ts";
import { nodeModule } from "./platform.ts";

/** An incremental hash. */
export interface Hasher {
  update(bytes: Uint8Array): Hasher;
  digest(): Uint8Array;
}

const nodeCrypto = nodeModule("node:crypto");

/** A new incremental sha256. */
export function sha256Stream(): Hasher {
  const inner = nodeCrypto ? nodeCrypto.createHash("sha256") : nobleSha256.create();
  const hasher: Hasher = {
    update(bytes) {
      inner.update(bytes);
      return hasher;
    },
    digest: () => new Uint8Array(inner.digest()),
  };
  return hasher;
}

/** sha256 of `bytes`: 32 bytes. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return sha256Stream().update(bytes).digest();
}

/** sha256 of `bytes` as 64 lower-case hex digits. */
export function sha256Hex(bytes: Uint8Array): string {
  return toHex(sha256(bytes));
}

/** Lower-case hex of `bytes`. */
export function toHex(bytes: Uint8Array): string {
  let out = "";
  for (const b of bytes) out += b.toString(16).padStart(2, "0");
  return out;
}

/** The bytes of hex digits, in lower or upper case, with or without 0x. Only for text that is known to be hex. */
export function fromHex(hex: string): Uint8Array {
  const digits = hex.startsWith("0x") ? hex.slice(2) : hex;
  assert(/^(?:[0-9a-fA-F]{2})*$/.test(digits), "an even number of hex digits");
  return hexToBytes(digits);
}
