import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AssertionError } from "../base/assert.ts";
import { type AssignmentPlan, assignment, passOrder } from "./assignment.ts";

const golden = JSON.parse(readFileSync(new URL("../../vectors/assignment.json", import.meta.url), "utf8")) as {
  orders: { seed: string; sequences: number; slots: number[]; outputs: number[] }[];
  assignments: { plan: AssignmentPlan; places: [number, number, number, number, string][]; outputs: object[] }[];
};

/** All sequences of a round, uid by uid. */
function roundOf(plan: AssignmentPlan, round: number, roundSeed?: string): { pass: number; sequence: number }[] {
  const { at } = assignment(plan);
  const out = [];
  for (let uid = 0; uid < plan.uidsMax; uid++) {
    for (let step = 0; step < plan.stepsPerRound; step++) {
      for (let slot = 0; slot < plan.batch; slot++) out.push(at(round, uid, step, slot, roundSeed));
    }
  }
  return out;
}

const plans = fc.record({
  seed: fc.string(),
  sequences: fc.integer({ min: 1, max: 400 }),
  uidsMax: fc.integer({ min: 1, max: 6 }),
  stepsPerRound: fc.integer({ min: 1, max: 4 }),
  batch: fc.integer({ min: 1, max: 4 }),
});

describe("assignment", () => {
  it("gives no sequence twice within a round, also across the border of passes", () => {
    fc.assert(
      fc.property(plans, fc.nat(50), fc.string(), (plan, round, roundSeed) => {
        fc.pre(assignment(plan).disjoint);
        const sequences = roundOf(plan, round, roundSeed).map(({ sequence }) => sequence);
        expect(new Set(sequences).size).toBe(sequences.length);
      }),
      { numRuns: 300 },
    );
  });

  it("gives every sequence once in every pass, whatever the block hashes", () => {
    fc.assert(
      fc.property(plans, fc.integer({ min: 1, max: 3 }), (plan, passes) => {
        const { slotsPerRound } = assignment(plan);
        const rounds = Math.ceil((passes * plan.sequences) / slotsPerRound);
        const hits = Array.from({ length: passes }, () => new Uint8Array(plan.sequences));
        for (let round = 0; round < rounds; round++) {
          for (const { pass, sequence } of roundOf(plan, round, `hash ${round}`)) {
            const row = hits[pass];
            if (row) row[sequence] = (row[sequence] as number) + 1;
          }
        }
        expect(hits.every((row) => row.every((count) => count === 1))).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it("orders every pass anew, and deals a round by its seed", () => {
    const plan = { seed: "s", sequences: 600, uidsMax: 1, stepsPerRound: 1, batch: 300 };
    const [first, again] = [roundOf(plan, 0), roundOf(plan, 2)].map((r) => r.map(({ sequence }) => sequence));
    expect([...(first as number[])].sort()).toEqual([...(again as number[])].sort()); // the same half
    expect(first?.filter((x, i) => x === again?.[i]).length).toBeLessThan(10);
    const [one, two] = ["x", "y"].map((seed) => roundOf(plan, 0, seed).map(({ sequence }) => sequence));
    expect(one).not.toEqual(two);
    expect([...(one as number[])].sort()).toEqual([...(two as number[])].sort());
  });

  it("agrees with the same written in Python", () => {
    for (const { plan, places, outputs } of golden.assignments) {
      expect(places.map((place) => assignment(plan).at(...place))).toEqual(outputs);
    }
  });

  it("is exact at the size of Covenant-72B's run and beyond", () => {
    const plan = { seed: "big", sequences: 2 ** 40, uidsMax: 256, stepsPerRound: 30, batch: 192 };
    const { at, disjoint } = assignment(plan);
    expect(disjoint).toBe(true);
    const { pass, sequence } = at(6_100_000, 255, 29, 191, "hash");
    expect(pass).toBe(8);
    expect(Number.isSafeInteger(sequence) && sequence >= 0 && sequence < 2 ** 40).toBe(true);
  });

  it("says when there is too little data to keep uids apart", () => {
    const plan = { seed: "", uidsMax: 4, stepsPerRound: 2, batch: 2 };
    expect(assignment({ ...plan, sequences: 31 }).disjoint).toBe(false);
    expect(assignment({ ...plan, sequences: 32 }).disjoint).toBe(true);
  });

  it("treats what is out of range as a bug", () => {
    const plan = { seed: "", sequences: 100, uidsMax: 4, stepsPerRound: 2, batch: 2 };
    const { at } = assignment(plan);
    for (const args of [
      [-1, 0, 0, 0],
      [0, 4, 0, 0],
      [0, 0, 2, 0],
      [0, 0, 0, 2],
      [0.5, 0, 0, 0],
      [2 ** 53, 0, 0, 0],
    ] as [number, number, number, number][]) {
      expect(() => at(...args)).toThrow(AssertionError);
    }
    expect(() => assignment({ ...plan, sequences: 0 })).toThrow(AssertionError);
    expect(() => assignment({ ...plan, batch: 0 })).toThrow(AssertionError);
  });
});

describe("passOrder", () => {
  it("visits every sequence once a pass, each pass in its own order", () => {
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 1, max: 500 }), (seed, n) => {
        const order = passOrder(seed, n);
        for (let pass = 0; pass < 3; pass++) {
          const row = Array.from({ length: n }, (_, i) => order(pass * n + i));
          expect(new Set(row).size).toBe(n);
        }
      }),
      { numRuns: 50 },
    );
    const order = passOrder("s", 1000);
    const same = Array.from({ length: 1000 }, (_, i) => order(i) === order(1000 + i)).filter(Boolean).length;
    expect(same).toBeLessThan(12);
  });

  it("depends on the seed alone, not on the order of questions", () => {
    const [one, two] = [passOrder("s", 77), passOrder("s", 77)];
    const slots = [500, 3, 76, 77, 0, 10_000];
    const there = slots.map(one);
    const back = [...slots].reverse().map(two).reverse();
    expect(there).toEqual(back);
    for (const { seed, sequences, slots: inputs, outputs } of golden.orders) {
      expect(inputs.map(passOrder(seed, sequences))).toEqual(outputs);
    }
  });
});
