/** Credit, kept and broken. */
import { beforeAll, describe, expect, it, vi } from "vitest";
import { type Played, played, shortSpec, watch, withChain } from "../../../test/helpers/sight.ts";
import { must } from "../../base/assert.ts";
import type { Hash, RoundCommit, RoundDecision } from "../../chain/chain.ts";
import { type CastVote, roundStart } from "../../chain/rounds.ts";
import type { TwinState } from "../../chain/twin/twin.ts";
import type { Network } from "../network.ts";
import { credit, recount } from "./credit.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const ROUND = 3;

describe("credit", () => {
  let run: Played;
  let commits: readonly RoundCommit[];
  let decision: RoundDecision;
  beforeAll(async () => {
    run = await played([credit], shortSpec());
    const { twin, runId } = run.sight.network;
    commits = await twin.commits(runId, ROUND);
    decision = must(await twin.decision(runId, ROUND), "a decision");
    expect(decision.accepted).toHaveLength(2);
  });

  it("is kept by an honest run", async () => {
    const [own] = run.watches;
    await own?.checker.onEnd?.();
    expect(own?.violations).toEqual([]);
  });

  /** What is found at the end where the chain says other things of the round. */
  const told = async (twin: Partial<Network["twin"]>): Promise<string> => {
    const { checker, violations } = watch(credit, withChain(run.sight, twin));
    await checker.onEnd?.();
    return violations.join("\n");
  };
  const otherCommits = (
    change: (commit: RoundCommit, i: number) => RoundCommit | undefined,
  ): Partial<Network["twin"]> => {
    const { twin } = run.sight.network;
    const changed = commits.flatMap((commit, i) => change(commit, i) ?? []);
    return { commits: async (id, round) => (round === ROUND ? changed : twin.commits(id, round)) };
  };

  it("is broken by who promised nothing, or too late", async () => {
    expect(await told(otherCommits((commit, i) => (i === 0 ? undefined : commit)))).toContain("had promised nothing");
    expect(await told(otherCommits((commit) => ({ ...commit, block: 10_000 })))).toContain(
      "had promised nothing in time",
    );
  });

  it("is broken by another's payload, and by one that another signed", async () => {
    const [first] = commits;
    const copied = await told(
      otherCommits((commit) => ({ ...commit, payloadHash: must(first, "a commit").payloadHash })),
    );
    expect(copied).toContain("has another's payload");
    expect(copied).toContain("did not sign");
    const hotkey = run.sight.account("v1");
    const stolen = await told(otherCommits((commit, i) => (i === 0 ? { ...commit, hotkey } : commit)));
    expect(stolen).toContain("is not who promised");
    expect(stolen).toContain("did not sign");
  });

  it("is broken by a payload that is nowhere, or of another round", async () => {
    const nowhere: Hash = `0x${"12".repeat(32)}`;
    expect(await told(otherCommits((commit) => ({ ...commit, payloadHash: nowhere })))).toContain("nowhere");
    const { twin, runId } = run.sight.network;
    const earlier = await twin.commits(runId, ROUND - 1);
    const again = (commit: RoundCommit): RoundCommit => {
      const same = earlier.find(({ uid }) => uid === commit.uid);
      return { ...commit, payloadHash: must(same, "an earlier commit").payloadHash };
    };
    expect(await told(otherCommits(again))).toContain("fault: wrong round");
  });

  /** What is found in a block after which the chain's state is another than it should be. */
  const seen = (change: (state: TwinState) => void): readonly string[] => {
    const state = run.sight.network.twin.save();
    const { record } = run.sight.network;
    state.blocks.head = { ...state.blocks.head, block: roundStart(record, ROUND + 1) };
    change(state);
    const { checker, violations } = watch(credit, withChain(run.sight, { peek: () => state }));
    checker.onBlock?.(state.blocks.head.block);
    return violations;
  };
  const roundIn = (state: TwinState) => {
    return must(state.world.runs.get(run.sight.network.runId)?.rounds.get(ROUND), "a round");
  };

  it("is kept by a count that anybody can make again", () => {
    expect(seen(() => undefined).filter((what) => !what.includes("rao behind it"))).toEqual([]); // stakes have grown since
  });

  it("is broken by a decision that its votes do not bear: one vote that counted twice", () => {
    const found = seen((state) => {
      const { votes } = roundIn(state);
      votes.delete(must([...votes.keys()].at(-1), "a vote"));
    });
    expect(found.join()).toContain(`round ${ROUND} was decided as`);
  });

  it("is broken by votes without a permit, or with more behind them than there is", () => {
    const without = seen(({ world }) => {
      for (const slot of world.subnets.get(run.sight.network.record.netuid)?.slots ?? []) slot.permit = false;
    });
    expect(without.join()).toContain("no permit");
    const rich = seen((state) => {
      const { votes } = roundIn(state);
      for (const [uid, vote] of votes) votes.set(uid, { ...vote, stake: 2n * vote.stake });
    });
    expect(rich.join()).toContain("rao behind it");
  });
});

it("counts each permitted validator once, with the lesser of its stakes", () => {
  const seat = (n: number, stake: bigint, permit = true) => ({ hotkey: `0x${n}`, stake, permit }) as const;
  const seats = [seat(0, 10n), seat(1, 10n), seat(2, 100n, false), seat(3, 1n)];
  const vote = (uid: number, uids: bigint, stake = 10n, n = uid): CastVote => {
    return { uid, hotkey: `0x${n}`, stake, bitmap: uids, stateRoot: "0xa" };
  };
  const count = (votes: readonly CastVote[]): string => recount(votes, [5, 4], seats);
  expect(count([vote(0, 0b110000n), vote(1, 0b010000n)])).toBe("4 0xa");
  expect(count([vote(0, 0b010000n), vote(0, 0b010000n)])).toBe(" undefined");
  expect(count([vote(0, 0b010000n), vote(2, 0b010000n, 100n)])).toBe(" undefined");
  expect(count([vote(0, 0b010000n), vote(3, 0b010000n, 1n)])).toBe("4 0xa");
  expect(count([vote(0, 0b010000n), vote(3, 0b010000n, 0n)])).toBe(" undefined");
  expect(count([vote(0, 0b010000n), vote(1, 0b010000n, 10n, 7)])).toBe(" undefined");
});
