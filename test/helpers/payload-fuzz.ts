/**
 * Mutated payloads for the decoder: `npm test` runs 10⁴ of them, `npm run fuzz` (scripts/fuzz.ts) 10⁶. Also the small payload that
 * the golden vector in vectors/ holds.
 *
 * Random changes to a signed payload end at the signature, so most mutations go to the body's decoder directly, and one in
 * fifty is signed anew and goes the whole way. Whatever decodes must encode to the same bytes again.
 */
import { assert } from "../../src/base/assert.ts";
import { equalBytes, utf8 } from "../../src/base/bytes.ts";
import { sha256 } from "../../src/base/hash.ts";
import { type Random, seededRandom } from "../../src/base/random.ts";
import { type BodyLayout, bodyLayout, decodeBody, encodeBody } from "../../src/codec/body.ts";
import { compressor, type SentTensor } from "../../src/codec/feedback.ts";
import { CODEC_DEFAULTS } from "../../src/codec/params.ts";
import {
  addressOf,
  decodePayload,
  type Expectations,
  encodePayload,
  type FaultKind,
  isFault,
  type PayloadHeader,
} from "../../src/round/payload.ts";

/** A small payload and everything it was made from. */
export interface GoldenPayload {
  readonly bytes: Uint8Array;
  readonly body: Uint8Array;
  readonly header: PayloadHeader;
  readonly tensors: readonly SentTensor[];
  readonly expected: Expectations;
  /** A key for tests: sha256 of a text. */
  readonly secretKey: Uint8Array;
}

const DIMS = [[70, 130], [130], [3, 5], [64, 64]] as const;

/** The payload of vectors/payload.json: k = 24 of 32 × 32, integers scaled by powers of two, so that any language can make it. */
export function goldenPayload(): GoldenPayload {
  const params = { ...CODEC_DEFAULTS, chunkSide: 32, k: 24 };
  const layout = bodyLayout(DIMS, params);
  const { compress } = compressor(params);
  const tensors = DIMS.map((dims, t) => {
    const length = dims.reduce((a: number, b: number) => a * b, 1);
    const delta = Float32Array.from({ length }, (_, i) => goldenValue(t, i));
    const residual = Float32Array.from({ length }, (_, i) => goldenValue(t + 100, i));
    return compress(dims, delta, residual);
  });
  const body = encodeBody(tensors, layout);
  const hash = (name: string): Uint8Array => sha256(utf8(`skein golden ${name}`));
  const header: PayloadHeader = {
    ...{ runHash: hash("run"), round: 7, uid: 513, baseRoot: hash("base"), tokens: 61_440 },
    ...{ dataDigest: hash("data"), workCommitment: hash("work") },
  };
  const secretKey = hash("key");
  const { runHash, round, uid, baseRoot } = header;
  const expected = { runHash, round, uid, baseRoot, layout, signer: addressOf(secretKey) };
  return { bytes: encodePayload(header, body, layout, secretKey), body, header, tensors, expected, secretKey };
}

/** Value i of tensor t: a hash of both as a signed 24-bit integer, larger in every seventh place, times 2^−30. */
function goldenValue(t: number, i: number): number {
  let h = Math.imul(i + 1, 0x9e3779b1) ^ Math.imul(t + 1, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39);
  return (h >> 8) * (i % 7 === 0 ? 3 : 1) * 2 ** -30;
}

/** What a fuzz run saw. */
export interface FuzzResult {
  /** How often each fault came out. */
  readonly faults: ReadonlyMap<FaultKind, number>;
  /** How many mutations decoded (into other values, or where nothing was changed). */
  readonly decoded: number;
}

/**
 * Runs `mutations` of the golden payload through the decoders. Throws where a decoder throws, or where something decodes that
 * does not encode to the same bytes: both are bugs. The same seed gives the same mutations.
 */
export function fuzzPayloads(options: { readonly mutations: number; readonly seed: string }): FuzzResult {
  const golden = goldenPayload();
  const random = seededRandom(options.seed);
  const faults = new Map<FaultKind, number>();
  let decoded = 0;
  for (let n = 0; n < options.mutations; n++) {
    const fault = n % 50 === 0 ? wholeFault(golden, random) : bodyFault(mutated(golden.body, random), golden);
    if (fault === undefined) decoded++;
    else faults.set(fault, (faults.get(fault) ?? 0) + 1);
  }
  return { faults, decoded };
}

function wholeFault(
  { bytes, body, header, expected, secretKey }: GoldenPayload,
  random: Random,
): FaultKind | undefined {
  const layout: BodyLayout = expected.layout;
  const resigned = random.below(2) === 0;
  const payload = resigned
    ? encodePayload(header, mutated(body, random).subarray(0, layout.bytesMax), layout, secretKey)
    : mutated(bytes, random);
  const result = decodePayload(payload, expected);
  return isFault(result) ? result.fault : undefined;
}

function bodyFault(body: Uint8Array, { expected }: GoldenPayload): FaultKind | undefined {
  const result = decodeBody(body, expected.layout);
  if (typeof result === "string") return result;
  assert(equalBytes(encodeBody(result, expected.layout), body), "what decodes encodes to the same bytes");
  return undefined;
}

/** A copy with some bytes flipped, overwritten, cut off, inserted, repeated, or all of them random. */
export function mutated(bytes: Uint8Array, random: Random): Uint8Array {
  let out = Array.from(bytes);
  for (let changes = 1 + random.below(3); changes > 0; changes--) {
    const at = random.below(out.length + 1);
    const span = 1 + random.below(random.below(8) === 0 ? 200 : 4);
    const noise = Array.from({ length: span }, () => random.below(256));
    switch (random.below(6)) {
      case 0:
        out[Math.min(at, out.length - 1)] = (out[at] ?? 0) ^ (1 << random.below(8));
        break;
      case 1:
        out.splice(at, span, ...noise);
        break;
      case 2:
        out.length = at;
        break;
      case 3:
        out.splice(at, 0, ...noise);
        break;
      case 4:
        out.splice(at, 0, ...out.slice(at, at + span));
        break;
      default:
        out = out.map((b, i) => (i >= at && random.below(4) === 0 ? random.below(256) : b));
    }
    if (out.length === 0) out = noise;
  }
  return Uint8Array.from(out);
}
