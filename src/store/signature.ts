/**
 * Who signed something: the EVM address of the key behind an ECDSA signature over secp256k1 (SEC 1, section 4.1.6), as EVM chains have it:
 * 65 bytes r ‖ s ‖ v with v 27 or 28 and s in the lower half, so that a signature has one form. (Making one is chain/keys/signer.ts.)
 */
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { keccak_256 } from "@noble/hashes/sha3.js";
import { toHex } from "../base/hash.ts";

/** Bytes of a signature. */
export const SIGNATURE_BYTES = 65;

/** Signatures whose signers are remembered. */
const KNOWN_MAX = 4096;

/**
 * Signers by digest and signature, the newest last: recovery is the dearest thing that a node does with a small payload, a validator asks for the same one up
 * to four times, and a simulated network once for each node (60 % of its time before).
 */
const known = new Map<string, Uint8Array>();

/** The 20-byte address that signed the 32-byte `digest`; undefined where this is no signature in its one form. Takes any bytes. */
export function recoverAddress(digest: Uint8Array, signature: Uint8Array): Uint8Array | undefined {
  if (signature.length !== SIGNATURE_BYTES || digest.length !== 32) return undefined;
  const key = toHex(digest) + toHex(signature);
  const found = known.get(key);
  if (found !== undefined) return found.slice();
  const address = recovered(digest, signature);
  if (address === undefined) return undefined;
  const [oldest] = known.size < KNOWN_MAX ? [] : known.keys();
  if (oldest !== undefined) known.delete(oldest);
  known.set(key, address);
  return address.slice();
}

function recovered(digest: Uint8Array, signature: Uint8Array): Uint8Array | undefined {
  const recovery = (signature[SIGNATURE_BYTES - 1] ?? 0) - 27;
  if (recovery !== 0 && recovery !== 1) return undefined;
  try {
    const parsed = secp256k1.Signature.fromBytes(signature.subarray(0, 64), "compact");
    if (parsed.hasHighS()) return undefined;
    const key = parsed.addRecoveryBit(recovery).recoverPublicKey(digest).toBytes(false);
    return keccak_256(key.subarray(1)).subarray(12);
  } catch {
    return undefined; // r or s out of range, or a point off the curve
  }
}
