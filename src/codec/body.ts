/**
 * All tensors of a pseudo-gradient as bytes, and back. docs/protocol/payload.md has it byte by byte:
 *
 *   levels: for each tensor its one or two magnitudes as bfloat16, little-endian, low before high;
 *   stream: one range-coded message (entropy.ts; rangecoder.ts and model.ts) with places, levels and signs of all tensors.
 *
 * Nothing is counted or named in it: tensors, their dims and k are the run's, known to both sides. So there is no length to
 * lie about; memory follows from the layout alone, and reading stops where the bytes do.
 */
import { assert, must } from "../base/assert.ts";
import { bytesOf, concatBytes, utf8 } from "../base/bytes.ts";
import { sha256 } from "../base/hash.ts";
import { LEVEL_MAX, STREAM_BITS_MAX } from "../base/limits.ts";
import { type Grid, gridOf } from "./chunks.ts";
import { streamDecoder, streamEncoder } from "./entropy.ts";
import type { SentTensor } from "./feedback.ts";
import { fromBfloat16, type Levels, toBfloat16 } from "./levels.ts";
import { type CodecParams, checkCodecParams } from "./params.ts";

/** Everything that determines the form of a run's bodies. */
export interface BodyLayout {
  readonly params: CodecParams;
  readonly grids: readonly Grid[];
  /** Kept values of all tensors. */
  readonly keptCount: number;
  /** Bytes of the levels. */
  readonly levelBytes: number;
  /** Bytes of the longest body that is accepted. */
  readonly bytesMax: number;
  /** sha256 over all that decoding needs: chunkSide, k, bits and the tensors' dims in order. */
  readonly hash: Uint8Array;
}

/** What can be wrong with a body. */
export type BodyFault =
  | "levels missing"
  | "level not finite"
  | "level absurd"
  | "levels out of order"
  | "stream truncated"
  | "stream has trailing bytes"
  | "stream not canonical"
  | "body too long";

/** The layout of bodies for tensors of these `dims`, in this order. Throws SkeinError("config") for params out of range. */
export function bodyLayout(dims: readonly (readonly number[])[], params: CodecParams): BodyLayout {
  checkCodecParams(params);
  const grids = dims.map((each) => gridOf(each, params));
  const keptCount = grids.reduce((sum, grid) => sum + grid.keptCount, 0);
  const levelBytes = 2 * params.bits * grids.length;
  const bytesMax = levelBytes + 1 + Math.ceil((keptCount * STREAM_BITS_MAX) / 8);
  return { params, grids, keptCount, levelBytes, bytesMax, hash: layoutHash(dims, params) };
}

/** sha256 of "skein layout 1\n" and u32 numbers: chunkSide, k, bits, tensors; for each tensor its number of dims, then the dims. */
function layoutHash(dims: readonly (readonly number[])[], { chunkSide, k, bits }: CodecParams): Uint8Array {
  const numbers = [chunkSide, k, bits, dims.length, ...dims.flatMap((each) => [each.length, ...each])];
  const words = new DataView(new ArrayBuffer(4 * numbers.length));
  numbers.forEach((n, i) => {
    assert(n < 2 ** 32, "dims fit 32 bits");
    words.setUint32(4 * i, n, true);
  });
  return sha256(concatBytes([utf8("skein layout 1\n"), bytesOf(words)]));
}

/** Writes a body, tensor by tensor. */
export interface BodyEncoder {
  /** The next tensor of the layout. */
  add(tensor: SentTensor): void;
  /** The body, after the last tensor. */
  finish(): Uint8Array;
}

/** An encoder; holds the bytes so far and the model's statistics of one tensor. */
export function bodyEncoder(layout: BodyLayout): BodyEncoder {
  const { params, grids, levelBytes, bytesMax } = layout;
  const levels = new Uint8Array(levelBytes);
  const view = new DataView(levels.buffer);
  const coder = streamEncoder(params, bytesMax - levelBytes);
  let done = 0;
  return {
    add(tensor) {
      const grid = must(grids[done], "a tensor that the layout has");
      assert(tensor.indices.length === grid.keptCount, "the tensor has the layout's form");
      assert(tensor.levels.length === params.bits, "the tensor has the layout's levels");
      tensor.levels.forEach((level, i) => {
        view.setUint16(2 * (params.bits * done + i), toBfloat16(level), true);
      });
      coder.add(grid, tensor);
      done++;
    },
    finish() {
      assert(done === grids.length, "all tensors of the layout were added");
      const stream = coder.finish();
      const body = new Uint8Array(levelBytes + stream.length);
      body.set(levels);
      body.set(stream, levelBytes);
      return body;
    },
  };
}

/** Encodes `tensors`, those of the layout in order. */
export function encodeBody(tensors: Iterable<SentTensor>, layout: BodyLayout): Uint8Array {
  const encoder = bodyEncoder(layout);
  for (const tensor of tensors) encoder.add(tensor);
  return encoder.finish();
}

/** Decodes any bytes: the tensors they say, or what is wrong with them. Bytes that decode are the only ones that say the same. */
export function decodeBody(bytes: Uint8Array, layout: BodyLayout): SentTensor[] | BodyFault {
  const { params, grids, levelBytes, bytesMax } = layout;
  if (bytes.length > bytesMax) return "body too long";
  if (bytes.length < levelBytes) return "levels missing";
  const levels = decodeLevels(bytes, layout);
  if (typeof levels === "string") return levels;
  const coder = streamDecoder(params, bytes.subarray(levelBytes));
  const tensors: SentTensor[] = [];
  for (const [t, grid] of grids.entries()) {
    const tensor = {
      grid,
      levels: must(levels[t], "levels"),
      indices: new Int32Array(grid.keptCount),
      codes: new Uint8Array(grid.keptCount),
    };
    if (!coder.read(grid, tensor)) return "stream truncated";
    tensors.push(tensor);
  }
  switch (coder.end()) {
    case "truncated":
      return "stream truncated";
    case "trailing":
      return "stream has trailing bytes";
    case "not canonical":
      return "stream not canonical";
    default:
      return tensors;
  }
}

function decodeLevels(bytes: Uint8Array, { params, grids }: BodyLayout): Levels[] | BodyFault {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const all: Levels[] = [];
  for (let t = 0; t < grids.length; t++) {
    const level = (i: number): number => fromBfloat16(view.getUint16(2 * (params.bits * t + i), true));
    const [low, high] = [level(0), level(params.bits - 1)];
    if (!Number.isFinite(low) || !Number.isFinite(high)) return "level not finite";
    if (!(low >= 0 && high >= 0 && low <= LEVEL_MAX && high <= LEVEL_MAX)) return "level absurd";
    if (Object.is(low, -0) || Object.is(high, -0)) return "level absurd";
    if (low > high) return "levels out of order";
    all.push(params.bits === 1 ? [low] : [low, high]);
  }
  return all;
}
