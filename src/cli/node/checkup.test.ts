import { describe, expect, it } from "vitest";
import { toyNetwork, toySpec } from "../../../test/helpers/network.ts";
import { paceIn, paidOf } from "./checkup.ts";

describe("what a machine can do in a run", () => {
  const base = toySpec();
  const inner = { ...base.inner, steps: 10, batch: 8, seqLen: 100 };
  const spec = { ...base, inner, timing: { ...base.timing, trainBlocks: 10 } };

  it("is a batch that leaves room before the deadline", () => {
    expect(paceIn(spec, 1e9, 12)).toMatchObject({ batch: 8, tooSlow: false, givenSeconds: 120 });
    const { batch, takenSeconds, tooSlow } = paceIn(spec, 50, 12); // a sequence takes two seconds
    expect({ batch, takenSeconds, tooSlow }).toEqual({ batch: 4, takenSeconds: 80, tooSlow: false });
  });

  it("is too little where even one sequence a step takes longer than a round gives", () => {
    expect(paceIn(spec, 8, 12)).toMatchObject({ batch: 1, tooSlow: true });
    expect(paceIn(spec, 10, 12)).toMatchObject({ batch: 1, tooSlow: false });
  });
});

describe("what peers are paid", () => {
  it("counts those with incentive who are no validators", async () => {
    const { twin, runId } = await toyNetwork();
    const metagraph = await twin.metagraph((await twin.run(runId)).netuid);
    expect(paidOf(metagraph)).toEqual({ rao: 0n, peers: 0 });
    const [first] = metagraph.neurons;
    if (first === undefined) throw new Error("there is a uid 0");
    const peer = { ...first, permit: false, incentive: 100, emission: 7n };
    const validator = { ...first, permit: true, incentive: 100, emission: 1000n };
    const idle = { ...first, permit: false, incentive: 0, emission: 5n };
    expect(paidOf({ neurons: [peer, validator, idle, peer] })).toEqual({ rao: 14n, peers: 2 });
  });
});
