/** Innocence, kept and broken. */
import { beforeAll, describe, expect, it } from "vitest";
import { finding, reportOn } from "../../../test/helpers/reports.ts";
import { emptyNetwork, REORGS, sightOf, watch, withChain } from "../../../test/helpers/sight.ts";
import type { LogFields } from "../../base/log/log.ts";
import { encodeReport, type Report } from "../../score/report.ts";
import { putBlob } from "../../store/blobs.ts";
import { memoryStore } from "../../store/memory.ts";
import { putNews } from "../../store/news.ts";
import type { Network } from "../network.ts";
import type { Sight } from "./checker.ts";
import { innocence } from "./innocence.ts";

type Told = readonly [node: string, kind: string, fields: LogFields];

describe("innocence", () => {
  let network: Network;
  beforeAll(async () => {
    network = await emptyNetwork();
  });
  const sightWith = (parts: Partial<Sight> = {}): Sight => {
    const sight = sightOf(network, { shared: memoryStore(), ...parts });
    const commits = ["p1", "p2"].map((name, i) => {
      return { uid: 4 + i, hotkey: sight.account(name), payloadHash: "0x1", block: 1 } as const;
    });
    return withChain(sight, { commits: async () => commits });
  };
  const found = async (events: readonly Told[], parts: Partial<Sight> = {}): Promise<readonly string[]> => {
    const { checker, violations, event } = watch(innocence, sightWith(parts));
    for (const [node, kind, fields] of events) event(node, kind, fields);
    await checker.onEnd?.();
    return violations;
  };
  const refuted: Told = ["v1", "audited", { round: 2, uid: 4, verdict: "refuted", reason: "the steps lead elsewhere" }];
  const received = (fault: string | null): Told => ["v1", "received", { round: 2, uid: 4, bytes: 10, fault }];
  const vote = (uids: readonly number[], root = "aa"): Told => ["v1", "vote", { round: 2, uids, root }];

  it("is kept by validators that pass, or miss, the honest, and accuse the dishonest", async () => {
    const events: readonly Told[] = [
      ["v1", "audited", { round: 2, uid: 4, verdict: "passed" }],
      ["v1", "audited", { round: 2, uid: 5, verdict: "unanswered" }],
      ["v1", "audited", { round: 2, uid: 9, verdict: "refuted" }],
      received(null),
      vote([4, 5]),
      vote([4, 5]),
      ["v2", "vote", { round: 2, uids: [4], root: "aa" }],
    ];
    expect(await found(events)).toEqual([]);
    expect(await found([refuted, received("bad signature")], { dishonest: new Set(["p1"]) })).toEqual([]);
    expect(await found([refuted, vote([1]), vote([2])], { dishonest: new Set(["v1"]) })).toEqual([]);
  });

  it("is broken by a verdict or a fault upon the honest", async () => {
    expect(await found([refuted])).toHaveLength(1);
    expect(await found([refuted], { weather: REORGS })).toHaveLength(1);
    expect(await found([received("bad signature")], { weather: REORGS })).toHaveLength(1);
    expect(await found([received("wrong base")])).toHaveLength(1);
    expect(await found([received("wrong base")], { weather: REORGS })).toHaveLength(1);
  });

  it("is broken by two votes on one round", async () => {
    expect(await found([vote([4, 5]), vote([4])])).toHaveLength(1);
    expect(await found([vote([4]), vote([4], "bb")])).toHaveLength(1);
    expect(await found([vote([4]), vote([4], "bb")], { weather: REORGS })).toHaveLength(1);
  });

  const publish = async ({ shared }: Sight, report: Report): Promise<void> => {
    const { account, sign } = network.signer("v1");
    const hash = await putBlob(shared, encodeReport(report));
    await putNews(shared, { kind: "report", round: report.round, hash, account }, sign);
  };
  const reportOf = (round: number, more: Parameters<typeof finding>[2] = {}, previous?: Report): Report => {
    const account = network.signer("p1").account;
    const findings = [finding(0, account, more)];
    return reportOn({ specHash: "cd".repeat(32), round, accounts: [account], findings, previous });
  };
  /** What is found where v1 publishes reports, one a block. */
  const foundIn = async (reports: readonly Report[], parts: Partial<Sight> = {}): Promise<readonly string[]> => {
    const sight = sightWith(parts);
    const { checker, violations } = watch(innocence, sight);
    for (const [block, report] of reports.entries()) {
      await publish(sight, report);
      checker.onBlock?.(block);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await checker.onEnd?.();
    return violations;
  };
  const audit = { round: 0, part: 0 } as const;

  it("is broken by two reports on one round, and not by one that is published again", async () => {
    const report = reportOf(3);
    expect(await foundIn([report, report, reportOf(4)])).toEqual([]);
    expect(await foundIn([report, { ...report, validationLoss: 2 }])).toHaveLength(1);
  });

  it("is broken by a ban, and by strikes where there was no reason to miss a challenge", async () => {
    const banned = reportOf(1, { audit: { ...audit, verdict: "refuted", reason: "moments from nowhere" } });
    expect((await foundIn([banned])).join()).toContain("banned p1");
    expect(await foundIn([banned], { dishonest: new Set(["p1"]) })).toEqual([]);
    const missed = { audit: { ...audit, verdict: "unanswered", reason: null } } as const;
    const twice = reportOf(2, missed, reportOf(1, missed));
    expect((await foundIn([twice])).join()).toContain("excluded p1");
    expect(await foundIn([twice], { weather: REORGS })).toEqual([]);
  });
});
