/**
 * A validator at work in a network, with the production roles: its vote is in time whatever its engine does, its reports agree with those of others to the
 * bit, follow from each other, and survive its being killed; and what is wrong with a payload is found.
 */
import { describe, expect, it, vi } from "vitest";
import { killable } from "../../../../test/helpers/killable.ts";
import { keyOf, type Network, toyNetwork, toySpec } from "../../../../test/helpers/network.ts";
import { must } from "../../../base/assert.ts";
import { SkeinError } from "../../../base/errors.ts";
import { sha256Hex } from "../../../base/hash.ts";
import type { LogEvent } from "../../../base/log/log.ts";
import { roundStart } from "../../../chain/rounds.ts";
import type { SentTensor } from "../../../codec/feedback.ts";
import type { Engine } from "../../../engine/engine.ts";
import { recount } from "../../../score/recount.ts";
import { decodeReport, isReportFault, type Report } from "../../../score/report.ts";
import { MISSING } from "../../../score/standing.ts";
import { blobKey, putBlob } from "../../../store/blobs.ts";
import { memoryStore } from "../../../store/memory.ts";
import { readNewsOf } from "../../../store/news.ts";
import type { Store } from "../../../store/store.ts";
import type { Tamper } from "../trainer/tamper.ts";

vi.setConfig({ testTimeout: 60_000 });

/** A run of so many rounds; a validator judges on few sequences. */
const spec = (rounds: number, overrides: Parameters<typeof toySpec>[0] = {}) =>
  toySpec({ inner: { schedule: { kind: "constant", lr: 0.01, warmupSteps: 2, steps: 4 * rounds } }, ...overrides });
/** Audits would find out most of what is to be found here, too. */
const UNAUDITED = { audit: { perMille: 0 } } as const;
const kinds = ({ events }: { readonly events: readonly LogEvent[] }, kind: string): LogEvent[] =>
  events.filter((event) => event.kind === kind);

/** A validator's shared store, and all reports that it put there, by hash. */
function watched(shared: Store): { readonly shared: Store; readonly reports: Map<string, Report> } {
  const reports = new Map<string, Report>();
  const putIfAbsent: Store["putIfAbsent"] = async (key, bytes) => {
    const report = decodeReport(bytes);
    if (!isReportFault(report)) reports.set(sha256Hex(bytes), report);
    return shared.putIfAbsent(key, bytes);
  };
  return { shared: { ...shared, putIfAbsent }, reports };
}

/** That each report follows from the one that it names. */
function expectChain(reports: ReadonlyMap<string, Report>): void {
  const list = [...reports.values()].sort((a, b) => a.round - b.round);
  expect(new Set(list.map(({ round }) => round)).size).toBe(list.length);
  for (const [i, report] of list.entries()) {
    const previous = report.previous === null ? undefined : must(reports.get(report.previous), "the report before");
    expect(previous).toBe(list[i - 1]);
    expect(recount(previous, report)).toEqual([]);
  }
}

/** An honest trainer with something changed. */
const tampered = (network: Network, name: string, tamper: Tamper) =>
  network.trainer(name, { trainer: (options) => ({ ...options, tamper }) });

describe("reports", () => {
  it("of two validators have the same findings, to the bit, and follow from each other", async () => {
    const network = await toyNetwork({ spec: spec(6) });
    const [one, two] = [watched(network.shared), watched(network.shared)];
    const trainers = ["t1", "t2", "t3"].map((name) => network.trainer(name));
    const validators = [one, two].map(({ shared }, i) => network.validator(`v${i + 1}`, { shared }));
    await network.during(Promise.all([...trainers, ...validators]));
    const [a, b] = [one, two].map(({ reports }) => [...reports.values()].map(({ findings }) => findings));
    expect(a).toHaveLength(6);
    expect(a).toEqual(b);
    expect(must(a?.[3], "a round").filter(({ noise }) => noise !== null)).toHaveLength(3);
    for (const { reports } of [one, two]) expectChain(reports);
  });

  it("go on from what was published where the folder is lost", async () => {
    const network = await toyNetwork({ spec: spec(7), validators: ["v1"] });
    const { shared, reports } = watched(network.shared);
    const stop = new AbortController();
    const trainers = ["t1", "t2"].map((name) => network.trainer(name));
    const first = network.validator("v1", { shared, signal: stop.signal });
    let second: ReturnType<Network["validator"]> | undefined;
    await network.during(Promise.all(trainers), (block) => {
      if (block === roundStart(network.record, 4)) stop.abort();
      if (block === roundStart(network.record, 4) + 1) second = network.validator("v1", { shared });
    });
    await network.during(Promise.all([first, must(second, "the second")]));
    expect(reports.size).toBe(7);
    expectChain(reports);
  });

  it("that could not be published are on the disk until they are, also where the validator is killed meanwhile", async () => {
    const network = await toyNetwork({ spec: spec(8), validators: ["v1"] });
    const { record } = network;
    const { shared, reports } = watched(
      awayIn(network, (key, block) => !key.includes("blobs") && within(record, block, 2, 6)),
    );
    const unpublished: Store["putIfAbsent"] = async (key, bytes) => {
      if (!isReportFault(decodeReport(bytes)) && within(record, (await network.twin.head()).block, 2, 6)) throw AWAY;
      return shared.putIfAbsent(key, bytes);
    };
    const local = memoryStore();
    const stop = new AbortController();
    const seen = { shared: { ...shared, putIfAbsent: unpublished }, local };
    const nodes = ["t1", "t2"].map((name) => network.trainer(name));
    const first = network.validator("v1", { ...seen, signal: stop.signal });
    let second: ReturnType<Network["validator"]> | undefined;
    await network.during(Promise.all(nodes), (block) => {
      if (block === roundStart(record, 5)) stop.abort();
      if (block === roundStart(record, 5) + 1) second = network.validator("v1", seen);
    });
    await network.during(Promise.all([first, must(second, "the second")]));
    expect(reports.size).toBe(8);
    expectChain(reports);
    expect(await local.list("reports/")).toEqual([]);
  });

  it("are all that is left of old rounds: payloads go, also those that grew old while the validator was down", async () => {
    const network = await toyNetwork({ spec: spec(16), validators: ["v1", "v2"] });
    const local = memoryStore();
    const stop = new AbortController();
    const nodes = [...["t1", "t2"].map((name) => network.trainer(name)), network.validator("v2")];
    const first = network.validator("v1", { local, signal: stop.signal });
    let second: ReturnType<Network["validator"]> | undefined;
    await network.during(Promise.all(nodes), (block) => {
      if (block === roundStart(network.record, 4)) stop.abort();
      if (block === roundStart(network.record, 11)) second = network.validator("v1", { local });
    });
    await network.during(Promise.all([first, must(second, "the second")]));
    const held = new Set<number>();
    for (let round = 0; round < 16; round++) {
      for (const { payloadHash } of await network.twin.commits(network.runId, round))
        if ((await local.get(blobKey(payloadHash.slice(2)))) !== undefined) held.add(round);
    }
    expect([...held]).toEqual([11, 12, 13, 14, 15]); // six rounds are kept: those of 10 it has not collected
  });

  it("stay one a round, and one chain, where the validator is killed in every phase", async () => {
    const network = await toyNetwork({ spec: spec(10), validators: ["v1"] });
    const { shared, reports } = watched(network.shared);
    const local = memoryStore();
    const trainers = ["t1", "t2"].map((name) => network.trainer(name));
    let lifeline = { alive: true };
    const begin = (): ReturnType<Network["validator"]> => {
      lifeline = { alive: true };
      const alive = <T extends object>(target: T): T => killable(target, lifeline);
      return network.validator("v1", { local: alive(local), shared: alive(shared), chain: alive(network.twin) });
    };
    let current = begin();
    await network.during(Promise.all(trainers), (block) => {
      if (block < roundStart(network.record, 1) || block % 5 > 0) return; // a round has eight blocks: each of them in turn
      lifeline.alive = false;
      current = begin();
    });
    const { state } = await network.during(current);
    expect(state.round).toBe(10);
    expect(reports.size).toBe(10);
    expectChain(reports);
  });
});

const AWAY = new SkeinError("store", "the store is away");

/** Whether a block is in the rounds from `from` to before `until`. */
const within = (record: Network["record"], block: number, from: number, until: number): boolean =>
  block >= roundStart(record, from) && block < roundStart(record, until);

/** The shared store, away for some keys in some blocks. */
function awayIn({ shared, twin }: Network, isAway: (key: string, block: number) => boolean): Store {
  const check = async (key: string): Promise<void> => {
    if (isAway(key, (await twin.head()).block)) throw AWAY;
  };
  return {
    ...shared,
    get: async (key, range) => check(key).then(() => shared.get(key, range)),
    put: async (key, bytes) => check(key).then(() => shared.put(key, bytes)),
    putIfAbsent: async (key, bytes) => check(key).then(() => shared.putIfAbsent(key, bytes)),
  };
}

describe("a checkpoint", () => {
  const every4 = { checkpointEvery: 4 };

  it("is told of as soon as the store takes the news", async () => {
    const network = await toyNetwork({ spec: spec(8, every4), validators: ["v1"] });
    const shared = awayIn(
      network,
      (key, block) => key.startsWith("news/checkpoint") && within(network.record, block, 0, 7),
    );
    const nodes = [network.trainer("t1"), network.validator("v1", { shared })];
    await network.during(Promise.all(nodes));
    expect((await readNewsOf(network.shared, "checkpoint", keyOf("v1").account))?.round).toBe(4);
  });

  it("that a store takes for ever to take holds up no vote", async () => {
    const network = await toyNetwork({ spec: spec(8, { ...every4, ...UNAUDITED }), validators: ["v1"] });
    const { shared: real, record, twin } = network;
    const shared: Store = {
      ...real,
      putIfAbsent: async (key, bytes) => {
        const { block } = await twin.head();
        if (within(record, block, 4, 5) && block < roundStart(record, 4, "reveal"))
          await twin.waitForBlock(roundStart(record, 6));
        return real.putIfAbsent(key, bytes);
      },
    };
    const validator = network.validator("v1", { shared });
    await network.during(Promise.all([network.trainer("t1"), validator]));
    expect(kinds(validator.log, "vote").map(({ fields }) => fields["round"])).toEqual([...Array(8).keys()]);
    expect(kinds(validator.log, "checkpoint").map(({ fields }) => fields["round"])).toEqual([4]);
    expect((await readNewsOf(real, "checkpoint", keyOf("v1").account))?.round).toBe(4);
  });
});

/** An engine whose evaluation fails, or hangs, from some block on. */
const failing =
  (network: Network, round: number, fail: () => Promise<never>) =>
  (engine: Engine): Engine => ({
    ...engine,
    losses: async (batch) => {
      const { block } = await network.twin.head();
      return block < roundStart(network.record, round) ? engine.losses(batch) : fail();
    },
  });

describe("a vote", () => {
  it.each([
    ["hangs", () => new Promise<never>(() => undefined)],
    ["fails", () => Promise.reject(new SkeinError("engine", "out of order"))],
  ] as const)("is in time where the engine %s, for those whom the validator knows", async (_, fail) => {
    const network = await toyNetwork({ spec: spec(9), validators: ["v1"] });
    const validator = network.validator("v1", { engine: failing(network, 6, fail) });
    const trainers = ["t1", "t2"].map((name) => network.trainer(name));
    let late: ReturnType<Network["trainer"]> | undefined;
    await network.during(Promise.all([...trainers, validator]), (block) => {
      if (block === roundStart(network.record, 5, "vote")) late = network.trainer("t3");
    });
    const votes = kinds(validator.log, "vote").map(({ fields }) => fields["uids"] as number[]);
    expect(votes.map(({ length }) => length)).toEqual(Array.from({ length: 9 }, () => 2)); // never the newcomer, whom nobody could judge
    expect(kinds(must(late, "the newcomer").log, "payload").length).toBeGreaterThan(2);
    for (const { fields } of kinds(must(late, "the newcomer").log, "outcome")) expect(fields["applied"]).toBe(false);
  });

  it("is not for whoever is known, is drawn, and sends when there is no time to judge", async () => {
    const timing = { trainBlocks: 4, revealBlocks: 2, voteBlocks: 6 };
    const network = await toyNetwork({ spec: spec(8, { timing, ...UNAUDITED }), validators: ["v1"] });
    const { record, shared, twin } = network;
    const tardy: Store = {
      ...shared,
      putIfAbsent: async (key, bytes) => {
        const round = Math.floor(((await twin.head()).block - record.startBlock) / 12);
        if (round >= 6) await twin.waitForBlock(roundStart(record, round, "vote"));
        return shared.putIfAbsent(key, bytes);
      },
    };
    const validator = network.validator("v1", { engine: failing(network, 6, () => new Promise(() => undefined)) });
    const [t1, late] = [network.trainer("t1"), network.trainer("late", { shared: tardy })];
    await network.during(Promise.all([t1, late, validator]));
    const votes = kinds(validator.log, "vote").map(({ fields }) => fields["uids"]);
    expect(votes).toEqual([...Array.from({ length: 6 }, () => [1, 2]), [1], [1]]);
  });

  it("is for those whose payloads come while the store is silent about another's", async () => {
    const network = await toyNetwork({ spec: spec(5, UNAUDITED), validators: ["v1"] });
    const { record, runId, twin, shared } = network;
    const silent: Store = {
      ...shared,
      get: async (key, range) => {
        const [first] = await twin.commits(runId, 3);
        const isIt = first !== undefined && key === blobKey(first.payloadHash.slice(2));
        if (isIt && (await twin.head()).block < roundStart(record, 4)) await twin.waitForBlock(roundStart(record, 4));
        return shared.get(key, range);
      },
    };
    const validator = network.validator("v1", { shared: silent });
    await network.during(Promise.all([...["t1", "t2", "t3"].map((name) => network.trainer(name)), validator]));
    const votes = kinds(validator.log, "vote").map(({ fields }) => fields["uids"]);
    expect(votes).toEqual([
      [1, 2, 3],
      [1, 2, 3],
      [1, 2, 3],
      [2, 3],
      [1, 2, 3],
    ]);
  });

  it("is for those whom the validator knows, where its store was away when payloads were shown", async () => {
    const network = await toyNetwork({
      spec: spec(8, { timing: { trainBlocks: 4, revealBlocks: 2, voteBlocks: 6 }, ...UNAUDITED }),
      validators: ["v1"],
    });
    const { record } = network;
    const isAway = (block: number, round: number): boolean =>
      block >= roundStart(record, round, "reveal") && block < roundStart(record, round, "vote");
    const shared = awayIn(network, (key, block) => key.startsWith("blobs/") && (isAway(block, 6) || isAway(block, 7)));
    const engine = failing(network, 6, () => new Promise(() => undefined));
    const validator = network.validator("v1", { shared, engine });
    await network.during(Promise.all([network.trainer("t1"), network.trainer("t2"), validator]));
    expect(kinds(validator.log, "vote").map(({ fields }) => fields["uids"])).toEqual(Array(8).fill([1, 2]));
  });

  it("is left out where it would come too late, and nobody is found missing", async () => {
    const network = await toyNetwork({ spec: spec(4), validators: ["v1"] });
    const { shared, reports } = watched(network.shared);
    const trainer = network.trainer("t1");
    let validator: ReturnType<Network["validator"]> | undefined;
    await network.during(trainer, (block) => {
      if (block === roundStart(network.record, 1) - 1) validator = network.validator("v1", { shared });
    });
    const running = must(validator, "the validator");
    await network.during(running);
    expect(kinds(running.log, "late").map(({ fields }) => fields["round"])).toEqual([0]);
    const rounds = [...reports.values()];
    expect(rounds.map(({ round }) => round)).toEqual([1, 2, 3]);
    expect(rounds.flatMap(({ findings }) => findings).map(({ fault }) => fault)).not.toContain(MISSING);
  });
});

/** The reports of a lone validator on what three honest trainers and `name` send. */
async function findingsOn(tamper: Tamper, rounds = 6): Promise<{ readonly reports: Report[]; readonly uid: number }> {
  const network = await toyNetwork({ spec: spec(rounds, UNAUDITED), validators: ["v1"] });
  const { shared, reports } = watched(network.shared);
  const honest = ["t1", "t2", "t3"].map((name) => network.trainer(name));
  await network.during(Promise.all([...honest, tampered(network, "x", tamper), network.validator("v1", { shared })]));
  expectChain(reports);
  const { neurons } = await network.twin.metagraph(network.record.netuid);
  const uid = neurons.findIndex(({ hotkey }) => hotkey === network.signer("x").account);
  const list = [...reports.values()];
  for (const { findings } of list) {
    const others = findings.filter((each) => each.uid !== uid);
    expect(others.map(({ fault, copyOf }) => [fault, copyOf])).toEqual(others.map(() => [null, null]));
  }
  return { reports: list, uid };
}

describe("a payload", () => {
  it.each<[string, Tamper]>([
    ["absurd tokens", { header: (header) => ({ ...header, tokens: 7 }) }],
    ["absurd tokens", { header: (header) => ({ ...header, tokens: 0 }) }],
    ["wrong data digest", { header: (header) => ({ ...header, dataDigest: new Uint8Array(32) }) }],
    ["wrong data digest", { header: (header) => ({ ...header, tokens: header.tokens / 2 }) }],
    ["norm far from the field", { sent: (tensors) => tensors.map((each) => scaled(each, 64)) }],
    ["norm far from the field", { sent: (tensors) => tensors.map((each) => scaled(each, 0)) }],
  ])("is not backed where there is this wrong with it: %s", async (fault, tamper) => {
    const { reports, uid } = await findingsOn(tamper, 3);
    const faults = reports.flatMap(({ findings }) => findings.filter((each) => each.uid === uid));
    expect(faults.map((each) => each.fault)).toEqual(faults.map(() => fault));
    expect(faults.length).toBeGreaterThan(1);
    expect(faults.map(({ share }) => share)).toEqual(faults.map(() => 0));
    for (const { backed } of reports) expect(backed).not.toContain(uid);
  });

  it("is not backed where it repeats what its sender had applied before", async () => {
    const old: (readonly SentTensor[])[] = [];
    const sent = (tensors: readonly SentTensor[]): readonly SentTensor[] => {
      old.push(tensors);
      return old[0] ?? [];
    };
    const { reports, uid } = await findingsOn({ sent }, 4);
    const copies = reports.map(({ findings }) => findings.find((each) => each.uid === uid)?.copyOf ?? null);
    const of = (round: number) => ({ uid, round, likeness: 1 });
    expect(copies).toEqual([null, of(0), null, of(2)]); // what was not applied, anybody's error feedback sends again
    for (const round of [1, 3]) expect(reports[round]?.backed).not.toContain(uid);
  });

  it("is not backed where another promised the same before: of two clones one counts, the honest lose nothing", async () => {
    const made = new Map<number, readonly SentTensor[]>();
    const network = await toyNetwork({ spec: spec(6, UNAUDITED), validators: ["v1"] });
    const { shared, reports } = watched(network.shared);
    const clone = (tensors: readonly SentTensor[], round: number): readonly SentTensor[] => {
      const first = made.get(round) ?? tensors;
      made.set(round, first);
      return first;
    };
    const nodes = [
      network.trainer("t1"),
      tampered(network, "a", { sent: clone }),
      tampered(network, "b", { sent: clone }),
      network.validator("v1", { shared }),
    ];
    await network.during(Promise.all(nodes));
    const { neurons } = await network.twin.metagraph(network.record.netuid);
    const [a, b] = ["a", "b"].map((name) => neurons.findIndex(({ hotkey }) => hotkey === keyOf(name).account));
    for (const { round, findings, backed } of reports.values()) {
      const copies = findings.filter(({ copyOf }) => copyOf !== null);
      expect(copies).toHaveLength(1);
      expect([a, b]).toContain(copies[0]?.uid);
      expect([a, b]).toContain(copies[0]?.copyOf?.uid);
      expect(copies[0]?.copyOf).toMatchObject({ round, likeness: 1 });
      expect(backed).toHaveLength(2);
      expect(backed).not.toContain(copies[0]?.uid);
    }
    expectChain(reports);
  });

  it("of a uid that the run deals no data to is a fault and nothing more", async () => {
    const network = await toyNetwork({ spec: spec(4, { uids: 3 }), validators: ["v1"] });
    const { shared, reports } = watched(network.shared);
    const nodes = [network.trainer("t1"), network.validator("v1", { shared })];
    const register = async (name: string): Promise<void> =>
      void (await network.twin.as(keyOf("owner")).register(1, keyOf(name), 10n ** 12n));
    const stranger = async (): Promise<void> => {
      const bytes = new Uint8Array(100);
      const hash = sha256Hex(bytes);
      await network.twin.waitForBlock(roundStart(network.record, 0, "reveal")); // by then t1 has its uid
      for (const name of ["i", "j", "k"]) await register(name);
      for (let round = 1; round < 4; round++) {
        await network.twin.waitForBlock(roundStart(network.record, round));
        await network.twin.as(keyOf("k")).commitPayload(network.runId, round, `0x${hash}`);
        await putBlob(network.shared, bytes);
      }
    };
    await network.during(Promise.all([...nodes, stranger()]));
    const faults = [...reports.values()].flatMap(({ findings }) => findings.filter(({ uid }) => uid > 2));
    expect(faults.map(({ fault }) => fault)).toEqual(faults.map(() => "no data for this uid"));
    expect(faults).toHaveLength(3);
    expectChain(reports);
  });
});

function scaled(tensor: SentTensor, factor: number): SentTensor {
  const [low, high = low] = tensor.levels;
  return { ...tensor, levels: [low * factor, high * factor] };
}
