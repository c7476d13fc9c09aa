/** Audits over a shared store that is slow, stale, damaged or away: honest peers pass, nobody is blamed for what a store did, and what is not audited is said. */
import { describe, expect, it, vi } from "vitest";
import { keyOf, type Network, type Start, toyNetwork, toySpec } from "../../../../test/helpers/network.ts";
import { must } from "../../../base/assert.ts";
import { fromUtf8 } from "../../../base/bytes.ts";
import type { LogEvent } from "../../../base/log/log.ts";
import { seededRandom } from "../../../base/random.ts";
import { phaseAt, roundStart } from "../../../chain/rounds.ts";
import { openReference } from "../../../engine/reference/reference.ts";
import { roundsOf } from "../../../run/rules.ts";
import type { RunSpec } from "../../../run/spec.ts";
import { blobKey } from "../../../store/blobs.ts";
import { newsKey } from "../../../store/news.ts";
import type { Store } from "../../../store/store.ts";
import { acting } from "../node.ts";
import { type Following, follow, genesisState } from "../sync.ts";
import { auditRound, keepBase, newAuditing } from "./audit.ts";

vi.setConfig({ testTimeout: 60_000 });

const TIMING = { trainBlocks: 4, revealBlocks: 2, voteBlocks: 3 };
const ROUNDS = 6;

/** Every payload is challenged. */
function spec(timing = TIMING): RunSpec {
  const schedule = { kind: "constant", lr: 0.01, warmupSteps: 2, steps: 4 * ROUNDS } as const;
  return toySpec({ timing, inner: { schedule }, audit: { perMille: 1000, spans: 2, tolerance: 0 } });
}

const kinds = ({ events }: { readonly events: readonly LogEvent[] }, kind: string): LogEvent[] =>
  events.filter((event) => event.kind === kind);

/** Three honest trainers and two validators, of whom v1 sees the world through `start`: what became of v1's audits. */
async function audited(network: Network, start: Start) {
  const nodes = ["t1", "t2", "t3"].map((name) => network.trainer(name));
  const validators = [network.validator("v1", start), network.validator("v2")];
  await network.during(Promise.all([...nodes, ...validators]));
  const { log } = must(validators[0], "v1");
  const verdicts = kinds(log, "audited").map(({ fields }) => `${fields["verdict"]} ${fields["reason"] ?? ""}`.trim());
  return { log, verdicts, unaudited: kinds(log, "unaudited").map(({ fields }) => fields) };
}

const PASSED = Array.from({ length: 3 * (ROUNDS - 1) }, () => "passed");
/** Pieces of vectors are the only blobs of this length. */
const isPiece = (bytes: Uint8Array | undefined): boolean => (bytes?.length ?? 0) > 4000;

/** The shared store, with another way of getting. */
function getting(
  network: Network,
  get: (key: string, real: () => ReturnType<Store["get"]>) => ReturnType<Store["get"]>,
): Store {
  const { shared } = network;
  return { ...shared, get: (key, range) => get(key, () => shared.get(key, range)) };
}

describe("an answer", () => {
  it("whose pieces are there, and are not given at first, is asked for again", async () => {
    const network = await toyNetwork({ spec: spec() });
    const asked = new Set<string>();
    const shared = getting(network, async (key, real) => {
      const bytes = await real();
      if (!isPiece(bytes) || asked.has(key)) return bytes;
      asked.add(key);
      return undefined;
    });
    const { verdicts } = await audited(network, { shared });
    expect(asked.size).toBeGreaterThan(10);
    expect(verdicts).toEqual(PASSED);
  });

  it("whose pieces are there, and are never given, is not audited; who shows it is not blamed", async () => {
    const network = await toyNetwork({ spec: spec() });
    const shared = getting(network, async (_, real) => {
      const bytes = await real();
      return isPiece(bytes) ? undefined : bytes;
    });
    const { verdicts, unaudited } = await audited(network, { shared });
    expect(verdicts.filter((verdict) => verdict !== "passed")).toEqual([]); // zeros have no pieces
    expect(unaudited.length).toBeGreaterThan(3);
    expect(new Set(unaudited.map(({ why }) => why))).toEqual(
      new Set(["there was no time, or pieces were not to be had"]),
    );
  });

  it("that was told of in time, and cannot be had before it is late, is asked for once more", async () => {
    const network = await toyNetwork({ spec: spec() });
    const { record, twin } = network;
    const shared = getting(network, async (key, real) => {
      const bytes = await real();
      const { block } = await twin.head();
      const round = phaseAt(record, block)?.round ?? 0;
      const isAnswer = bytes?.[0] === 0x7b && key.startsWith("blobs/") && fromUtf8(bytes).includes("skein answer");
      return isAnswer && block <= roundStart(record, round, "reveal") ? undefined : bytes;
    });
    const { verdicts } = await audited(network, { shared });
    expect(verdicts).toEqual(PASSED.slice(3)); // each in the round after; nobody is there to replay the last ones
  });

  it("of which a store is silent holds up no other", async () => {
    const network = await toyNetwork({ spec: spec() });
    const { record, twin } = network;
    const key = newsKey({ kind: "answer", account: keyOf("t2").account });
    const shared = getting(network, async (each, real) => {
      const { block } = await twin.head();
      const isSilent = each === key && block >= roundStart(record, 3) && block < roundStart(record, 4);
      if (isSilent) await twin.waitForBlock(roundStart(record, 4, "vote"));
      return real();
    });
    const { log, verdicts, unaudited } = await audited(network, { shared });
    expect(verdicts).toEqual(PASSED.slice(1));
    expect(unaudited.map(({ round }) => round)).toEqual([2]);
    const replays = kinds(log, "replay").filter(({ fields }) => fields["round"] === 2);
    expect(replays).toHaveLength(2);
  });

  it("in whose news' place the store has something else counts against nobody", async () => {
    const network = await toyNetwork({ spec: spec() });
    const key = newsKey({ kind: "answer", account: keyOf("t2").account });
    const shared = getting(network, async (each, real) => {
      const bytes = await real();
      return each === key ? bytes?.map((byte, i) => (i === 90 ? byte ^ 1 : byte)) : bytes;
    });
    const { verdicts, unaudited } = await audited(network, { shared });
    expect(verdicts).toEqual(PASSED.slice(ROUNDS - 1));
    expect(unaudited.map(({ round, why }) => [round, why])).toEqual(
      [0, 1, 2, 3, 4].map((round) => [round, "the shared store was away, or gave something else"]),
    );
  });
});

/** A validator that only audits, and so has no payload in its folder. */
async function auditor(network: Network, name: string, start: Start, signal = new AbortController().signal) {
  const node = acting(await network.node(name, start));
  const { model, inner } = network.spec;
  const auditing = newAuditing(node, await openReference({ shape: model, seqLen: inner.seqLen, microBatch: 8 }));
  const following: Following = { node, state: genesisState(node) };
  const found: string[] = [];
  const waiting: (readonly number[])[] = [];
  for (let round = 0; round < roundsOf(network.spec); round++) {
    await follow(following, round);
    keepBase(auditing, following.state);
    if (round === 0) continue;
    for (const { verdict, reason } of await auditRound(auditing, round - 1, signal)) found.push(reason ?? verdict);
    waiting.push(auditing.backlog.map((each) => round - each.round));
  }
  return { found, waiting };
}

/** What an auditor finds of three honest trainers. */
async function found(network: Network, start: Start, signal?: AbortSignal) {
  const auditing = auditor(network, "v3", start, signal);
  const nodes = ["t1", "t2", "t3"].map((name) => network.trainer(name));
  await network.during(Promise.all([...nodes, ...["v1", "v2"].map((name) => network.validator(name)), auditing]));
  return auditing;
}

/** The shared store, which does not show the payload of `uid` in round `of` while `isHidden`. */
function hiding(
  network: Network,
  uid: number,
  isHidden: (of: number, round: number, blocks: number) => boolean,
): Store {
  const { twin, record, runId } = network;
  return getting(network, async (key, real) => {
    const at = phaseAt(record, (await twin.head()).block);
    for (let of = 0; at !== undefined && of < at.round; of++) {
      const blocks = (await twin.head()).block - roundStart(record, at.round);
      const commit = (await twin.commits(runId, of)).find((each) => each.uid === uid);
      const isIt = commit !== undefined && key === blobKey(commit.payloadHash.slice(2));
      if (isIt && isHidden(of, at.round, blocks)) return undefined;
    }
    return real();
  });
}

describe("a payload", () => {
  it("that an answer goes on from, and that is not given at first, is asked for again", async () => {
    const network = await toyNetwork({ spec: spec() });
    const shared = hiding(network, 3, (of, round, blocks) => round === of + 2 && blocks < 2);
    expect((await found(network, { shared })).found).toEqual(PASSED);
  });

  it("that is challenged, and not given at first, is asked for again", async () => {
    const network = await toyNetwork({ spec: spec() });
    const reads = new Map<number, number>();
    const shared = hiding(network, 3, (of, round) => {
      if (round !== of + 1) return false;
      reads.set(of, (reads.get(of) ?? 0) + 1);
      return reads.get(of) === 2 || reads.get(of) === 3; // the first is the follower's, who would wait for it
    });
    expect((await found(network, { shared })).found).toEqual(PASSED);
    expect([...reads.values()].every((count) => count === 4)).toBe(true);
  });
});

describe("audits", () => {
  it("are made over a slow line", async () => {
    const network = await toyNetwork({ spec: spec({ trainBlocks: 24, revealBlocks: 12, voteBlocks: 18 }) });
    const random = seededRandom("a slow line");
    const slow =
      <A extends readonly unknown[], T>(work: (...args: A) => Promise<T>) =>
      async (...args: A): Promise<T> => {
        await network.clock.sleep(600 + random.below(2000));
        return work(...args);
      };
    const { get, size, put, putIfAbsent, list } = network.shared;
    const shared = {
      ...network.shared,
      get: slow(get),
      size: slow(size),
      put: slow(put),
      putIfAbsent: slow(putIfAbsent),
      list: slow(list),
    };
    expect((await audited(network, { shared })).verdicts).toEqual(PASSED);
  });

  it("that there is no time for wait for one round, and not longer", async () => {
    const network = await toyNetwork({ spec: spec() });
    const { found: none, waiting } = await found(network, {}, AbortSignal.abort());
    expect(none).toEqual([]);
    expect(waiting.flat().every((rounds) => rounds === 1)).toBe(true);
    expect(waiting.map(({ length }) => length)).toEqual([3, 3, 3, 3, 3]);
  });
});
