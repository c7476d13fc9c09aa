/** The kernel keeps exactly what sorting keeps. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SkeinError } from "../base/errors.ts";
import { seededRandom } from "../base/random.ts";
import { chunksOf, gridOf, kOf } from "./chunks.ts";
import { CODEC_DEFAULTS, type CodecParams } from "./params.ts";
import { accumulateAndSelect } from "./selection.ts";
import { topkReference } from "./topk.ts";

function bothKeep(values: Float32Array, dims: readonly number[], params: CodecParams): void {
  const grid = gridOf(dims, params);
  const want = [...chunksOf(grid, params)].flatMap((chunk) =>
    topkReference(values, chunk).map(
      (p) => chunk.start + Math.floor(p / chunk.width) * chunk.stride + (p % chunk.width),
    ),
  );
  const { indices: kept } = accumulateAndSelect(grid, params, values, new Float32Array(values.length));
  expect(Array.from(kept)).toEqual(want.sort((x, y) => x - y));
}

/** Values of very different sizes with many ties, zeros and both signs. */
const value = fc.oneof(
  fc.float({ noNaN: true, noDefaultInfinity: true }),
  fc.constantFrom(0, -0, 1, -1, 2 ** -149, -(2 ** -149), 3.4e38),
  fc.float({ min: Math.fround(-1e-3), max: Math.fround(1e-3), noNaN: true }),
);

describe("topk", () => {
  it("keeps what the sorting reference keeps, for any values, dims and k", () => {
    fc.assert(
      fc.property(
        fc.tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 40 })),
        fc.constantFrom(8, 16, 64),
        fc.integer({ min: 1, max: 64 }),
        fc.infiniteStream(value),
        (dims, chunkSide, k, stream) => {
          const values = new Float32Array(dims[0] * dims[1]);
          for (let i = 0; i < values.length; i++) values[i] = stream.next().value as number;
          bothKeep(values, dims, { ...CODEC_DEFAULTS, chunkSide, k });
        },
      ),
      { numRuns: 150 },
    );
  });

  it("does so where neighbouring chunks differ in size by many orders", () => {
    const values = Float32Array.from({ length: 64 * 640 }, (_, i) => {
      const block = Math.floor((i % 640) / 64);
      return Math.sin(i * i) * 10 ** ((block % 3) * 12 - 12);
    });
    bothKeep(values, [64, 640], CODEC_DEFAULTS);
  });

  it("does so where a band of chunks is wider than its window, after β·e + Δ", () => {
    const random = seededRandom("wide");
    for (const dims of [[70, 2100], [200_000], [3, 70_000]]) {
      const length = dims.reduce((a, b) => a * b, 1);
      const [delta, residual] = [0, 1].map(() => Float32Array.from({ length }, () => random.uniform() - 0.5)) as [
        Float32Array,
        Float32Array,
      ];
      const beta = Math.fround(CODEC_DEFAULTS.beta);
      const sum = delta.map((d, i) => Math.fround(beta * (residual[i] as number)) + d);
      const grid = gridOf(dims, CODEC_DEFAULTS);
      const { indices: kept, values } = accumulateAndSelect(grid, CODEC_DEFAULTS, delta, residual);
      expect(values.every((value, j) => Object.is(value, sum[kept[j] as number]))).toBe(true);
      expect(Buffer.compare(Buffer.from(residual.buffer), Buffer.from(sum.buffer))).toBe(0);
      expect(kept.every((index, j) => j === 0 || index > (kept[j - 1] as number))).toBe(true);
      const marked = new Uint8Array(length);
      for (const index of kept) marked[index] = 1;
      for (const chunk of [...chunksOf(grid, CODEC_DEFAULTS)].filter((_, c) => c % 7 === 0 || dims.length === 1)) {
        for (const p of topkReference(sum, chunk)) {
          expect(marked[chunk.start + Math.floor(p / chunk.width) * chunk.stride + (p % chunk.width)]).toBe(1);
        }
      }
      expect(kept.length).toBe(grid.keptCount);
    }
  });

  it("does so where all values are equal, and of many equal ones keeps the first", () => {
    bothKeep(new Float32Array(130 * 70), [130, 70], CODEC_DEFAULTS);
    bothKeep(new Float32Array(130 * 70).fill(-3), [130, 70], { ...CODEC_DEFAULTS, chunkSide: 256, k: 5000 });
    bothKeep(
      Float32Array.from({ length: 256 * 256 }, (_, i) => (i % 11) - 5),
      [256, 256],
      {
        ...CODEC_DEFAULTS,
        chunkSide: 256,
        k: 30_000,
      },
    );
  });

  it("does so where everything is kept, of bands wider than a window", () => {
    const random = seededRandom("everything");
    const values = Float32Array.from({ length: 130 * 1100 }, () => random.uniform() - 0.5);
    const { indices } = accumulateAndSelect(
      gridOf([130, 1100], { ...CODEC_DEFAULTS, k: 4096 }),
      { ...CODEC_DEFAULTS, k: 4096 },
      values,
      new Float32Array(values.length),
    );
    expect(indices).toEqual(Int32Array.from(values.keys()));
  });

  it("refuses NaN and infinities wherever they stand", () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      for (const at of [0, 7, 63]) {
        const values = new Float32Array(64).fill(1);
        values[at] = bad;
        const params = { ...CODEC_DEFAULTS, chunkSide: 8, k: 3 };
        expect(() => bothKeep(values, [8, 8], params)).toThrow(SkeinError);
        const [chunk] = chunksOf(gridOf([8, 8], params), params);
        if (chunk) expect(() => topkReference(values, chunk)).toThrow(SkeinError);
      }
    }
  });
});

describe("chunks", () => {
  it("hold every value of every shape exactly once, and keep what the grid says", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 150 }), { maxLength: 2 }),
        fc.constantFrom(8, 64),
        fc.integer({ min: 1, max: 64 }),
        (dims, chunkSide, k) => {
          const params = { ...CODEC_DEFAULTS, chunkSide, k };
          const length = dims.reduce((a, b) => a * b, 1);
          const grid = gridOf(dims, params);
          const seen = new Uint8Array(length);
          let [kept, chunks] = [0, 0];
          for (const chunk of chunksOf(grid, params)) {
            chunks++;
            kept += chunk.kept;
            expect(chunk.height * chunk.width).toBeLessThanOrEqual(chunkSide * chunkSide);
            for (let r = 0; r < chunk.height; r++) {
              for (let c = 0; c < chunk.width; c++) {
                const i = chunk.start + r * chunk.stride + c;
                seen[i] = (seen[i] as number) + 1;
              }
            }
          }
          expect(seen.every((n) => n === 1)).toBe(true);
          expect([grid.chunkCount, grid.keptCount]).toEqual([chunks, kept]);
        },
      ),
    );
  });

  it("are 64 × 64 in matrices, 4096 long in vectors, smaller only at the edges", () => {
    const sizes = (dims: readonly number[]): string[] =>
      [...chunksOf(gridOf(dims, CODEC_DEFAULTS), CODEC_DEFAULTS)].map((c) => `${c.height}x${c.width}:${c.kept}`);
    expect(sizes([128, 64])).toEqual(["64x64:64", "64x64:64"]);
    expect(sizes([65, 70])).toEqual(["64x64:64", "64x6:6", "1x64:1", "1x6:1"]);
    expect(sizes([5000])).toEqual(["1x4096:64", "1x904:15"]);
    expect(sizes([])).toEqual(["1x1:1"]);
    expect(sizes([2, 8, 8])).toEqual(["2x64:2"]);
    expect(sizes([0, 5])).toEqual([]);
  });

  it("keep at least one value and at most all", () => {
    expect(kOf(1, CODEC_DEFAULTS)).toBe(1);
    expect(kOf(4096, { ...CODEC_DEFAULTS, k: 4096 })).toBe(4096);
    expect(kOf(65, CODEC_DEFAULTS)).toBe(2);
  });
});
