/** Everything that is known about why a peer is paid what it is: what validators have reported, and what the chain has made of it. */
import { SkeinError } from "../../base/errors.ts";
import type { Chain, Head, Metagraph, Neuron, RunRecord } from "../../chain/chain.ts";
import type { Report } from "../../score/report.ts";
import type { Store } from "../../store/store.ts";
import { type Seen, seenIn } from "../status/peer.ts";
import { newestReports, permitted, type SignedReport } from "../status/reports.ts";
import { type Pay, payOf, type Rows } from "./pay.ts";
import { type Complaint, complaintsOn, type Recounted, recountTrail, rowRound, type Trail, trailOf } from "./trail.ts";
import { type Asked, peerOf } from "./who.ts";

/** A peer that is asked about. */
export interface Question {
  readonly specHash: string;
  readonly store: Store;
  readonly chain: Chain;
  readonly record: RunRecord;
  readonly asked: Asked;
  /** The newest unless given. */
  readonly round?: number;
  /** Told what is being done. */
  readonly onStatus?: (text: string) => void;
}

/** A validator, and what it says of the peer. */
export interface Witness {
  readonly neuron: Neuron;
  /** Round of its newest report. */
  readonly newest: number;
  /** Its report that is asked about; undefined where it has none on that round. */
  readonly report: Report | undefined;
  readonly seen: Seen;
  readonly trail: Trail;
  readonly recounted: Recounted;
  /** Everything in its records that does not add up, oldest first. */
  readonly complaints: readonly Complaint[];
  /** The report whose votes its row on chain is. `round` is undefined where it is none's that was read; all of it where it has no row. */
  readonly row: { readonly round: number | undefined } | undefined;
}

/** What was found out. */
export interface Inquiry {
  readonly peer: Neuron;
  readonly metagraph: Metagraph;
  readonly head: Head;
  /** The round that was asked about; undefined where the newest reports were. */
  readonly round: number | undefined;
  readonly pay: Pay;
  /** Validators that have reported, most stake first. */
  readonly witnesses: readonly Witness[];
  /** Uids of validators with a permit and stake that have not. */
  readonly silent: readonly number[];
}

/** Reports before the one that is asked about that are read and recounted. */
const BEYOND = 32;

/** Finds out. Throws SkeinError: "usage" for a peer or a round that is not there, "store" and "chain" where those do not answer. */
export async function inquire(question: Question): Promise<Inquiry> {
  const { chain, record, asked, round, store, specHash, onStatus = () => undefined } = question;
  onStatus("asking the chain");
  const [head, metagraph] = [await chain.head(), await chain.metagraph(record.netuid)];
  const peer = peerOf(metagraph, asked);
  const [weights, bonds] = await Promise.all([chain.weights(record.netuid), chain.bonds(record.netuid)]);
  onStatus("asking for reports");
  const newest = await newestReports(store, specHash, permitted(metagraph));
  checkRound(round, newest);
  const witnesses: Witness[] = [];
  for (const report of newest) witnesses.push(await witnessOf(question, report, { metagraph, weights, peer }));
  witnesses.sort((a, b) => Number(b.neuron.stake - a.neuron.stake) || a.neuron.uid - b.neuron.uid);
  if (round !== undefined && newest.length > 0 && witnesses.every(({ report }) => report === undefined))
    throw noReport(round, `the reports go back to round ${Math.min(...witnesses.map(oldest))}`);
  const heard = new Set(witnesses.map(({ neuron }) => neuron.uid));
  const silent = metagraph.neurons.filter(({ permit, stake, uid }) => permit && stake > 0n && !heard.has(uid));
  return {
    ...{ peer, metagraph, head, round, witnesses },
    pay: payOf(metagraph, weights, bonds, peer.uid),
    silent: silent.map(({ uid }) => uid),
  };
}

const oldest = ({ trail }: Witness): number => trail.reports.at(-1)?.round ?? 0;

function checkRound(round: number | undefined, newest: readonly SignedReport[]): void {
  const [last] = newest;
  if (round === undefined || last === undefined || round <= last.report.round) return;
  throw noReport(round, `the newest report is on round ${last.report.round}`);
}

function noReport(round: number, details: string): SkeinError {
  return new SkeinError("usage", `no validator has a report on round ${round}`, {
    details,
    remedy: "ask for another round, or leave --round out for the newest",
  });
}

interface Scene {
  readonly metagraph: Metagraph;
  readonly weights: Rows;
  readonly peer: Neuron;
}

async function witnessOf(
  { store, chain, record, round, onStatus = () => undefined }: Question,
  signed: SignedReport,
  { metagraph, weights, peer }: Scene,
): Promise<Witness> {
  const neuron = metagraph.neurons.find(({ hotkey }) => hotkey === signed.account) as Neuron; // it has a permit
  const newest = signed.report.round;
  const depth = { round: round ?? newest, beyond: BEYOND };
  const trail = await trailOf(store, signed, depth, (at) =>
    onStatus(`reading uid ${neuron.uid}'s report on round ${at}`),
  );
  const accounts = metagraph.neurons.map(({ hotkey }) => hotkey);
  const recounted = recountTrail(trail, accounts);
  const report = trail.reports.find((each) => each.round === (round ?? newest));
  const row = weights.get(neuron.uid);
  return {
    ...{ neuron, newest, report, trail, recounted },
    seen: report === undefined ? NOTHING_SEEN : seenIn({ report }, peer),
    complaints: [...recounted.complaints, ...(report ? await deedsAgainst(chain, record, neuron, report) : [])],
    row: row === undefined || row.uids.length === 0 ? undefined : { round: rowRound(trail, row) },
  };
}

const NOTHING_SEEN: Seen = { finding: undefined, standing: undefined, factors: undefined, weight: undefined };

async function deedsAgainst(chain: Chain, { runId }: RunRecord, { uid }: Neuron, report: Report): Promise<Complaint[]> {
  const [votes, decision] = await Promise.all([chain.votes(runId, report.round), chain.decision(runId, report.round)]);
  return complaintsOn(report, { vote: votes.find((vote) => vote.uid === uid), decision });
}
