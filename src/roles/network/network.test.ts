/** The round protocol with the production roles, on the chain's twin: agreement, learning, null rounds, restarts, late joiners, bad peers. */
import { describe, expect, it, vi } from "vitest";
import { killable, type Lifeline } from "../../../test/helpers/killable.ts";
import { keyOf, type Network, toyNetwork, toySpec } from "../../../test/helpers/network.ts";
import { must } from "../../base/assert.ts";
import { SkeinError } from "../../base/errors.ts";
import { toHex } from "../../base/hash.ts";
import type { LogEvent } from "../../base/log/log.ts";
import { seededRandom } from "../../base/random.ts";
import { roundBlocks, roundStart } from "../../chain/rounds.ts";
import { decodeSharedManifest, isManifestFault } from "../../checkpoint/shared/manifest.ts";
import { publishCheckpoint } from "../../checkpoint/shared/publish.ts";
import { paramCount } from "../../engine/shape.ts";
import { specHash } from "../../run/parse.ts";
import { roundsOf } from "../../run/rules.ts";
import { decodeReport, isReportFault, type Report } from "../../score/report.ts";
import { blobKey } from "../../store/blobs.ts";
import { memoryStore } from "../../store/memory.ts";
import { encodeNews, newsKey, putNews, readNewsBy } from "../../store/news.ts";
import type { Store } from "../../store/store.ts";
import { rootOf, type State } from "./follower.ts";
import { startingState } from "./sync.ts";

vi.setConfig({ testTimeout: 60_000 }); // seconds alone, more where other tests share the processor

const named = (state: State): string => `${state.round} ${toHex(rootOf(state))}`;
const lossesOf = ({ events }: { readonly events: readonly LogEvent[] }): number[] =>
  events.filter(({ kind }) => kind === "validation").map(({ fields }) => fields["loss"] as number);
const kinds = ({ events }: { readonly events: readonly LogEvent[] }, kind: string): LogEvent[] =>
  events.filter((event) => event.kind === kind);
/** A run of so many rounds. */
const longer = (rounds: number, overrides: Parameters<typeof toySpec>[0] = {}) =>
  toySpec({
    ...overrides,
    inner: { schedule: { kind: "constant", lr: 0.01, warmupSteps: 2, steps: 4 * rounds }, ...overrides.inner },
  });
/** Starts everybody; the ends in the order of names, validators last. */
const all = (network: Network, trainers: readonly string[], validators: readonly string[] = ["v1", "v2"]) => [
  ...trainers.map((name) => network.trainer(name)),
  ...validators.map((name) => network.validator(name)),
];

describe("a network", () => {
  it.each([0, 1] as const)("learns, and all agree to the bit (delay %s)", async (delay) => {
    const network = await toyNetwork({ spec: longer(14, { outer: { delay } }) });
    const nodes = all(network, ["t1", "t2", "t3"]);
    const ends = await network.during(Promise.all(nodes));
    expect(new Set(ends.map(({ state }) => named(state))).size).toBe(1);
    expect(ends[0]?.state.round).toBe(roundsOf(network.spec));
    expect(ends.map((end) => ("payloads" in end ? end.payloads : end.votes))).toEqual([14, 14, 14, 14, 14]);
    const losses = lossesOf(must(nodes.at(-1), "a validator").log);
    expect(losses.length).toBe(14);
    expect(losses.at(-1)).toBeLessThan((losses[0] as number) - 0.8);
    const { neurons } = await network.twin.metagraph(1);
    const paid = neurons.filter(({ incentive }) => incentive > 0).map(({ uid }) => uid);
    expect(paid).toEqual([2, 3, 4]); // whoever helped, and nobody else
  });

  it("is a function of its history: the same again gives the same root", async () => {
    const roots = [];
    for (let i = 0; i < 2; i++) {
      const network = await toyNetwork();
      const ends = await network.during(Promise.all(all(network, ["t1", "t2"])));
      roots.push(named(must(ends[0], "an end").state));
    }
    expect(roots[0]).toBe(roots[1]);
  });

  it("takes a null round where the store is away, punishes nobody, and goes on", async () => {
    const network = await toyNetwork();
    const record = await network.twin.run(network.runId);
    const away = (block: number): boolean => block >= roundStart(record, 4, "reveal") && block < roundStart(record, 5);
    const shared = await unreliable(network, away);
    const nodes = [
      network.trainer("t1", { shared }),
      network.trainer("t2", { shared }),
      ...["v1", "v2"].map((name) => network.validator(name, { shared })),
    ];
    const ends = await network.during(Promise.all(nodes));
    expect(new Set(ends.map(({ state }) => named(state))).size).toBe(1);
    const applied = kinds(must(nodes[0], "t1").log, "applied").map(({ fields }) => (fields["uids"] as number[]).length);
    expect(applied).toEqual([2, 2, 2, 2, 0, 2, 2, 2, 2, 2]);
    const outcomes = kinds(must(nodes[0], "t1").log, "outcome").map(({ fields }) => fields["applied"]);
    expect(outcomes[4]).toBe(false);
    expect(outcomes.filter(Boolean).length).toBe(9);
    for (const { round, suspended, standings } of await reportsIn(network.shared)) {
      expect(suspended).toBe(round === 4);
      expect(standings.map(({ effort }) => effort > 0.15)).toEqual([true, true]);
    }
  });

  it("makes every round a null round where nobody validates", async () => {
    const network = await toyNetwork();
    const node = network.trainer("t1");
    const { state } = await network.during(node);
    expect(named(state)).toBe(`10 ${network.spec.genesisRoot}`);
  });
});

/** The network's store, away in some blocks. */
async function unreliable({ shared, twin }: Network, away: (block: number) => boolean): Promise<Store> {
  const check = async (): Promise<void> => {
    if (away((await twin.head()).block)) throw new SkeinError("store", "the store is away");
  };
  return {
    get: async (key, range) => {
      await check();
      return shared.get(key, range);
    },
    size: async (key) => {
      await check();
      return shared.size(key);
    },
    put: async (key, bytes) => {
      await check();
      return shared.put(key, bytes);
    },
    putIfAbsent: async (key, bytes) => {
      await check();
      return shared.putIfAbsent(key, bytes);
    },
    list: async (prefix) => {
      await check();
      return shared.list(prefix);
    },
    delete: async (key) => {
      await check();
      return shared.delete(key);
    },
  };
}

/** All reports that validators have published. */
async function reportsIn(shared: Store): Promise<Report[]> {
  const reports = [];
  for (const key of await shared.list("blobs/")) {
    const report = decodeReport(must(await shared.get(key), "a blob"));
    if (!isReportFault(report)) reports.push(report);
  }
  expect(reports.length).toBeGreaterThan(0);
  return reports;
}

describe("a payload that is lost after the votes", () => {
  it("is waited for until a checkpoint has it in it; whoever recomputes waits for it alone", async () => {
    const network = await toyNetwork({ spec: longer(10) });
    const { twin, runId, shared } = network;
    const record = await twin.run(runId);
    const between = async (from: number, until: number): Promise<boolean> => {
      const { block } = await twin.head();
      return block >= roundStart(record, from) && block < roundStart(record, until);
    };
    const losing = (until: number): Store => ({
      ...shared,
      get: async (key, range) => {
        const [lost] = await twin.commits(runId, 4);
        const isLost = lost !== undefined && key === blobKey(lost.payloadHash.slice(2));
        return isLost && (await between(5, until)) ? undefined : shared.get(key, range);
      },
    });
    const [never, back] = [losing(99), losing(9)];
    const [t1, t2] = [network.trainer("t1", { shared: never }), network.trainer("t2", { shared: back, replay: true })];
    const ends = await network.during(Promise.all([t1, t2, ...all(network, [])]));
    expect(new Set(ends.map(({ state }) => named(state))).size).toBe(1);
    for (const { log } of [t1, t2]) expect(kinds(log, "missing")[0]?.fields["round"]).toBe(4);
    const starts = [t1, t2].map(({ log }) => kinds(log, "start").map(({ fields }) => fields["from"]));
    expect(starts).toEqual([["genesis", "checkpoint"], ["genesis"]]);
    expect(kinds(t1.log, "resync")[0]?.fields["round"]).toBe(4);
    const missed = kinds(t1.log, "missing").length / roundBlocks(record);
    expect(missed).toBeLessThan(3); // a checkpoint every second round, told of in the next one
    expect(kinds(t1.log, "outcome").at(-1)?.fields).toMatchObject({ round: 9, applied: true });
    expect(kinds(t2.log, "applied").map(({ fields }) => fields["round"])).toEqual([...Array(10).keys()]);
  });
});

describe("a late joiner", () => {
  it("reaches the same root by checkpoint, by replay, and from what it had saved", async () => {
    const network = await toyNetwork({ spec: longer(18) });
    const record = await network.twin.run(network.runId);
    const local = memoryStore();
    const early = new AbortController();
    const nodes = all(network, ["t1", "t2"]);
    const left = network.trainer("t5", { local, signal: early.signal });
    const late: ReturnType<Network["trainer"]>[] = [];
    await network.during(Promise.all(nodes), (block) => {
      if (block === roundStart(record, 2, "vote")) early.abort();
      if (block !== roundStart(record, 14, "vote")) return;
      late.push(network.trainer("t3"), network.trainer("t4", { replay: true }), network.trainer("t5", { local }));
    });
    expect((await left).stopped).toBe(true);
    const ends = await network.during(Promise.all([...nodes, ...late]));
    expect(new Set(ends.map(({ state }) => named(state))).size).toBe(1);
    const from = late.map(({ log }) => kinds(log, "start")[0]?.fields["from"]);
    expect(from).toEqual(["checkpoint", "genesis", "checkpoint"]); // t5's own is too old
    const payloads = ends.slice(nodes.length).map((end) => ("payloads" in end ? end.payloads : 0));
    for (const count of payloads) expect(count).toBeGreaterThanOrEqual(3);
  });

  it("keeps the two newest checkpoints of the run in its folder, whatever strangers put there", async () => {
    const network = await toyNetwork({ spec: longer(14) });
    await network.during(Promise.all(all(network, ["t1"])));
    const local = memoryStore();
    for (const key of await network.shared.list("blobs/"))
      await local.put(key, must(await network.shared.get(key), "a blob"));
    const params = new Float32Array(paramCount(network.spec.model));
    const run = specHash(network.spec);
    for (const round of [1, 99]) await publishCheckpoint(local, { specHash: run, round, params });
    expect(await checkpointsIn(local)).toEqual([1, 2, 4, 6, 8, 10, 12, 99]);
    const { from, state } = await startingState(await network.node("late", { local }));
    expect([from, state.round]).toEqual(["checkpoint", 12]);
    expect(await checkpointsIn(local)).toEqual([1, 10, 12, 99]);
  });

  it("finds a validator's checkpoint among the news of any number of strangers, and a trainer's where there is none", async () => {
    const network = await toyNetwork({ spec: longer(14) });
    const { shared } = network;
    await network.during(Promise.all(all(network, ["t1"])));
    const told = await readNewsBy(
      shared,
      "checkpoint",
      ["v1", "v2"].map((name) => keyOf(name).account),
    );
    const { round, hash } = must(told[0], "news");
    const none = { kind: "checkpoint", round: 13, hash: "ab".repeat(32), signature: `${"00".repeat(65)}` } as const;
    for (let i = 0; i < 300; i++) {
      const account = `0x${String(i).padStart(64, "0")}`;
      await shared.put(newsKey({ kind: "checkpoint", account }), encodeNews({ ...none, account }));
    }
    const begun = async (): Promise<unknown[]> => {
      const { from, state } = await startingState(await network.node("late", { local: memoryStore() }));
      return [from, state.round];
    };
    expect([round, await begun()]).toEqual([12, ["checkpoint", 12]]);
    for (const { account } of told) await shared.delete(newsKey({ kind: "checkpoint", account }));
    expect(await begun()).toEqual(["genesis", 0]);
    const { account, sign } = keyOf("t1");
    await putNews(shared, { kind: "checkpoint", round, hash, account }, sign);
    expect(await begun()).toEqual(["checkpoint", 12]);
  });

  it("waits for the shared store where it is away, and takes the checkpoint then", async () => {
    const network = await toyNetwork({ spec: longer(14) });
    const { shared, twin } = network;
    await network.during(Promise.all(all(network, ["t1"])));
    const back = (await twin.head()).block + 3;
    const get: Store["get"] = async (key, range) => {
      if ((await twin.head()).block < back) throw new SkeinError("store", "the store is away");
      return shared.get(key, range);
    };
    const node = await network.node("late", { shared: { ...shared, get } });
    const { from, state } = await network.during(startingState(node));
    expect([from, state.round]).toEqual(["checkpoint", 12]);
  });

  it("believes no checkpoint that was not voted for", async () => {
    const network = await toyNetwork({ spec: longer(14) });
    const record = await network.twin.run(network.runId);
    const nodes = all(network, ["t1", "t2"]);
    let late: ReturnType<Network["trainer"]> | undefined;
    await network.during(Promise.all(nodes), (block) => {
      if (block !== roundStart(record, 12, "vote")) return;
      late = network.trainer("t3", { shared: forged(network.shared) });
    });
    const end = await network.during(must(late, "the late one"));
    expect(named(end.state)).toBe(named((await must(nodes[0], "t1")).state));
    expect(kinds(must(late, "the late one").log, "checkpoint-fault").length).toBeGreaterThan(0);
    expect(kinds(must(late, "the late one").log, "bad-mirror")[0]?.fields["mirror"]).toBe("the shared store");
    expect(kinds(must(late, "the late one").log, "start")[0]?.fields["from"]).toBe("genesis");
  });
});

/** The rounds of the checkpoints in a folder. */
async function checkpointsIn(folder: Store): Promise<number[]> {
  const rounds = [];
  for (const key of await folder.list("blobs/")) {
    const manifest = decodeSharedManifest(must(await folder.get(key), "a blob"));
    if (!isManifestFault(manifest)) rounds.push(manifest.round);
  }
  return rounds.sort((a, b) => a - b);
}

/** A store that gives other bytes for the pieces of checkpoints. */
function forged(shared: Store): Store {
  return {
    ...shared,
    get: async (key, range) => {
      const bytes = await shared.get(key, range);
      if (!key.startsWith("blobs/") || bytes === undefined || bytes.length < 4000) return bytes;
      return bytes.map((byte, i) => (i === 100 ? byte ^ 1 : byte));
    },
  };
}

describe("a killed node", () => {
  it("goes on as if nothing had happened: 40 kills at random blocks, one root, no round lost", async () => {
    const network = await toyNetwork({ spec: longer(24) });
    const quiet = await toyNetwork({ spec: longer(24) });
    const calm = await quiet.during(Promise.all(all(quiet, ["t1", "t2", "t3"])));
    const random = seededRandom("kills");
    const cast = ["t1", "t2", "t3", "v1", "v2"].map((name) => actor(network, name));
    let kills = 0;
    const first = (await network.twin.run(network.runId)).startBlock;
    const finished = async (): Promise<readonly State[]> => {
      for (;;) {
        const runs = cast.map(({ current }) => current);
        const states = await Promise.race([Promise.all(runs), ...cast.map(({ killed }) => killed())]);
        if (states !== undefined) return states;
      }
    };
    const states = await network.during(finished(), (block) => {
      if (kills === 40 || block < first || random.below(3) > 0) return;
      must(cast[random.below(cast.length)], "an actor").kill();
      kills += 1;
    });
    expect(kills).toBe(40);
    expect(new Set(states.map(named)).size).toBe(1);
    expect(states[0]?.round).toBe(24);
    expect(named(must(states[0], "a state"))).not.toBe(named(must(calm[0], "an end").state));
  });
});

/** A role that can be killed and comes back at once with the folder it had. */
function actor(network: Network, name: string) {
  const local = memoryStore();
  let lifeline: Lifeline = { alive: true };
  let tell: () => void = () => undefined;
  let told = new Promise<undefined>(() => undefined);
  const begin = (): Promise<State> => {
    lifeline = { alive: true };
    told = new Promise((resolve) => {
      tell = () => resolve(undefined);
    });
    const start = {
      local: killable(local, lifeline),
      shared: killable(network.shared, lifeline),
      chain: killable(network.twin, lifeline),
    };
    const run = name.startsWith("t") ? network.trainer(name, start) : network.validator(name, start);
    return run.then(({ state }) => state);
  };
  const self = {
    current: begin(),
    killed: () => told,
    kill() {
      lifeline.alive = false;
      const over = tell;
      self.current = begin();
      over();
    },
  };
  return self;
}

describe("a peer that does not keep to the rules", () => {
  it("is not voted for: no upload, other bytes, another's payload, nonsense", async () => {
    const network = await toyNetwork();
    const nodes = all(network, ["t1"]);
    const record = await network.twin.run(network.runId);
    const acting = network.twin.as(keyOf("liar"));
    await network.during(network.twin.as(keyOf("owner")).register(1, keyOf("liar"), 10n ** 12n));
    const liar = async (): Promise<void> => {
      for (let round = 1; round < 8; round++) {
        await network.twin.waitForBlock(roundStart(record, round) + 2);
        const standing = (await network.twin.commits(network.runId, round))[0];
        const copied = round % 2 === 0 && standing ? standing.payloadHash : (`0x${"7".repeat(64)}` as const);
        await acting.commitPayload(network.runId, round, copied);
      }
    };
    const [, ...ends] = await network.during(Promise.all([liar(), ...nodes]));
    expect(new Set(ends.map(({ state }) => named(state))).size).toBe(1);
    const votes = kinds(must(nodes[1], "v1").log, "vote").map(({ fields }) => fields["uids"]);
    expect(new Set(votes.map(String)).size).toBe(1);
    const faults = kinds(must(nodes[1], "v1").log, "received").flatMap(({ fields }) => fields["fault"] ?? []);
    expect(new Set(faults)).toEqual(new Set(["wrong uid"])); // a copy is signed for somebody else
  });

  it("is told where its hotkey is used twice", async () => {
    const network = await toyNetwork();
    await network.during(network.twin.as(keyOf("owner")).register(1, keyOf("t1"), 10n ** 12n));
    const nodes = all(network, ["t1"]);
    const twin = network.trainer("t1", { batch: 1 });
    await expect(network.during(Promise.all([...nodes, twin]))).rejects.toThrow(
      /another process trains with this hotkey/,
    );
  });
});
