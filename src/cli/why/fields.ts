/** An inquiry for machines: one event a part, numbers as they are; amounts are rao, as text. */
import type { LogFields } from "../../base/log/log.ts";
import type { Finding, Standing } from "../../score/standing.ts";
import { contradictionsOf, oddOneOut } from "./compare.ts";
import type { Inquiry, Witness } from "./gather.ts";
import { pastOf } from "./past.ts";
import type { Shares } from "./pay.ts";
import { leadOf } from "./verdict.ts";
import { answerOf, factorsIn } from "./view.ts";

/** All events. */
export function whyEvents(inquiry: Inquiry): (readonly [kind: string, LogFields])[] {
  const { peer, round, head, pay, witnesses, silent } = inquiry;
  const lead = leadOf(inquiry);
  const { kind, headline, reasons, advice } = answerOf(inquiry);
  const who = { uid: peer.uid, hotkey: peer.hotkey, coldkey: peer.coldkey, permit: peer.permit };
  const answer = { verdict: kind, headline, reasons: [...reasons], advice: [...advice] };
  return [
    [
      "why",
      {
        ...who,
        round: round ?? null,
        block: head.block,
        ...answer,
        lead: lead?.neuron.uid ?? null,
        suspect: oddOneOut(witnesses) ?? null,
      },
    ],
    ...witnesses.map((witness) => ["validator", witnessFields(witness)] as const),
    ...silent.map((uid) => ["silent", { validator: uid }] as const),
    ["pay", { epochs: pay.epochs, paid: String(pay.paid), last: sharesFields(pay.last), next: sharesFields(pay.next) }],
    ...pay.votes.map((vote) => ["row", { ...vote, report: rowOf(witnesses, vote.validator) }] as const),
    ...(lead === undefined ? [] : pastOf(lead, peer)).map(
      (past) =>
        [
          "past",
          {
            ...{ round: past.round, backed: past.backed, suspended: past.suspended, usual: past.usual },
            ...{ weight: past.weight ?? null, finding: findingFields(past.finding) },
          },
        ] as const,
    ),
    ...witnesses.flatMap(({ neuron, complaints }) =>
      complaints.map((complaint) => ["complaint", { validator: neuron.uid, ...complaint }] as const),
    ),
    ...contradictionsOf(witnesses).map(
      ({ between, ...rest }) => ["contradiction", { validators: [...between], ...rest }] as const,
    ),
  ];
}

function rowOf(witnesses: readonly Witness[], uid: number): number | null {
  return witnesses.find(({ neuron }) => neuron.uid === uid)?.row?.round ?? null;
}

function witnessFields(witness: Witness): LogFields {
  const { neuron, newest, report, seen, trail, recounted, complaints, row } = witness;
  return {
    ...{
      validator: neuron.uid,
      hotkey: neuron.hotkey,
      stake: String(neuron.stake),
      newest,
      round: report?.round ?? null,
    },
    ...{
      finding: findingFields(seen.finding),
      standing: standingFields(seen.standing),
      factors: { ...factorsIn(witness) },
    },
    backed: report === undefined || seen.finding === undefined ? null : report.backed.includes(seen.finding.uid),
    ...{ reports: trail.reports.length, end: trail.end, recounted: recounted.reports },
    honest: complaints.length === 0 && !(row !== undefined && row.round === undefined),
  };
}

/** A finding as fields. */
export function findingFields(finding: Finding | undefined): LogFields | null {
  if (finding === undefined) return null;
  const { copyOf, audit, ...rest } = finding;
  return { ...rest, copyOf: copyOf && { ...copyOf }, audit: audit && { ...audit } };
}

function standingFields(standing: Standing | undefined): LogFields | null {
  return standing === undefined ? null : { ...standing };
}

function sharesFields({ emission, ...shares }: Shares): LogFields {
  return { ...shares, emission: String(emission) };
}
