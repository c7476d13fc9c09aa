/** What came of a scenario, as numbers, and how it compares with the same network without the attack. */
import { must } from "../../base/assert.ts";
import type { Hash } from "../../chain/chain.ts";
import type { Report } from "../../score/report.ts";
import { keyOf, type Network } from "../network.ts";
import type { Harm } from "./harm.ts";
import type { Witness } from "./witness.ts";

/** What came of one trainer. Rounds are counted from 0. */
export interface Member {
  readonly name: string;
  readonly honest: boolean;
  /** Whether it was there to the end. */
  readonly stayed: boolean;
  /** Sequences of a step that it trains on, or claims to. */
  readonly batch: number;
  /** Coins that its uids were paid over the run. */
  readonly paid: number;
  /** Share of the subnet's incentive at the end, 0 to 1. */
  readonly incentive: number;
  /** Rounds in which it committed, and in which its payload was accepted. */
  readonly committed: number;
  readonly accepted: number;
  /** Rounds in which it had committed and was not accepted although it had been before. */
  readonly refused: readonly number[];
  /** Rounds after which an honest validator's votes gave it nothing although they had before. */
  readonly dropped: readonly number[];
  /** The first round in which a validator found something wrong with it (a fault, a copy, harm, a failed audit); null: none. */
  readonly foundIn: number | null;
  /** The first round from which on it was neither accepted nor had weight; 0: never was; null: it still was or had at the end. */
  readonly excludedFrom: number | null;
  /** Why it is out for good, if it is. */
  readonly banned: string | null;
  /** What was found, and how often. */
  readonly marks: Readonly<Record<string, number>>;
}

/** What came of one validator. */
export interface ValidatorMember {
  readonly name: string;
  readonly honest: boolean;
  readonly paid: number;
  /** Share of its weights that consensus upheld, 0 to 1. */
  readonly trust: number;
}

/** What came of a scenario. */
export interface Outcome {
  readonly attack: string | null;
  readonly seed: string;
  readonly rounds: number;
  /** Validation loss of the last params, nats a token. */
  readonly loss: number;
  /** Validation loss before each round, on fewer sequences. */
  readonly curve: readonly number[];
  /** Whether all honest nodes ended with the same params. */
  readonly agreed: boolean;
  readonly members: readonly Member[];
  readonly validators: readonly ValidatorMember[];
  /** What the attack wanted of the model, as far as it can be measured. */
  readonly probe: { readonly what: string; readonly value: number } | null;
  /** Rounds in which payloads of the dishonest were applied, and what they did to the loss. */
  readonly harm: readonly Harm[];
  /** Hotkeys that the dishonest held in all. */
  readonly ringSize: number;
}

interface Seen {
  readonly network: Network;
  readonly witness: Witness;
  readonly seed: string;
  readonly adversary?: { readonly validator?: unknown } | undefined;
  readonly validators: number;
}

/** A trainer and its hotkeys. */
export interface Held {
  readonly name: string;
  readonly honest: boolean;
  readonly stayed: boolean;
  readonly batch: number;
  readonly accounts: readonly Hash[];
}

const COIN = 1e9;

/** What came of the trainers. */
export async function membersOf(seen: Seen, held: readonly Held[]): Promise<readonly Member[]> {
  const { twin, record } = seen.network;
  const { neurons } = await twin.metagraph(record.netuid);
  const rounds = await roundsOf(seen);
  return held.map((member) => memberOf(member, seen, rounds, neurons));
}

/** What came of the validators, the last of which is dishonest where `lying`. */
export async function validatorsOf(
  { network, witness, seed }: Seen,
  count: number,
  lying: boolean,
): Promise<readonly ValidatorMember[]> {
  const { neurons } = await network.twin.metagraph(network.record.netuid);
  return Array.from({ length: count }, (_, i) => {
    const name = `v${i + 1}`;
    const { account } = keyOf(name, seed);
    const neuron = neurons.find(({ hotkey }) => hotkey === account);
    const paid = Number(witness.paid.get(account) ?? 0n) / COIN;
    return { name, honest: !(lying && i === count - 1), paid, trust: (neuron?.vtrust ?? 0) / 65_535 };
  });
}

/** Reports of each validator that is honest. */
function honestReports({ witness, adversary, validators }: Seen): readonly (readonly Report[])[] {
  const liar = adversary?.validator === undefined ? undefined : `v${validators}`;
  return [...witness.reports].filter(([name]) => name !== liar).map(([, reports]) => reports);
}

interface Round {
  readonly round: number;
  readonly committed: ReadonlySet<Hash>;
  readonly accepted: ReadonlySet<Hash>;
}

async function roundsOf({ network: { twin, runId, spec } }: Seen): Promise<readonly Round[]> {
  const count = Math.ceil(spec.inner.schedule.steps / spec.inner.steps);
  const rounds: Round[] = [];
  for (let round = 0; round < count; round++) {
    const commits = await twin.commits(runId, round);
    const { accepted = [] } = (await twin.decision(runId, round)) ?? {};
    rounds.push({
      round,
      committed: new Set(commits.map(({ hotkey }) => hotkey)),
      accepted: new Set(commits.filter(({ uid }) => accepted.includes(uid)).map(({ hotkey }) => hotkey)),
    });
  }
  return rounds;
}

function memberOf(
  { name, honest, stayed, batch, accounts }: Held,
  seen: Seen,
  rounds: readonly Round[],
  neurons: readonly { readonly hotkey: Hash; readonly incentive: number }[],
): Member {
  const byValidator = honestReports(seen);
  const reports = byValidator.flat();
  const own = (set: ReadonlySet<Hash>): boolean => accounts.some((account) => set.has(account));
  const committed = rounds.filter((round) => own(round.committed));
  const accepted = committed.filter((round) => own(round.accepted));
  const first = accepted[0]?.round ?? rounds.length;
  const marks = marksOf(accounts, reports);
  const last = Math.max(-1, ...accepted.map(({ round }) => round), ...weightedRounds(accounts, reports));
  const incentive = neurons.filter(({ hotkey }) => accounts.includes(hotkey)).reduce((sum, n) => sum + n.incentive, 0);
  const paid = accounts.reduce((sum, account) => sum + (seen.witness.paid.get(account) ?? 0n), 0n);
  return {
    ...{ name, honest, stayed, batch },
    paid: Number(paid) / COIN,
    incentive: incentive / 65_535,
    committed: committed.length,
    accepted: accepted.length,
    refused: committed.filter((round) => round.round > first && !own(round.accepted)).map(({ round }) => round),
    dropped: byValidator.flatMap((each) => droppedIn(accounts, each)),
    foundIn: marks.first,
    excludedFrom: last + 1 >= rounds.length ? null : last + 1,
    banned: bannedOf(accounts, reports),
    marks: marks.counts,
  };
}

/** Whether a report's votes give something to one of the accounts. */
function isWeighted(accounts: readonly string[], { standings, votes }: Report): boolean {
  return standings.some(({ uid, account }) => accounts.includes(account) && votes.uids.includes(uid));
}

/** Rounds after which a validator's votes had weight for one of the accounts. */
function weightedRounds(accounts: readonly string[], reports: readonly Report[]): number[] {
  return reports.filter((report) => isWeighted(accounts, report)).map(({ round }) => round);
}

/** Rounds after which one validator's votes gave nothing to the accounts, after they first had. */
function droppedIn(accounts: readonly string[], reports: readonly Report[]): number[] {
  const first = reports.findIndex((report) => isWeighted(accounts, report));
  const after = first < 0 ? [] : reports.slice(first);
  return after.filter((report) => !isWeighted(accounts, report)).map(({ round }) => round);
}

function bannedOf(accounts: readonly string[], reports: readonly Report[]): string | null {
  const standings = reports.flatMap((report) => report.standings);
  return standings.find(({ account, banned }) => accounts.includes(account) && banned !== null)?.banned ?? null;
}

function marksOf(
  accounts: readonly string[],
  reports: readonly Report[],
): { readonly first: number | null; readonly counts: Readonly<Record<string, number>> } {
  const counts: Record<string, number> = {};
  let first: number | null = null;
  for (const { round, findings, backed } of reports) {
    for (const { uid, account, fault, copyOf, audit } of findings) {
      if (!accounts.includes(account)) continue;
      const marks = [
        ...(fault === null ? [] : [fault]),
        ...(copyOf === null ? [] : ["copy"]),
        ...(audit === null ? [] : [`audit ${audit.verdict}`]),
        ...(fault === null && copyOf === null && !backed.includes(uid) ? ["not backed"] : []),
      ];
      for (const mark of marks) counts[mark] = (counts[mark] ?? 0) + 1;
      if (marks.some((mark) => mark !== "audit passed")) first = Math.min(first ?? round, round);
    }
  }
  return { first, counts };
}

/** How a scenario compares with clean runs. */
export interface Comparison {
  /** By how much payloads of the dishonest raised the loss over the run, relative to the last loss. */
  readonly damage: number;
  /** The last loss relative to the honest peers' clean run, minus one. Clean runs on two chains differ, too: by 2.4 % (one standard deviation). */
  readonly drift: number;
  /**
   * What a dishonest trainer was paid, relative to the mean honest one that trains on as much as it claims: their mean and the most of one; 0 without
   * any.
   */
  readonly rewardShare: number;
  readonly rewardShareMax: number;
  /** The least that an honest trainer who stayed was paid, relative to what it was paid in the clean run. */
  readonly honestReward: number;
  /** What a dishonest validator was paid, relative to the mean honest one; null without one. */
  readonly liarReward: number | null;
  /** Rounds until something was found: the latest of the dishonest; null where one was never found. */
  readonly found: number | null;
  /** Rounds until exclusion for good, likewise. */
  readonly excluded: number | null;
  /** Honest payloads that were refused although their makers had been accepted before, as [name, round]. */
  readonly refused: readonly (readonly [string, number])[];
  /** Honest trainers who stayed and are out: banned, or left without votes after they had some, as [name, rounds without]. */
  readonly expelled: readonly (readonly [string, number])[];
}

/** Compares with the honest peers' clean run. */
export function compared(outcome: Outcome, clean: Outcome): Comparison {
  const honest = outcome.members.filter((member) => member.honest);
  const dishonest = outcome.members.filter((member) => !member.honest);
  const mean = (list: readonly number[]): number => list.reduce((sum, x) => sum + x, 0) / Math.max(1, list.length);
  const most = Math.max(...honest.map(({ batch }) => batch));
  const equal = mean(honest.filter(({ batch, stayed }) => stayed && batch === most).map(({ paid }) => paid));
  const shares = dishonest.map(({ paid }) => paid / equal);
  const upright = outcome.validators.filter((validator) => validator.honest);
  const liar = outcome.validators.find((validator) => !validator.honest);
  const cleanPaid = new Map(clean.members.map(({ name, paid }) => [name, paid]));
  const latest = (list: readonly (number | null)[]): number | null =>
    list.includes(null) ? null : Math.max(0, ...list.map((round) => must(round ?? undefined, "a round")));
  return {
    damage: outcome.harm.reduce((sum, { nats }) => sum + nats, 0) / outcome.loss,
    drift: outcome.loss / clean.loss - 1,
    rewardShare: mean(shares),
    rewardShareMax: Math.max(0, ...shares),
    honestReward: Math.min(
      ...honest.filter(({ stayed }) => stayed).map(({ name, paid }) => paid / (cleanPaid.get(name) ?? paid)),
    ),
    liarReward: liar === undefined ? null : liar.paid / mean(upright.map(({ paid }) => paid)),
    found: latest(dishonest.map(({ foundIn }) => foundIn)),
    excluded: latest(dishonest.map(({ excludedFrom }) => excludedFrom)),
    refused: honest.flatMap(({ name, refused }) => refused.map((round) => [name, round] as const)),
    expelled: expelledIn(outcome),
  };
}

/** Honest trainers who stayed and are out: banned, or left without votes after they had some, as [name, rounds without]. */
export function expelledIn({ members }: Outcome): readonly (readonly [string, number])[] {
  return members
    .filter(({ honest, stayed, dropped, banned }) => honest && stayed && (dropped.length > 0 || banned !== null))
    .map(({ name, dropped }) => [name, new Set(dropped).size] as const);
}
