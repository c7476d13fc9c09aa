/** Challenges and answers between the production roles, on the chain's twin: who works honestly passes, who does not is found out. */
import { describe, expect, it, vi } from "vitest";
import { killable, type Lifeline } from "../../../test/helpers/killable.ts";
import { keyOf, type Network, type Start, toyNetwork, toySpec } from "../../../test/helpers/network.ts";
import { mutated } from "../../../test/helpers/payload-fuzz.ts";
import { must } from "../../base/assert.ts";
import { SkeinError } from "../../base/errors.ts";
import type { LogEvent } from "../../base/log/log.ts";
import { seededRandom } from "../../base/random.ts";
import { roundStart } from "../../chain/rounds.ts";
import type { Engine } from "../../engine/engine.ts";
import { openReference } from "../../engine/reference/reference.ts";
import { roundsOf } from "../../run/rules.ts";
import type { RunSpec } from "../../run/spec.ts";
import { memoryStore } from "../../store/memory.ts";
import type { Store } from "../../store/store.ts";
import { acting } from "./node.ts";
import { type Following, follow, genesisState } from "./sync.ts";
import type { Tamper } from "./trainer/tamper.ts";
import { runTrainer } from "./trainer/trainer.ts";
import { type Audit, auditRound, keepBase, newAuditing } from "./validator/audit.ts";

vi.setConfig({ testTimeout: 60_000 }); // seconds alone, more where other tests share the processor

interface Seen {
  readonly round: number;
  readonly uid: number;
  readonly part: number;
  readonly verdict: string;
  readonly reason: string | null;
}

const kinds = ({ events }: { readonly events: readonly LogEvent[] }, kind: string): LogEvent[] =>
  events.filter((event) => event.kind === kind);
const auditsOf = (log: { readonly events: readonly LogEvent[] }): Seen[] =>
  kinds(log, "audited").map(({ fields }) => fields as unknown as Seen);
const bad = (audits: readonly Seen[]): Seen[] => audits.filter(({ verdict }) => verdict !== "passed");

/** A toy run in which every payload is challenged. */
function spec(overrides: Parameters<typeof toySpec>[0] = {}): RunSpec {
  return toySpec({ ...overrides, audit: { perMille: 1000, spans: 2, tolerance: 0, ...overrides.audit } });
}

/** Runs trainers with two validators to the end; what the first validator found. */
async function run(network: Network, starts: Readonly<Record<string, Start>>, more: readonly Promise<unknown>[] = []) {
  const nodes = Object.entries(starts).map(([name, start]) => network.trainer(name, start));
  const validators = ["v1", "v2"].map((name) => network.validator(name));
  await network.during(Promise.all([...nodes, ...validators, ...more]));
  const [one, two] = validators.map(({ log }) => auditsOf(log));
  expect(two).toEqual(one);
  return { nodes, audits: must(one, "v1's audits") };
}

/** A store that is away while `away` says so. */
function unreliable(store: Store, away: () => Promise<boolean>): Store {
  const checked =
    <A extends readonly unknown[], T>(work: (...args: A) => Promise<T>) =>
    async (...args: A): Promise<T> => {
      if (await away()) throw new SkeinError("store", "the store is away");
      return work(...args);
    };
  return {
    get: checked(store.get),
    size: checked(store.size),
    put: checked(store.put),
    putIfAbsent: checked(store.putIfAbsent),
    list: checked(store.list),
    delete: checked(store.delete),
  };
}

describe("honest peers", () => {
  it.each([
    ["without delay", {}],
    ["with delay", { outer: { delay: 1 as const } }],
    ["with fresh moments", { inner: { resetMoments: true } }],
    ["with a span a step", { audit: { spans: 4 } }],
    ["with one span", { audit: { spans: 1 } }],
  ])("pass every audit, %s", async (_, overrides) => {
    const network = await toyNetwork({ spec: spec(overrides) });
    const { audits } = await run(network, { t1: {}, t2: { batch: 1 } });
    expect(bad(audits)).toEqual([]);
    expect(audits.length).toBe(18); // two in each of nine rounds; nobody is there to ask for the tenth
    expect(new Set(audits.map(({ part }) => part)).size).toBeGreaterThan(1);
  });

  it("pass where a round came too late, before its payload or with it, and after null rounds", async () => {
    const network = await toyNetwork({ spec: spec() });
    const { twin, runId } = network;
    const record = await twin.run(runId);
    const away = async (): Promise<boolean> => {
      const { block } = await twin.head();
      return block >= roundStart(record, 4, "reveal") && block < roundStart(record, 5);
    };
    let slept = false;
    const slow: Network["twin"] = {
      ...twin,
      async head() {
        const { block } = await twin.head();
        if (!slept && block >= roundStart(record, 2)) {
          slept = true;
          await twin.waitForBlock(roundStart(record, 2, "reveal"));
        }
        return twin.head();
      },
      as: (signer) => ({
        ...twin.as(signer),
        async commitPayload(id, round, hash) {
          if (round === 6) await twin.waitForBlock(roundStart(record, 6, "reveal"));
          return twin.as(signer).commitPayload(id, round, hash);
        },
      }),
    };
    const shared = unreliable(network.shared, away);
    const { nodes, audits } = await run(network, { t1: { chain: slow, shared }, t2: { shared } });
    const late = kinds(must(nodes[0], "t1").log, "late").map(({ fields }) => fields["round"]);
    expect(late).toEqual([2, 6]);
    expect(bad(audits)).toEqual([]);
    expect(audits.filter(({ round }) => round === 3).length).toBe(2);
    expect(audits.filter(({ round }) => round === 7).length).toBe(2);
  });

  it("pass whenever they are killed", async () => {
    const network = await toyNetwork({ spec: spec() });
    const record = await network.twin.run(network.runId);
    const random = seededRandom("killed under audit");
    const local = memoryStore();
    let lifeline: Lifeline = { alive: true };
    let kills = 0;
    const begin = () => {
      lifeline = { alive: true };
      const chain = killable(network.twin, lifeline);
      return network.trainer("t1", {
        local: killable(local, lifeline),
        shared: killable(network.shared, lifeline),
        chain,
      });
    };
    let current = begin();
    const validators = ["v1", "v2"].map((name) => network.validator(name));
    await network.during(Promise.all([network.trainer("t2"), ...validators]), (block) => {
      if (block < record.startBlock || random.below(5) > 0) return;
      lifeline.alive = false;
      current = begin();
      kills += 1;
    });
    await network.during(current);
    expect(kills).toBeGreaterThan(10);
    const audits = auditsOf(must(validators[0], "v1").log);
    expect(bad(audits)).toEqual([]);
    expect(audits.length).toBeGreaterThanOrEqual(14);
  });
});

/** Six rounds. */
const SHORT = { schedule: { kind: "constant", lr: 0.01, warmupSteps: 2, steps: 24 } } as const;

/** How a peer deviates. */
interface Cheat {
  readonly tamper?: Tamper;
  readonly engine?: (engine: Engine) => Engine;
  readonly shared?: (shared: Store) => Store;
}

/** A trainer that deviates. */
async function cheater(network: Network, name: string, { tamper, engine, shared }: Cheat): Promise<void> {
  const node = acting(await network.node(name, shared ? { shared: shared(network.shared) } : {}));
  const { spec, twin } = network;
  const honest = await openReference({ shape: spec.model, seqLen: spec.inner.seqLen, microBatch: 8 });
  const register = async (): Promise<void> => {
    await twin.as(keyOf("owner")).register(1, keyOf(name), 10n ** 12n);
  };
  await runTrainer({ node, engine: engine?.(honest) ?? honest, register, ...(tamper && { tamper }) });
}

const CHEATS: readonly (readonly [string, Cheat, verdict: string, reason: RegExp])[] = [
  ["does half of the steps", { engine: everyOther }, "refuted", /the steps lead elsewhere/],
  [
    "trains on other data",
    { engine: (engine) => ({ ...engine, trainStep: (batch, options) => engine.trainStep(shifted(batch), options) }) },
    "refuted",
    /the steps lead elsewhere/,
  ],
  [
    "begins with moments of its own",
    {
      engine: (engine) => ({
        ...engine,
        write: (name, values, at) => engine.write(name, name === "m" ? values.map((x) => 2 * x) : values, at),
      }),
    },
    "unanswered", // it shows what it began with, which is not what it has committed to
    /vectors are not those of the commitment/,
  ],
  [
    "sends something else than its work",
    { tamper: { work: (work) => ({ ...work, delta: work.delta.map((x) => -x) }) } },
    "refuted",
    /the work compresses to another payload/,
  ],
  [
    "commits to nothing",
    { tamper: { header: (header) => ({ ...header, workCommitment: new Uint8Array(32) }) } },
    "unanswered",
    /leaves are not those of the commitment/,
  ],
  ["does not answer", { shared: (shared) => without(shared, "news/answer/") }, "unanswered", /no answer/],
];

describe("an engine that computes other bits", () => {
  /** The engine, with params a little off after every step. */
  const other = (engine: Engine): Engine => ({
    ...engine,
    deterministic: false,
    async trainStep(batch, options) {
      const result = await engine.trainStep(batch, options);
      const params = await engine.read("params");
      await engine.write(
        "params",
        params.map((x, i) => x * (i % 2 === 0 ? 1.000001 : 0.999999)),
      );
      return result;
    },
  });

  it("passes within the tolerance of a run that admits it", async () => {
    const network = await toyNetwork({ spec: spec({ audit: { tolerance: 0.02 } }) });
    const { audits } = await run(network, { t1: {} }, [cheater(network, "t3", { engine: other })]);
    expect(bad(audits)).toEqual([]);
    expect(audits.length).toBe(18);
  });

  it("does not begin where the run admits exact work only", async () => {
    const network = await toyNetwork({ spec: spec() });
    const refused = cheater(network, "t3", { engine: other });
    await expect(network.during(refused)).rejects.toMatchObject({ code: "config", remedy: "take the exact engine" });
  });
});

/** Follows the run and audits every round with the signal that it is given for it. */
async function auditor(
  network: Network,
  name: string,
  signalIn: (round: number) => AbortSignal,
  start: Start = {},
): Promise<Audit[][]> {
  const node = acting(await network.node(name, start));
  const { model, inner } = network.spec;
  const engine = await openReference({ shape: model, seqLen: inner.seqLen, microBatch: 8 });
  const auditing = newAuditing(node, engine);
  const following: Following = { node, state: genesisState(node) };
  const found: Audit[][] = [];
  for (let round = 0; round < roundsOf(network.spec); round++) {
    await follow(following, round);
    keepBase(auditing, following.state);
    if (round > 0) found.push([...(await auditRound(auditing, round - 1, signalIn(round)))]);
  }
  return found;
}

describe("an audit", () => {
  it("that has no time is made in the next round, and one without an answer is not", async () => {
    const network = await toyNetwork({ spec: spec() });
    const none = AbortSignal.abort();
    const late = auditor(network, "v3", (round) => (round === 4 ? none : new AbortController().signal));
    const never = auditor(network, "v4", () => none);
    await run(network, { t1: {}, t2: {} }, [late, never]);
    const counts = (await late).map((audits) => audits.length);
    expect(counts).toEqual([2, 2, 2, 0, 4, 2, 2, 2, 2]);
    expect((await late).flat().every(({ verdict }) => verdict === "passed")).toBe(true);
    expect((await never).flat()).toEqual([]);
  });

  it("is made of nobody whose uid has another holder by then", async () => {
    const network = await toyNetwork({ spec: spec({ inner: SHORT }) });
    const { twin, record } = network;
    const isOver = async (): Promise<boolean> => (await twin.head()).block >= roundStart(record, 3);
    let lost: number | undefined;
    const metagraph: Network["twin"]["metagraph"] = async (netuid) => {
      const found = await twin.metagraph(netuid);
      if (!(await isOver())) return found;
      lost = found.neurons.find(({ hotkey }) => hotkey === keyOf("t2").account)?.uid;
      const taken = { hotkey: keyOf("another").account, registeredAt: found.block };
      return { ...found, neurons: found.neurons.map((each) => (each.uid === lost ? { ...each, ...taken } : each)) };
    };
    const found = auditor(network, "v3", () => new AbortController().signal, { chain: { ...twin, metagraph } });
    await run(network, { t1: {}, t2: {} }, [found]);
    const rounds = (await found).map((audits) => audits.filter(({ uid }) => uid === lost).length);
    expect(rounds).toEqual([1, 1, 0, 0, 0]); // what was promised in round 2, too: it is audited in round 3
    expect((await found).map(({ length }) => length)).toEqual([2, 2, 1, 1, 1]);
  });

  it("is made of nobody whose round began before the validator did", async () => {
    const network = await toyNetwork({ spec: spec() });
    const node = acting(await network.node("v3"));
    const { model, inner } = network.spec;
    const engine = await openReference({ shape: model, seqLen: inner.seqLen, microBatch: 8 });
    const record = await network.twin.run(network.runId);
    const fresh = async (): Promise<readonly Audit[]> => {
      await network.twin.waitForBlock(roundStart(record, 3));
      return auditRound(newAuditing(node, engine), 2, new AbortController().signal);
    };
    const found = fresh();
    await run(network, { t1: {} }, [found]);
    expect(await found).toEqual([]);
  });
});

describe("a store that gives anything", () => {
  it("makes nobody be blamed, and ends nothing", async () => {
    const network = await toyNetwork({ spec: spec() });
    const random = seededRandom("a hostile store");
    const wild = (shared: Store): Store => ({
      ...shared,
      get: async (key, range) => {
        const bytes = await shared.get(key, range);
        return bytes !== undefined && random.below(3) === 0 ? mutated(bytes, random) : bytes;
      },
    });
    const nodes = ["t1", "t2"].map((name) => network.trainer(name));
    const validators = [network.validator("v1"), network.validator("v2", { shared: wild(network.shared) })];
    await network.during(Promise.all([...nodes, ...validators]));
    const [sane, misled] = validators.map(({ log }) => auditsOf(log));
    expect(bad(must(sane, "v1's audits"))).toEqual([]);
    expect(bad(must(misled, "v2's audits"))).toEqual([]); // looked for from block to block, and nobody is blamed for what a store did
    expect(must(misled, "v2's audits").length).toBeGreaterThan(10);
  });
});

describe("a peer that", () => {
  it.each(CHEATS)("%s is found out, and nobody else", async (_, cheat, verdict, reason) => {
    const network = await toyNetwork({ spec: spec({ inner: SHORT, audit: { spans: 1 } }) });
    const { audits } = await run(network, { t1: {} }, [cheater(network, "t3", cheat)]);
    const uids = new Map((await network.twin.metagraph(1)).neurons.map(({ uid, hotkey }) => [hotkey, uid]));
    const found = bad(audits);
    expect(new Set(found.map(({ uid }) => uid))).toEqual(new Set([uids.get(keyOf("t3").account)]));
    for (const each of found) {
      expect(each.verdict).toBe(verdict);
      expect(each.reason).toMatch(reason);
    }
    expect(must(found[0], "a verdict").round).toBeLessThan(5);
  });

  it("shows no payload where it is challenged has not answered, unless half of them are missing", async () => {
    const network = await toyNetwork({ spec: spec({ inner: SHORT }) });
    const record = await network.twin.run(network.runId);
    const hiding = (from: number, to: number): Cheat => ({
      shared: (shared) => ({
        ...shared,
        async putIfAbsent(key, bytes) {
          const { block } = await network.twin.head();
          const isHidden = block >= roundStart(record, from) && block < roundStart(record, to);
          return isHidden && bytes[0] === 0x53 ? false : shared.putIfAbsent(key, bytes); // S, of SKPL
        },
      }),
    });
    const cheaters = [cheater(network, "t3", hiding(2, 5)), cheater(network, "t4", hiding(4, 5))];
    const { audits } = await run(network, { t1: {}, t2: {} }, cheaters);
    const uids = new Map((await network.twin.metagraph(1)).neurons.map(({ uid, hotkey }) => [hotkey, uid]));
    const found = bad(audits).map(({ round, uid, verdict, reason }) => ({ round, uid, verdict, reason }));
    const withheld = { uid: uids.get(keyOf("t3").account), verdict: "unanswered", reason: "the payload was not shown" };
    expect(found).toEqual([2, 3].map((round) => ({ round, ...withheld })));
  });

  it("leaves out a part of its answer has not answered", async () => {
    const network = await toyNetwork({ spec: spec() });
    let pieces = 0;
    const losing = (shared: Store): Store => ({
      ...shared,
      putIfAbsent: async (key, bytes) =>
        bytes.length > 4000 && pieces++ % 2 === 0 ? false : shared.putIfAbsent(key, bytes),
    });
    const { audits } = await run(network, { t1: {} }, [cheater(network, "t3", { shared: losing })]);
    const found = bad(audits);
    expect(found.length).toBeGreaterThan(2);
    for (const { verdict, reason } of found) expect([verdict, reason]).toEqual(["unanswered", "pieces are missing"]);
  });
});

/** An engine that only says that it made every other step. */
function everyOther(engine: Engine): Engine {
  let step = 0;
  return {
    ...engine,
    trainStep: async (batch, options) =>
      step++ % 2 === 0 ? engine.trainStep(batch, options) : { loss: 1, gradNorm: 1, applied: true },
  };
}

function shifted<T extends { readonly tokens: Int32Array }>(batch: T): T {
  return { ...batch, tokens: batch.tokens.map((token) => (token + 1) % 13) };
}

/** A store to which nothing can be written that begins with `prefix`. */
function without(shared: Store, prefix: string): Store {
  return { ...shared, put: async (key, bytes) => (key.startsWith(prefix) ? undefined : shared.put(key, bytes)) };
}
