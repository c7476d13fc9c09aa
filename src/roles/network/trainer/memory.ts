/**
 * What a trainer keeps for itself beyond the params: AdamW's moments and what it has not sent yet (error feedback). One file, written before
 * anything is promised on chain, so that a trainer killed at any moment goes on as if it had not been.
 *
 * Both have two forms while a payload is under way. Moments move on when the payload is promised on chain: whatever was not promised has left no trace, so
 * that an audit finds in the chain where every round began. Error feedback moves on when the payload is applied: one that moved nothing has sent nothing.
 */
import { assert } from "../../../base/assert.ts";
import { SkeinError } from "../../../base/errors.ts";
import { fromHex, toHex } from "../../../base/hash.ts";
import { isAccount, isCount, isHash, isHex } from "../../../base/json.ts";
import type { Hash } from "../../../chain/chain.ts";
import { damaged } from "../../../checkpoint/format.ts";
import { loadState, type StateVectors, saveState } from "../../../checkpoint/state.ts";
import type { Engine } from "../../../engine/engine.ts";
import { paramCount } from "../../../engine/shape.ts";
import { stateRoot } from "../../../round/state-root.ts";
import { BORDER_BYTES, leafCount } from "../../../score/audit/commitment.ts";
import type { Applied, State } from "../follower.ts";
import type { ActingNode } from "../node.ts";

/** A payload that was promised on chain, and what its work commitment is over. */
export interface Link {
  readonly round: number;
  readonly hash: Hash;
  /** None where the run challenges nobody. */
  readonly leaves: readonly Uint8Array[];
}

/** A payload that was made and whose round is not decided yet. */
export interface Pending extends Link {
  readonly uid: number;
  /** Sequences of a step. */
  readonly batch: number;
}

/** AdamW's moments, each as long as the params. */
export interface Moments {
  readonly m: Float32Array;
  readonly v: Float32Array;
  readonly steps: number;
}

/** A trainer's own. All vectors are as long as the params. */
export interface Memory {
  /** What the next round begins with. */
  moments: Moments;
  /** Error feedback. */
  residual: Float32Array;
  /** Both as they will be: moments if the pending payload is promised, error feedback if it is applied. */
  readonly next: { moments: Moments; residual: Float32Array };
  pending: Pending | undefined;
  /** The last payload that was promised: the one that moments and error feedback come from. Undefined: they are zeros. */
  link: Link | undefined;
}

const KEY = "trainer.safetensors";

/** What a trainer begins with: zeros. */
export function newMemory(length: number): Memory {
  const zeros = (): Float32Array => new Float32Array(length);
  const moments = (): Moments => ({ m: zeros(), v: zeros(), steps: 0 });
  const next = { moments: moments(), residual: zeros() };
  return { moments: moments(), residual: zeros(), next, pending: undefined, link: undefined };
}

/** Takes notice that the pending payload stands on chain. */
export function promised(memory: Memory): void {
  const { pending, next } = memory;
  assert(pending !== undefined, "only a pending payload can be promised");
  [memory.moments, next.moments] = [next.moments, memory.moments];
  memory.link = { round: pending.round, hash: pending.hash, leaves: pending.leaves };
}

/** Takes notice of a round's outcome. */
export function settle(memory: Memory, { round, hashes }: Applied): void {
  const { pending, next } = memory;
  if (pending === undefined || pending.round > round) return;
  if (pending.round === round && hashes.includes(pending.hash)) {
    [memory.residual, next.residual] = [next.residual, memory.residual];
  }
  memory.pending = undefined;
}

/** Puts moments into the engine. */
export async function giveMoments(engine: Engine, { m, v, steps }: Moments): Promise<void> {
  await engine.write("m", m);
  await engine.write("v", v);
  engine.setStepCount(steps);
}

/** Takes them out again, for the time when the payload is promised. */
export async function takeMoments(engine: Engine, { next }: Memory): Promise<void> {
  const { m, v } = next.moments;
  m.set(await engine.read("m"));
  v.set(await engine.read("v"));
  next.moments = { m, v, steps: engine.stepCount() };
}

/** Writes params and memory, whole or not at all: before the pending payload is promised. */
export async function saveTrainer(
  { local, specHash, signer }: ActingNode,
  state: State,
  memory: Memory,
): Promise<void> {
  const roots = [...state.roots].map(([round, root]) => [round, toHex(root)]);
  const { moments, next, pending, link } = memory;
  const steps = [moments.steps, next.moments.steps];
  const written = <T extends Link>(each: T | undefined) => (each ? { ...each, leaves: each.leaves.map(toHex) } : null);
  const payloads = { pending: written(pending), link: written(link) };
  const facts = { run: specHash, hotkey: signer.account, round: state.round, roots, steps, ...payloads };
  await saveState(local, KEY, JSON.stringify(facts), vectorsOf(state.params, memory));
}

function vectorsOf(params: Float32Array, { moments, residual, next }: Memory): StateVectors {
  const { m, v } = moments;
  const [nextM, nextV] = [next.moments.m, next.moments.v];
  return new Map(Object.entries({ params, m, v, residual, nextM, nextV, nextResidual: next.residual }));
}

/**
 * What was saved, or undefined. Throws SkeinError: "config" where the folder is another run's or another hotkey's, "checkpoint" where the file
 * is damaged.
 */
export async function loadTrainer(node: ActingNode): Promise<{ state: State; memory: Memory } | undefined> {
  const { local, specHash, signer, spec } = node;
  const length = paramCount(spec.model);
  const [params, memory] = [new Float32Array(length), newMemory(length)];
  const refuseOther = (text: string): void => {
    const { run, hotkey } = parsed(text);
    if (run === specHash && hotkey === signer.account) return;
    throw new SkeinError("config", "the folder holds the state of another run or another hotkey", {
      remedy: "give another folder: --dir",
    });
  };
  const facts = await loadState(local, KEY, vectorsOf(params, memory), refuseOther);
  if (facts === undefined) return undefined;
  const { round, roots, steps, pending, link } = parsed(facts);
  const [now, then] = Array.isArray(steps) ? (steps as unknown[]) : [];
  if (!isCount(round) || !isCount(now) || !isCount(then)) throw damaged("its counts are no counts");
  memory.moments = { ...memory.moments, steps: now };
  memory.next.moments = { ...memory.next.moments, steps: then };
  memory.pending = pending === null ? undefined : pendingOf(pending, spec.audit.spans);
  memory.link = link === null ? undefined : linkOf(link, spec.audit.spans);
  const state = { round, params, roots: rootsOf(roots) };
  const root = state.roots.get(round);
  if (root === undefined || toHex(root) !== toHex(stateRoot(params)))
    throw damaged("its params have another state root");
  return { state, memory };
}

function parsed(facts: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(facts);
    if (typeof value === "object" && value !== null) return Object.fromEntries(Object.entries(value));
  } catch {
    // said below
  }
  throw damaged("its facts cannot be read");
}

function pendingOf(value: unknown, spans: number): Pending {
  const { uid, batch } = fieldsOf(value);
  if (!isCount(uid) || !isCount(batch)) throw damaged("its payload is none");
  return { ...linkOf(value, spans), uid, batch };
}

function linkOf(value: unknown, spans: number): Link {
  const { round, hash, leaves } = fieldsOf(value);
  if (!isCount(round) || !isAccount(hash) || !Array.isArray(leaves)) throw damaged("its payload is none"); // a hash has an account's form
  const isLeaf = (leaf: unknown): leaf is string => isHex(leaf, BORDER_BYTES);
  const isWhole = leaves.length === 0 || leaves.length === leafCount(spans);
  if (!isWhole || !leaves.every(isLeaf)) throw damaged("its work is none");
  return { round, hash, leaves: leaves.map(fromHex) };
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

function rootsOf(value: unknown): ReadonlyMap<number, Uint8Array> {
  if (!Array.isArray(value) || value.length > 4) throw damaged("its roots cannot be read");
  return new Map(
    value.map((pair: unknown) => {
      const [round, hex] = Array.isArray(pair) ? (pair as unknown[]) : [];
      if (!isCount(round) || !isHash(hex)) throw damaged("its roots are none");
      return [round, fromHex(hex)] as const;
    }),
  );
}
