/** A trainer whose store, chain or promises fail for a while: what can still be in time is, and nobody is refuted for the world's faults. */
import { describe, expect, it, vi } from "vitest";
import { type Network, type Start, toyNetwork, toySpec } from "../../../../test/helpers/network.ts";
import { must } from "../../../base/assert.ts";
import { SkeinError } from "../../../base/errors.ts";
import type { LogEvent } from "../../../base/log/log.ts";
import type { Chain } from "../../../chain/chain.ts";
import { refusal } from "../../../chain/errors.ts";
import { roundStart } from "../../../chain/rounds.ts";
import { memoryStore } from "../../../store/memory.ts";
import { newsKey } from "../../../store/news.ts";
import type { Store } from "../../../store/store.ts";

vi.setConfig({ testTimeout: 60_000 });

type Log = { readonly events: readonly LogEvent[] };
const fieldsOf = ({ events }: Log, kind: string): LogEvent["fields"][] =>
  events.filter((event) => event.kind === kind).map(({ fields }) => fields);
const roundsOf = (log: Log, kind: string): unknown[] => fieldsOf(log, kind).map(({ round }) => round);
/** Which of a trainer's payloads were applied. */
const appliedOf = (log: Log): unknown[] =>
  fieldsOf(log, "outcome").flatMap(({ applied, round }) => (applied === true ? [round] : []));

const SHORT = { schedule: { kind: "constant", lr: 0.01, warmupSteps: 2, steps: 24 } } as const;
const ROUNDS = [0, 1, 2, 3, 4, 5];

/** Six rounds in which `perMille` of the payloads are challenged. */
const network = (perMille: number): Promise<Network> =>
  toyNetwork({
    spec: toySpec({
      inner: SHORT,
      audit: { perMille, spans: 2, tolerance: 0 },
      timing: { trainBlocks: 4, revealBlocks: 2, voteBlocks: 3 },
    }),
  });

/** Runs t1 as told beside an honest t2; what t1's log says, and how the audits of both ended that did not end well. */
async function run(net: Network, start: Start): Promise<{ readonly log: Log; readonly bad: unknown[] }> {
  const [t1, t2] = [net.trainer("t1", start), net.trainer("t2")];
  const validators = ["v1", "v2"].map((name) => net.validator(name));
  await net.during(Promise.all([t1, t2, ...validators]));
  const audits = fieldsOf(must(validators[0], "v1").log, "audited");
  return { log: t1.log, bad: audits.filter(({ verdict }) => verdict !== "passed") };
}

/** Throws while blocks are in [from, to). */
async function failing({ twin }: Network, code: "store" | "chain", from: number, to: number): Promise<void> {
  const { block } = await twin.head();
  if (block >= from && block < to) throw new SkeinError(code, "it is away");
}

describe("a payload", () => {
  it("is revealed later in its round where the store was away", async () => {
    const net = await network(0);
    const from = roundStart(net.record, 2, "reveal");
    const putIfAbsent: Store["putIfAbsent"] = async (key, bytes) => {
      await failing(net, "store", from, from + 2);
      return net.shared.putIfAbsent(key, bytes);
    };
    const { log } = await run(net, { shared: { ...net.shared, putIfAbsent } });
    expect(fieldsOf(log, "store-trouble")).toEqual([
      { what: "payload", why: "it is away" },
      { what: "payload", why: "it is away" },
    ]);
    expect([roundsOf(log, "reveal"), roundsOf(log, "reveal-failed")]).toEqual([ROUNDS, []]);
    expect(appliedOf(log)).toEqual(ROUNDS);
  });

  it("is revealed where nobody can be asked for the commits", async () => {
    const net = await network(0);
    const commits: Chain["commits"] = async (runId, round) => {
      await failing(net, "chain", roundStart(net.record, 2, "reveal"), roundStart(net.record, 2, "vote"));
      return net.twin.commits(runId, round);
    };
    const { log } = await run(net, { chain: { ...net.twin, commits } });
    expect(appliedOf(log)).toEqual(ROUNDS);
  });

  it.each([0, 1000])("that could not be revealed does not stay in the folder (%i challenged)", async (perMille) => {
    const net = await network(perMille);
    const local = memoryStore();
    const from = roundStart(net.record, 2, "reveal");
    const putIfAbsent: Store["putIfAbsent"] = async (key, bytes) => {
      await failing(net, "store", from, roundStart(net.record, 3));
      return net.shared.putIfAbsent(key, bytes);
    };
    const { log } = await run(net, { local, shared: { ...net.shared, putIfAbsent } });
    expect([roundsOf(log, "reveal-failed"), appliedOf(log)]).toEqual([[2], [0, 1, 3, 4, 5]]);
    expect(await local.list("blobs/")).toEqual([]);
  });
});

describe("an answer", () => {
  it("is given where the chain could not say for a while what it is to", async () => {
    const net = await network(1000);
    const from = roundStart(net.record, 2, "reveal");
    const blockHash: Chain["blockHash"] = async (block) => {
      if (block === from) await failing(net, "chain", from, from + 2);
      return net.twin.blockHash(block);
    };
    const { log, bad } = await run(net, { chain: { ...net.twin, blockHash } });
    expect(roundsOf(log, "answer-failed")).toEqual([2, 2]);
    expect(roundsOf(log, "answer")).toEqual(ROUNDS);
    expect(bad).toEqual([]);
  });

  it("is told of again where an older write takes its news' place", async () => {
    const net = await network(1000);
    const key = newsKey({ kind: "answer", account: net.signer("t1").account });
    let old: Uint8Array | undefined;
    const put: Store["put"] = async (at, bytes) => {
      const { block } = await net.twin.head();
      if (at === key && block >= roundStart(net.record, 2) && block < roundStart(net.record, 3))
        old ??= must(await net.shared.get(key), "news of round 1");
      await net.shared.put(at, bytes);
    };
    const [t1, t2] = [net.trainer("t1", { shared: { ...net.shared, put } }), net.trainer("t2")];
    const validators = ["v1", "v2"].map((name) => net.validator(name));
    await net.during(Promise.all([t1, t2, ...validators]), (block) => {
      if (block === roundStart(net.record, 2, "vote")) void net.shared.put(key, must(old, "news of round 1"));
    });
    expect(roundsOf(t1.log, "answer-again")).toEqual([2]);
    const audits = fieldsOf(must(validators[0], "v1").log, "audited");
    expect(audits.filter(({ verdict }) => verdict !== "passed")).toEqual([]);
    expect(audits.length).toBe(10);
  });
});

describe("a commit that was sent twice", () => {
  it("stands where only the second came too late", async () => {
    const net = await network(0);
    const as: Chain["as"] = (key) => ({
      ...net.twin.as(key),
      async commitPayload(runId, round, hash) {
        const receipt = await net.twin.as(key).commitPayload(runId, round, hash);
        if (round === 2) throw refusal("CommitsClosed");
        return receipt;
      },
    });
    const { log } = await run(net, { chain: { ...net.twin, as } });
    expect([roundsOf(log, "late"), appliedOf(log)]).toEqual([[], ROUNDS]);
  });
});

describe("a trainer that was stopped before it could commit", () => {
  it("shows the earlier payload that its answer goes on from, where that could not be revealed", async () => {
    const timing = { trainBlocks: 12, revealBlocks: 4, voteBlocks: 4 };
    const audit = { perMille: 1000, spans: 2, tolerance: 0 };
    const net = await toyNetwork({ spec: toySpec({ inner: SHORT, audit, timing }) });
    const { twin, shared, record } = net;
    const putIfAbsent: Store["putIfAbsent"] = async (key, bytes) => {
      await failing(net, "store", roundStart(record, 2, "reveal"), roundStart(record, 3));
      return shared.putIfAbsent(key, bytes);
    };
    const stop = new AbortController();
    const as: Chain["as"] = (key) => ({
      ...twin.as(key),
      async commitPayload(runId, round, hash) {
        if (round < 3) return twin.as(key).commitPayload(runId, round, hash);
        stop.abort();
        throw new SkeinError("interrupted", "killed");
      },
    });
    const seen = { local: memoryStore(), shared: { ...shared, putIfAbsent } };
    const first = net.trainer("t1", { ...seen, chain: { ...twin, as }, signal: stop.signal });
    let second: ReturnType<Network["trainer"]> | undefined;
    const others = [net.trainer("t2"), net.trainer("t3"), ...["v1", "v2"].map((name) => net.validator(name))];
    const v1 = must(others[2], "v1");
    await net.during(Promise.all([first, ...others]), () => {
      if (stop.signal.aborted) second ??= net.trainer("t1", seen);
    });
    const { log } = must(second, "the second");
    expect([roundsOf(first.log, "reveal-failed"), roundsOf(log, "resume")]).toEqual([[2], [3]]);
    expect(appliedOf(log)).toEqual([3, 4, 5]);
    const uid = fieldsOf(log, "commit")[0]?.["uid"];
    const audits = fieldsOf(v1.log, "audited").filter((each) => each["uid"] === uid && Number(each["round"]) >= 3);
    expect(audits.map(({ round, verdict }) => [round, verdict])).toEqual([
      [3, "passed"],
      [4, "passed"],
    ]);
  });
});

describe("a trainer whose promise another process replaced", () => {
  it.each([0, 1] as const)("is told, in whatever block of the round that was (delay %i)", async (delay) => {
    const net = await toyNetwork({ spec: toySpec({ inner: SHORT, outer: { delay } }) });
    const { twin, record, runId } = net;
    const trainer = net.trainer("t1");
    const nodes = [trainer, ...["v1", "v2"].map((name) => net.validator(name))];
    const last = roundStart(record, 2, "reveal") - 2;
    const end = net.during(Promise.all(nodes), (block) => {
      if (block === last) void twin.as(net.signer("t1")).commitPayload(runId, 2, `0x${"7".repeat(64)}`);
    });
    await expect(end).rejects.toThrow("another process trains with this hotkey: it has committed too, up to round 3");
    expect(roundsOf(trainer.log, "commit")).toEqual([0, 1, 2]);
  });
});
