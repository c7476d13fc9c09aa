/** Agreement, kept and broken. */
import { beforeAll, describe, expect, it } from "vitest";
import { emptyNetwork, sightOf, watch } from "../../../test/helpers/sight.ts";
import type { Network } from "../network.ts";
import { agreement } from "./agreement.ts";
import type { Sight } from "./checker.ts";

const [A, B] = ["aa".repeat(32), "bb".repeat(32)];

describe("agreement", () => {
  let network: Network;
  beforeAll(async () => {
    network = await emptyNetwork();
  });
  const open = (parts: Partial<Sight> = {}) => watch(agreement, sightOf(network, parts));

  it("is kept by nodes that name the same roots, whatever a dishonest one names", async () => {
    const { event, checker, violations } = open({ dishonest: new Set(["p2"]) });
    event("p1", "start", { from: "genesis", round: 3, root: A });
    event("p1", "applied", { round: 2, root: A });
    event("v1", "vote", { round: 3, root: A });
    event("p2", "applied", { round: 2, root: B });
    event("p2", "resync", { round: 3, details: "other" });
    event("p1", "resync", { round: 3, details: "" });
    checker.onLifeEnd?.({ node: "p1", how: "over", end: { round: 4, root: A } });
    checker.onLifeEnd?.({ node: "v1", how: "over", end: { round: 4, root: A } });
    await checker.onEnd?.();
    expect(violations).toEqual([]);
  });

  it("is broken by two roots of one round", () => {
    for (const [kind, round] of [
      ["applied", 2],
      ["vote", 3],
      ["start", 3],
      ["validation", 3],
    ] as const) {
      const { event, violations } = open();
      event("p1", "applied", { round: 2, root: A });
      event("v1", kind, { round, root: B });
      expect(violations, kind).toHaveLength(1);
    }
  });

  it("is broken by params that turn out to be wrong", () => {
    const { event, violations } = open();
    event("p1", "resync", { round: 3, details: "state root here …" });
    expect(violations).toHaveLength(1);
  });

  it("is broken by different ends", async () => {
    const { checker, violations } = open();
    checker.onLifeEnd?.({ node: "p1", how: "over", end: { round: 4, root: A } });
    checker.onLifeEnd?.({ node: "v1", how: "over", end: { round: 3, root: A } });
    await checker.onEnd?.();
    expect(violations).toHaveLength(1);
  });
});
