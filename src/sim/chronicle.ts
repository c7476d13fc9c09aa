/**
 * What happened in a simulation, as it is told afterwards: a hash over all of it, a table of rounds, what became of each node, and the last rounds in columns
 * for whoever has to find out why.
 */
import { must } from "../base/assert.ts";
import { utf8 } from "../base/bytes.ts";
import { messageOf, SkeinError } from "../base/errors.ts";
import { sha256Stream, toHex } from "../base/hash.ts";
import { type LogEvent, numberIn } from "../base/log/log.ts";
import type { Hash, RoundCommit } from "../chain/chain.ts";
import { roundsOf } from "../run/rules.ts";
import type { LifeEnd } from "./check/checker.ts";
import type { Network } from "./network.ts";
import type { NodeResult, RoundResult } from "./result.ts";

/** Lines of the log that are kept for the end. */
const LINES_KEPT = 4000;

/** A node, as the chronicle needs to know it. */
export interface Known {
  readonly name: string;
  readonly role: NodeResult["role"];
  readonly attack: string | null;
  readonly account: Hash;
  /** What its line has carried so far. */
  readonly bytes: () => { readonly up: number; readonly down: number };
}

/** Hears of everything. */
export interface Chronicle {
  onEvent(name: string, event: LogEvent): void;
  onBlock(block: number): void;
  onBirth(name: string): void;
  onLifeEnd(end: LifeEnd): void;
  onCompute(name: string, ms: number): void;
  /** Anything else that must be the same when the seed is: a call, a fault. */
  note(text: string): void;
  /** One of the run's rounds, as far as it has come. */
  round(round: number): Promise<RoundResult>;
  /** All of them. */
  rounds(): Promise<readonly RoundResult[]>;
  nodes(paid: ReadonlyMap<Hash, bigint>): Promise<readonly NodeResult[]>;
  hash(): string;
  /** The newest lines of the log: time, node, what. */
  readonly lines: readonly string[];
}

interface Tally {
  crashes: number;
  readonly exits: Map<string, number>;
  computeMs: number;
  aliveMs: number;
  bornMs: number | undefined;
  end: NodeResult["end"];
}

/** A chronicle of nothing yet. */
export function openChronicle(network: Network, known: readonly Known[]): Chronicle {
  const { clock, spec } = network;
  const trace = sha256Stream();
  const lines: string[] = [];
  const startMs = clock.now();
  const heard: Heard = { losses: new Map(), moved: new Map() };
  const tallies = new Map(known.map(({ name }) => [name, newTally()]));
  const note = (text: string): void => void trace.update(utf8(`${clock.now()} ${text}\n`));
  const tell = (name: string, what: string): void => {
    lines.push(lineOf(clock.now() - startMs, name, what));
    if (lines.length > 2 * LINES_KEPT) lines.splice(0, LINES_KEPT);
  };
  const tallyOf = (name: string): Tally => must(tallies.get(name), `a node called ${name}`);
  const round = (number: number): Promise<RoundResult> => roundResult(network, heard, number);
  return {
    lines,
    note,
    round,
    rounds: () => Promise.all(Array.from({ length: roundsOf(spec) }, (_, number) => round(number))),
    hash: () => toHex(trace.digest()),
    onEvent(name, event) {
      note(`${name} ${event.kind} ${JSON.stringify(event.fields)}`);
      if (event.kind !== "step") tell(name, `${event.kind} ${shortly(event.fields)}`);
      hear(heard, event);
    },
    onBlock: (block) => note(`block ${block}`),
    onBirth(name) {
      note(`${name} begins`);
      tell(name, "begins");
      tallyOf(name).bornMs = clock.now();
    },
    onLifeEnd(end) {
      const code = codeOf(end.thrown);
      note(`${end.node} ends: ${end.how} ${code}`);
      const why = end.how === "error" ? `by itself: ${code}: ${messageOf(end.thrown).slice(0, 200)}` : end.how;
      tell(end.node, `ends: ${why}`);
      countEnd(tallyOf(end.node), end, code, clock.now());
    },
    onCompute(name, ms) {
      tallyOf(name).computeMs += ms;
    },
    async nodes(paid) {
      const { neurons } = await network.twin.metagraph(network.record.netuid);
      const uidOf = (account: Hash): number | null => neurons.find(({ hotkey }) => hotkey === account)?.uid ?? null;
      const commits = await Promise.all(
        Array.from({ length: roundsOf(spec) }, (_, round) => network.twin.commits(network.runId, round)),
      );
      return known.map((node) => ({
        ...nodeResult(node, tallyOf(node.name), clock.now()),
        uid: uidOf(node.account),
        ...payloadsOf(node.account, commits, heard),
        paid: paid.get(node.account) ?? 0n,
      }));
    },
  };
}

/** What the logs say of rounds: who hears first is believed, since all say the same. */
interface Heard {
  readonly losses: Map<number, number>;
  /** Uids whose payloads moved the params. */
  readonly moved: Map<number, readonly number[]>;
}

function hear({ losses, moved }: Heard, { kind, fields }: LogEvent): void {
  const round = numberIn(fields, "round");
  if (round === undefined) return;
  const loss = numberIn(fields, "loss");
  if (kind === "validation" && loss !== undefined && !losses.has(round)) losses.set(round, loss);
  const { uids } = fields;
  if (kind === "applied" && Array.isArray(uids) && !moved.has(round)) moved.set(round, uids.map(Number));
}

async function roundResult({ twin, runId }: Network, { losses, moved }: Heard, round: number): Promise<RoundResult> {
  const commits = await twin.commits(runId, round);
  const { accepted = [] } = (await twin.decision(runId, round)) ?? {};
  const applied = moved.get(round)?.length ?? 0;
  return { round, loss: losses.get(round) ?? null, commits: commits.length, accepted, applied };
}

function newTally(): Tally {
  return { crashes: 0, exits: new Map(), computeMs: 0, aliveMs: 0, bornMs: undefined, end: null };
}

function countEnd(tally: Tally, { how, end }: LifeEnd, code: string, nowMs: number): void {
  tally.aliveMs += nowMs - (tally.bornMs ?? nowMs);
  tally.bornMs = undefined;
  if (how === "killed") tally.crashes += 1;
  if (how === "error") tally.exits.set(code, (tally.exits.get(code) ?? 0) + 1);
  if (end !== undefined) tally.end = end;
}

type Payloads = Pick<NodeResult, "payloads" | "applied">;

function payloadsOf(account: Hash, commits: readonly (readonly RoundCommit[])[], { moved }: Heard): Payloads {
  const own = commits.map((each) => each.find(({ hotkey }) => hotkey === account));
  return {
    payloads: own.filter((commit) => commit !== undefined).length,
    applied: own.filter((commit, round) => commit && moved.get(round)?.includes(commit.uid)).length,
  };
}

function nodeResult(
  { name, role, attack, bytes }: Known,
  { crashes, exits, computeMs, aliveMs, bornMs, end }: Tally,
  nowMs: number,
): Omit<NodeResult, "uid" | "paid" | keyof Payloads> {
  const { up, down } = bytes();
  return {
    ...{ name, role, attack, crashes, computeMs, end, upBytes: up, downBytes: down },
    exits: Object.fromEntries(exits),
    aliveMs: aliveMs + (bornMs === undefined ? 0 : nowMs - bornMs),
  };
}

function lineOf(ms: number, name: string, what: string): string {
  return `${(ms / 1000).toFixed(1).padStart(8)}  ${name.padEnd(5)} ${what}`;
}

function shortly(fields: LogEvent["fields"]): string {
  return Object.entries(fields)
    .map(([key, value]) => `${key}=${typeof value === "string" ? value.slice(0, 60) : JSON.stringify(value)}`)
    .join(" ");
}

/** The code of a SkeinError, or the name of what was thrown otherwise. */
function codeOf(thrown: unknown): string {
  if (thrown === undefined) return "";
  if (thrown instanceof SkeinError) return thrown.code;
  return thrown instanceof Error ? thrown.name : typeof thrown;
}
