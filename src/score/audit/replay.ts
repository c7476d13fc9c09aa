/**
 * Doing a part of a peer's work again. Where both engines compute the same bits the result must be the next leaf, bit for bit. Otherwise params and both
 * moments must be as near as the run's tolerance says, relative to how far the span moved them: ‖claimed − replayed‖ ≤ tolerance · ‖replayed − start‖. All three
 * are compared, since a peer that could choose its moments freely would need no gradients at all. docs/protocol/work.md says how the tolerance was found.
 *
 * Compression computes the same bits everywhere, so its payload must come out byte for byte.
 */
import { must } from "../../base/assert.ts";
import { equalBytes } from "../../base/bytes.ts";
import { SkeinError } from "../../base/errors.ts";
import { encodeBody } from "../../codec/body.ts";
import { compressor, type SentTensor } from "../../codec/feedback.ts";
import type { Batch, Engine } from "../../engine/engine.ts";
import { pseudoGradient } from "../../optim/outer.ts";
import { stateRoot } from "../../round/state-root.ts";
import type { VectorRole } from "./answer.ts";
import { type AuditTerms, type Challenged, type Claim, refuted, unanswered, type Verdict } from "./claim.ts";
import { borderStep, workClass } from "./commitment.ts";

/** What a replay takes besides the claim. */
export interface Replay {
  readonly engine: Engine;
  readonly terms: AuditTerms;
  /** The params that the round began with: those whose state root is the header's. */
  readonly base: Float32Array;
  /** Those of `answeredVectors`, each of the model's length. */
  readonly vectors: ReadonlyMap<VectorRole, Float32Array>;
  /** What the peer had to train on in an inner step. */
  readonly batchAt: (step: number) => Promise<Batch>;
  /** Ends the replay without a verdict. */
  readonly signal?: AbortSignal;
}

const PASSED: Verdict = { verdict: "passed", reason: null };

/** The vectors as the commitment has them; otherwise the verdict. */
export function vectorFault({ expected }: Claim, vectors: Replay["vectors"]): Verdict | undefined {
  for (const [role, root] of expected) {
    const vector = vectors.get(role);
    if (vector === undefined || !equalBytes(stateRoot(vector), root))
      return unanswered("vectors are not those of the commitment");
  }
  return undefined;
}

/**
 * Does the challenged part again; undefined where `signal` came first, or where this engine cannot judge what another computed exactly. The engine is left with
 * other params and moments. Throws SkeinError("data") where the data cannot be had.
 */
export async function replayed(claim: Claim, challenged: Challenged, replay: Replay): Promise<Verdict | undefined> {
  const fault = vectorFault(claim, replay.vectors);
  if (fault !== undefined) return fault;
  if (claim.of === "compression") return compressedAgain(claim, challenged, replay);
  const { engine } = replay;
  const { kind } = claim.start;
  const own = workClass(engine);
  if (kind === "reference" && own === "exact") return refuted("work that cannot be replayed exactly");
  if (kind !== "tolerant" && kind !== own) return undefined;
  const start = startOf(challenged.part, replay);
  if (!(await stepsAgain(challenged, start, claim.from.optimizerSteps, replay))) return undefined;
  return kind === "tolerant" ? nearEnough(claim, start, replay) : sameBits(claim, engine);
}

interface State {
  readonly params: Float32Array;
  readonly m: Float32Array;
  readonly v: Float32Array;
}

function startOf(part: number, { vectors, base }: Replay): State {
  const params = part === 0 ? base : must(vectors.get("params"), "params");
  return { params, m: must(vectors.get("m"), "m"), v: must(vectors.get("v"), "v") };
}

/** Trains the span; false where `signal` came first. */
async function stepsAgain(
  { header, part }: Challenged,
  { params, m, v }: State,
  optimizerSteps: number,
  { engine, terms, batchAt, signal }: Replay,
): Promise<boolean> {
  await engine.write("params", params);
  await engine.write("m", m);
  await engine.write("v", v);
  engine.setStepCount(optimizerSteps);
  for (let step = borderStep(terms, part); step < borderStep(terms, part + 1); step++) {
    if (signal?.aborted === true) return false;
    await engine.trainStep(await batchAt(step), terms.stepOptions(header.round, step));
  }
  return true;
}

async function sameBits({ to }: Extract<Claim, { of: "span" }>, engine: Engine): Promise<Verdict> {
  const isSame = async (vector: "params" | "m" | "v"): Promise<boolean> =>
    equalBytes(stateRoot(await engine.read(vector)), to[vector]);
  const steps = engine.stepCount() === to.optimizerSteps;
  const same = steps && (await isSame("params")) && (await isSame("m")) && (await isSame("v"));
  return same ? PASSED : refuted("the steps lead elsewhere");
}

async function nearEnough(
  { to }: Extract<Claim, { of: "span" }>,
  start: State,
  { engine, terms, vectors }: Replay,
): Promise<Verdict> {
  if (engine.stepCount() !== to.optimizerSteps) return refuted("other steps were counted");
  for (const [vector, role] of [
    ["params", "nextParams"],
    ["m", "nextM"],
    ["v", "nextV"],
  ] as const) {
    const error = relativeError(must(vectors.get(role), role), await engine.read(vector), start[vector]);
    if (!(error <= terms.tolerance)) return refuted("the steps lead too far from there");
  }
  return PASSED;
}

/** ‖claimed − replayed‖ / ‖replayed − start‖, in float64; 0 where nothing differs; Infinity or NaN where the claim cannot be. */
export function relativeError(claimed: Float32Array, again: Float32Array, start: Float32Array): number {
  let [error, moved] = [0, 0];
  for (let i = 0; i < again.length; i++) {
    const [c, a, s] = [claimed[i] as number, again[i] as number, start[i] as number];
    error += (c - a) ** 2;
    moved += (a - s) ** 2;
  }
  return error === 0 ? 0 : Math.sqrt(error / moved);
}

function compressedAgain(
  claim: Extract<Claim, { of: "compression" }>,
  { body: sent }: Challenged,
  { terms, base, vectors }: Replay,
): Verdict {
  const { layout, body } = terms;
  const delta = pseudoGradient(base, must(vectors.get("params"), "params"));
  const residual = must(vectors.get("residual"), "residual").slice();
  const { compress } = compressor(body.params);
  try {
    const tensors = layout.map(({ dims, offset, length }): SentTensor => {
      const end = offset + length;
      return compress(dims, delta.subarray(offset, end), residual.subarray(offset, end));
    });
    if (!equalBytes(encodeBody(tensors, body), sent)) return refuted("the work compresses to another payload");
  } catch (thrown) {
    if (!(thrown instanceof SkeinError)) throw thrown;
    return refuted("the work cannot be compressed"); // not finite, or too large to be written
  }
  return equalBytes(stateRoot(residual), claim.after) ? PASSED : refuted("another error feedback is left");
}
