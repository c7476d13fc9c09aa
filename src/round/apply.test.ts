import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { randomParams, randomSparse, sparse } from "../../test/helpers/sparse.ts";
import { AssertionError } from "../base/assert.ts";
import { bytesOf } from "../base/bytes.ts";
import { SkeinError } from "../base/errors.ts";
import { CONTRIBUTIONS_MAX } from "../base/limits.ts";
import { seededRandom } from "../base/random.ts";
import { AGGREGATION_NAMES, AGGREGATIONS, type Aggregation, type ApplySettings } from "./aggregation.ts";
import { applyTensor } from "./apply.ts";
import { applyTensorReference } from "./apply-reference.ts";
import type { SparseTensor } from "./contribution.ts";

const aggregations: fc.Arbitrary<Aggregation> = fc.record({
  rule: fc.constantFrom("mean-all" as const, "mean-senders" as const, "trimmed-mean" as const),
  clip: fc.constantFrom("none" as const, "median-norm" as const),
  trimPercent: fc.nat(49),
});
const outerLrs = fc.constantFrom(1, 0.65, 0.1, 3, 1 / 3);

function applied(params: Float32Array, contributions: SparseTensor[], settings: ApplySettings): Float32Array {
  const out = params.slice();
  applyTensor(out, contributions, settings);
  return out;
}

function expectSameBits(actual: Float32Array, expected: Float32Array): void {
  expect(Buffer.compare(bytesOf(actual), bytesOf(expected))).toBe(0);
}

describe("applyTensor", () => {
  it("has the values worked out by hand", () => {
    const params = new Float32Array([1, 1, 1, 1, -0]);
    const peers = [sparse([0, 1], [1, 2]), sparse([1, 4], [2, 8]), sparse([1, -3]), sparse([1, 5])];
    const moved = (name: keyof typeof AGGREGATIONS, outerLr = 1): number[] => [
      ...applied(params, peers, { aggregation: AGGREGATIONS[name], outerLr }),
    ];
    expect(moved("mean-all")).toEqual([0.75, -1, -1, 1, -0]);
    expect(moved("mean-all", 0.5)).toEqual([0.875, 0, 0, 1, -0]);
    expect(moved("mean-senders")).toEqual([0, -1, -7, 1, -0]);
    const trimmed: Aggregation = { rule: "trimmed-mean", clip: "none", trimPercent: 25 };
    // element 0: 1 0 0 0 keeps 0 0; element 1: -3 2 4 5 keeps 2 4; element 2: 8 0 0 0 keeps 0 0
    expect([...applied(params, peers, { aggregation: trimmed, outerLr: 1 })]).toEqual([1, -2, 1, 1, -0]);
    // squared norms 5 80 9 25: the lower median is 9, factors 1, √(9/80), 1, 3/5
    const clipped = moved("clipped-mean-all");
    expect(clipped[1]).toBeCloseTo(1 - (2 + 4 * Math.sqrt(9 / 80) - 3 + 3) / 4, 6);
    expect(clipped[2]).toBeCloseTo(1 - (8 * Math.sqrt(9 / 80)) / 4, 6);
  });

  it("gives the reference's bits for random shapes and 0 to 21 ragged contributions", () => {
    fc.assert(
      fc.property(
        fc.nat(2 ** 31),
        fc.integer({ min: 1, max: 300 }),
        fc.array(fc.constantFrom(0, 0.02, 0.3, 0.9, 1), { maxLength: 21 }),
        aggregations,
        outerLrs,
        (seed, length, densities, aggregation, outerLr) => {
          const random = seededRandom(seed);
          const params = randomParams(random, length);
          const contributions = densities.map((density) => randomSparse(random, length, density));
          const settings = { aggregation, outerLr };
          expectSameBits(
            applied(params, contributions, settings),
            applyTensorReference(params, contributions, settings),
          );
        },
      ),
      { numRuns: 400 },
    );
  });

  it.each(AGGREGATION_NAMES)("gives the reference's bits across the windows' borders: %s", (name) => {
    const random = seededRandom(`windows ${name}`);
    const settings = { aggregation: AGGREGATIONS[name], outerLr: 0.65 };
    for (const [length, count, density] of [
      [6553, 20, 0.05], // windows of the trimmed mean
      [6554, 20, 0.05],
      [8192, 20, 0.05], // windows of the means
      [8193, 20, 0.05],
      [40_001, 5, 0.02],
      [110_000, 20, 0.002], // two blocks
      [262_145, 3, 0.002],
      [5000, 1000, 0.002], // three blocks
    ] as const) {
      const params = randomParams(random, length);
      const contributions = Array.from({ length: count }, () => randomSparse(random, length, density));
      expectSameBits(applied(params, contributions, settings), applyTensorReference(params, contributions, settings));
    }
  });

  it("sums in the order given", () => {
    const [big, small, minus] = [sparse([0, 2 ** 60]), sparse([0, 1]), sparse([0, -(2 ** 60)])];
    const settings = { aggregation: AGGREGATIONS["mean-senders"], outerLr: 3 };
    expect([...applied(new Float32Array(1), [big, small, minus], settings)]).toEqual([0]);
    expect([...applied(new Float32Array(1), [big, minus, small], settings)]).toEqual([-1]);
  });

  it.each(["trimmed-mean", "clipped-trimmed-mean"] as const)("sums in the order of the values: %s", (name) => {
    const random = seededRandom("order");
    const params = randomParams(random, 2000);
    const contributions = Array.from({ length: 20 }, () => randomSparse(random, 2000, 0.9));
    const settings = { aggregation: AGGREGATIONS[name], outerLr: 1 };
    expectSameBits(applied(params, contributions, settings), applied(params, contributions.toReversed(), settings));
  });

  it("leaves the params alone in a null round and where nobody sent, zeros' signs too", () => {
    const params = new Float32Array([1, -0, 0, 3]);
    for (const name of AGGREGATION_NAMES) {
      const settings = { aggregation: AGGREGATIONS[name], outerLr: 1 };
      expectSameBits(applied(params, [], settings), params);
      expectSameBits(applied(params, [sparse(), sparse()], settings), params);
      expect(applied(params, [sparse([3, 1])], settings).slice(0, 3)).toEqual(params.slice(0, 3));
    }
  });

  it("keeps the old value where the new one would not be finite", () => {
    const params = new Float32Array([3e38, -3e38, 1]);
    const peers = [sparse([0, -3e38], [1, 3e38], [2, 1])];
    for (const name of AGGREGATION_NAMES) {
      const settings = { aggregation: AGGREGATIONS[name], outerLr: 2 };
      const out = applied(params, peers, settings);
      expect([...out]).toEqual([Math.fround(3e38), Math.fround(-3e38), -1]);
      expectSameBits(out, applyTensorReference(params, peers, settings));
    }
  });

  it("under the trimmed mean, t dishonest peers cannot leave the range of the honest values", () => {
    fc.assert(
      fc.property(
        fc.nat(2 ** 31),
        fc.integer({ min: 3, max: 20 }),
        fc.integer({ min: 5, max: 49 }),
        (seed, count, percent) => {
          const random = seededRandom(seed);
          const bad = Math.floor((count * percent) / 100);
          const honest = Array.from({ length: count - bad }, () => randomSparse(random, 50, 0.7));
          const hostile = Array.from({ length: bad }, () =>
            sparse(...Array.from({ length: 50 }, (_, at) => [at, random.below(2) ? 1e30 : -1e30] as const)),
          );
          const aggregation: Aggregation = { rule: "trimmed-mean", clip: "none", trimPercent: percent };
          const moved = applied(new Float32Array(50), [...hostile, ...honest], { aggregation, outerLr: 1 });
          moved.forEach((value, at) => {
            const values = honest.map(({ indices, values }) => values[indices.indexOf(at)] ?? 0);
            expect(-value).toBeLessThanOrEqual(Math.max(...values));
            expect(-value).toBeGreaterThanOrEqual(Math.min(...values));
          });
        },
      ),
    );
  });

  it("under clipping, one blown-up contribution moves the params no further than the median does", () => {
    const random = seededRandom("blow-up");
    const honest = Array.from({ length: 4 }, () => randomSparse(random, 500, 0.2));
    const [first] = honest as [SparseTensor];
    const loud = { indices: first.indices, values: first.values.map((v) => v * 1e6) };
    const settings = { aggregation: AGGREGATIONS["clipped-mean-all"], outerLr: 1 };
    const length = (values: Float32Array): number => Math.hypot(...values);
    const median = honest.map(({ values }) => length(values)).toSorted((a, b) => a - b)[2] as number;
    const moved = applied(new Float32Array(500), [loud, ...honest], settings);
    expect(length(moved)).toBeLessThanOrEqual(median * (1 + 1e-6));
  });

  it("throws for what no decoder lets through, and is sound afterwards", () => {
    const params = new Float32Array([1, 2, 3]);
    const settings = { aggregation: AGGREGATIONS["mean-all"], outerLr: 1 };
    const good = sparse([0, 1]);
    for (const bad of [
      sparse([3, 1]),
      sparse([-1, 1]),
      sparse([1, Number.NaN]),
      sparse([1, 1], [1, 1]),
      sparse([2, 1], [-5, 1]),
      { indices: new Int32Array(0), values: new Float32Array(1) },
      { indices: new Int32Array([1]), values: new Float32Array(0) },
    ]) {
      for (const name of AGGREGATION_NAMES) {
        const broken = { aggregation: AGGREGATIONS[name], outerLr: 1 };
        expect(() => applyTensor(params.slice(), [good, bad], broken)).toThrow(AssertionError);
        expect(() => applyTensorReference(params, [good, bad], broken)).toThrow(AssertionError);
      }
    }
    const many = Array.from({ length: CONTRIBUTIONS_MAX + 1 }, () => good);
    expect(() => applyTensor(params, many, settings)).toThrow(AssertionError);
    expect(() => applyTensor(params, [good], { ...settings, outerLr: Number.NaN })).toThrow(SkeinError);
    expect([...params]).toEqual([1, 2, 3]);
    expect([...applied(params, [good], settings)]).toEqual([0, 2, 3]);
  });

  it("throws where and only where a contribution is broken, in any block", () => {
    fc.assert(
      fc.property(fc.nat(2 ** 31), fc.integer({ min: 1, max: 9000 }), aggregations, (seed, length, aggregation) => {
        const random = seededRandom(seed);
        const contributions = Array.from({ length: 600 }, (_, r) => randomSparse(random, r < 3 ? length : 0, 0.1));
        const broken = contributions[random.below(3)] as SparseTensor;
        if (broken.indices.length > 0) {
          const at = random.below(broken.indices.length);
          const wrong = [0, -1, 1, length, 2 ** 31 - 1, -(2 ** 31)][random.below(6)] as number;
          if (random.below(3) === 0) broken.values[at] = Number.NaN;
          else broken.indices[at] = random.below(2) ? wrong : (broken.indices[at] as number) + wrong;
        }
        const settings = { aggregation, outerLr: 1 };
        const params = new Float32Array(length);
        let expected: Float32Array | undefined;
        try {
          expected = applyTensorReference(params, contributions, settings);
        } catch {}
        if (expected) expectSameBits(applied(params, contributions, settings), expected);
        else expect(() => applied(params, contributions, settings)).toThrow(AssertionError);
      }),
      { numRuns: 60 },
    );
  });

  it("takes as many contributions as are allowed", () => {
    const params = new Float32Array(2);
    const many = Array.from({ length: CONTRIBUTIONS_MAX }, () => sparse([1, 1]));
    for (const name of AGGREGATION_NAMES) {
      expect([...applied(params, many, { aggregation: AGGREGATIONS[name], outerLr: 1 })]).toEqual([0, -1]);
    }
  });
});
