/**
 * Proof that whoever registers a hotkey holds it: the hotkey's signature over the chain, the subnet, the coldkey and a number that is
 * used once. The contracts ask for the same as EIP-712 typed data; the twin's digest is a plain hash, as only twins read it.
 */
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { keccak_256 } from "@noble/hashes/sha3.js";
import { concatBytes, utf8 } from "../../base/bytes.ts";
import { sha256, toHex } from "../../base/hash.ts";
import type { Address, Hash } from "../chain.ts";

/** What a hotkey signs. */
export interface Claim {
  readonly chainId: number;
  readonly netuid: number;
  readonly coldkey: Hash;
  /** Proofs that the hotkey has given before. */
  readonly nonce: number;
}

/** Digest of a claim: 32 bytes. */
export const claimDigest = (claim: Claim): Uint8Array =>
  sha256(utf8(["skein twin claim", claim.chainId, claim.netuid, claim.coldkey, claim.nonce].join(" ")));

/** The address that made a 65-byte r ‖ s ‖ v signature over a digest; undefined where it is none. */
export function signerOf(digest: Uint8Array, signature: Uint8Array): Address | undefined {
  const recovery = (signature[64] ?? 0) % 27;
  if (signature.length !== 65 || recovery > 1) return undefined;
  try {
    const recovered = concatBytes([Uint8Array.of(recovery), signature.subarray(0, 64)]);
    const key = secp256k1.recoverPublicKey(recovered, digest, { prehash: false });
    return addressOfPoint(secp256k1.Point.fromBytes(key).toBytes(false));
  } catch {
    return undefined; // r or s out of range, or no such point: a stranger's bytes
  }
}

/** The address of a public key: 65 bytes, uncompressed. */
const addressOfPoint = (publicKey: Uint8Array): Address => `0x${toHex(keccak_256(publicKey.subarray(1)).subarray(12))}`;
