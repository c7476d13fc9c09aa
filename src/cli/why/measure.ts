/**
 * Measuring a payload again: the run is recomputed up to the round, the round's payloads are fetched, checked and compared, and the one that is asked about
 * is tried on the model, all by the code that validators run. What comes out is held against what each of them reported. Audits are not repeated: the answers
 * that they stand on are kept for a round only.
 */

import { SkeinError } from "../../base/errors.ts";
import { toHex } from "../../base/hash.ts";
import type { Log } from "../../base/log/log.ts";
import type { Chain, Signer } from "../../chain/chain.ts";
import { roundStart } from "../../chain/rounds.ts";
import type { Engine } from "../../engine/engine.ts";
import { committedBlob, rootOf } from "../../roles/network/follower.ts";
import { type NodeOptions, openNode } from "../../roles/network/node.ts";
import { type Following, follow, type Origin, startingState } from "../../roles/network/sync.ts";
import { openDocket } from "../../roles/network/validator/docket.ts";
import { findingsOf } from "../../roles/network/validator/findings.ts";
import { hear } from "../../roles/network/validator/judge.ts";
import { standingsIn } from "../../score/report.ts";
import { type Finding, MISSING, NO_STANDINGS, type Standings } from "../../score/standing.ts";
import { putBlob } from "../../store/blobs.ts";
import { type BlockHash, chainAt } from "./blocks.ts";
import { differs, MEASURES } from "./compare.ts";
import type { Witness } from "./gather.ts";

/** What is to be measured, with what. */
export interface Measurement {
  /** Without a key, a log or a signal: those are made here. */
  readonly node: Omit<NodeOptions, "signer" | "log" | "signal">;
  readonly engine: Engine;
  readonly archive: BlockHash;
  readonly uid: number;
  readonly round: number;
  readonly witnesses: readonly Witness[];
  /** A key that owns nothing: judging takes one, and does nothing with it. */
  readonly nobody: Signer;
  readonly signal: AbortSignal;
  /** Told the round that was replayed. */
  readonly onRound?: (round: number) => void;
  readonly onJudging?: () => void;
}

/** What one validator reported, held against what was measured. */
export interface Comparison {
  readonly validator: number;
  /** In words, what differs; [] where nothing does, as far as it has measured the same. */
  readonly differences: readonly string[];
}

/** What was measured. */
export interface Measured {
  readonly round: number;
  /** undefined where the peer committed to nothing in this round. */
  readonly finding: Finding | undefined;
  /** State root of the params before the round, in hex. */
  readonly root: string;
  readonly from: Origin;
  /** Whether the engine gives the same bits everywhere: otherwise small differences mean nothing. */
  readonly exact: boolean;
  readonly comparisons: readonly Comparison[];
}

/**
 * Measures. Throws SkeinError: "store" and "chain" where something cannot be had any more, "data", "engine" where judging fails, "checkpoint" where the
 * params do not come out as the votes said, "interrupted".
 */
export async function measure(measurement: Measurement): Promise<Measured> {
  const { node: options, engine, archive, round, uid, witnesses, nobody, signal } = measurement;
  const record = await options.chain.run(options.runId);
  const chain: Chain = chainAt(options.chain, roundStart(record, round + 1) - 1, archive);
  const troubles: string[] = [];
  const node = await openNode({ ...options, chain, signal, log: logFor(measurement, troubles) });
  const { state, from } = await startingState(node);
  const following: Following = { node, state };
  await follow(following, round);
  measurement.onJudging?.();
  const docket = await openDocket(node, round, NO_STANDINGS);
  const there = [];
  for (const commit of docket.commits) {
    const bytes = await committedBlob(node, commit.payloadHash);
    if (bytes === undefined) continue;
    await putBlob(node.local, bytes);
    there.push(commit);
  }
  const judging = {
    node: { ...node, signer: nobody, acting: chain.as(nobody) },
    engine,
    inTurn: <T>(work: () => Promise<T>): Promise<T> => work(),
  };
  const all = { ...docket, commits: there, drawn: new Set([uid]) };
  const heard = await hear(judging, following.state, all, signal);
  if (signal.aborted) throw new SkeinError("interrupted", "stopped on request");
  if (troubles.length > 0) throw new SkeinError("engine", `the payload could not be judged: ${troubles.join("; ")}`);
  const found = (before: Standings): Finding | undefined => {
    const finding = findingsOf(node.spec, before, { ...all, commits: docket.commits }, heard, []);
    return finding.find((each) => each.uid === uid);
  };
  const drawnBy = async (before: Standings): Promise<boolean> => (await openDocket(node, round, before)).drawn.has(uid);
  const root = toHex(rootOf(following.state));
  const known = witnesses.filter(({ report }) => report?.round === round);
  const comparisons: Comparison[] = [];
  for (const witness of known) {
    const before = beforeOf(witness);
    const here = found(before);
    comparisons.push(compared(witness, root, here && { ...here, drawn: await drawnBy(before) }));
  }
  const finding = found(known[0] === undefined ? NO_STANDINGS : beforeOf(known[0]));
  return { round, root, from, exact: engine.deterministic, finding, comparisons };
}

/** The standings before the report that a witness is asked about. */
function beforeOf({ trail, report }: Witness): Standings {
  const before = report === undefined ? undefined : trail.reports[trail.reports.indexOf(report) + 1];
  return before === undefined ? NO_STANDINGS : standingsIn(before);
}

function logFor({ onRound = () => undefined }: Measurement, troubles: string[]): Log {
  return {
    event(kind, { round, why } = {}) {
      if (kind === "applied" && typeof round === "number") onRound(round);
      if (kind === "judging-failed" || kind === "check-failed") troubles.push(String(why));
    },
  };
}

function compared({ neuron, report, seen }: Witness, root: string, here: Finding | undefined): Comparison {
  const differences: string[] = [];
  if (report !== undefined && report.root !== root) differences.push("it reports on other params before the round");
  const theirs = seen.finding;
  if (theirs === undefined || here === undefined) {
    if (theirs !== undefined || here !== undefined)
      differences.push(
        `it reports ${theirs === undefined ? "no payload" : "a payload"}, and there is ${here === undefined ? "none" : "one"}`,
      );
    return { validator: neuron.uid, differences };
  }
  const unseen = theirs.fault === MISSING || here.fault === MISSING; // what one could not fetch in time, another may
  if (theirs.fault !== here.fault && !unseen)
    differences.push(`it reports ${theirs.fault ?? "no fault"}; here: ${here.fault ?? "no fault"}`);
  if (!unseen && differs(theirs.share, here.share)) differences.push(`work ${theirs.share}; here ${here.share}`);
  if (theirs.drawn !== here.drawn)
    differences.push(`it says that the payload ${was(theirs.drawn)} drawn to be judged; it ${was(here.drawn)}`);
  for (const [name, words] of MEASURES)
    if (differs(theirs[name], here[name])) differences.push(`${words} ${theirs[name]}; here ${here[name]}`);
  if (!unseen && copyText(theirs) !== copyText(here))
    differences.push(`it reports ${copyText(theirs)}; here ${copyText(here)}`);
  return { validator: neuron.uid, differences };
}

const was = (drawn: boolean): string => (drawn ? "was" : "was not");

function copyText({ copyOf }: Finding): string {
  return copyOf === null ? "no copy" : `a copy of uid ${copyOf.uid}'s of round ${copyOf.round}`;
}
