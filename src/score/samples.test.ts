/** Samples: what was really trained on, what nobody had, and the same for everybody. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type AssignmentPlan, assignment } from "../data/assignment.ts";
import { assignedSample, batchTrained, drawPeers, unassignedSample } from "./samples.ts";

const plans: fc.Arbitrary<AssignmentPlan> = fc.record({
  seed: fc.string({ maxLength: 4 }),
  sequences: fc.integer({ min: 1, max: 400 }),
  uidsMax: fc.integer({ min: 1, max: 5 }),
  stepsPerRound: fc.integer({ min: 1, max: 4 }),
  batch: fc.integer({ min: 1, max: 4 }),
});

/** Every sequence that `uids` have in a round, in slots below `batch`. */
function sequencesOf(plan: AssignmentPlan, round: number, uids: readonly number[], batch = plan.batch): number[] {
  const { at } = assignment(plan);
  const { stepsPerRound } = plan;
  return uids.flatMap((uid) =>
    Array.from(
      { length: stepsPerRound * batch },
      (_, i) => at(round, uid, Math.floor(i / batch), i % batch, "w").sequence,
    ),
  );
}

const allUids = ({ uidsMax }: AssignmentPlan): number[] => Array.from({ length: uidsMax }, (_, uid) => uid);
const isAscending = (list: readonly number[]): boolean => list.every((x, i) => i === 0 || x > (list[i - 1] as number));

describe("assignedSample", () => {
  it("draws from what the peer trained on, and from all of it", () => {
    const property = fc.property(
      plans,
      fc.nat(9),
      fc.nat(20),
      fc.nat(4),
      fc.string(),
      (plan, round, count, batch, seed) => {
        const trained = { steps: plan.stepsPerRound, batchTrained: Math.min(batch, plan.batch) };
        const own = sequencesOf(plan, round, [0], trained.batchTrained);
        const sample = assignedSample(assignment(plan), round, 0, trained, count, seed, "w");
        expect(isAscending(sample)).toBe(true);
        expect(sample.filter((sequence) => !own.includes(sequence))).toEqual([]);
        if (assignment(plan).disjoint) expect(sample).toHaveLength(Math.min(count, own.length));
        const whole = assignedSample(assignment(plan), round, 0, trained, own.length, seed, "w");
        expect(whole).toEqual([...new Set(own)].sort((a, b) => a - b));
      },
    );
    fc.assert(property, { numRuns: 300 });
  });

  it("follows from seed, round and uid, and covers all slots in time", () => {
    const plan = { seed: "s", sequences: 4000, uidsMax: 4, stepsPerRound: 10, batch: 8 };
    const sample = (seed: string, round = 2, uid = 1): number[] =>
      assignedSample(assignment(plan), round, uid, { steps: 10, batchTrained: 8 }, 4, seed, "w");
    expect(sample("a")).toEqual(sample("a"));
    expect(sample("a")).not.toEqual(sample("b"));
    const seen = new Set(Array.from({ length: 200 }, (_, i) => sample(`block ${i}`)).flat());
    expect(seen.size).toBe(80);
  });
});

describe("unassignedSample", () => {
  it("has nothing that any uid trained on in the round, wherever there is such data", () => {
    const property = fc.property(
      plans,
      fc.nat(50),
      fc.integer({ min: 1, max: 20 }),
      fc.string(),
      (plan, round, count, seed) => {
        const taken = new Set(sequencesOf(plan, round, allUids(plan)));
        const { sequences, apart } = unassignedSample(plan, round, count, seed);
        const free = plan.sequences - taken.size;
        expect(isAscending(sequences)).toBe(true);
        expect(sequences.every((sequence) => sequence >= 0 && sequence < plan.sequences)).toBe(true);
        expect(apart).toBe(free > 0);
        if (apart) expect(sequences.filter((sequence) => taken.has(sequence))).toEqual([]);
        const { slotsPerRound } = assignment(plan);
        const plenty = 4 * slotsPerRound <= plan.sequences;
        const available = plenty ? slotsPerRound : apart ? free : plan.sequences;
        expect(sequences).toHaveLength(Math.min(count, available));
      },
    );
    fc.assert(property, { numRuns: 1000 });
  });

  it("is the next round's data where there is plenty: which nobody has had in the first pass", () => {
    const plan = { seed: "s", sequences: 48, uidsMax: 2, stepsPerRound: 2, batch: 3 };
    for (let round = 0; round < 3; round++) {
      const next = sequencesOf(plan, round + 1, [0, 1]).sort((a, b) => a - b);
      expect(unassignedSample(plan, round, 12, "x").sequences).toEqual(next);
      const before = new Set(Array.from({ length: round + 1 }, (_, r) => sequencesOf(plan, r, [0, 1])).flat());
      expect(next.filter((sequence) => before.has(sequence))).toEqual([]);
    }
  });

  it("with little data, looks away only from those who trained", () => {
    const plan = { seed: "s", sequences: 30, uidsMax: 5, stepsPerRound: 2, batch: 3 };
    expect(unassignedSample(plan, 1, 30, "x")).toMatchObject({ apart: false });
    const taken = sequencesOf(plan, 1, [1, 3]);
    const { sequences, apart } = unassignedSample(plan, 1, 30, "x", { uids: [1, 3], roundSeed: "w" });
    const free = Array.from({ length: 30 }, (_, i) => i).filter((sequence) => !taken.includes(sequence));
    expect(apart).toBe(true);
    expect(free.length).toBeGreaterThanOrEqual(18);
    expect(sequences).toEqual(free);
  });

  it("follows from seed and round", () => {
    const plan = { seed: "s", sequences: 4000, uidsMax: 4, stepsPerRound: 10, batch: 8 };
    expect(unassignedSample(plan, 1, 8, "a")).toEqual(unassignedSample(plan, 1, 8, "a"));
    expect(unassignedSample(plan, 1, 8, "a")).not.toEqual(unassignedSample(plan, 1, 8, "b"));
  });
});

describe("batchTrained", () => {
  const round = { steps: 4, batch: 8, seqLen: 16 };
  it("is what the header's tokens say", () => {
    expect([0, 64, 192, 512].map((tokens) => batchTrained(tokens, round))).toEqual([0, 1, 3, 8]);
  });
  it("is undefined for a header that cannot be true", () => {
    for (const tokens of [1, 63, 65, 576, 2 ** 53 - 1, -64, Number.NaN])
      expect(batchTrained(tokens, round)).toBeUndefined();
  });
});

describe("drawPeers", () => {
  it("takes each with the same chance, and all where it can", () => {
    const counts = new Map<number, number>();
    for (let i = 0; i < 3000; i++) {
      const drawn = drawPeers([9, 4, 7, 1], 2, `block ${i}`);
      expect(drawn).toHaveLength(2);
      for (const uid of drawn) counts.set(uid, (counts.get(uid) ?? 0) + 1);
    }
    for (const uid of [1, 4, 7, 9]) expect(Math.abs((counts.get(uid) ?? 0) - 1500)).toBeLessThan(150);
    expect(drawPeers([9, 4, 7, 1], 8, "block")).toEqual([1, 4, 7, 9]);
    expect(drawPeers([], 3, "block")).toEqual([]);
    expect(drawPeers([4, 1, 9, 7], 2, "block")).toEqual(drawPeers([9, 7, 4, 1], 2, "block"));
  });
});
