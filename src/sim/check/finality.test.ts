/** Finality, kept and broken. */
import { beforeAll, describe, expect, it, vi } from "vitest";
import { type Played, played, REORGS, shortSpec, watch, withChain } from "../../../test/helpers/sight.ts";
import { must } from "../../base/assert.ts";
import type { TwinState } from "../../chain/twin/twin.ts";
import { blobKey } from "../../store/blobs.ts";
import { memoryStore } from "../../store/memory.ts";
import type { Sight } from "./checker.ts";
import { finality } from "./finality.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

describe("finality", () => {
  let run: Played;
  beforeAll(async () => {
    run = await played([finality], shortSpec());
  });
  const head = (): number => run.sight.network.twin.peek().blocks.head.block;

  it("is kept by an honest run", async () => {
    const [own] = run.watches;
    await own?.checker.onEnd?.();
    expect(own?.violations).toEqual([]);
  });

  /** What is found where round `round` has another decision, or none, after a while. */
  const changed = async (change: (state: TwinState) => void, weather: Sight["weather"] = run.sight.weather) => {
    let state = run.sight.network.twin.save();
    const sight = { ...withChain(run.sight, { peek: () => state }), weather };
    const { checker, violations } = watch(finality, sight);
    checker.onBlock?.(head());
    state = structuredClone(state);
    change(state);
    checker.onBlock?.(head());
    return violations;
  };
  const roundIn = ({ world }: TwinState, round: number) =>
    must(world.runs.get(run.sight.network.runId)?.rounds.get(round), "a round");

  it("is kept where nothing changes", async () => {
    expect(await changed(() => undefined)).toEqual([]);
  });

  it("is broken by a decision that changes or disappears, unless a reorg may do that", async () => {
    const gone = (state: TwinState): void => {
      roundIn(state, 3).decision = undefined;
    };
    const other = (state: TwinState): void => {
      const { decision } = roundIn(state, 3);
      roundIn(state, 3).decision = { ...must(decision, "a decision"), accepted: [] };
    };
    expect(await changed(gone)).toHaveLength(1);
    expect(await changed(other)).toHaveLength(1);
    expect(await changed(other, { ...REORGS, chain: { ...REORGS.chain, reorgDepth: 100 } })).toEqual([]);
  });

  it("is broken by blocks that go back, and by a round that was decided too early", async () => {
    const { checker, violations } = watch(finality, run.sight);
    checker.onBlock?.(head());
    checker.onBlock?.(head() - 1);
    expect(violations).toHaveLength(1);
    const early = (state: TwinState): void => {
      const round = roundIn(state, 3);
      round.decision = { ...must(round.decision, "a decision"), block: 1 };
    };
    expect(await changed(early)).toContain("round 3 was decided before it was over");
  });

  it("is broken by other params at the end than the chain gives", async () => {
    const { checker, violations } = watch(finality, { ...run.sight });
    checker.onLifeEnd?.({ node: "p1", how: "over", end: { round: 4, root: "ab".repeat(32) } });
    await checker.onEnd?.();
    expect(violations).toHaveLength(1);
  });

  it("is broken where a payload is nowhere any more", async () => {
    const { network, shared } = run.sight;
    const { accepted = [] } = (await network.twin.decision(network.runId, 1)) ?? {};
    expect(accepted.length).toBeGreaterThan(0);
    const copy = memoryStore();
    const commits = await network.twin.commits(network.runId, 1);
    const lost = commits.map(({ payloadHash }) => blobKey(payloadHash.slice(2)));
    for (const key of await shared.list()) {
      if (!lost.includes(key)) await copy.put(key, must(await shared.get(key), "a blob"));
    }
    const sight = { ...run.sight, shared: copy, folder: () => memoryStore() };
    const { checker, violations } = watch(finality, sight);
    checker.onBlock?.(head());
    await checker.onEnd?.();
    expect(violations).toEqual(["the run cannot be done again, round 1: an accepted payload is nowhere"]);
  });
});
