/** The golden rounds give the pinned payloads and state roots, by the product's way and by the slow reference. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { toHex } from "../src/base/hash.ts";
import { AGGREGATION_NAMES } from "../src/round/aggregation.ts";
import {
  fastRound,
  firstDifference,
  type GoldenSequence,
  goldenSequence,
  lastRoot,
  type RoundStep,
  slowRound,
} from "./helpers/golden-rounds.ts";

const golden = JSON.parse(
  readFileSync(new URL("../vectors/rounds.json", import.meta.url), "utf8"),
) as readonly GoldenSequence[];

describe("golden rounds", () => {
  it("end at these state roots", () => {
    expect(golden.map(({ bits }) => bits)).toEqual([1, 2]);
    expect(golden.map(lastRoot)).toEqual([
      "4f94a17ef1d237a60a8e8d3e2e31c8b1f1e42e1efff995933b347fb6affe4f37",
      "36683abe4451c04540271e2d8549bcb731f125c05bdc9a1e8d70ba186651918c",
    ]);
  });

  it("hold every rule, faults, a null round and no state twice in a row but there", () => {
    for (const { first, rounds } of golden) {
      expect(new Set(rounds.map(({ rule }) => rule))).toEqual(new Set(AGGREGATION_NAMES));
      const faults = rounds.flatMap(({ payloads }) => payloads).flatMap((payload) => payload.split(/ (.*)/)[1] ?? []);
      expect(faults).toEqual(["wrong signer", "wrong round"]);
      const roots = [first, ...rounds.map(({ root }) => root)];
      rounds.forEach(({ uids }, round) => {
        expect(roots[round + 1] === roots[round]).toBe(uids.length === 0);
      });
      expect(rounds.filter(({ uids }) => uids.length === 0)).toHaveLength(1);
    }
  });

  it.each(golden)(
    "$bits bits: the same again, and by the slow reference",
    (sequence) => {
      const both: RoundStep = (...round) => {
        const fast = fastRound(...round);
        const slow = slowRound(...round);
        expect([toHex(slow.root), slow.uids]).toEqual([toHex(fast.root), fast.uids]);
        return fast;
      };
      const found = goldenSequence(sequence.bits, both);
      expect(firstDifference(found, sequence)).toBeUndefined();
      expect(found).toEqual(sequence);
    },
    30_000,
  );

  it("say where they part", () => {
    const [one, two] = golden as [GoldenSequence, GoldenSequence];
    expect(firstDifference(one, two)).toBe("another sequence");
    expect(firstDifference({ ...one, first: two.rounds[0]?.root ?? "" }, one)).toBe("first params");
    const changed = (round: number, change: object): GoldenSequence => ({
      ...one,
      rounds: one.rounds.map((each, i) => (i === round ? { ...each, ...change } : each)),
    });
    expect(firstDifference(changed(3, { payloads: [] }), one)).toBe("round 3 (clipped-mean-senders): payload of uid 0");
    expect(firstDifference(changed(1, { uids: [1] }), one)).toBe("round 1 (mean-senders): who was selected");
    expect(firstDifference(changed(9, { root: "" }), one)).toBe("round 9 (clipped-mean-senders): state root");
  });
});
