import { describe, expect, it } from "vitest";
import { COIN, testHash, testSigner } from "../../../test/contract/chain-kit.ts";
import { finding, hashOf, reportOn } from "../../../test/helpers/reports.ts";
import type { Hash, RunRecord, Signer } from "../../chain/chain.ts";
import { roundStart } from "../../chain/rounds.ts";
import { createTwin, type Twin } from "../../chain/twin/twin.ts";
import { encodeReport, type Report } from "../../score/report.ts";
import type { Finding } from "../../score/standing.ts";
import { blobKey, putBlob } from "../../store/blobs.ts";
import { memoryStore } from "../../store/memory.ts";
import { putNews } from "../../store/news.ts";
import type { Store } from "../../store/store.ts";
import { whyEvents } from "./fields.ts";
import { type Inquiry, inquire, type Question } from "./gather.ts";
import { answerOf, whyLines } from "./view.ts";

const SPEC = "cd".repeat(32);
const ROOT = "ab".repeat(32);
const TIMING = { trainBlocks: 4, revealBlocks: 2, voteBlocks: 3 };
const [first, second, peer, other] = ["first", "second", "peer", "other"].map(testSigner) as [
  Signer,
  Signer,
  Signer,
  Signer,
];
const SIGNERS = [first, second, peer, other];

interface Bench {
  readonly chain: Twin;
  readonly record: RunRecord;
  readonly store: Store;
  ask(more?: Partial<Question>): Promise<Inquiry>;
  /** A validator's next report, published. */
  report(by: Signer, round: number, findings: readonly Finding[], change?: (report: Report) => Report): Promise<Report>;
}

/** A subnet in which uids 0 and 1 validate, 0 with three quarters of the stake, and 2 and 3 train. */
async function bench(): Promise<Bench> {
  const balances = new Map(SIGNERS.map(({ account }): [Hash, bigint] => [account, 5000n * COIN]));
  const chain = createTwin({ balances, lockMin: COIN });
  await chain
    .as(first)
    .createSubnet(first, COIN, { tempo: 10, maxUids: 8, commitReveal: false, weightsSetRateLimit: 1 });
  await chain.as(first).addStake(1, first.account, 1500n * COIN);
  for (const signer of [second, peer, other]) await chain.as(signer).register(1, signer, 10n * COIN);
  await chain.as(second).addStake(1, second.account, 500n * COIN);
  chain.mine(12);
  await chain.as(first).stepEpoch(1);
  const startBlock = (await chain.head()).block + 2;
  const terms = { netuid: 1, specHash: testHash("spec"), genesisRoot: `0x${ROOT}`, startBlock, ...TIMING } as const;
  const { runId } = await chain.as(first).createRun(terms);
  const record = await chain.run(runId);
  const store = memoryStore();
  const newest = new Map<string, Report>();
  const accounts = SIGNERS.map(({ account }) => account);
  return {
    ...{ chain, record, store },
    ask: (more = {}) => inquire({ specHash: SPEC, store, chain, record, asked: { uid: 2 }, ...more }),
    async report(by, round, findings, change = (report) => report) {
      const honest = reportOn({ specHash: SPEC, round, accounts, findings, previous: newest.get(by.account) });
      const report = change(honest);
      newest.set(by.account, report);
      const hash = await putBlob(store, encodeReport(report));
      await putNews(store, { kind: "report", round, hash, account: by.account }, by.sign);
      return report;
    },
  };
}

const good = (more: Partial<Finding> = {}): Finding[] => [finding(2, peer.account, more), finding(3, other.account)];
const unjudged = { drawn: false, gainAssigned: null, gainUnassigned: null, noise: null, noiseAssigned: null } as const;

async function rounds(each: Bench, from: number, to: number, findings = good()): Promise<void> {
  for (let round = from; round <= to; round++) for (const by of [first, second]) await each.report(by, round, findings);
}

const text = (inquiry: Inquiry): string => whyLines({ spec: { name: "tiny" }, inquiry }).join("\n");

describe("why", () => {
  it("finds nothing to complain of where all is well, and says so in numbers", async () => {
    const each = await bench();
    await rounds(each, 0, 19);
    const last = await each.report(first, 20, good());
    await each.chain.as(first).setWeights(1, last.votes);
    await each.chain.as(second).setWeights(1, { uids: [2, 3], values: [65_535, 65_534] });
    each.chain.mine(12);
    await each.chain.as(first).stepEpoch(1);
    const inquiry = await each.ask();
    expect(answerOf(inquiry)).toMatchObject({
      kind: "full",
      headline: expect.stringContaining("Nothing holds uid 2 back"),
    });
    const { pay, witnesses, silent } = inquiry;
    expect(silent).toEqual([]);
    expect(pay.last).toMatchObject({ consensus: pay.next.consensus, incentive: pay.next.incentive }); // no row has changed since
    expect(pay.next.incentive).toBeCloseTo(0.5, 3); // two peers with the same weight
    expect(pay.last.emission - pay.next.emission).toBeLessThan(5n);
    expect(witnesses.map(({ neuron, row, complaints }) => [neuron.uid, row?.round, complaints])).toEqual([
      [0, 20, []],
      [1, undefined, []],
    ]);
    const said = text(inquiry);
    expect(said).toMatch(/uid 0 +20 +100\.0 % +\+0\.01200 ± 0\.00100 +\+0\.01000 ± 0\.00100 +sound +yes/);
    expect(said).toMatch(/uid 0 +21 +3\d\.\d\d ± \d\.\d\d +1\.00 +× 0\.99 +× 1\.00 +× 1\.00 += 0\.99 +50\.0 %/);
    expect(said).toMatch(/uid 0 {2}21 reports follow from what it found \(all of its reports\)/);
    expect(said).toContain("Its last 10 rounds, as uid 0 saw them");
    expect(Math.max(...said.split("\n").map((line) => line.length))).toBeLessThan(150);
    // A row that is of no report is named: nobody has reported what the second validator votes.
    expect(said).toContain(
      "DOES NOT ADD UP: uid 1: its row on chain is not what any of the reports that were read votes",
    );
  });

  it("answers for an older round, and for the holder of a hotkey", async () => {
    const each = await bench();
    await rounds(each, 0, 5);
    const inquiry = await each.ask({ asked: { account: peer.account }, round: 3 });
    expect(inquiry.peer.uid).toBe(2);
    expect(inquiry.witnesses.map(({ report, newest }) => [report?.round, newest])).toEqual([
      [3, 5],
      [3, 5],
    ]);
    expect(text(inquiry)).toContain("after round 3");
    await expect(each.ask({ round: 6 })).rejects.toThrow("no validator has a report on round 6");
    await expect(each.ask({ asked: { uid: 9 } })).rejects.toThrow("there is no uid 9");
  });

  it("says what holds a peer back, and what to do", async () => {
    const cases: [Partial<Finding>, string, RegExp, RegExp][] = [
      [{ share: 0.25 }, "effort", /trains on 25 % of the tokens/, /--batch/],
      [
        { ...unjudged, share: 0, bytes: 0, fault: "missing" },
        "quality",
        /could not be used: missing/,
        /uploads come too late/,
      ],
      [{ ...unjudged, share: 0, fault: "wrong base" }, "quality", /could not be used: wrong base/, /--replay/],
      [{ ...unjudged, share: 0, fault: "too short" }, "quality", /could not be used: too short/, /unmodified skein/],
      [
        { copyOf: { uid: 3, round: 11, likeness: 0.97 } },
        "quality",
        /repeated others.*uid 3's.*0\.97/,
        /its own training/,
      ],
      [{ gainUnassigned: -0.5 }, "quality", /made the model worse/, /skein doctor/],
      [{ gainUnassigned: 0.0001 }, "quality", /gained less than \d+ %/, /larger batch/],
      [{ gainAssigned: 0.001 }, "gate", /as if it had trained on other data/, /what the round assigns/],
    ];
    for (const [found, kind, reason, advice] of cases) {
      const each = await bench();
      await rounds(each, 0, 11, [finding(1, second.account), ...good(found)]); // three make a field
      const answer = answerOf(await each.ask());
      expect(answer.kind, kind).toBe(kind);
      expect(answer.reasons.join("\n"), kind).toMatch(reason);
      expect(answer.advice.join("\n"), kind).toMatch(advice);
      expect(answerOf(await each.ask({ asked: { uid: 3 } })).reasons.join(), "the other").not.toMatch(reason);
    }
  });

  it("tells of strikes and bans", async () => {
    const each = await bench();
    await rounds(each, 0, 9);
    const audit = { round: 8, part: 1, verdict: "unanswered", reason: null } as const;
    await rounds(each, 10, 10, good({ audit }));
    const struck = await each.ask();
    expect(answerOf(struck)).toMatchObject({ kind: "conduct", headline: expect.stringContaining("its conduct: 0.50") });
    expect(answerOf(struck).reasons.join()).toContain("1 challenge unanswered");
    expect(text(struck)).toContain("audit of round 8, part 1, unanswered");
    await rounds(each, 11, 11, good({ audit: { ...audit, verdict: "refuted", reason: "other params after span 2" } }));
    const banned = answerOf(await each.ask());
    expect(banned).toMatchObject({ kind: "banned", headline: expect.stringContaining("other params after span 2") });
  });

  it("says so where nobody has reported, where a peer is new, and of a validator", async () => {
    const each = await bench();
    const nobody = await each.ask();
    expect(answerOf(nobody)).toMatchObject({
      kind: "unreported",
      reasons: [expect.stringContaining("2 validators"), expect.anything()],
    });
    expect(nobody.silent).toEqual([0, 1]);
    expect(text(nobody)).toContain("uid 1  has stake and has published no report");
    await each.report(first, 0, [finding(3, other.account)]);
    expect(answerOf(await each.ask()).kind).toBe("unseen");
    expect(answerOf(await each.ask({ asked: { uid: 0 } })).kind).toBe("validator");
    expect(text(await each.ask())).toContain("uid 1  has stake and has published no report");
  });

  it("names validators whose records do not add up, or contradict each other", async () => {
    const each = await bench();
    await rounds(each, 0, 3);
    const raised = (report: Report): Report => ({
      ...report,
      standings: report.standings.map((standing) => (standing.uid === 2 ? { ...standing, effort: 0 } : standing)),
    });
    await each.report(first, 4, good());
    await each.report(second, 4, good({ gainUnassigned: 0.02 }), raised);
    await rounds(each, 5, 5);
    const inquiry = await each.ask({ round: 4 });
    const [honest, liar] = inquiry.witnesses;
    expect(honest?.complaints).toEqual([]);
    expect(liar?.complaints[0]).toMatchObject({
      round: 4,
      what: expect.stringMatching(/^standings.effort of uid 2 is 0, and 0\.\d+ follows/),
    });
    const said = text(inquiry);
    expect(said).toContain("DOES NOT ADD UP: uid 1: its report on round 4");
    expect(said).toMatch(/VALIDATORS DISAGREE on round 4: uid 0 measured a gain on new text of 0\.01, uid 1 of 0\.02/);
    expect(said).not.toContain("DOES NOT ADD UP: uid 0");
    const kinds = whyEvents(inquiry).map(([kind]) => kind);
    expect(kinds).toEqual(
      expect.arrayContaining(["why", "validator", "pay", "row", "past", "complaint", "contradiction"]),
    );
    const fields = JSON.parse(JSON.stringify(whyEvents(inquiry))) as [string, Record<string, unknown>][];
    expect(fields.filter(([kind]) => kind === "validator").map(([, { honest: is }]) => is)).toEqual([true, false]);
  });

  it("holds reports against votes and roots on chain", async () => {
    const { chain, record, report, ask } = await bench();
    const until = async (block: number): Promise<void> => void chain.mine(block - 1 - (await chain.head()).block);
    await until(roundStart(record, 0));
    await chain.as(peer).commitPayload(0, 0, testHash("payload"));
    await until(roundStart(record, 0, "vote"));
    await chain.as(first).vote(0, 0, [], testHash("other params"));
    await until(roundStart(record, 1));
    await chain.as(first).decideRound(0, 0);
    await report(first, 0, good());
    await report(second, 0, good());
    const [one, two] = (await ask()).witnesses;
    expect(one?.complaints.map(({ what }) => what)).toEqual([
      "it says that it backed uids 2, 3; on chain it voted for nobody",
      expect.stringContaining("it is about other params"),
    ]);
    expect(two?.complaints).toHaveLength(1);
  });

  it("reads on where a report is lost, and says how far it came", async () => {
    const each = await bench();
    const [, second0] = [await each.report(first, 0, good()), await each.report(first, 1, good())];
    await rounds(each, 2, 3);
    await each.store.delete(blobKey(hashOf(second0)));
    const inquiry = await each.ask();
    expect(inquiry.witnesses[0]?.trail).toMatchObject({ end: "lost", reports: [{ round: 3 }, { round: 2 }] });
    expect(inquiry.witnesses[0]?.recounted).toEqual({ reports: 1, complaints: [] });
    expect(text(inquiry)).toContain("uid 0  1 report follows from what it found (as far as they can be had)");
  });
});
