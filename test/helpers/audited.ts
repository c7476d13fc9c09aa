/** A peer's round at the level of modules: every state at a border, the work commitment, the payload's body, and answers to any challenge. */
import { must } from "../../src/base/assert.ts";
import { encodeBody } from "../../src/codec/body.ts";
import { compressor } from "../../src/codec/feedback.ts";
import type { Batch, Engine } from "../../src/engine/engine.ts";
import { paramCount, paramLayout } from "../../src/engine/shape.ts";
import { pseudoGradient } from "../../src/optim/outer.ts";
import type { PayloadHeader } from "../../src/round/payload.ts";
import { stateRoot } from "../../src/round/state-root.ts";
import { bodyLayoutOf, learningRateAt } from "../../src/run/rules.ts";
import type { RunSpec } from "../../src/run/spec.ts";
import { type Answer, answeredLeaves, answeredVectors, type VectorRole } from "../../src/score/audit/answer.ts";
import type { AuditTerms, Challenged } from "../../src/score/audit/claim.ts";
import {
  borderLeaf,
  borderStep,
  leafProof,
  residualLeaf,
  type WorkClass,
  workClass,
  workCommitment,
  workLeaves,
} from "../../src/score/audit/commitment.ts";

/** A state of AdamW. */
export interface Trained {
  readonly params: Float32Array;
  readonly m: Float32Array;
  readonly v: Float32Array;
  readonly steps: number;
}

/** What a peer has done in a round, and said about it. */
export interface AuditedRound {
  readonly round: number;
  readonly kind: WorkClass;
  readonly base: Float32Array;
  readonly borders: readonly Trained[];
  readonly before: Float32Array;
  readonly after: Float32Array;
  readonly leaves: readonly Uint8Array[];
  readonly body: Uint8Array;
  readonly previous: AuditedRound | undefined;
}

/** What a round begins with. */
export interface Begin {
  readonly round: number;
  readonly base: Float32Array;
  readonly kind?: WorkClass;
  readonly previous?: AuditedRound;
}

/** The terms of a run. */
export function termsOf(spec: RunSpec): AuditTerms {
  const { steps, resetMoments, adamw } = spec.inner;
  return {
    ...{ specHash: "ab".repeat(32), spans: spec.audit.spans, steps, tolerance: spec.audit.tolerance, resetMoments },
    layout: paramLayout(spec.model),
    body: bodyLayoutOf(spec),
    paramCount: paramCount(spec.model),
    stepOptions: (round, step) => ({ ...adamw, lr: learningRateAt(spec, round, step) }),
  };
}

/** Trains a round on `batchAt`. Moments and error feedback go on from `previous`, whose payload counts as applied. */
export async function workedRound(
  engine: Engine,
  terms: AuditTerms,
  { round, base, kind = workClass(engine), previous }: Begin,
  batchAt: (step: number) => Promise<Batch>,
): Promise<AuditedRound> {
  const zeros = (): Float32Array => new Float32Array(terms.paramCount);
  const left = terms.resetMoments ? undefined : previous?.borders.at(-1);
  await engine.write("params", base);
  await engine.write("m", left?.m ?? zeros());
  await engine.write("v", left?.v ?? zeros());
  engine.setStepCount(left?.steps ?? 0);
  const borders: Trained[] = [];
  for (let step = 0; ; step++) {
    if (borderStep(terms, borders.length) === step) {
      const [params, m, v] = [await engine.read("params"), await engine.read("m"), await engine.read("v")];
      borders.push({ params, m, v, steps: engine.stepCount() });
    }
    if (step === terms.steps) break;
    await engine.trainStep(await batchAt(step), terms.stepOptions(round, step));
  }
  return sealed(terms, { round, kind, base, borders, before: previous?.after ?? zeros(), previous });
}

/** Compresses and commits to what `made` says. */
export function sealed(
  terms: AuditTerms,
  made: Pick<AuditedRound, "round" | "kind" | "base" | "borders" | "before" | "previous">,
): AuditedRound {
  const { base, borders, before } = made;
  const delta = pseudoGradient(base, must(borders.at(-1), "a last border").params);
  const after = before.slice();
  const { compress } = compressor(terms.body.params);
  const sent = terms.layout.map(({ dims, offset, length }) =>
    compress(dims, delta.subarray(offset, offset + length), after.subarray(offset, offset + length)),
  );
  return committed({ ...made, after, leaves: [], body: encodeBody(sent, terms.body) });
}

/** Commits to what `made` says, whatever its payload has in it. */
export function committed(made: AuditedRound): AuditedRound {
  const { kind, previous, before, after } = made;
  const borders = made.borders.map(({ params, m, v, steps }) => ({
    ...{ params: stateRoot(params), m: stateRoot(m), v: stateRoot(v), optimizerSteps: steps },
  }));
  const residuals = { residualBefore: stateRoot(before), residualAfter: stateRoot(after) };
  return { ...made, leaves: workLeaves({ start: { kind, previous: previous?.round }, borders, ...residuals }) };
}

/** The payload's header. */
export function headerOf({ round, base, leaves }: AuditedRound): PayloadHeader {
  const hash = new Uint8Array(32);
  const hashes = { runHash: hash, dataDigest: hash, baseRoot: stateRoot(base), workCommitment: workCommitment(leaves) };
  return { ...hashes, round, uid: 3, tokens: 64 };
}

/** The payload, challenged for `part`. */
export function challengedFor(made: AuditedRound, part: number): Challenged {
  return { header: headerOf(made), body: made.body, part };
}

/** The honest answer for `part`; its vectors are beside it, and their lists of pieces are empty. */
export function answerTo(
  made: AuditedRound,
  part: number,
  { spans, specHash, resetMoments }: AuditTerms,
): { readonly answer: Answer; readonly vectors: ReadonlyMap<VectorRole, Float32Array> } {
  const { round, kind, leaves, previous } = made;
  const roles = answeredVectors(part, spans, kind);
  const vectors = new Map(roles.map((role) => [role, vectorOf(made, role, part)]));
  const follows = previous !== undefined && (part === spans || (part === 0 && !resetMoments));
  const leaf = part === spans ? residualLeaf(spans, "after") : borderLeaf(spans);
  const answer: Answer = {
    ...{ specHash, round, uid: 3, part },
    leaves: answeredLeaves(part, spans).map((index) => leafProof(leaves, index)),
    previous: follows ? { leaf, ...leafProof(previous.leaves, leaf) } : null,
    vectors: roles.map(() => []),
  };
  return { answer, vectors };
}

function vectorOf({ borders, before }: AuditedRound, role: VectorRole, part: number): Float32Array {
  const at = (index: number): Trained => must(borders[index], "a border");
  if (role === "residual") return before;
  if (role === "nextParams") return at(part + 1).params;
  if (role === "nextM") return at(part + 1).m;
  if (role === "nextV") return at(part + 1).v;
  return at(part)[role];
}
