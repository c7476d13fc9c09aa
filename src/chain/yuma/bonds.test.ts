import { describe, expect, it } from "vitest";
import { epochOf, rowOf } from "../../../test/helpers/epochs.ts";
import { bondsOf, penalised } from "./bonds.ts";
import { ONE } from "./fixed.ts";
import type { Matrix } from "./matrix.ts";

const rows = (...of: Readonly<Record<number, bigint>>[]): Matrix =>
  of.map((row) => new Map(Object.entries(row).map(([j, value]) => [Number(j), value])));

describe("the bonds penalty", () => {
  const weights = rows({ 0: 10n, 1: 4n, 2: 0n, 3: 1n });
  const clipped = rows({ 0: 7n, 1: 4n, 2: 0n });

  it("moves weights towards clipped ones, floored, and drops what is left at 0", () => {
    expect(penalised(weights, clipped, ONE / 2n)).toEqual(rows({ 0: 8n, 1: 4n })); // 10 + ⌊−1.5⌋, 1 + ⌊−0.5⌋ = 0
    expect(penalised(weights, clipped, 1n)).toEqual(rows({ 0: 9n, 1: 4n }));
  });

  it("moves nothing at 0 and everything at 1", () => {
    expect(penalised(weights, clipped, 0n)).toBe(weights);
    expect(penalised(weights, clipped, ONE)).toBe(clipped);
  });
});

describe("bonds in a uid without a vote", () => {
  const bonds = new Map([[0, rowOf([[1, 65_535]])]]);
  const bondsWith = (row: Readonly<Record<number, bigint>>, params: { yuma3: boolean; liquidAlpha: boolean }) => {
    const weights = rows(row, {}, {});
    const sources = { activeStake: [ONE, 0n, 0n], consensus: [0n, 0n, ONE], incentive: [0n, 0n, ONE] };
    return bondsOf(epochOf({ stake: [1, 0, 0], bonds, params }), { weights, clipped: weights, ...sources }).bonds[0];
  };

  it("decay, but for liquid alpha, where only those with a vote of 0 do", () => {
    expect(bondsWith({ 2: ONE }, { yuma3: true, liquidAlpha: false })?.get(1)).toBe((ONE * 9n) / 10n);
    expect(bondsWith({ 2: ONE }, { yuma3: true, liquidAlpha: true })?.get(1)).toBeUndefined();
    const decayed = bondsWith({ 1: 0n, 2: ONE }, { yuma3: true, liquidAlpha: true })?.get(1) ?? 0n;
    expect(decayed > 0n && decayed < ONE / 5n).toBe(true); // d = 1: alpha is nearly 0.9
  });

  it("stay the column's only shares under Yuma 2", () => {
    expect(bondsWith({ 2: ONE }, { yuma3: false, liquidAlpha: false })?.get(1)).toBe(ONE);
  });
});
