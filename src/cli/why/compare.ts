/**
 * Validators' words on one peer held against each other. All judge the same payloads on the same sequences, and judging is reproducible to the bit; so where
 * two measured something else, one of them lies or computes otherwise. Which one, only measuring again can tell. Pure.
 */
import { MISSING } from "../../score/standing.ts";
import type { Witness } from "./gather.ts";

/** Two validators that contradict each other on a round. */
export interface Contradiction {
  readonly round: number;
  /** Their uids. */
  readonly between: readonly [number, number];
  /** In words that follow "on round n ". */
  readonly what: string;
}

/** What is measured of a payload, in a finding and in words; what counts most comes first. */
export const MEASURES = [
  ["gainUnassigned", "gain on new text"],
  ["gainAssigned", "gain on its own text"],
  ["noise", "noise on new text"],
  ["noiseAssigned", "noise on its own text"],
] as const;

/** Differences up to this are roundings, one of each. */
const SLACK = 0.000002;

/** Whether two numbers of findings differ by more than rounding. What is not there was not measured, and differs from nothing. */
export function differs(a: number | null, b: number | null): boolean {
  return a !== null && b !== null && Math.abs(a - b) > SLACK;
}

/** Every pair that contradicts each other, in the order of the witnesses. */
export function contradictionsOf(witnesses: readonly Witness[]): Contradiction[] {
  return witnesses.flatMap((one, i) => witnesses.slice(i + 1).flatMap((other) => contradictionOf(one, other) ?? []));
}

/** Validators that have to agree before one is called wrong that differs from them. */
const CHORUS_MIN = 2;

/**
 * The uid of the one validator that contradicts all others, where they agree among each other; undefined where there is none. Most can be wrong too, so
 * this is a suspicion, unlike what does not recount.
 */
export function oddOneOut(witnesses: readonly Witness[]): number | undefined {
  const contradictions = contradictionsOf(witnesses);
  const odd = witnesses.filter(({ neuron }) => {
    const against = contradictions.filter(({ between }) => between.includes(neuron.uid));
    return against.length >= CHORUS_MIN && against.length === contradictions.length;
  });
  return odd.length === 1 ? odd[0]?.neuron.uid : undefined;
}

function contradictionOf(one: Witness, other: Witness): Contradiction | undefined {
  const [a, b] = [one.seen.finding, other.seen.finding];
  const round = one.report?.round;
  if (a === undefined || b === undefined || round === undefined || other.report?.round !== round) return undefined;
  const between = [one.neuron.uid, other.neuron.uid] as const;
  const names = between.map((uid) => `uid ${uid}`);
  for (const [name, words] of MEASURES) {
    if (!differs(a[name], b[name])) continue;
    return { round, between, what: `${names[0]} measured a ${words} of ${a[name]}, ${names[1]} of ${b[name]}` };
  }
  if (a.fault === b.fault || a.fault === MISSING || b.fault === MISSING) return undefined; // what one cannot fetch, another may
  return { round, between, what: `${names[0]} found ${a.fault ?? "no fault"}, ${names[1]} ${b.fault ?? "no fault"}` };
}
