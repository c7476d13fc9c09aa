/** Feedback, kept and broken. */
import { beforeAll, describe, expect, it, vi } from "vitest";
import { emptyNetwork, played, REORGS, shortSpec, sightOf, watch, withChain } from "../../../test/helpers/sight.ts";
import { must } from "../../base/assert.ts";
import type { LogFields } from "../../base/log/log.ts";
import { saveState } from "../../checkpoint/state.ts";
import type { Network } from "../network.ts";
import type { Sight } from "./checker.ts";
import { feedback, madeIn } from "./feedback.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const UID = 4;
/** A payload: its residual before and after (0: zeros), and what became of it. */
interface Story {
  readonly before: number;
  readonly after: number;
  readonly fate: "applied" | "not applied" | "not promised";
  /** How the process that made it had begun, if it had just begun. */
  readonly start?: "saved" | "checkpoint";
}

describe("feedback", () => {
  let network: Network;
  beforeAll(async () => {
    network = await emptyNetwork();
  });
  const hashOf = (round: number): string => round.toString(16).padStart(64, "0");

  const save = async (sight: Sight, round: number, { before, after }: Story): Promise<void> => {
    const pending = { round, uid: UID, hash: `0x${hashOf(round)}`, leaves: [] };
    const vectors = { params: 9, residual: before, nextM: 9, nextResidual: after };
    const filled = Object.entries(vectors).map(([name, value]) => [name, new Float32Array(4).fill(value)] as const);
    await saveState(sight.folder("p1"), "trainer.safetensors", JSON.stringify({ pending }), new Map(filled));
  };

  /** What is found where p1 makes these payloads, one a round. */
  const found = async (story: readonly Story[], parts: Partial<Sight> = {}): Promise<readonly string[]> => {
    const sight = withChain(sightOf(network, parts), {
      commits: async (_, round) =>
        story[round]?.fate === "not promised"
          ? []
          : [{ uid: UID, hotkey: sight.account("p1"), payloadHash: `0x${hashOf(round)}`, block: 1 }],
      decision: async (_, round) => {
        const accepted = story[round]?.fate === "applied" ? [UID] : [];
        const seed = `0x${"00".repeat(32)}` as const;
        return { round, accepted, incentives: accepted.map(() => 0), seed, stateRoot: undefined, block: 1 };
      },
    });
    const { checker, violations, event } = watch(feedback, sight);
    for (const [round, each] of story.entries()) {
      if (each.start !== undefined) event("p1", "start", { from: each.start, round });
      await save(sight, round, each);
      event("p1", "payload", { round, uid: UID, hash: hashOf(round) });
      await new Promise((resolve) => setImmediate(resolve));
    }
    await checker.onEnd?.();
    return violations;
  };
  const first: Story = { before: 0, after: 1, fate: "applied" };
  const unmoved: Story = { ...first, fate: "not applied" };

  it("is kept by residuals that go on from what was said", async () => {
    expect(await found([first, { before: 1, after: 2, fate: "applied" }])).toEqual([]);
    expect(await found([unmoved, { before: 0, after: 2, fate: "applied" }])).toEqual([]);
    const late: Story = { before: 1, after: 3, fate: "not promised" };
    expect(await found([first, late, { before: 1, after: 2, fate: "applied", start: "saved" }])).toEqual([]);
  });

  it("is broken by a residual that was lost, in any weather", async () => {
    const lost: Story = { before: 0, after: 2, fate: "applied", start: "saved" };
    expect((await found([first, { before: 7, after: 2, fate: "applied" }])).join()).toContain("has lost");
    expect(await found([first, lost])).toHaveLength(1);
    const third: readonly Story[] = [first, { before: 1, after: 2, fate: "applied" }, lost];
    expect((await found(third, { weather: REORGS })).join()).toContain("has lost");
    expect(await found([{ before: 1, after: 2, fate: "applied" }])).toHaveLength(1);
  });

  it("is broken by a residual that forgets what became of the payload, where that was seen", async () => {
    const forgets: readonly Story[] = [unmoved, { before: 1, after: 2, fate: "applied" }];
    expect((await found(forgets)).join()).toContain("forgets what became of");
    expect((await found(forgets, { weather: REORGS })).join()).toContain("forgets what became of");
    const [one, two] = forgets;
    expect(await found([must(one, "one"), { ...must(two, "two"), start: "checkpoint" }])).toEqual([]);
  });

  it("is broken by compression that keeps nothing", async () => {
    expect(await found([{ ...first, after: 0 }])).toHaveLength(1);
  });

  it("is broken by a payload that is not on the disk", async () => {
    const sight = sightOf(network);
    const { checker, violations, event } = watch(feedback, sight);
    event("p1", "payload", { round: 0, uid: UID, hash: hashOf(0) } satisfies LogFields);
    await checker.onEnd?.();
    expect(violations).toHaveLength(1);
  });

  it("does not wait for the disk of a process that ended meanwhile", async () => {
    const folder = { ...sightOf(network).folder("p1"), get: () => new Promise<never>(() => undefined) };
    const { checker, violations, event } = watch(feedback, sightOf(network, { folder: () => folder }));
    event("p1", "payload", { round: 0, uid: UID, hash: hashOf(0) });
    checker.onLifeEnd?.({ node: "p1", how: "killed" });
    await checker.onEnd?.();
    expect(violations).toEqual([]);
  });

  it("reads what a trainer really writes", async () => {
    const run = await played([feedback], shortSpec(3));
    const file = await run.sight.folder("p1").get("trainer.safetensors");
    const made = madeIn(must(file, "a file"));
    expect(made).toMatchObject({ round: 2, before: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(made?.after).not.toBe(made?.before);
    const [own] = run.watches;
    await own?.checker.onEnd?.();
    expect(own?.violations).toEqual([]);
  });
});
