/**
 * Addresses and accounts. An address is the last 20 bytes of the keccak-256 of a public key (yellow paper, appendix F); an account is what the
 * contracts key their books by, blake2b-256("evm:" ‖ address), as Bittensor maps EVM callers.
 */
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { blake2b } from "@noble/hashes/blake2.js";
import { keccak_256 } from "@noble/hashes/sha3.js";
import { hexToBytes } from "@noble/hashes/utils.js";
import { concatBytes, utf8 } from "../../base/bytes.ts";
import { toHex } from "../../base/hash.ts";
import type { Address, Hash } from "../chain.ts";

/** The account of an address in any case. Throws where `address` is not one. */
export function accountOf(address: Address): Hash {
  return accountOfBytes(hexToBytes(address.slice(2)));
}

/** The account of an address's 20 bytes. */
export function accountOfBytes(address: Uint8Array): Hash {
  return `0x${toHex(blake2b(concatBytes([utf8("evm:"), address]), { dkLen: 32 }))}`;
}

/** The address of a private key (32 bytes), in lower case. */
export function addressOfKey(privateKey: Uint8Array): Address {
  const publicKey = secp256k1.getPublicKey(privateKey, false);
  return `0x${toHex(keccak_256(publicKey.subarray(1)).subarray(12))}`;
}

/** The address with the capitals that tell most typing errors (EIP-55). */
export function checksummed(address: Address): Address {
  const lower = address.slice(2).toLowerCase();
  const hash = toHex(keccak_256(utf8(lower)));
  return `0x${[...lower].map((c, i) => (Number.parseInt(hash[i] ?? "0", 16) >= 8 ? c.toUpperCase() : c)).join("")}`;
}

/** The address in `text`; undefined where it is none, or has capitals that contradict EIP-55. Lower or upper case throughout has none. */
export function parseAddress(text: string): Address | undefined {
  if (!/^0x[0-9a-fA-F]{40}$/.test(text)) return undefined;
  const lower = text.toLowerCase() as Address;
  const hasCase = text.slice(2) !== lower.slice(2) && text.slice(2) !== lower.slice(2).toUpperCase();
  return hasCase && checksummed(lower) !== text ? undefined : lower;
}
