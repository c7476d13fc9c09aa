import { describe, expect, it } from "vitest";
import { manualClock } from "../../base/clock.ts";
import type { LogFields } from "../../base/log/log.ts";
import type { RunRecord } from "../../chain/chain.ts";
import { openTerminal } from "../shared/terminal.ts";
import { trainerView, type View, type ViewOptions, validatorView } from "./view.ts";

const ROOT = "ab".repeat(32);
const record: RunRecord = {
  ...{ runId: 0, owner: "0x", netuid: 1, specHash: "0x", genesisRoot: "0x", specs: [] },
  ...{ startBlock: 100, trainBlocks: 10, revealBlocks: 2, voteBlocks: 2 },
};

type Story = readonly (readonly [kind: string, fields: LogFields, passedMs?: number])[];

/** What a view says on stdout and on stderr while `story` happens. */
function told(make: (options: ViewOptions) => View, story: Story, liveFrom = 0) {
  const [out, err]: [string[], string[]] = [[], []];
  const clock = manualClock();
  const sink = (lines: string[]) => ({ write: (text: string) => lines.push(text.trimEnd()) });
  const env = { NO_COLOR: "1" };
  const terminal = openTerminal({ json: false, stdout: sink(out), stderr: sink(err), env, clock });
  const view = make({ terminal, record, liveFrom, block: () => 125, clock });
  for (const [kind, fields, passedMs = 0] of story) {
    clock.advance(passedMs);
    view.event(kind, fields);
  }
  return { out, err, tally: view.tally };
}

const payload = (round: number): Story[number] => [
  "payload",
  { round, uid: 3, hash: "aa", bytes: 31_200, tokens: 1, loss: 4.2131, trainMs: 7100 },
];
const commit = (round: number, passedMs: number): Story[number] => [
  "commit",
  { round, uid: 3, hash: "aa", block: 1, blocksLeft: 2 },
  passedMs,
];
const applied = (round: number, uids: number[], accepted = uids): Story[number] => [
  "applied",
  { round, uids, accepted, bytes: 1, root: ROOT },
];
const outcome = (round: number, good: boolean): Story[number] => ["outcome", { round, uid: 3, applied: good }];

describe("a trainer's view", () => {
  it("has one line a round, with the share of time that was training", () => {
    const { out, tally } = told(trainerView, [
      ["start", { from: "genesis", round: 0, root: ROOT }],
      ...[payload(0), commit(0, 5000), applied(0, [1, 2, 3, 4]), outcome(0, true)],
      ...[payload(1), commit(1, 10_000), applied(1, [1, 2], [1, 2, 3]), outcome(1, false)],
      ...[payload(2), commit(2, 10_000), applied(2, []), outcome(2, false)],
      applied(3, [1]),
    ]);
    expect(out).toEqual([
      "from    the first params: round 0, state root abababababab",
      "round 0     applied (4 of 4 peers)  loss 4.213  31.2 kB",
      "round 1     not applied (2 of 3 peers)  loss 4.213  31.2 kB  utilization 71 %",
      "round 2     not applied (no payload applied)  loss 4.213  31.2 kB  utilization 71 %",
      "round 3     took no part  (1 of 1 peers)",
    ]);
    expect(tally).toEqual({ rounds: 4, payloads: 3, applied: 1, votes: 0, root: ROOT });
  });

  it("says only where it is while it catches up", () => {
    const { out, err } = told(trainerView, [applied(0, [1]), applied(1, [1]), applied(2, [1])], 2);
    expect(out).toEqual(["round 2     took no part  (1 of 1 peers)"]);
    expect(err[0]).toBe("catching up: round 0 of 2");
  });

  it("shows its steps with the blocks that are left", () => {
    const { err } = told(trainerView, [["step", { round: 2, step: 7, steps: 10, loss: 4.2 }]]);
    expect(err).toEqual(["round 2  ██████████████░░░░░░  step 7/10  loss 4.200  13 blocks left"]);
  });

  it("tells troubles, and a round that came too late only once", () => {
    const { out, err } = told(trainerView, [
      ["late", { round: 4, step: 3, steps: 10, batch: 4 }],
      applied(4, [1]),
      payload(5),
      ["late", { round: 5, uid: 3, why: "the deadline is over" }],
      applied(5, [1]),
      outcome(5, false),
      ["resume", { round: 6, hash: "aa" }],
      applied(6, [3]),
      outcome(6, true),
      ["reveal-failed", { round: 7, uid: 3, why: "away" }],
    ]);
    expect(out).toEqual([
      "round 4     took no part  (1 of 1 peers)",
      "round 5     not applied (1 of 1 peers)  loss 4.213  31.2 kB",
      "round 6     applied (1 of 1 peers)",
    ]);
    expect(err).toEqual([
      "round 4     too late: after step 3 of 10; the next one will have fewer sequences",
      "round 5     too late: the deadline is over",
      "round 6     sending what was made before the restart",
      "round 7     the payload could not be uploaded: away",
    ]);
  });

  it("tells once what is tried again in every block, until a round is over", () => {
    const missing: Story[number] = ["missing", { round: 4, uid: 2, hash: "ab".repeat(32) }];
    const fields = { hash: "ab".repeat(32), mirror: "the shared store", why: "other bytes than the hash says" };
    const bad: Story[number] = ["bad-mirror", fields];
    const { err } = told(trainerView, [bad, missing, bad, missing, bad, missing, applied(4, [1]), bad]);
    const blamed = "no blob abababababab from the shared store: other bytes than the hash says";
    expect(err).toEqual([blamed, "round 4: waiting for the payload of uid 2", blamed]);
  });

  it("says that a store is away whatever it was wanted for, once", () => {
    const away = (what: string): Story[number] => ["store-trouble", { what, why: "it does not answer" }];
    const { err } = told(trainerView, [
      away("payload"),
      away("payload"),
      away("checkpoint"),
      applied(4, [1]),
      away("payload"),
    ]);
    const payloads = "trouble with the payload: it does not answer";
    expect(err).toEqual([payloads, "trouble with the checkpoint: it does not answer", payloads]);
  });

  it("tells what becomes of a challenge", () => {
    const { err } = told(trainerView, [
      ["challenged", { round: 4, uid: 3, part: 0 }],
      ["again", { round: 4, uid: 3 }, 60_000],
      ["answer", { round: 4, uid: 3, part: 0, bytes: 9, pieces: 1 }, 60_000],
      ["answer-again", { round: 4 }, 60_000],
      ["bad-answer", { key: "answers/4" }],
    ]);
    expect(err).toEqual([
      "round 4  is asked to show a part of the work",
      "round 4  works again for what is asked for from before the restart",
      "round 4  showed the part that was asked for",
      "round 4  told again what was asked for: the store had lost it",
      "an answer that was still to be sent was damaged, and is dropped",
    ]);
  });

  it("survives fields that are not there", () => {
    const kinds = ["start", "applied", "payload", "commit", "outcome", "step", "late", "reveal", "missing", "nonsense"];
    expect(() =>
      told(
        trainerView,
        kinds.map((kind) => [kind, {}]),
      ),
    ).not.toThrow();
    expect(() =>
      told(
        validatorView,
        [...kinds, "vote", "validation", "received", "checkpoint"].map((kind) => [kind, {}]),
      ),
    ).not.toThrow();
  });
});

describe("a validator's view", () => {
  it("has one line a round: votes, validation loss, judgements", () => {
    const { out, err, tally } = told(validatorView, [
      ["start", { from: "checkpoint", round: 12, root: ROOT }],
      ["received", { round: 12, uid: 2, bytes: 31_200, fault: null }],
      ["received", { round: 12, uid: 3, bytes: 31_200, fault: "stale base" }],
      ["vote", { round: 12, uids: [2], missing: [3], root: ROOT, block: 9 }],
      ["validation", { round: 12, loss: 4.3011, root: ROOT, judged: 1 }],
      applied(12, [2]),
      ["vote-refused", { round: 13, why: "no permit" }],
      ["validation", { round: 13, loss: 4.2, root: ROOT, judged: 0 }],
      ["checkpoint", { round: 15, manifest: "aa", newBytes: 1_500_000 }],
    ]);
    expect(out).toEqual([
      "from    a checkpoint: round 12, state root abababababab",
      "round 12    voted for 1 of 2  validation 4.301  (judged 1)",
      "round 13    did not vote  validation 4.200  (judged 0)",
      "round 15    published a checkpoint of the params before it: 1.5 MB that were new",
    ]);
    expect(err).toContain("round 12    the payload of uid 3 is unusable: stale base");
    expect(err).toContain("round 13    the chain did not take the vote: no permit");
    expect(tally).toMatchObject({ votes: 1, rounds: 1, root: ROOT });
  });

  it("says what it could not check", () => {
    const { err } = told(validatorView, [
      ["unaudited", { round: 12, uid: 3, part: 0, why: "half of the payloads are missing" }],
      ["replay-failed", { round: 12, uid: 3, part: 0, why: "a shard is away" }],
      ["check-failed", { round: 12, uid: 3, why: "a shard is away" }],
    ]);
    expect(err).toEqual([
      "round 12    the work of uid 3 was not audited: half of the payloads are missing",
      "round 12    the work of uid 3 cannot be replayed here: a shard is away",
      "round 12    the data of uid 3 cannot be checked here: a shard is away",
    ]);
  });
});
