/** The few statistics that bench/natural.ts needs, and how it asks its records. */
import { must } from "../../src/base/assert.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { Judgement, RoundRecord } from "./record.ts";

/** The mean; NaN of nothing. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Variance of the population that `values` are drawn from. */
export function variance(values: readonly number[]): number {
  const middle = mean(values);
  return values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1);
}

/** Standard deviation. */
export function deviation(values: readonly number[]): number {
  return Math.sqrt(variance(values));
}

/** Standard error of the mean. */
export function standardError(values: readonly number[]): number {
  return Math.sqrt(variance(values) / values.length);
}

/** The value below which `share` of the values lie. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

/** How sure it is that `a` has the larger mean, in standard errors of the difference (Welch's t). */
export function welch(a: readonly number[], b: readonly number[]): number {
  return (mean(a) - mean(b)) / Math.hypot(standardError(a), standardError(b));
}

/** Share of the values for which `holds`. */
export function shareOf(values: readonly number[], holds: (value: number) => boolean): number {
  return values.filter(holds).length / values.length;
}

/** Names of the honest peers that train together, by uid. */
export function peersOf({ peers }: RoundRecord): string[] {
  return peers.map(({ name }) => name).filter(isPeer);
}

/** Whether a payload is that of one of them. */
export function isPeer(name: string): boolean {
  return name.startsWith("peer ");
}

/** A round that was judged. */
export type Judged = RoundRecord & { readonly judgement: Judgement };

/** The rounds that were judged. */
export function judgedOf(rounds: readonly RoundRecord[]): Judged[] {
  return rounds.filter((each): each is Judged => each.judgement !== undefined);
}

/** Gains of a payload on a set after a step; empty where they were not measured. */
export function gainsOf({ judgement }: Judged, step: number, payload: string, set: string): readonly number[] {
  const same = (each: { step: number }): boolean => Math.abs(each.step - step) < 1e-9;
  return judgement.gains.find((each) => each.payload === payload && each.set === set && same(each))?.values ?? [];
}

/** The set that a payload claims to have trained on. */
export function ownSet({ judgement }: Judged, payload: string): string {
  return `A${must(judgement.uids[judgement.payloads.indexOf(payload)], "a payload")}`;
}

/** Slopes along a payload on the sequences of a set. */
export function slopesOf({ judgement }: Judged, payload: string, set: string): number[] {
  const column = judgement.payloads.indexOf(payload);
  return must(judgement.slopes[set], "a set").map((row) => must(row[column], "a payload"));
}

/** What a peer is called in the tables: honest ones by their batch. */
export function kindOf({ peers }: RoundRecord, payload: string): string {
  const { batch } = peers.find(({ name }) => name === payload) ?? {};
  return isPeer(payload) ? `batch ${batch}` : payload;
}

/** Who claims to have trained on a set. */
export interface Claim {
  readonly payload: string;
  readonly set: string;
  /** As `kindOf`; "copy" for another's payload. */
  readonly kind: string;
}

/** All claims that can be made of a round: the true ones, those of the cheaters, and every honest payload as if another uid had copied it. */
export function claimsOf(round: Judged): Claim[] {
  const { payloads, slopes } = round.judgement;
  const made = payloads
    .filter(
      (payload) => slopes[ownSet(round, payload)] !== undefined && round.copies.every(({ name }) => name !== payload),
    )
    .map((payload) => ({ payload, set: ownSet(round, payload), kind: kindOf(round, payload) }));
  const peers = peersOf(round);
  const copied = peers.flatMap((payload) =>
    [...peers.keys(), 9]
      .map((uid) => ({ payload, set: `A${uid}`, kind: "copy" }))
      .filter(({ set }) => set !== ownSet(round, payload)),
  );
  return [...made, ...copied];
}

/** Running means of scores drawn from `scores`, from 0, over `length` judgements; `count` of them. */
export function walks(count: number, scores: readonly number[], rate: number, length: number): number[][] {
  const random = seededRandom("natural walks");
  return Array.from({ length: count }, () => {
    let value = 0;
    return Array.from({ length }, () => {
      value += rate * (must(scores[random.below(scores.length)], "a score") - value);
      return value;
    });
  });
}
