/**
 * What whoever writes to a shared store through HTTP signs and sends: agreed between the client (http.ts) and the gateway
 * (docs/protocol/gateway.md).
 */
import { utf8 } from "../base/bytes.ts";
import { sha256 } from "../base/hash.ts";

/** Names the writer: 0x and the 40 hex digits of the address. */
export const ADDRESS_HEADER = "x-skein-address";
/** The signature over `putDigest`: r ‖ s ‖ v as 130 hex digits. */
export const SIGNATURE_HEADER = "x-skein-signature";

/** A write, as it is signed. */
export interface PutClaim {
  /** Hash of the run's spec, 64 hex digits: a signature is worth nothing to another run. */
  readonly specHash: string;
  readonly key: string;
  /** sha256 of the body, 64 hex digits. */
  readonly bodyHash: string;
  readonly length: number;
}

/** What is signed: the sha256 of five lines of text. */
export function putDigest({ specHash, key, bodyHash, length }: PutClaim): Uint8Array {
  return sha256(utf8(["skein put", specHash, key, bodyHash, length].join("\n")));
}
