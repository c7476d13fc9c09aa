/** Error feedback loses nothing, and levels are as good as Lloyd's algorithm promises. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SkeinError } from "../base/errors.ts";
import { seededRandom } from "../base/random.ts";
import { chunksOf } from "./chunks.ts";
import { compressor, valuesOf } from "./feedback.ts";
import { codebook, fitLevels, fromBfloat16, type Levels, quantize, SIGN, toBfloat16 } from "./levels.ts";
import { CODEC_DEFAULTS, type CodecParams, checkCodecParams } from "./params.ts";
import { topkReference } from "./topk.ts";

function gaussian(length: number, seed: string): Float32Array {
  const random = seededRandom(seed);
  return Float32Array.from({ length }, () => {
    let sum = -6;
    for (let i = 0; i < 12; i++) sum += random.uniform();
    return sum * 1e-3;
  });
}

/** The same in the obvious way, one chunk after the other. */
function obvious(
  dims: readonly number[],
  delta: Float32Array,
  residual: Float32Array,
  params: CodecParams,
): { indices: number[]; next: Float32Array; sent: Float32Array } {
  const { grid } = compressor(params).compress(dims, delta, residual.slice());
  const a = Float32Array.from(delta, (d, i) =>
    Math.fround(Math.fround(Math.fround(params.beta) * (residual[i] as number)) + d),
  );
  const indices = [...chunksOf(grid, params)]
    .flatMap((chunk) =>
      topkReference(a, chunk).map((p) => chunk.start + Math.floor(p / chunk.width) * chunk.stride + (p % chunk.width)),
    )
    .sort((x, y) => x - y);
  const kept = Float32Array.from(indices, (i) => a[i] as number);
  const levels = fitLevels(kept, params.bits);
  const codes = new Uint8Array(kept.length);
  quantize(kept, levels, codes);
  const sent = Float32Array.from(codes, (code) => codebook(levels)[code] as number);
  const next = a.slice();
  for (const [j, i] of indices.entries()) next[i] = Math.fround((a[i] as number) - (sent[j] as number));
  return { indices, next, sent };
}

describe("compress", () => {
  it("sends top-k of β·e + Δ and keeps exactly the rest, in float32, for any shape", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 80 }), { minLength: 1, maxLength: 2 }),
        fc.constantFrom(8, 64),
        fc.constantFrom<1 | 2>(1, 2),
        fc.constantFrom(0, 0.95, 1),
        fc.string(),
        (dims, chunkSide, bits, beta, seed) => {
          const params = { chunkSide, k: 9, bits, beta };
          const length = dims.reduce((a, b) => a * b, 1);
          const [delta, residual] = [gaussian(length, `${seed} d`), gaussian(length, `${seed} r`)];
          const want = obvious(dims, delta, residual, params);
          const sent = compressor(params).compress(dims, delta, residual);
          expect(Array.from(sent.indices)).toEqual(want.indices);
          expect(valuesOf(sent)).toEqual(want.sent);
          expect(residual).toEqual(want.next);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("sends in time what it leaves out: with β = 1 and no more work the residual vanishes", () => {
    const params = { ...CODEC_DEFAULTS, chunkSide: 8, k: 8, beta: 1 };
    const delta = gaussian(64 * 16, "once");
    const residual = new Float32Array(delta.length);
    const { compress } = compressor(params);
    const energy = (v: Float32Array): number => v.reduce((sum, x) => sum + x * x, 0);
    compress([32, 32], delta, residual);
    const first = energy(residual);
    for (let round = 0; round < 40; round++) compress([32, 32], new Float32Array(delta.length), residual);
    expect(energy(residual)).toBeLessThan(first * 0.02);
  });

  it("refuses what is not finite or beyond all measure", () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, 1e30]) {
      const delta = gaussian(64, "bad");
      delta[5] = bad;
      expect(() => compressor(CODEC_DEFAULTS).compress([64], delta, new Float32Array(64))).toThrow(SkeinError);
    }
  });

  it("is checked for parameters that make no sense", () => {
    for (const wrong of [
      { chunkSide: 60 },
      { chunkSide: 512 },
      { k: 0 },
      { k: 4097 },
      { k: 1.5 },
      { bits: 3 },
      { beta: 2 },
    ]) {
      expect(() => checkCodecParams({ ...CODEC_DEFAULTS, ...wrong } as CodecParams)).toThrow(SkeinError);
    }
    checkCodecParams(CODEC_DEFAULTS);
  });
});

describe("levels", () => {
  const error = (values: Float32Array, bits: 1 | 2): number => {
    const levels = fitLevels(values, bits);
    const codes = new Uint8Array(values.length);
    quantize(values, levels, codes);
    const book = codebook(levels);
    let [wrong, all] = [0, 0];
    for (let i = 0; i < values.length; i++) {
      wrong += ((values[i] as number) - (book[codes[i] as number] as number)) ** 2;
      all += (values[i] as number) ** 2;
    }
    return wrong / all;
  };

  it("are dealt out by sign and by the nearer level, to any values", () => {
    const level = fc.float({ min: 0, max: 8, noNaN: true });
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(fc.float({ noNaN: true, noDefaultInfinity: true }), fc.constantFrom(0, -0, 3, -3, 2 ** -149)),
        ),
        level,
        fc.oneof(level, fc.constant(undefined)),
        (drawn, first, second) => {
          const levels: Levels = second === undefined ? [first] : first < second ? [first, second] : [second, first];
          const middle = second === undefined ? Number.POSITIVE_INFINITY : (first + second) / 2;
          const values = Float32Array.from([...drawn, middle, -middle].filter(Number.isFinite));
          const codes = new Uint8Array(values.length);
          quantize(values, levels, codes);
          const want = values.map((value) => (value < 0 ? SIGN : 0) + (Math.abs(value) > middle ? 1 : 0));
          expect([...codes]).toEqual([...want]);
        },
      ),
    );
  });

  it("have the errors that the best two-level code has on what top-k leaves of a Gaussian", () => {
    const values = gaussian(64 * 4096, "levels");
    const kept = values.filter((v) => Math.abs(v) > 2.4e-3);
    expect(error(kept, 2)).toBeLessThan(0.0045); // facts: 0.0042 against 0.0123 of four uniform bins
    expect(error(kept, 1)).toBeLessThan(0.0125);
    expect(error(kept, 2)).toBeLessThan(error(kept, 1) / 2.5);
  });

  it("are ordered, and exact where there are only two magnitudes", () => {
    const values = Float32Array.of(1, -1, 4, 4, -1, -4);
    expect(fitLevels(values, 2)).toEqual([1, 4]);
    expect(error(values, 2)).toBe(0);
    expect(fitLevels(values, 1)).toEqual([2.5]);
    expect(fitLevels(Float32Array.of(0.5, -0.5), 2)).toEqual([0.5, 0.5]);
    expect(fitLevels(new Float32Array(3), 2)).toEqual([0, 0]);
    expect(fitLevels(new Float32Array(0), 2)).toEqual([0, 0]);
    fc.assert(
      fc.property(fc.array(fc.float({ noNaN: true, max: 1000, min: -1000 }), { minLength: 1 }), (list) => {
        const [low, high] = fitLevels(Float32Array.from(list), 2) as [number, number];
        expect(low).toBeLessThanOrEqual(high);
      }),
    );
  });

  it("round to the nearest bfloat16, ties to even", () => {
    expect(toBfloat16(1)).toBe(0x3f80);
    expect(toBfloat16(1 + 2 ** -8)).toBe(0x3f80);
    expect(toBfloat16(1 + 3 * 2 ** -8)).toBe(0x3f82);
    expect(toBfloat16(1 + 2 ** -8 + 2 ** -20)).toBe(0x3f81);
    for (let bits = 0; bits < 0x7f80; bits++) expect(toBfloat16(fromBfloat16(bits))).toBe(bits);
  });
});
