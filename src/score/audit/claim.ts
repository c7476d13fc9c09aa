/**
 * What an answer claims, and whether it is what its payload's work commitment says: everything about an answer that can be judged without its vectors.
 *
 * Refuted is only what is proven false by the peer's own commitments. Whatever cannot be told (leaves that belong to no commitment, vectors that are not
 * what the leaves say) counts as no answer: a cheat gains nothing by answering nonsense, and nobody is banned for a broken file.
 */
import { must } from "../../base/assert.ts";
import { equalBytes } from "../../base/bytes.ts";
import type { BodyLayout } from "../../codec/body.ts";
import type { StepOptions } from "../../engine/engine.ts";
import type { ParamEntry } from "../../engine/shape.ts";
import type { PayloadHeader } from "../../round/payload.ts";
import { type Answer, type AnswerForm, answeredLeaves, answeredVectors, type VectorRole } from "./answer.ts";
import {
  type BorderState,
  borderLeaf,
  decodeBorder,
  decodeStart,
  isLeaf,
  residualLeaf,
  type WorkPlan,
  type WorkStart,
  zeroRoot,
} from "./commitment.ts";

/** How an audit ended: the work is as it was promised; nothing that could be judged came in time; or it is proven to be something else. */
export type AuditVerdict = "passed" | "unanswered" | "refuted";

/** An ended audit. */
export interface Verdict {
  readonly verdict: AuditVerdict;
  /** Lower-case words, at most 64 characters; null where it passed. */
  readonly reason: string | null;
}

/** What a run fixes about audits. */
export interface AuditTerms extends AnswerForm, WorkPlan {
  /** Hash of the run's spec, in hex. */
  readonly specHash: string;
  readonly tolerance: number;
  readonly resetMoments: boolean;
  readonly layout: readonly ParamEntry[];
  readonly body: BodyLayout;
  /** Optimizer settings of an inner step of a round. */
  readonly stepOptions: (round: number, step: number) => StepOptions;
}

/** A payload that is challenged. */
export interface Challenged {
  readonly header: PayloadHeader;
  /** The codec's part of its bytes. */
  readonly body: Uint8Array;
  /** What was asked for: a span, or, if it is the number of spans, the compression. */
  readonly part: number;
}

/** What a commitment's leaves say about a part. */
type Said = { readonly start: WorkStart } & (
  | { readonly of: "span"; readonly from: BorderState; readonly to: BorderState }
  | { readonly of: "compression"; readonly end: BorderState; readonly before: Uint8Array; readonly after: Uint8Array }
);

/** What an answer claims, with the state root that each of its vectors must have. */
export type Claim = Said & { readonly expected: ReadonlyMap<VectorRole, Uint8Array> };

/** Whether there is a verdict already. */
export function isVerdict<T extends object>(result: T | Verdict): result is Verdict {
  return "verdict" in result;
}

/** The verdict on whoever gave no answer, or none that could be judged. */
export function unanswered(reason: string): Verdict {
  return { verdict: "unanswered", reason };
}

/** The verdict on work that is proven to be something else. */
export function refuted(reason: string): Verdict {
  return { verdict: "refuted", reason };
}

/** What the answer to `payload`'s challenge claims, by leaves that are proven; where it proves nothing, the verdict. */
export function claimIn(answer: Answer, { header, part }: Challenged, terms: AuditTerms): Claim | Verdict {
  const { spans, specHash } = terms;
  const { round, uid, workCommitment, baseRoot } = header;
  if (answer.specHash !== specHash || answer.round !== round || answer.uid !== uid || answer.part !== part)
    return unanswered("an answer to something else");
  const indices = answeredLeaves(part, spans);
  if (answer.leaves.length !== indices.length) return unanswered("leaves are missing");
  const isProven = answer.leaves.every((leaf, i) => isLeaf(workCommitment, spans, must(indices[i], "a leaf"), leaf));
  if (!isProven) return unanswered("leaves are not those of the commitment");
  const [first, ...data] = answer.leaves.map((leaf) => leaf.data);
  const start = first && decodeStart(first);
  if (start === undefined) return refuted("no start was committed to");
  if (start.kind === "tolerant" && terms.tolerance === 0) return refuted("work that cannot be replayed exactly");
  if (start.previous !== undefined && start.previous >= round) return refuted("goes on from a later round");
  const claim = part < spans ? spanClaim(start, data) : compressionClaim(start, data);
  if (isVerdict(claim)) return claim;
  if (claim.of === "span" && part === 0 && !equalBytes(claim.from.params, baseRoot))
    return refuted("began from other params");
  const roles = answeredVectors(part, spans, start.kind);
  if (answer.vectors.length !== roles.length) return unanswered("vectors are missing");
  return { ...claim, expected: expectedRoots(claim, roles) };
}

function spanClaim(start: WorkStart, data: readonly Uint8Array[]): Said | Verdict {
  const [from, to] = data.map(decodeBorder);
  return from && to ? { of: "span", start, from, to } : refuted("no states were committed to");
}

function compressionClaim(start: WorkStart, [border, before, after]: readonly Uint8Array[]): Said | Verdict {
  const end = border && decodeBorder(border);
  if (!end || before?.length !== 32 || after?.length !== 32) return refuted("no states were committed to");
  return { of: "compression", start, end, before, after };
}

/** The state root that each vector must have. */
function expectedRoots(claim: Said, roles: readonly VectorRole[]): ReadonlyMap<VectorRole, Uint8Array> {
  const roots: Partial<Record<VectorRole, Uint8Array>> =
    claim.of === "compression"
      ? { params: claim.end.params, residual: claim.before }
      : {
          ...{ params: claim.from.params, m: claim.from.m, v: claim.from.v },
          ...{ nextParams: claim.to.params, nextM: claim.to.m, nextV: claim.to.v },
        };
  return new Map(roles.map((role) => [role, must(roots[role], "a root for each vector")]));
}

/**
 * The earlier payload that the claim's state must go on from; undefined where it is to begin with zeros, or to be taken as it stands: the middle of a round
 * follows from its beginning.
 */
export function followedRound({ start, of }: Claim, part: number, { resetMoments }: AuditTerms): number | undefined {
  const follows = of === "compression" || (part === 0 && !resetMoments);
  return follows ? start.previous : undefined;
}

/**
 * Whether the claim's moments or error feedback are what the peer was left with: undefined where they are. `followed` is the work commitment of the payload that
 * `followedRound` names; undefined where there is none to follow.
 */
export function originFault(
  claim: Claim,
  part: number,
  answer: Answer,
  followed: Uint8Array | undefined,
  terms: AuditTerms,
): Verdict | undefined {
  if (claim.of === "span" && part > 0) return undefined;
  const { spans, paramCount } = terms;
  const none = zeroRoot(paramCount);
  if (followed === undefined) {
    const fromNothing =
      claim.of === "compression"
        ? equalBytes(claim.before, none)
        : equalBytes(claim.from.m, none) && equalBytes(claim.from.v, none) && claim.from.optimizerSteps === 0;
    return fromNothing ? undefined : refuted(`${nameOf(claim)} from nowhere`);
  }
  const { previous } = answer;
  const allowed =
    claim.of === "compression" ? [residualLeaf(spans, "before"), residualLeaf(spans, "after")] : [borderLeaf(spans)];
  if (previous === null || !allowed.includes(previous.leaf)) return unanswered("the earlier leaf is missing");
  if (!isLeaf(followed, spans, previous.leaf, previous)) return unanswered("the earlier leaf is not proven");
  const isSame =
    claim.of === "compression" ? equalBytes(previous.data, claim.before) : sameMoments(previous.data, claim);
  return isSame ? undefined : refuted(`${nameOf(claim)} other than left before`);
}

function nameOf({ of }: Claim): string {
  return of === "compression" ? "error feedback" : "moments";
}

function sameMoments(data: Uint8Array, { from }: Extract<Claim, { of: "span" }>): boolean {
  const left = decodeBorder(data);
  if (left === undefined || left.optimizerSteps !== from.optimizerSteps) return false;
  return equalBytes(left.m, from.m) && equalBytes(left.v, from.v);
}
