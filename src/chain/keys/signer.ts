/**
 * Keys of the curve secp256k1 (SEC 2, section 2.4.1), and signing with them: deterministic nonces (RFC 6979) and the lower of the two valid s,
 * so that a signature has one form.
 */
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { assert } from "../../base/assert.ts";
import { concatBytes } from "../../base/bytes.ts";
import { systemRandom } from "../../base/random.ts";
import type { Signer } from "../chain.ts";
import { accountOf, addressOfKey } from "./account.ts";

/** A new private key: 32 bytes from the machine's entropy. */
export function newKey(): Uint8Array {
  for (;;) {
    const key = randomBytes(32);
    if (isKey(key)) return key; // all but about one in 2^128 are
  }
}

/** Whether `bytes` are a private key: 32 bytes in [1, order of the curve). */
export function isKey(bytes: Uint8Array): boolean {
  return secp256k1.utils.isValidSecretKey(bytes);
}

/** `count` bytes of the machine's entropy. */
export function randomBytes(count: number): Uint8Array {
  return Uint8Array.from({ length: count }, () => systemRandom.uint32() & 0xff);
}

/** A signer that holds `privateKey` (32 bytes, copied). v is 27 or 28. */
export function signerOf(privateKey: Uint8Array): Signer {
  assert(isKey(privateKey), "not a private key");
  const key = privateKey.slice();
  const address = addressOfKey(key);
  return {
    address,
    account: accountOf(address),
    async sign(digest) {
      assert(digest.length === 32, "a digest has 32 bytes");
      const made = secp256k1.sign(digest, key, { prehash: false, lowS: true, format: "recovered" });
      return concatBytes([made.subarray(1), Uint8Array.of(27 + (made[0] ?? 0))]);
    },
  };
}
