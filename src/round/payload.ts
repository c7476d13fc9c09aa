/**
 * A payload: one peer's compressed pseudo-gradient of one round, under a header that says what it belongs to and a signature over
 * everything. docs/protocol/payload.md has it byte by byte. The body is the codec's (codec/body.ts), which knows nothing of uids
 * and rounds.
 *
 * The header ties the payload to one run, round, uid, base state and layout, so it can be used nowhere else: not again, not by
 * another peer, not in another run (the reference system signs nothing). The signature is ECDSA over secp256k1 with recovery, as
 * EVM chains have it: a hotkey is an EVM address, and a contract can check the same signature with the precompiles sha256 and
 * ecrecover.
 *
 * Decoding takes any bytes and gives a payload or a fault; it never throws, and takes no more memory than the run's layout
 * implies. The signature is checked before the body, so only a registered key can make us decode.
 */
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { keccak_256 } from "@noble/hashes/sha3.js";
import { assert } from "../base/assert.ts";
import { concatBytes, equalBytes } from "../base/bytes.ts";
import { sha256 } from "../base/hash.ts";
import { type BodyFault, type BodyLayout, decodeBody } from "../codec/body.ts";
import { type SentTensor, valuesOf } from "../codec/feedback.ts";
import { codebook } from "../codec/levels.ts";
import { recoverAddress } from "../store/signature.ts";
import type { Contribution } from "./contribution.ts";

/** Version of the protocol, in every payload. */
export const PAYLOAD_VERSION = 1;

const MAGIC = Uint8Array.of(0x53, 0x4b, 0x50, 0x4c); // "SKPL"
const HASH_BYTES = 32;
/** Bytes before the body. */
export const PAYLOAD_HEADER_BYTES = 188;
/** Bytes of the signature at the end: r, s, recovery bit. */
export const PAYLOAD_SIGNATURE_BYTES = 65;
/** Bytes of an EVM address. */
export const ADDRESS_BYTES = 20;

/** What a payload says about itself, besides version and layout. All hashes have 32 bytes. */
export interface PayloadHeader {
  readonly runHash: Uint8Array;
  readonly round: number;
  /** In [0, 65535]. */
  readonly uid: number;
  /** State root of the params it started from. */
  readonly baseRoot: Uint8Array;
  /** Tokens trained on in this round. */
  readonly tokens: number;
  /** Digest of the data it trained on. */
  readonly dataDigest: Uint8Array;
  /** Merkle root over the peer's states during the round. */
  readonly workCommitment: Uint8Array;
}

/** A payload that decoded: authentic, for this round, well-formed. Whether it is any good is another question. */
export interface Payload {
  readonly header: PayloadHeader;
  /** The tensors of the layout, in order. */
  readonly tensors: readonly SentTensor[];
}

/** What a payload must be, as everybody knows beforehand from the run and the chain. */
export interface Expectations {
  readonly runHash: Uint8Array;
  readonly round: number;
  readonly uid: number;
  /** The state root all are expected to start from. Left out: any is accepted, and the caller looks at the header. */
  readonly baseRoot?: Uint8Array;
  readonly layout: BodyLayout;
  /** EVM address of the uid's hotkey, or what tells whether an address is that one. */
  readonly signer: Uint8Array | ((address: Uint8Array) => boolean);
}

/** Everything that can be wrong with a payload. */
export type FaultKind =
  | "too short"
  | "too long"
  | "bad magic"
  | "unknown version"
  | "truncated"
  | "trailing bytes"
  | "wrong run"
  | "wrong round"
  | "wrong uid"
  | "wrong base"
  | "wrong layout"
  | "absurd tokens"
  | "bad signature"
  | "wrong signer"
  | BodyFault;

/** A peer's mistake or malice, as a value. */
export interface Fault {
  readonly fault: FaultKind;
}

/** Whether decoding gave a fault. */
export function isFault(result: Payload | Fault): result is Fault {
  return "fault" in result;
}

/** Bytes of the longest payload that a run accepts. */
export function payloadBytesMax(layout: BodyLayout): number {
  return PAYLOAD_HEADER_BYTES + layout.bytesMax + PAYLOAD_SIGNATURE_BYTES;
}

/** The EVM address of a secret key: the last 20 bytes of keccak-256 over the public key's coordinates. */
export function addressOf(secretKey: Uint8Array): Uint8Array {
  return addressOfPublic(secp256k1.getPublicKey(secretKey, false));
}

function addressOfPublic(uncompressed: Uint8Array): Uint8Array {
  return keccak_256(uncompressed.subarray(1)).slice(-ADDRESS_BYTES);
}

/** Writes and signs a payload. `body` is what the codec encoded under `layout`. The same arguments give the same bytes (RFC 6979). */
export function encodePayload(
  header: PayloadHeader,
  body: Uint8Array,
  layout: BodyLayout,
  secretKey: Uint8Array,
): Uint8Array {
  const unsigned = unsignedPayload(header, body, layout);
  return signedPayload(unsigned, sign(sha256(unsigned), secretKey));
}

/** A payload without its signature, for whoever has the key elsewhere: what is signed is its sha256. */
export function unsignedPayload(header: PayloadHeader, body: Uint8Array, layout: BodyLayout): Uint8Array {
  assert(body.length <= layout.bytesMax, "the body is within its limit");
  return concatBytes([encodeHeader(header, layout, body.length), body]);
}

/** Puts the signature to a payload: r, s and the recovery bit, which may be written as 27 or 28, as Ethereum does. */
export function signedPayload(unsigned: Uint8Array, signature: Uint8Array): Uint8Array {
  assert(signature.length === PAYLOAD_SIGNATURE_BYTES, "a signature has 65 bytes");
  const recovery = (signature[64] as number) % 27;
  return concatBytes([unsigned, signature.subarray(0, 64), Uint8Array.of(recovery)]);
}

function encodeHeader(header: PayloadHeader, layout: BodyLayout, bodyBytes: number): Uint8Array {
  const { round, uid, tokens, runHash, baseRoot, dataDigest, workCommitment } = header;
  assert(Number.isInteger(uid) && uid >= 0 && uid < 2 ** 16, "uid fits 16 bits");
  for (const n of [round, tokens]) assert(Number.isSafeInteger(n) && n >= 0, "round and tokens are counts");
  const bytes = new Uint8Array(PAYLOAD_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC);
  view.setUint16(4, PAYLOAD_VERSION, true);
  view.setUint16(6, uid, true);
  view.setBigUint64(8, BigInt(round), true);
  view.setBigUint64(16, BigInt(tokens), true);
  [runHash, baseRoot, dataDigest, workCommitment, layout.hash].forEach((hash, i) => {
    assert(hash.length === HASH_BYTES, "a hash has 32 bytes");
    bytes.set(hash, 24 + HASH_BYTES * i);
  });
  view.setUint32(184, bodyBytes, true);
  return bytes;
}

/** Decodes any bytes: a payload that meets `expected`, or the first thing found wrong. Never throws. */
export function decodePayload(bytes: Uint8Array, expected: Expectations): Payload | Fault {
  const header = decodeHeader(bytes, expected);
  if ("fault" in header) return header;
  const end = bytes.length - PAYLOAD_SIGNATURE_BYTES;
  const signer = recover(sha256(bytes.subarray(0, end)), bytes.subarray(end));
  if (signer === undefined) return { fault: "bad signature" };
  const isSigner =
    typeof expected.signer === "function" ? expected.signer(signer) : equalBytes(signer, expected.signer);
  if (!isSigner) return { fault: "wrong signer" };
  const tensors = decodeBody(bytes.subarray(PAYLOAD_HEADER_BYTES, end), expected.layout);
  return typeof tensors === "string" ? { fault: tensors } : { header, tensors };
}

function decodeHeader(bytes: Uint8Array, expected: Expectations): PayloadHeader | Fault {
  const fixed = PAYLOAD_HEADER_BYTES + PAYLOAD_SIGNATURE_BYTES;
  if (bytes.length > payloadBytesMax(expected.layout)) return { fault: "too long" };
  if (bytes.length < fixed) return { fault: "too short" };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const hash = (i: number): Uint8Array =>
    new Uint8Array(bytes.subarray(24 + HASH_BYTES * i, 24 + HASH_BYTES * (i + 1)));
  if (!equalBytes(bytes.subarray(0, MAGIC.length), MAGIC)) return { fault: "bad magic" };
  if (view.getUint16(4, true) !== PAYLOAD_VERSION) return { fault: "unknown version" };
  const bodyBytes = view.getUint32(184, true);
  if (bytes.length < fixed + bodyBytes) return { fault: "truncated" };
  if (bytes.length > fixed + bodyBytes) return { fault: "trailing bytes" };
  if (!equalBytes(hash(0), expected.runHash)) return { fault: "wrong run" };
  if (view.getBigUint64(8, true) !== BigInt(expected.round)) return { fault: "wrong round" };
  if (view.getUint16(6, true) !== expected.uid) return { fault: "wrong uid" };
  if (expected.baseRoot && !equalBytes(hash(1), expected.baseRoot)) return { fault: "wrong base" };
  if (!equalBytes(hash(4), expected.layout.hash)) return { fault: "wrong layout" };
  const tokens = Number(view.getBigUint64(16, true));
  if (!Number.isSafeInteger(tokens)) return { fault: "absurd tokens" };
  const { round, uid } = expected;
  return { runHash: hash(0), round, uid, baseRoot: hash(1), tokens, dataDigest: hash(2), workCommitment: hash(3) };
}

/** r, s, recovery bit: 65 bytes, s in the lower half, so that a signature has one form. */
function sign(hash: Uint8Array, secretKey: Uint8Array): Uint8Array {
  const signed = secp256k1.sign(hash, secretKey, { prehash: false, lowS: true, format: "recovered" });
  return concatBytes([signed.subarray(1), signed.subarray(0, 1)]); // the library puts the recovery bit first
}

/** The address that signed `hash`, or undefined where this is no signature in its one form. */
function recover(hash: Uint8Array, signature: Uint8Array): Uint8Array | undefined {
  const recovery = signature[64] as number;
  if (recovery > 1) return undefined;
  return recoverAddress(hash, concatBytes([signature.subarray(0, 64), Uint8Array.of(27 + recovery)]));
}

/** A payload as aggregation reads it. */
export function contributionOf({ tensors }: Payload): Contribution {
  return {
    tensor(index) {
      const sent = tensors[index];
      assert(sent !== undefined, "the layout has this tensor");
      let values: Float32Array | undefined; // made when asked for: the means need none
      return {
        indices: sent.indices,
        coded: { codes: sent.codes, book: codebook(sent.levels) },
        get values() {
          values ??= valuesOf(sent);
          return values;
        },
      };
    },
  };
}
