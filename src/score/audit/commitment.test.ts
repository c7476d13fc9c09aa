import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { toHex } from "../../base/hash.ts";
import { stateRoot } from "../../round/state-root.ts";
import {
  BORDER_BYTES,
  borderLeaf,
  borderStep,
  decodeBorder,
  decodeStart,
  isLeaf,
  leafCount,
  leafProof,
  residualLeaf,
  START_BYTES,
  START_LEAF,
  type WorkFacts,
  workCommitment,
  workLeaves,
  zeroRoot,
} from "./commitment.ts";

const root = fc.uint8Array({ minLength: 32, maxLength: 32 });
const border = fc.record({ params: root, m: root, v: root, optimizerSteps: fc.nat() });
const facts: fc.Arbitrary<WorkFacts> = fc.record({
  start: fc.record({
    kind: fc.constantFrom("exact" as const, "tolerant" as const, "reference" as const),
    previous: fc.option(fc.nat(), { nil: undefined }),
  }),
  borders: fc.array(border, { minLength: 2, maxLength: 65 }),
  residualBefore: root,
  residualAfter: root,
});

describe("borders", () => {
  it("cut a round into spans of at least one step, as even as can be", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 64 }), fc.nat(1000), (spans, more) => {
        const plan = { steps: spans + more, spans };
        const steps = Array.from({ length: spans + 1 }, (_, i) => borderStep(plan, i));
        expect([steps[0], steps.at(-1)]).toEqual([0, plan.steps]);
        const lengths = steps.slice(1).map((step, i) => step - (steps[i] as number));
        expect(Math.min(...lengths)).toBeGreaterThanOrEqual(1);
        expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThanOrEqual(1);
      }),
    );
    expect([0, 1, 2, 3].map((i) => borderStep({ steps: 20, spans: 3 }, i))).toEqual([0, 6, 13, 20]);
    expect(() => borderStep({ steps: 4, spans: 2 }, 3)).toThrow("no border");
  });
});

describe("a work commitment", () => {
  it("gives every leaf back, with its proof", () => {
    fc.assert(
      fc.property(facts, (work) => {
        const spans = work.borders.length - 1;
        const leaves = workLeaves(work);
        expect(leaves.length).toBe(leafCount(spans));
        expect([leaves[0]?.length, leaves[1]?.length]).toEqual([START_BYTES, BORDER_BYTES]);
        expect(decodeStart(leaves[START_LEAF] as Uint8Array)).toEqual(work.start);
        work.borders.forEach((state, i) => {
          expect(decodeBorder(leaves[borderLeaf(i)] as Uint8Array)).toEqual(state);
        });
        expect(leaves[residualLeaf(spans, "before")]).toEqual(work.residualBefore);
        expect(leaves[residualLeaf(spans, "after")]).toEqual(work.residualAfter);
        const commitment = workCommitment(leaves);
        leaves.forEach((_, index) => {
          const proof = leafProof(leaves, index);
          expect(isLeaf(commitment, spans, index, proof)).toBe(true);
          expect(isLeaf(commitment, spans, (index + 1) % leaves.length, proof)).toBe(false);
          expect(isLeaf(commitment, spans + 1, index, { ...proof, path: proof.path.subarray(32) })).toBe(false);
        });
      }),
      { numRuns: 30 },
    );
  });

  it("has this value (by the definition of RFC 6962 in Python)", () => {
    const state = (fill: number) => ({
      ...{ params: new Uint8Array(32).fill(fill), m: new Uint8Array(32).fill(fill + 1) },
      ...{ v: new Uint8Array(32).fill(fill + 2), optimizerSteps: 100 * fill },
    });
    const leaves = workLeaves({
      start: { kind: "exact", previous: 6 },
      borders: [state(1), state(11), state(21)],
      residualBefore: new Uint8Array(32).fill(31),
      residualAfter: new Uint8Array(32).fill(32),
    });
    expect(toHex(leaves[0] as Uint8Array)).toBe("000700000000000000");
    expect(toHex(workCommitment(leaves))).toBe("58ba2b2224245f1fdafb01204482673708332addfed007aa644a19927341c8f8");
  });

  it("takes any bytes for leaves and paths", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 120 }),
        fc.uint8Array({ maxLength: 300 }),
        fc.nat(80),
        (data, path, at) => {
          expect(isLeaf(new Uint8Array(32), 6, at, { data, path })).toBe(false);
          const [start, state] = [decodeStart(data), decodeBorder(data)];
          if (start !== undefined) expect(data.length).toBe(START_BYTES);
          if (state !== undefined) expect(data.length).toBe(BORDER_BYTES);
        },
      ),
    );
    const huge = new Uint8Array(START_BYTES).fill(255);
    huge[0] = 0;
    expect(decodeStart(huge)).toBeUndefined(); // beyond 2^53
    expect(decodeStart(new Uint8Array(START_BYTES).fill(3))).toBeUndefined();
    expect(decodeBorder(new Uint8Array(BORDER_BYTES).fill(255))).toBeUndefined();
  });
});

describe("zeroRoot", () => {
  it("is the state root of zeros, of any number of pieces", () => {
    for (const length of [1, 1000, 1 << 18, (1 << 18) + 1, 600_000])
      expect(zeroRoot(length)).toEqual(stateRoot(new Float32Array(length)));
  });
});
