/** The kernel writes what model.ts and rangecoder.ts write, and reads any bytes as they do. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AssertionError, must } from "../base/assert.ts";
import { SkeinError } from "../base/errors.ts";
import { type Random, seededRandom } from "../base/random.ts";
import { chunksOf, type Grid, gridOf } from "./chunks.ts";
import { streamDecoder, streamEncoder } from "./entropy.ts";
import { type SparseCodes, tensorModel } from "./model.ts";
import { CODEC_DEFAULTS, type CodecParams } from "./params.ts";
import { rangeDecoder, rangeEncoder } from "./rangecoder.ts";

const ROOM = 1 << 20;

/** Kept values of a tensor: in each chunk so many as the grid says, most of them in its first rows and columns if `skewed`. */
function sparse(grid: Grid, params: CodecParams, random: Random, skewed: boolean): SparseCodes {
  const indices: number[] = [];
  for (const { start, height, width, stride, kept } of chunksOf(grid, params)) {
    const places = Array.from({ length: height * width }, (_, p) => ({
      p,
      key: random.uniform() * (skewed ? 1 + p : 1),
    }));
    places.sort((a, b) => a.key - b.key);
    for (const { p } of places.slice(0, kept)) indices.push(start + Math.floor(p / width) * stride + (p % width));
  }
  const codes = Uint8Array.from(indices, (i) =>
    skewed && i % 3 === 0 ? 3 : random.below(params.bits === 2 ? 4 : 2) * (3 - params.bits),
  );
  return { indices: Int32Array.from(indices).sort(), codes };
}

const blank = ({ keptCount }: Grid): SparseCodes => ({
  indices: new Int32Array(keptCount),
  codes: new Uint8Array(keptCount),
});

function referenceEncode(grids: readonly Grid[], tensors: readonly SparseCodes[], params: CodecParams): Uint8Array {
  const coder = rangeEncoder(ROOM);
  const model = tensorModel(params);
  for (const [t, grid] of grids.entries()) model.code(coder, grid, must(tensors[t], "tensor"), false);
  return coder.finish();
}

function encode(grids: readonly Grid[], tensors: readonly SparseCodes[], params: CodecParams): Uint8Array {
  const encoder = streamEncoder(params, ROOM);
  for (const [t, grid] of grids.entries()) encoder.add(grid, must(tensors[t], "tensor"));
  return encoder.finish();
}

/** What bytes say, or how they end. */
type Decoded = readonly SparseCodes[] | string;

function referenceDecode(grids: readonly Grid[], bytes: Uint8Array, params: CodecParams): Decoded {
  const coder = rangeDecoder(bytes);
  const model = tensorModel(params);
  const tensors = grids.map(blank);
  for (const [t, grid] of grids.entries()) {
    if (!model.code(coder, grid, must(tensors[t], "tensor"), true)) return "truncated";
  }
  const end = coder.end();
  return end === "ok" ? tensors : end;
}

function decode(grids: readonly Grid[], bytes: Uint8Array, params: CodecParams): Decoded {
  const decoder = streamDecoder(params, bytes);
  const tensors = grids.map(blank);
  for (const [t, grid] of grids.entries()) {
    if (!decoder.read(grid, must(tensors[t], "tensor"))) return "truncated";
  }
  const end = decoder.end();
  return end === "ok" ? tensors : end;
}

const dimsOf = fc.array(fc.array(fc.integer({ min: 0, max: 150 }), { maxLength: 2 }), { maxLength: 4 });
const settings = {
  chunkSide: fc.constantFrom(8, 16, 64),
  k: fc.integer({ min: 1, max: 64 }),
  bits: fc.constantFrom<1 | 2>(1, 2),
};

describe("the entropy kernel", () => {
  it("writes the bytes of the reference and reads them back, for any shapes, k and bits", () => {
    fc.assert(
      fc.property(dimsOf, fc.record(settings), fc.boolean(), fc.string(), (dims, own, skewed, seed) => {
        const params = { ...CODEC_DEFAULTS, ...own };
        const grids = dims.map((each) => gridOf(each, params));
        const random = seededRandom(seed);
        const tensors = grids.map((grid) => sparse(grid, params, random, skewed));
        const bytes = encode(grids, tensors, params);
        expect(bytes).toEqual(referenceEncode(grids, tensors, params));
        expect(decode(grids, bytes, params)).toEqual(tensors);
      }),
      { numRuns: 150 },
    );
  });

  it("does so where rows, values or bytes are more than its windows hold, and where contexts have long settled", () => {
    const cases: [number[][], number][] = [
      [[[3, 40_000]], 64],
      [[[90_000], [70, 300]], 64],
      [[[700, 900]], 512],
    ];
    for (const [dims, k] of cases) {
      const params = { ...CODEC_DEFAULTS, k };
      const grids = dims.map((each) => gridOf(each, params));
      const tensors = grids.map((grid) => sparse(grid, params, seededRandom("wide"), true));
      const bytes = encode(grids, tensors, params);
      expect(bytes).toEqual(referenceEncode(grids, tensors, params));
      expect(decode(grids, bytes, params)).toEqual(tensors);
    }
  });

  it("reads any bytes as the reference does: the same values, the same end", () => {
    const params = { ...CODEC_DEFAULTS, chunkSide: 8, k: 3 };
    const grids = [gridOf([9, 20], params), gridOf([70], params)];
    const ends = new Map<string, number>();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.constantFrom(0, 1, 2), (noise, kind) => {
        const bytes = kind === 0 ? noise : Uint8Array.from(noise, (b) => (kind === 1 ? 255 - (b & 3) : b & 1));
        const ours = decode(grids, bytes, params);
        expect(ours).toEqual(referenceDecode(grids, bytes, params));
        const end = typeof ours === "string" ? ours : "ok";
        ends.set(end, (ends.get(end) ?? 0) + 1);
      }),
      { numRuns: 3000 },
    );
    expect([...ends.keys()]).toEqual(expect.arrayContaining(["truncated", "trailing"]));
  });

  it("reads every shortened, lengthened and changed message as the reference does", () => {
    const grids = [gridOf([130, 70], CODEC_DEFAULTS), gridOf([300], CODEC_DEFAULTS)];
    const tensors = grids.map((grid) => sparse(grid, CODEC_DEFAULTS, seededRandom("changed"), true));
    const bytes = encode(grids, tensors, CODEC_DEFAULTS);
    const random = seededRandom("changes");
    for (let n = 0; n < 400; n++) {
      const changed = bytes.slice(0, n % 3 === 0 ? random.below(bytes.length + 1) : bytes.length);
      if (changed.length > 0 && n % 2 === 0) changed[random.below(changed.length)] = random.below(256);
      const tail = n % 5 === 0 ? random.below(4) : 0;
      const all = Uint8Array.of(...changed, ...Array.from({ length: tail }, () => random.below(256)));
      expect(decode(grids, all, CODEC_DEFAULTS)).toEqual(referenceDecode(grids, all, CODEC_DEFAULTS));
    }
  });

  it("keeps streams apart that are written and read in turns", () => {
    const grids = [gridOf([100, 100], CODEC_DEFAULTS), gridOf([64, 80], CODEC_DEFAULTS)];
    const sets = ["one", "two"].map((seed) => grids.map((g) => sparse(g, CODEC_DEFAULTS, seededRandom(seed), true)));
    const encoders = sets.map(() => streamEncoder(CODEC_DEFAULTS, ROOM));
    for (const [t, grid] of grids.entries()) {
      for (const [s, set] of sets.entries()) must(encoders[s], "encoder").add(grid, must(set[t], "tensor"));
    }
    const streams = encoders.map((encoder) => encoder.finish());
    expect(streams).toEqual(sets.map((set) => referenceEncode(grids, set, CODEC_DEFAULTS)));
    const decoders = streams.map((bytes) => streamDecoder(CODEC_DEFAULTS, bytes));
    const read = sets.map(() => grids.map(blank));
    for (const [t, grid] of grids.entries()) {
      for (const [s, decoder] of decoders.entries()) expect(decoder.read(grid, must(read[s]?.[t], "room"))).toBe(true);
    }
    expect(decoders.map((decoder) => decoder.end())).toEqual(["ok", "ok"]);
    expect(read).toEqual(sets);
  });

  it("refuses values that are not the grid's, and streams beyond their limit", () => {
    const grid = gridOf([64, 64], CODEC_DEFAULTS);
    const good = sparse(grid, CODEC_DEFAULTS, seededRandom("good"), false);
    const wrongs = [
      good.indices.slice().reverse(),
      good.indices.map(() => 7),
      good.indices.map((i) => i - 4096),
      good.indices.slice(1),
    ];
    for (const indices of wrongs) {
      const encoder = streamEncoder(CODEC_DEFAULTS, ROOM);
      expect(() => encoder.add(grid, { indices, codes: good.codes.slice(0, indices.length) })).toThrow(AssertionError);
    }
    expect(() => encode([grid], [good], CODEC_DEFAULTS)).not.toThrow();
    expect(() => {
      const encoder = streamEncoder(CODEC_DEFAULTS, 4);
      encoder.add(grid, good);
      encoder.finish();
    }).toThrow(SkeinError);
  });
});
