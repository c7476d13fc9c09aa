/** Faults and liveness, kept and broken. */
import { beforeAll, describe, expect, it } from "vitest";
import { emptyNetwork, sightOf, watch } from "../../../test/helpers/sight.ts";
import { AssertionError } from "../../base/assert.ts";
import { type ErrorCode, SkeinError } from "../../base/errors.ts";
import type { Network } from "../network.ts";
import { CALM } from "../world/weather.ts";
import type { LifeEnd, Sight } from "./checker.ts";
import { faults, liveness } from "./ends.ts";

let network: Network;
beforeAll(async () => {
  network = await emptyNetwork();
});
const ended = (node: string, thrown: unknown): LifeEnd => ({ node, how: "error", thrown });
const trouble = (code: ErrorCode): SkeinError => new SkeinError(code, "something went wrong");

describe("faults", () => {
  const found = (end: LifeEnd, parts: Partial<Sight> = {}): readonly string[] => {
    const { checker, violations } = watch(faults, sightOf(network, parts));
    checker.onLifeEnd?.(end);
    return violations;
  };

  it("are none where the world is to blame, or somebody dishonest", () => {
    expect(found(ended("p1", trouble("chain")))).toEqual([]);
    expect(found(ended("v1", trouble("store")))).toEqual([]);
    expect(found({ node: "p1", how: "killed" })).toEqual([]);
    expect(found(ended("p1", new AssertionError("no")), { dishonest: new Set(["p1"]) })).toEqual([]);
  });

  it("are mistakes of ours, and what only a person could mend", () => {
    for (const thrown of [new AssertionError("no"), new TypeError("no"), new RangeError("no"), "no", undefined]) {
      expect(found(ended("v1", thrown))).toHaveLength(1);
    }
    for (const code of ["config", "checkpoint", "data", "diverged", "interrupted"] as const) {
      expect(found(ended("p1", trouble(code)))).toHaveLength(1);
    }
    expect(found(ended("p1", new TypeError("no"))).join()).toContain("ends.test.ts:");
  });

  it("are troubles after the weather has healed", () => {
    expect(found(ended("p1", trouble("chain")), { now: () => 29_000 })).toEqual([]);
    expect(found(ended("p1", trouble("chain")), { now: () => 31_000 })).toHaveLength(1);
  });
});

describe("liveness", () => {
  /** What is found where nobody ever sent anything, in weather that heals in block `healed`; all but `alive` came to an end. */
  const found = async (healed: number, alive: readonly string[] = []): Promise<readonly string[]> => {
    let block = 0;
    const weather = { ...CALM, healMs: healed };
    const { checker, violations } = watch(liveness, sightOf(network, { weather, now: () => block }));
    const { twin } = network;
    if ((await twin.head()).block < 200) twin.mine(200);
    for (block = 1; block < 200; block++) checker.onBlock?.(block);
    for (const node of ["p1", "p2", "v1", "v2"]) if (!alive.includes(node)) checker.onLifeEnd?.({ node, how: "over" });
    for (const node of alive.slice(1)) checker.onLifeEnd?.({ node, how: "killed" });
    await checker.onEnd?.();
    return violations;
  };

  it("asks for nothing while the weather is bad", async () => {
    expect(await found(1000)).toEqual([]);
  });

  it("is broken by rounds that move nothing, some rounds after the weather has healed", async () => {
    expect(await found(0)).toHaveLength(8 - 3);
    const { startBlock, trainBlocks, revealBlocks, voteBlocks } = network.record;
    const second = startBlock + 2 * (trainBlocks + revealBlocks + voteBlocks);
    expect(await found(second)).toEqual(
      [6, 7].map((round) => `round ${round} moved nothing, the weather healed in round 2`),
    );
  });

  it("is broken by nodes that never come to an end", async () => {
    expect(await found(1000, ["p2", "v1"])).toEqual([
      "p2 never came to an end",
      "v1 never came to an end: last killed",
    ]);
  });
});
