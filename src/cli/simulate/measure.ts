/**
 * What a simulation says about the plan that it stands for: tokens, losses, time, pay and traffic. Rounds are told by the nodes' own logs, in virtual time;
 * the toy's tokens count as the planned ones that they stand for.
 */
import { type LogEvent, numberIn } from "../../base/log/log.ts";
import { blocksOf, peerTokensOf } from "../../run/rules.ts";
import type { RunSpec } from "../../run/spec.ts";
import type { NodeResult, SimulationResult } from "../../sim/result.ts";
import { lawLoss } from "./law.ts";
import type { Plan } from "./plan.ts";

/** First rounds that do not count for what is usual: machines find out how fast they are in them. */
const WARMUP_ROUNDS = 2;

/** One round, measured. */
export interface RoundOutcome {
  readonly round: number;
  readonly commits: number;
  readonly applied: number;
  /** Tokens behind applied payloads of honest peers, up to and with this round; as planned. */
  readonly tokens: number;
  /** What the law gives the planned model after them. */
  readonly lawLoss: number | null;
  /** Validation loss of the simulated model before the round. */
  readonly toyLoss: number | null;
  /** Mean share of the round's time in which honest trainers worked for a payload that they committed. */
  readonly utilization: number;
}

/** One node, measured. */
export interface NodeOutcome {
  readonly name: string;
  readonly role: NodeResult["role"];
  readonly attack: string | null;
  readonly payloads: number;
  readonly applied: number;
  /** Of all that trainers were paid. */
  readonly paidShare: number;
  /** As many times what an honest trainer was paid on average; null where nobody was. */
  readonly paidOfHonest: number | null;
  /** Bytes of a round. */
  readonly upBytes: number;
  readonly downBytes: number;
  readonly utilization: number;
}

/** A plan's simulation, measured. */
export interface Outcome {
  readonly rounds: readonly RoundOutcome[];
  readonly nodes: readonly NodeOutcome[];
  readonly roundS: number;
  /** Share of their time in which honest trainers train, once they know their machines. */
  readonly utilization: number;
  /** Rounds that applied nothing. */
  readonly nullRounds: number;
  /** Share of the sound payloads that a validator judged before it voted; who is not judged is paid late. */
  readonly judged: number;
  /** Seconds from the commit of an applied payload until its sender has applied it: the median; null where there was none. */
  readonly applyS: number | null;
  /** Tokens of a usual round, and what the law gives the model after the simulated rounds and after all that are planned. */
  readonly roundTokens: number;
  readonly lossNow: number | null;
  readonly lossAtEnd: number | null;
  /** All planned rounds take so long. */
  readonly secondsToEnd: number;
}

interface Sent {
  readonly uid: number;
  readonly tokens: number;
  readonly trainMs: number;
  committedMs?: number;
}

/** How long one payload of a node took from its commit until it was applied. */
interface Wait {
  readonly name: string;
  readonly ms: number;
}

/** Hears of everything while a simulation runs, and measures it afterwards. */
export interface Measure {
  onEvent(name: string, event: LogEvent): void;
  outcome(result: SimulationResult): Outcome;
}

/** A measure of nothing yet. */
export function measureOf(plan: Plan, spec: RunSpec): Measure {
  const sent = new Map<string, Sent>(); // by round and name
  const moved = new Map<number, readonly number[]>();
  const waits: Wait[] = [];
  const seen = { received: 0, judged: 0 };
  const factor = plan.roundTokens / peerTokensOf(spec);
  return {
    onEvent(name, { kind, timeMs, fields }) {
      const round = numberIn(fields, "round");
      if (round === undefined) return;
      const key = keyOf(round, name);
      const known = sent.get(key);
      if (kind === "payload") {
        const [uid, tokens, trainMs] = ["uid", "tokens", "trainMs"].map((field) => numberIn(fields, field) ?? 0);
        sent.set(key, { uid: uid ?? 0, tokens: factor * (tokens ?? 0), trainMs: trainMs ?? 0 });
      }
      if (kind === "received" && fields["fault"] === null) seen.received += 1;
      if (kind === "judged") seen.judged += 1;
      if (kind === "commit" && known) known.committedMs = timeMs;
      if (kind !== "applied" || !Array.isArray(fields["uids"])) return;
      const uids = fields["uids"].map(Number);
      if (!moved.has(round)) moved.set(round, uids);
      if (known?.committedMs !== undefined && uids.includes(known.uid))
        waits.push({ name, ms: timeMs - known.committedMs });
    },
    outcome: (result) =>
      outcomeOf({ plan, result, sent, moved, waits, judged: seen.judged / Math.max(1, seen.received) }),
  };
}

const keyOf = (round: number, name: string): string => `${round} ${name}`;

interface Heard {
  readonly plan: Plan;
  readonly result: SimulationResult;
  readonly sent: ReadonlyMap<string, Sent>;
  readonly moved: ReadonlyMap<number, readonly number[]>;
  readonly waits: readonly Wait[];
  readonly judged: number;
}

function outcomeOf(heard: Heard): Outcome {
  const { plan, result, waits } = heard;
  const roundS = blocksOf({ timing: plan.phases }) * plan.blockS;
  const honest = new Set(result.nodes.filter(isHonestTrainer).map(({ name }) => name));
  const rounds = roundsOf(heard, [...honest], roundS);
  const usual = rounds.slice(usualFrom(rounds.length));
  const before = rounds[usualFrom(rounds.length) - 1]?.tokens ?? 0;
  const tokens = rounds.at(-1)?.tokens ?? 0;
  const roundTokens = usual.length === 0 ? 0 : (tokens - before) / usual.length;
  const loss = (count: number): number | null => lawLoss(plan.params, count) ?? null;
  const honestWaits = waits.filter(({ name }) => honest.has(name)).map(({ ms }) => ms / 1000);
  return {
    ...{ rounds, roundS, roundTokens },
    nodes: nodesOf(heard, roundS),
    utilization: mean(usual.map((each) => each.utilization)),
    nullRounds: rounds.filter((each) => each.applied === 0).length,
    judged: heard.judged,
    applyS: median(honestWaits),
    lossNow: loss(tokens),
    lossAtEnd: loss(tokens + roundTokens * Math.max(0, plan.rounds - rounds.length)),
    secondsToEnd: plan.rounds * roundS,
  };
}

/** The first round that counts for what is usual. */
function usualFrom(rounds: number): number {
  return rounds > 2 * WARMUP_ROUNDS ? WARMUP_ROUNDS : 0;
}

const isHonestTrainer = ({ role, attack }: NodeResult): boolean => role === "trainer" && attack === null;

function roundsOf({ plan, result, sent, moved }: Heard, honest: readonly string[], roundS: number): RoundOutcome[] {
  let tokens = 0;
  return result.rounds.map(({ round, loss, commits, applied }) => {
    const work = honest.map((name) => sent.get(keyOf(round, name)));
    const uids = moved.get(round) ?? [];
    for (const each of work) if (each && uids.includes(each.uid)) tokens += each.tokens;
    return {
      ...{ round, commits, applied, tokens, toyLoss: loss },
      lawLoss: lawLoss(plan.params, tokens) ?? null,
      utilization: mean(work.map(trainedS)) / roundS,
    };
  });
}

function nodesOf({ result, sent }: Heard, roundS: number): NodeOutcome[] {
  const trainers = result.nodes.filter(({ role }) => role === "trainer");
  const all = trainers.reduce((sum, { paid }) => sum + Number(paid), 0);
  const usual = mean(result.nodes.filter(isHonestTrainer).map(({ paid }) => Number(paid)));
  const count = Math.max(1, result.rounds.length);
  const from = usualFrom(result.rounds.length);
  return result.nodes.map(({ name, role, attack, payloads, applied, paid, upBytes, downBytes, computeMs, aliveMs }) => {
    const own = result.rounds.slice(from).map(({ round }) => sent.get(keyOf(round, name)));
    const trained = mean(own.map((each) => trainedS(each) / roundS));
    return {
      ...{ name, role, attack, payloads, applied },
      paidShare: all > 0 && role === "trainer" ? Number(paid) / all : 0,
      paidOfHonest: usual > 0 ? Number(paid) / usual : null,
      upBytes: upBytes / count,
      downBytes: downBytes / count,
      utilization: role === "trainer" ? trained : computeMs / Math.max(1, aliveMs),
    };
  });
}

/** Seconds of training behind a payload that was committed. */
function trainedS(sent: Sent | undefined): number {
  return sent?.committedMs === undefined ? 0 : sent.trainMs / 1000;
}

/** The mean; 0 of nothing. */
function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The middle value, the lower one of two; null of nothing. */
export function median(values: readonly number[]): number | null {
  return [...values].sort((a, b) => a - b)[(values.length - 1) >> 1] ?? null;
}
