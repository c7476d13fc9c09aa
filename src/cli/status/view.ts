/** A run's status, for people: a few lines on the whole, a table of rounds, a table of peers. And the same as events. */
import type { Clock } from "../../base/clock.ts";
import type { LogFields } from "../../base/log/log.ts";
import type { Neuron } from "../../chain/chain.ts";
import { phaseAt } from "../../chain/rounds.ts";
import { paramCount } from "../../engine/shape.ts";
import { roundsOf } from "../../run/rules.ts";
import type { RunSpec } from "../../run/spec.ts";
import { shortCoins } from "../chain/money.ts";
import { headTrouble, standingOf } from "../node/reach.ts";
import { bytes, count, short, table } from "../shared/terminal.ts";
import type { ChainStatus, RoundStatus, RunStatus } from "./gather.ts";
import { peerIn } from "./peer.ts";
import type { SignedReport } from "./reports.ts";

/** What is shown of a run beside what answered. */
export interface Shown {
  readonly link: string;
  readonly spec: RunSpec;
  readonly status: RunStatus;
  /** What tells how old the newest block is. */
  readonly clock: Clock;
}

const HASH_DIGITS = 12;
const DECIMALS_OF_LOSS = 3;
const U16_MAX = 65_535;

/** All lines. */
export function statusLines(shown: Shown): string[] {
  const { link, spec, status, clock } = shown;
  const { chain, reports, checkpoints, unreachable } = status;
  const { model, inner } = spec;
  const newest = reports[0]?.report;
  const lines = [
    `run     ${spec.name}: ${link}`,
    `model   ${short(paramCount(model))} params (vocabulary ${count(model.vocabSize)}, width ${model.dim}, ${model.layers} layers); ` +
      `rounds of ${inner.steps} steps with ${inner.batch} × ${inner.seqLen} tokens`,
    ...chainLines(spec, chain, clock),
    ...lossLine(reports),
    ...(newest ? [`state   root ${newest.root.slice(0, HASH_DIGITS)} before round ${count(newest.round)}`] : []),
    ...checkpointLine(checkpoints),
    ...unreachable.map(({ what, why }) => `WARNING: the ${what} cannot be reached: ${why}`),
  ];
  if (chain === undefined) return lines;
  return [
    ...lines,
    ...roundTable(chain.rounds, reports),
    ...peerTable(chain, reports),
    ...(reports.length > 0 ? ["", "`skein why <uid>` says how a peer's weight and pay came about."] : []),
  ];
}

function chainLines(spec: RunSpec, chain: ChainStatus | undefined, clock: Clock): string[] {
  if (chain === undefined) return [];
  const { chainId, record, head } = chain;
  const trouble = headTrouble(head, clock);
  return [
    `chain   ${chainId}, subnet ${record.netuid}, run ${record.runId}, block ${count(head.block)}`,
    `now     ${standingOf(spec, record, head.block)}`,
    ...(trouble === undefined ? [] : [`WARNING: ${trouble}`]),
  ];
}

/** The mean of what validators measured on the newest round that any has measured. */
export function newestLoss(reports: readonly SignedReport[]): { round: number; loss: number; by: number } | undefined {
  const round = reports.find(({ report }) => report.validationLoss !== null)?.report.round;
  if (round === undefined) return undefined;
  const losses = lossesOf(round, reports);
  return { round, loss: mean(losses), by: losses.length };
}

function lossesOf(round: number, reports: readonly SignedReport[]): number[] {
  return reports.flatMap(({ report }) => (report.round === round ? (report.validationLoss ?? []) : []));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function lossLine(reports: readonly SignedReport[]): string[] {
  const found = newestLoss(reports);
  if (found === undefined) return [];
  const by = `${found.by} ${found.by === 1 ? "validator" : "validators"}`;
  return [
    `loss    ${found.loss.toFixed(DECIMALS_OF_LOSS)} on validation text before round ${count(found.round)}, by ${by}`,
  ];
}

function checkpointLine(checkpoints: RunStatus["checkpoints"]): string[] {
  const [newest] = checkpoints;
  if (newest === undefined) return [];
  const same = checkpoints.filter(({ round, hash }) => round === newest.round && hash === newest.hash).length;
  const by = `${same} ${same === 1 ? "validator" : "validators"}`;
  return [`saved   checkpoint before round ${count(newest.round)}, by ${by}: ${newest.hash.slice(0, HASH_DIGITS)}`];
}

function roundTable(rounds: readonly RoundStatus[], reports: readonly SignedReport[]): string[] {
  if (rounds.length === 0) return [];
  const heading = ["round", "committed", "votes", "accepted", "applied", "validation"];
  const rows = rounds.map((status) => {
    const losses = lossesOf(status.round, reports);
    const accepted = status.decision?.accepted.length;
    return [
      count(status.round),
      count(status.commits),
      count(status.votes),
      accepted === undefined ? "" : count(accepted),
      status.decision === undefined ? undecided(status) : count(status.selected.length),
      losses.length === 0 ? "" : mean(losses).toFixed(DECIMALS_OF_LOSS),
    ];
  });
  return ["", ...table([heading, ...rows], [0, 1, 2, 3, 4, 5])];
}

function undecided({ over, votes }: RoundStatus): string {
  if (!over) return "open";
  return votes === 0 ? "null" : "not yet";
}

function peerTable({ metagraph }: ChainStatus, reports: readonly SignedReport[]): string[] {
  const heading = ["uid", "hotkey", "stake", "incentive", "emission", "weight", "payload", ""];
  const rows = metagraph.neurons.map((neuron) => {
    const { hotkey, incentive, emission, uid } = neuron;
    const found = peerIn(neuron, reports);
    return [
      String(uid),
      `${hotkey.slice(0, 8)}…${hotkey.slice(-4)}`,
      neuron.stake === 0n ? "" : shortCoins(neuron.stake, 1),
      (incentive / U16_MAX).toFixed(4),
      shortCoins(emission),
      found.weight === undefined ? "" : found.weight.toFixed(2),
      found.finding === undefined || found.finding.bytes === 0 ? "" : bytes(found.finding.bytes),
      noteOf(neuron, found.trouble),
    ];
  });
  return ["", ...table([heading, ...rows], [0, 2, 3, 4, 5, 6])];
}

function noteOf({ permit, active }: Neuron, trouble: string | undefined): string {
  const validator = permit ? [active ? "validator" : "validator, silent"] : [];
  return [...validator, ...(trouble ? [trouble] : [])].join("; ");
}

/** Everything as events: kind and fields. Amounts are rao, as text. */
export function statusEvents(
  shown: Omit<Shown, "clock"> & { readonly specHash: string },
): (readonly [kind: string, LogFields])[] {
  const { link, spec, specHash, status } = shown;
  const { chain, reports, checkpoints, unreachable } = status;
  const loss = newestLoss(reports);
  const run = { name: spec.name, link, specHash, params: paramCount(spec.model), rounds: roundsOf(spec) };
  return [
    ["run", { ...run, validation: loss?.loss ?? null, validationRound: loss?.round ?? null }],
    ...(chain ? chainEvents(chain, reports) : []),
    ...checkpoints.map(({ round, hash, account }) => ["checkpoint", { round, manifest: hash, account }] as const),
    ...unreachable.map(({ what, why }) => ["unreachable", { what, why }] as const),
  ];
}

function chainEvents(chain: ChainStatus, reports: readonly SignedReport[]): (readonly [string, LogFields])[] {
  const { chainId, head, record, metagraph, rounds } = chain;
  const at = phaseAt(record, head.block);
  const where = { round: at?.round ?? null, phase: at?.phase ?? null, blocksLeft: at?.blocksLeft ?? null };
  const facts = { chainId, netuid: record.netuid, runId: record.runId, startBlock: record.startBlock };
  return [
    ["chain", { ...facts, block: head.block, timestamp: head.timestamp, ...where }],
    ...rounds.map((status) => ["round", roundFields(status, reports)] as const),
    ...metagraph.neurons.map((neuron) => ["peer", peerFields(neuron, reports)] as const),
  ];
}

function roundFields(status: RoundStatus, reports: readonly SignedReport[]): LogFields {
  const { round, commits, votes, over, decision, selected } = status;
  const losses = lossesOf(round, reports);
  return {
    ...{ round, commits, votes, over, decided: decision !== undefined },
    ...{ accepted: decision ? [...decision.accepted] : null, applied: decision ? [...selected] : null },
    ...{ stateRoot: decision?.stateRoot ?? null, validation: losses.length === 0 ? null : mean(losses) },
  };
}

function peerFields(neuron: Neuron, reports: readonly SignedReport[]): LogFields {
  const { uid, hotkey, coldkey, stake, permit, active, incentive, dividends, emission } = neuron;
  const { weight, finding, trouble } = peerIn(neuron, reports);
  return {
    ...{ uid, hotkey, coldkey, stake: String(stake), permit, active, incentive, dividends, emission: String(emission) },
    ...{ weight: weight ?? null, bytes: finding?.bytes ?? null, trouble: trouble ?? null },
  };
}
