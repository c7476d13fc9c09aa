import { describe, expect, it } from "vitest";
import { COIN, testHash, testSigner } from "../../../test/contract/chain-kit.ts";
import { finding, reportOn } from "../../../test/helpers/reports.ts";
import { must } from "../../base/assert.ts";
import { utf8 } from "../../base/bytes.ts";
import { manualClock } from "../../base/clock.ts";
import { SkeinError } from "../../base/errors.ts";
import type { Hash, RunRecord, Signer } from "../../chain/chain.ts";
import { roundStart } from "../../chain/rounds.ts";
import { createTwin, type Twin } from "../../chain/twin/twin.ts";
import { specHash } from "../../run/parse.ts";
import { RUN_PRESETS } from "../../run/presets.ts";
import type { RunSpec } from "../../run/spec.ts";
import { encodeReport, type Report } from "../../score/report.ts";
import type { Finding } from "../../score/standing.ts";
import { putBlob } from "../../store/blobs.ts";
import { memoryStore } from "../../store/memory.ts";
import { encodeNews, newsKey, putNews, signNews } from "../../store/news.ts";
import type { Store } from "../../store/store.ts";
import { gatherStatus, type RunStatus, type StatusQuestion } from "./gather.ts";
import { peerIn, troubleOf } from "./peer.ts";
import type { SignedReport } from "./reports.ts";
import { newestLoss, statusEvents, statusLines } from "./view.ts";

const HEX = "ab".repeat(32);
const { model, inner, codec, outer, timing, checkpointEvery, score, audit, uids } = RUN_PRESETS.tiny;
const rules = { inner, codec, outer, timing, checkpointEvery, score, audit, uids };
const spec: RunSpec = {
  ...{ protocol: 1, name: "tiny", model, seed: "1", genesisRoot: HEX },
  ...{ data: { manifest: HEX, tokenizer: HEX }, ...rules },
};
const [owner, peer, stranger] = [testSigner("owner"), testSigner("peer"), testSigner("stranger")];
const link = `http://127.0.0.1:8640/r/${specHash(spec)}`;

interface Bench {
  readonly chain: Twin;
  readonly record: RunRecord;
  readonly store: Store;
  ask(): Promise<RunStatus>;
}

/** A run in whose subnet the owner validates and one peer trains. */
async function bench(): Promise<Bench> {
  const balances = new Map([owner, peer].map(({ account }): [Hash, bigint] => [account, 5000n * COIN]));
  const chain = createTwin({ balances, lockMin: COIN });
  await chain.as(owner).createSubnet(owner, COIN, { tempo: 10, maxUids: 8 });
  await chain.as(owner).addStake(1, owner.account, 1000n * COIN);
  await chain.as(peer).register(1, peer, 10n * COIN);
  chain.mine(12);
  await chain.as(owner).stepEpoch(1); // the owner gets its permit
  const startBlock = (await chain.head()).block + 2;
  const terms = { netuid: 1, specHash: `0x${specHash(spec)}`, genesisRoot: `0x${HEX}`, startBlock, ...timing } as const;
  const { runId } = await chain.as(owner).createRun(terms);
  const record = await chain.run(runId);
  const store = memoryStore();
  const question: StatusQuestion = { spec, specHash: specHash(spec), store, connect: async () => ({ chain, record }) };
  return { chain, record, store, ask: () => gatherStatus(question) };
}

/** Makes blocks until the next transaction is in `block`. */
async function until({ chain }: Bench, block: number): Promise<void> {
  chain.mine(block - 1 - (await chain.head()).block);
}

/** A round in which the peer commits and the owner votes for it. */
async function playRound(each: Bench, round: number): Promise<void> {
  const { chain, record } = each;
  await until(each, roundStart(record, round));
  await chain.as(peer).commitPayload(0, round, testHash(`payload ${round}`));
  await until(each, roundStart(record, round, "vote"));
  await chain.as(owner).vote(0, round, [1], testHash("root"));
  await until(each, roundStart(record, round + 1));
  await chain.as(owner).decideRound(0, round);
}

const unjudged = {
  share: 0,
  drawn: false,
  gainAssigned: null,
  gainUnassigned: null,
  noise: null,
  noiseAssigned: null,
} as const;
const accounts = [owner.account, peer.account];
const reported = (more: Partial<Finding> = {}): Finding => finding(1, peer.account, more);

async function publish(
  store: Store,
  signer: Signer,
  round: number,
  validationLoss: number,
  findings = [reported()],
): Promise<void> {
  const facts = { specHash: specHash(spec), round, accounts, findings, validationLoss };
  const hash = await putBlob(store, encodeReport(reportOn(facts)));
  await putNews(store, { kind: "report", round, hash, account: signer.account }, signer.sign);
}

const text = (status: RunStatus, seconds = status.chain?.head.timestamp ?? 0): string =>
  statusLines({ link, spec, status, clock: manualClock(seconds * 1000) }).join("\n");

describe("status", () => {
  it("tells rounds, loss, peers and checkpoints of a run under way", async () => {
    const each = await bench();
    const { store, ask } = each;
    await playRound(each, 0);
    await until(each, roundStart(each.record, 2)); // round 1 passes without anybody
    await playRound(each, 2);
    await publish(store, owner, 2, 4.301);
    const checkpoint = { kind: "checkpoint", round: 2, hash: HEX, account: owner.account } as const;
    await putNews(store, checkpoint, owner.sign);
    const status = await ask();
    const { chain } = status;
    expect(status.unreachable).toEqual([]);
    expect(must(chain, "chain").rounds).toMatchObject([
      { round: 0, commits: 1, votes: 1, over: true, selected: [1], decision: { accepted: [1] } },
      { round: 1, commits: 0, votes: 0, over: true, selected: [], decision: undefined },
      { round: 2, commits: 1, votes: 1, over: true, selected: [1] },
      { round: 3, commits: 0, votes: 0, over: false, selected: [] },
    ]);
    const said = text(status);
    expect(said).toContain(`run     tiny: ${link}`);
    expect(said).toContain("round 3 of 10, train");
    expect(said).toContain("loss    4.301 on validation text before round 2, by 1 validator\n");
    expect(said).toContain("saved   checkpoint before round 2, by 1 validator: abababababab");
    expect(said).toMatch(/\n +0 +1 +1 +1 +1\n +1 +0 +0 +null\n +2 +1 +1 +1 +1 +4\.301\n +3 +0 +0 +open\n/);
    expect(said).toMatch(/\n +0 {2}0x\S+ +1,0\d\d\S* .* validator\n/);
    expect(said).toMatch(/\n +1 {2}0x\S+ .* 0\.0\d +3\.12 kB/);
    expect(said).not.toContain("WARNING");
    expect(text(status, 1e6)).toContain("WARNING: the chain stands still");
    expect(Math.max(...said.split("\n").map((line) => line.length))).toBeLessThan(160);
  });

  it("says so before the first round", async () => {
    const said = text(await (await bench()).ask());
    expect(said).toContain("not begun: round 0 of 10 starts in block");
    expect(said).not.toContain("committed");
    expect(said).toContain("incentive");
  });

  it("shows the last eight rounds, also when the run is over", async () => {
    const each = await bench();
    await until(each, roundStart(each.record, 40));
    const { chain } = await each.ask();
    expect(must(chain, "chain").rounds.map(({ round }) => round)).toEqual([2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it("believes no news that is not signed by its account, nor anybody without a permit", async () => {
    const each = await bench();
    const { store, ask } = each;
    await publish(store, owner, 2, 4.301);
    await publish(store, stranger, 3, 1.0);
    await publish(store, peer, 3, 2.0);
    const forged = await signNews({ kind: "report", round: 9, hash: HEX, account: owner.account }, stranger.sign);
    await store.put(
      newsKey({ kind: "checkpoint", account: owner.account }),
      encodeNews({ ...forged, kind: "checkpoint" }),
    );
    await store.put(`news/report/${"00".repeat(32)}`, utf8("{}"));
    const { reports, checkpoints } = await ask();
    expect(reports.map(({ account, report }) => [account, report.validationLoss])).toEqual([[owner.account, 4.301]]);
    expect(checkpoints).toEqual([]);
  });

  it("finds a validator's report among any number of strangers'", async () => {
    const each = await bench();
    await publish(each.store, owner, 2, 4.301);
    const junk = Array.from({ length: 600 }, (_, i) => i.toString(16).padStart(64, "0")); // before any account
    for (const account of junk) await each.store.put(`news/report/${account}`, utf8("{}"));
    expect((await each.ask()).reports.map(({ account }) => account)).toEqual([owner.account]);
  });

  it("leaves out reports on another run, or on another round than their news says", async () => {
    const { store, ask } = await bench();
    const facts = { specHash: HEX, round: 2, accounts, findings: [] };
    const hash = await putBlob(store, encodeReport(reportOn(facts)));
    await putNews(store, { kind: "report", round: 2, hash, account: owner.account }, owner.sign);
    expect((await ask()).reports).toEqual([]);
    const own = await putBlob(store, encodeReport(reportOn({ ...facts, specHash: specHash(spec) })));
    await putNews(store, { kind: "report", round: 3, hash: own, account: owner.account }, owner.sign);
    expect((await ask()).reports).toEqual([]);
    await putNews(store, { kind: "report", round: 2, hash: own, account: owner.account }, owner.sign);
    expect((await ask()).reports).toHaveLength(1);
  });

  it("says what cannot be reached, and tells the rest", async () => {
    const { store } = await bench();
    await publish(store, owner, 2, 4.301);
    const away = async (): Promise<never> => {
      throw new SkeinError("chain", "no chain answers at http://127.0.0.1:8640");
    };
    const status = await gatherStatus({ spec, specHash: specHash(spec), store, connect: away });
    const said = text(status);
    expect(said).toContain("WARNING: the chain cannot be reached: no chain answers");
    expect(said).toContain("loss    4.301");
    expect(said).not.toContain("incentive");
    const noStore: Store = { ...store, list: async () => Promise.reject(new SkeinError("store", "gone")) };
    const { unreachable } = await gatherStatus({ spec, specHash: specHash(spec), store: noStore, connect: away });
    expect(unreachable.map(({ what }) => what).sort()).toEqual(["chain", "checkpoints", "reports"]);
    const bug = async (): Promise<never> => Promise.reject(new TypeError("a bug"));
    await expect(gatherStatus({ spec, specHash: specHash(spec), store, connect: bug })).rejects.toThrow("a bug");
  });

  it("gives the same as events, which JSON can hold", async () => {
    const each = await bench();
    await playRound(each, 0);
    await publish(each.store, owner, 0, 4.5, [reported({ ...unjudged, fault: "bad signature" })]);
    const events = statusEvents({ link, spec, specHash: specHash(spec), status: await each.ask() });
    expect(events.map(([kind]) => kind)).toEqual(["run", "chain", "round", "round", "peer", "peer"]);
    const fields = JSON.parse(JSON.stringify(events.map(([, each]) => each)));
    expect(fields[0]).toMatchObject({ name: "tiny", validation: 4.5, validationRound: 0, rounds: 10 });
    expect(fields[1]).toMatchObject({ netuid: 1, runId: 0, round: 1, phase: "train" });
    expect(fields[2]).toMatchObject({ round: 0, accepted: [1], applied: [1], decided: true, validation: 4.5 });
    expect(fields[3]).toMatchObject({ round: 1, accepted: null, decided: false, stateRoot: null });
    expect(fields[4]).toMatchObject({ uid: 0, stake: expect.stringMatching(/^10\d{11}$/), permit: true, weight: null });
    expect(fields[5]).toMatchObject({ uid: 1, trouble: "payload: bad signature", weight: 0, bytes: 3120 });
  });
});

describe("what validators say", () => {
  const told = (round: number, validationLoss: number | null, findings: Finding[] = []): SignedReport => {
    const holders = [owner.account, findings[0]?.account ?? peer.account];
    const report: Report = reportOn({ specHash: HEX, round, accounts: holders, findings, validationLoss });
    return { account: HEX, hash: HEX, report };
  };

  it("is the mean over those who measured the newest round that was measured", () => {
    expect(newestLoss([told(5, null), told(4, 2), told(4, 4), told(3, 9)])).toEqual({ round: 4, loss: 3, by: 2 });
    expect(newestLoss([told(5, null)])).toBeUndefined();
    expect(newestLoss([])).toBeUndefined();
  });

  it("counts for a uid only under the hotkey that holds it now", () => {
    const [full, half] = [told(5, 1, [reported({ bytes: 7 })]), told(4, 1, [reported({ share: 0.5 })])];
    const other = told(4, 1, [reported({ account: stranger.account, share: 0 })]);
    const holder = { uid: 1, hotkey: peer.account };
    const weightIn = (report: SignedReport): number => peerIn(holder, [report]).weight ?? -1;
    expect(weightIn(half)).toBeCloseTo(weightIn(full) / 2, 5);
    const { weight, finding: newest, trouble } = peerIn(holder, [full, half, other]);
    expect(weight).toBeCloseTo((weightIn(full) + weightIn(half)) / 2, 5);
    expect([newest?.bytes, trouble]).toEqual([7, undefined]);
    expect(peerIn({ uid: 2, hotkey: peer.account }, [full])).toMatchObject({ weight: undefined, finding: undefined });
  });

  it("is the worst of what is wrong", () => {
    const [standing] = told(5, 1, [reported()]).report.standings;
    const stood = (more: object) => ({ ...must(standing, "a standing"), ...more });
    const copyOf = { uid: 3, round: 4, likeness: 0.987 };
    expect(troubleOf({ finding: reported({ copyOf }), standing: stood({ banned: "other params" }) })).toBe(
      "banned: other params",
    );
    expect(troubleOf({ finding: reported({ copyOf }) })).toBe("repeats uid 3's payload of round 4 (likeness 0.99)");
    expect(troubleOf({ finding: reported({ copyOf: { ...copyOf, uid: 1 } }) })).toContain("its own payload of round 4");
    expect(troubleOf({ finding: reported({ ...unjudged, fault: "missing" }), standing: stood({ strikes: 1 }) })).toBe(
      "payload: missing",
    );
    expect(troubleOf({ finding: reported({ ...unjudged, fault: "absent" }), standing: stood({ strikes: 1 }) })).toBe(
      "1 unanswered challenge",
    );
    expect(troubleOf({ finding: reported({ gainUnassigned: -0.1 }) })).toBe("its payload makes the model worse");
    expect(troubleOf({ finding: reported(), standing: stood({}) })).toBeUndefined();
    const factors = { quality: 1, effort: 1, gate: 0, conduct: 1, weight: 0 };
    const at = (judged: number, quality: number): string | undefined =>
      troubleOf({ finding: reported(), standing: stood({ judged }), factors: { ...factors, quality } });
    expect([at(1, 0), at(4, 1), at(4, 0)]).toEqual([
      undefined, // a newcomer
      "it does not learn the text that it is given",
      "its payloads gain too little",
    ]);
  });
});
