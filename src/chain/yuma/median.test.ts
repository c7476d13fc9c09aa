import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ONE } from "./fixed.ts";
import { consensusOf, weightedMedian } from "./median.ts";
import { nextPermits } from "./permits.ts";

const scoreOf = fc.oneof(fc.bigInt(0n, 5n), fc.bigInt(0n, ONE));
const voters = fc.array(fc.record({ stake: fc.bigInt(1n, ONE), score: scoreOf }), { minLength: 1, maxLength: 20 });

describe("weighted median", () => {
  it("is the largest score that a majority stands behind", () => {
    fc.assert(
      fc.property(voters, fc.bigInt(0n, 25n * ONE), (entries, majority) => {
        const [stake, scores] = [entries.map((e) => e.stake), entries.map((e) => e.score)];
        const behind = (v: bigint): bigint => entries.reduce((sum, e) => (e.score >= v ? sum + e.stake : sum), 0n);
        const backed = scores.filter((v) => behind(v) >= majority);
        const expected = (backed.length > 0 ? backed : scores).reduce((a, b) => {
          if (backed.length > 0) return a > b ? a : b;
          return a < b ? a : b;
        });
        expect(weightedMedian(stake, scores, majority)).toBe(expected);
      }),
    );
  });

  it("gives what subtensor's pivot search gives", () => {
    fc.assert(
      fc.property(voters, fc.bigInt(0n, 25n * ONE), (entries, majority) => {
        const [stake, scores] = [entries.map((e) => e.stake), entries.map((e) => e.score)];
        expect(weightedMedian(stake, scores, majority)).toBe(pivotSearch(entries, majority));
      }),
    );
  });

  it("has no say of uids without active stake", () => {
    const row = (value: bigint) => new Map([[1, value]]);
    const weights = [row(7n), row(9n), new Map<number, bigint>()];
    expect(consensusOf([ONE, 0n, 0n], weights, ONE / 2n)).toEqual([0n, 7n, 0n]);
    expect(consensusOf([ONE / 4n, ONE / 4n, ONE / 2n], weights, ONE / 2n)).toEqual([0n, 7n, 0n]);
    expect(consensusOf([ONE / 4n, ONE / 4n, ONE / 2n], weights, ONE / 2n + 1n)).toEqual([0n, 0n, 0n]);
    expect(consensusOf([0n, 0n, 0n], weights, 0n)).toEqual([0n, 0n, 0n]);
  });
});

/** Subtensor's way: split at a pivot in the middle, go on with the side where the boundary of the minority lies. */
function pivotSearch(entries: readonly { stake: bigint; score: bigint }[], majority: bigint): bigint {
  const sum = (of: typeof entries): bigint => of.reduce((a, e) => a + e.stake, 0n);
  const minority = sum(entries) - majority;
  let [below, upTo, left] = [0n, sum(entries), entries];
  for (;;) {
    const pivot = left[left.length >> 1]?.score ?? 0n;
    const [lower, upper] = [left.filter((e) => e.score < pivot), left.filter((e) => e.score > pivot)];
    if (lower.length > 0 && minority < below + sum(lower)) {
      upTo = below + sum(lower);
      left = lower;
    } else if (upper.length > 0 && upTo - sum(upper) <= minority) {
      below = upTo - sum(upper);
      left = upper;
    } else return pivot;
  }
}

describe("permits", () => {
  it("go to the most stake, never to none, always to the owner", () => {
    expect(nextPermits([5n, 1n, 3n, 0n], 2, undefined)).toEqual([true, false, true, false]);
    expect(nextPermits([5n, 1n, 3n, 0n], 4, undefined)).toEqual([true, true, true, false]);
    expect(nextPermits([5n, 1n, 3n, 0n], 9, undefined)).toEqual([true, true, true, false]);
    expect(nextPermits([5n, 1n, 3n, 0n], 1, 3)).toEqual([true, false, false, true]);
    expect(nextPermits([], 4, 0)).toEqual([]);
  });

  it("pass over the lower uid of equals", () => {
    expect(nextPermits([2n, 2n, 2n], 2, undefined)).toEqual([false, true, true]);
    expect(nextPermits([2n, 9n, 2n], 2, undefined)).toEqual([false, true, true]);
  });
});
