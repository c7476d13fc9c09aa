/** What validators say of one peer, in a number and a few words. */
import type { Neuron } from "../../chain/chain.ts";
import { standingsIn } from "../../score/report.ts";
import { ABSENT, type Factors, type Finding, factorsOf, isHarmful, type Standing } from "../../score/standing.ts";
import type { SignedReport } from "./reports.ts";

/** A peer in a validator's report. */
export interface Seen {
  readonly finding: Finding | undefined;
  readonly standing: Standing | undefined;
  /** undefined where it has no standing. */
  readonly factors: Factors | undefined;
  /** 0 to 1; the same. */
  readonly weight: number | undefined;
}

/** What a report says of a peer, under the hotkey that holds its uid. */
export function seenIn(
  { report }: Pick<SignedReport, "report">,
  { uid, hotkey }: Pick<Neuron, "uid" | "hotkey">,
): Seen {
  const isIt = (each: { readonly uid: number; readonly account: string }): boolean =>
    each.uid === uid && each.account === hotkey;
  const standing = report.standings.find(isIt);
  const factors = standing && factorsOf(standingsIn(report), uid);
  return { finding: report.findings.find(isIt), standing, factors, weight: factors?.weight };
}

/** What validators say of a peer: the mean of their weights, and what the newest reports have found and think. */
export function peerIn(
  peer: Pick<Neuron, "uid" | "hotkey">,
  reports: readonly SignedReport[],
): {
  readonly weight: number | undefined;
  readonly finding: Finding | undefined;
  readonly trouble: string | undefined;
} {
  const seen = reports.map((report) => seenIn(report, peer));
  const weights = seen.flatMap(({ weight }) => weight ?? []);
  const mean = weights.reduce((sum, weight) => sum + weight, 0) / weights.length;
  const newest =
    seen.find(({ finding }) => finding !== undefined) ?? seen.find(({ standing }) => standing !== undefined);
  return {
    weight: weights.length === 0 ? undefined : mean,
    finding: newest?.finding,
    trouble: newest && troubleOf(newest),
  };
}

/** Judgements after which a weight of 0 is no newcomer's any more. */
const YOUNG = 3;

/** The worst of what is wrong with a peer; undefined where nothing is. */
export function troubleOf({ finding, standing, factors }: Partial<Seen>): string | undefined {
  if (standing?.banned) return `banned: ${standing.banned}`;
  if (finding?.copyOf) {
    const { uid, round, likeness } = finding.copyOf;
    const whose = uid === finding.uid ? `its own payload of round ${round}` : `uid ${uid}'s payload of round ${round}`;
    return `repeats ${whose} (likeness ${likeness.toFixed(2)})`;
  }
  if (finding?.fault && finding.fault !== ABSENT) return `payload: ${finding.fault}`;
  if (finding && isHarmful(finding)) return "its payload makes the model worse";
  const strikes = standing?.strikes ?? 0;
  if (strikes > 0) return `${strikes} unanswered ${strikes === 1 ? "challenge" : "challenges"}`;
  if (standing === undefined || standing.judged <= YOUNG) return undefined;
  if (factors?.quality === 0) return "its payloads gain too little";
  if (factors?.gate === 0) return "it does not learn the text that it is given";
  return undefined;
}
