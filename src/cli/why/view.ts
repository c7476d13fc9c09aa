/** An inquiry for people: the answer in a few lines, then the numbers it stands on, table by table, in the order in which one follows from another. */
import type { RunSpec } from "../../run/spec.ts";
import { NEW_SKILL } from "../../score/skill.ts";
import { ABSENT, type Factors, type Finding } from "../../score/standing.ts";
import { shortCoins } from "../chain/money.ts";
import { count, table } from "../shared/terminal.ts";
import { troubleOf } from "../status/peer.ts";
import { contradictionsOf, oddOneOut } from "./compare.ts";
import type { Inquiry, Witness } from "./gather.ts";
import { PAST_ROUNDS, pastOf } from "./past.ts";
import { shareIn } from "./pay.ts";
import { leadOf, type Verdict, verdictOf } from "./verdict.ts";

/** What is shown. */
export interface Shown {
  readonly spec: Pick<RunSpec, "name">;
  readonly inquiry: Inquiry;
}

/** Of a uid without a standing. */
const NO_FACTORS: Factors = { quality: 0, effort: 0, gate: 0, conduct: 0, weight: 0 };

/** The peer's factors in a witness's report. */
export function factorsIn({ seen }: Witness): Factors {
  return seen.factors ?? NO_FACTORS;
}

/** The answer to an inquiry. */
export function answerOf(inquiry: Inquiry): Verdict {
  const lead = leadOf(inquiry);
  return verdictOf(inquiry, lead === undefined ? NO_FACTORS : factorsIn(lead));
}

/** All lines. */
export function whyLines({ spec, inquiry }: Shown): string[] {
  const { peer, round, witnesses, silent } = inquiry;
  const { kind, headline, reasons, advice } = answerOf(inquiry);
  const known = witnesses.filter(({ seen }) => seen.standing !== undefined || seen.finding !== undefined);
  const lead = leadOf(inquiry);
  const when = round === undefined ? "by the newest reports" : `after round ${count(round)}`;
  return [
    `uid ${peer.uid}, ${peer.hotkey.slice(0, 8)}…${peer.hotkey.slice(-4)}, in the run ${spec.name}, ${when}`,
    "",
    headline,
    ...reasons.map((reason) => `  ${reason}`),
    ...(advice.length === 0 ? [] : ["What to do:", ...advice.map((each) => `  - ${each}`)]),
    ...payWords(inquiry).map((each, i) => (i === 0 ? `\n${each}` : `  ${each}`)),
    ...(known.length === 0 ? [] : [...findingTable(known), ...standingTable(known)]),
    ...chainTable(inquiry, kind !== "validator"),
    ...(lead === undefined || known.length === 0 ? [] : pastTable(lead, inquiry)),
    ...recordLines(witnesses, silent),
  ];
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
const share4 = (share: number): string => share.toFixed(4);

/** What it is paid, and what comes next. */
function payWords(inquiry: Inquiry): string[] {
  const { pay, peer, metagraph } = inquiry;
  const { epochs, last, paid, next } = pay;
  const { epoch, params } = metagraph.subnet;
  if (epochs === 0) return ["No epoch has paid anything yet."];
  const part =
    paid === 0n ? "" : `, ${percent(Number((peer.emission * 1_000_000n) / paid) / 1_000_000)} of all that it paid`;
  const head = `Epoch ${count(epochs)} paid it ${shortCoins(last.emission)} coins${part}.`;
  const left = Math.max(0, epoch.dueBlock - metagraph.block);
  const due = left === 0 ? "which is due" : `in ${count(left)} ${left === 1 ? "block" : "blocks"}`;
  const lines = [
    head,
    `As validators' votes stand on chain, the next one (${due}) pays it ${shortCoins(next.emission)}.`,
  ];
  const lag = params.commitReveal
    ? `What they report now is hidden at first, and counts from epoch ${count(epochs + 1 + params.revealInterval)} on.`
    : "What they report now counts from the next epoch on.";
  return [...lines, lag];
}

const nameOf = ({ neuron }: Witness): string => `uid ${neuron.uid}`;

/** "+0.00980 ± 0.00110". */
function gainText(gain: number | null, noise: number | null): string {
  return gain === null ? "not judged" : `${gain < 0 ? "" : "+"}${gain.toFixed(5)} ± ${(noise ?? 0).toFixed(5)}`;
}

function findingTable(known: readonly Witness[]): string[] {
  const heading = ["validator", "round", "work", "gain, own text", "gain, new text", "found", "backed"];
  const rows = known.map((witness) => {
    const { report, newest, seen } = witness;
    const { finding } = seen;
    const round = count(report?.round ?? newest);
    if (finding === undefined) return [nameOf(witness), round, "", "", "", "no payload", "no"];
    const backs = report?.backed.includes(finding.uid) === true ? "yes" : "no";
    return [nameOf(witness), round, ...findingCells(finding).map(([, cell]) => cell), backs];
  });
  const title =
    "What validators found in its payload (gains in nats a token, on text that it was given and on text that nobody was)";
  return ["", title, ...table([heading, ...rows], [1, 2, 3])];
}

/** A finding in names and words. */
export function findingCells(finding: Finding): readonly (readonly [name: string, cell: string])[] {
  const { share, fault, gainAssigned, noiseAssigned, gainUnassigned, noise } = finding;
  return [
    ["work", fault === null ? percent(share) : ""],
    ["gain, own text", gainAssigned === null ? "" : gainText(gainAssigned, noiseAssigned)],
    ["gain, new text", gainText(gainUnassigned, noise)],
    ["found", foundWords(finding)],
  ];
}

function foundWords(finding: Finding): string {
  const words = [finding.fault === ABSENT ? "no payload" : (troubleOf({ finding }) ?? "sound")];
  const { audit } = finding;
  if (audit !== null) {
    const reason = audit.reason === null ? "" : `: ${audit.reason}`;
    words.push(`audit of round ${audit.round}, part ${audit.part}, ${audit.verdict}${reason}`);
  }
  return words.join("; ");
}

function standingTable(known: readonly Witness[]): string[] {
  const rows = known.map((witness) => {
    const { standing } = witness.seen;
    const { quality, effort, gate, conduct, weight } = factorsIn(witness);
    if (standing === undefined) return [nameOf(witness), "", "no standing"];
    const factors = [quality, effort, gate, conduct].map((each) => each.toFixed(2));
    const rating = `${standing.mu.toFixed(2)} ± ${standing.sigma.toFixed(2)}`;
    const [first = "", ...others] = factors;
    const product = [first, ...others.map((each) => `× ${each}`), `= ${weight.toFixed(2)}`];
    return [nameOf(witness), count(standing.judged), rating, ...product, voteText(witness)];
  });
  const factors = ["quality", "× effort", "× gate", "× conduct", "= weight"];
  const heading = ["validator", "judged", `rating (nothing: ${NEW_SKILL.mu})`, ...factors, "of all weights"];
  return ["", "What they think of it", ...table([heading, ...rows], [1, 2, 3, 4, 5, 6, 7, 8])];
}

/** The uid's part of what a report votes. */
function voteText({ report, seen }: Witness): string {
  if (report === undefined || seen.standing === undefined) return "";
  return percent(shareIn(report.votes, seen.standing.uid));
}

function chainTable({ pay, witnesses }: Inquiry, withRows: boolean): string[] {
  const { votes, last, next, epochs } = pay;
  const rows = votes.map(({ validator, stake, share, voted }) => {
    const witness = witnesses.find(({ neuron }) => neuron.uid === validator);
    const from = witness?.row?.round;
    const source = !voted ? "has not voted" : from === undefined ? "of no report" : count(from);
    return [`uid ${validator}`, percent(stake), source, voted ? percent(share) : ""];
  });
  const heading = ["validator", "stake", "its row is of round", "gives it"];
  const sums = ({ consensus, incentive, dividends }: typeof last, coins: bigint): string[] => [
    share4(consensus),
    share4(incentive),
    share4(dividends),
    shortCoins(coins),
  ];
  const outcome = table(
    [
      ["", "consensus", "incentive", "dividends", "emission"],
      ...(epochs === 0 ? [] : [[`epoch ${count(epochs)}, by the chain`, ...sums(last, last.emission)]]),
      [`epoch ${count(epochs + 1)}, computed from these rows`, ...sums(next, next.emission)],
    ],
    [1, 2, 3, 4],
  );
  const votesTable = withRows ? [...table([heading, ...rows], [1, 2, 3]), ""] : [];
  return ["", "What the chain makes of it", ...votesTable, ...outcome];
}

function pastTable(lead: Witness, { peer }: Inquiry): string[] {
  const past = pastOf(lead, peer);
  if (past.length < 2) return [];
  const heading = ["round", "work", "gain, new text", "found", "backed", "weight"];
  const rows = past.map(({ round, finding, backed, suspended, weight }) => [
    count(round),
    finding === undefined || finding.fault !== null ? "" : percent(finding.share),
    finding === undefined ? "" : gainText(finding.gainUnassigned, finding.noise),
    `${finding === undefined ? "no payload" : foundWords(finding)}${suspended ? " (an outage: counts against nobody)" : ""}`,
    backed ? "yes" : "no",
    weight === undefined ? "" : weight.toFixed(2),
  ]);
  const title = `Its last ${Math.min(past.length, PAST_ROUNDS)} rounds, as uid ${lead.neuron.uid} saw them`;
  return ["", title, ...table([heading, ...rows], [0, 1, 5])];
}

/** Who vouches for all this: what recounts, and loudly what does not. */
function recordLines(witnesses: readonly Witness[], silent: readonly number[]): string[] {
  const lines = witnesses.flatMap((witness) => [recountWords(witness), ...complaintWords(witness)]);
  const quiet = silent.map((uid) => `uid ${uid}  has stake and has published no report`);
  const against = contradictionsOf(witnesses).map(
    ({ round, what }) => `VALIDATORS DISAGREE on round ${count(round)}: ${what}; --measure tells who is right`,
  );
  const odd = oddOneOut(witnesses);
  const alone = odd === undefined ? [] : [`SUSPECT: uid ${odd}: all others agree with each other, and it with nobody`];
  return lines.length + quiet.length === 0 ? [] : ["", "Validators' records", ...lines, ...quiet, ...against, ...alone];
}

function recountWords(witness: Witness): string {
  const { recounted, trail } = witness;
  const reports = `${count(recounted.reports)} ${recounted.reports === 1 ? "report" : "reports"}`;
  const reach = { first: "all of its reports", enough: "its last", lost: "as far as they can be had" }[trail.end];
  const one = recounted.reports === 1;
  const follows = `${one ? "follows" : "follow"} from what it found`;
  const well = recounted.complaints.length === 0 ? follows : `${one ? "was" : "were"} recounted`;
  return `${nameOf(witness)}  ${reports} ${well} (${reach})`;
}

/** Complaints that are shown of one validator. */
const COMPLAINTS_SHOWN = 3;

function complaintWords(witness: Witness): string[] {
  const { complaints, row } = witness;
  const shown = complaints.slice(0, COMPLAINTS_SHOWN);
  const more = complaints.length - shown.length;
  const lines = shown.map(({ round, what }) => `its report on round ${count(round)}: ${what}`);
  if (more > 0) lines.push(`and ${count(more)} more of its reports`);
  if (row !== undefined && row.round === undefined)
    lines.push("its row on chain is not what any of the reports that were read votes");
  return lines.map((line) => `DOES NOT ADD UP: ${nameOf(witness)}: ${line}`);
}
