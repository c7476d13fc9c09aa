/**
 * What a trainer keeps for itself beyond the params: AdamW's moments and what it has not sent yet (error feedback). One file, written before
 * anything is promised on chain, so that a trainer killed at any moment goes on as if it had not been.
 *
 * Error feedback has two forms while a payload is under way: as it was before, and as it will be if the payload is applied. Which one holds is
 * decided when the round is: a payload that moved nothing has sent nothing.
 */
import { assert } from "../../../base/assert.ts";
import { SkeinError } from "../../../base/errors.ts";
import { fromHex, toHex } from "../../../base/hash.ts";
import { isCount, isHash } from "../../../base/json.ts";
import type { Hash } from "../../../chain/chain.ts";
import { damaged } from "../../../checkpoint/format.ts";
import { loadState, type StateVectors, saveState } from "../../../checkpoint/state.ts";
import type { Engine } from "../../../engine/engine.ts";
import { paramCount } from "../../../engine/shape.ts";
import { stateRoot } from "../../../round/state-root.ts";
import type { Applied, State } from "../follower.ts";
import type { ActingNode } from "../node.ts";

/** A payload that was made and whose round is not decided yet. */
export interface Pending {
  readonly round: number;
  readonly uid: number;
  readonly hash: Hash;
}

/** A trainer's own. All vectors are as long as the params. */
export interface Memory {
  readonly m: Float32Array;
  readonly v: Float32Array;
  optimizerSteps: number;
  /** Error feedback. */
  residual: Float32Array;
  /** Error feedback if the pending payload is applied. */
  next: Float32Array;
  pending: Pending | undefined;
}

const KEY = "trainer.safetensors";

/** What a trainer begins with: zeros. */
export function newMemory(length: number): Memory {
  const zeros = (): Float32Array => new Float32Array(length);
  return { m: zeros(), v: zeros(), optimizerSteps: 0, residual: zeros(), next: zeros(), pending: undefined };
}

/** Takes notice of a round's outcome. */
export function settle(memory: Memory, { round, hashes }: Applied): void {
  const { pending } = memory;
  if (pending === undefined || pending.round > round) return;
  if (pending.round === round && hashes.includes(pending.hash)) {
    [memory.residual, memory.next] = [memory.next, memory.residual];
  }
  memory.pending = undefined;
}

/** Puts moments into the engine. */
export async function giveMoments(engine: Engine, { m, v, optimizerSteps }: Memory): Promise<void> {
  await engine.write("m", m);
  await engine.write("v", v);
  engine.setStepCount(optimizerSteps);
}

/** Takes them out again. */
export async function takeMoments(engine: Engine, memory: Memory): Promise<void> {
  memory.m.set(await engine.read("m"));
  memory.v.set(await engine.read("v"));
  memory.optimizerSteps = engine.stepCount();
}

/** Writes params and memory, whole or not at all. */
export async function saveTrainer(
  { local, specHash, signer }: ActingNode,
  state: State,
  memory: Memory,
): Promise<void> {
  const roots = [...state.roots].map(([round, root]) => [round, toHex(root)]);
  const { optimizerSteps, pending = null } = memory;
  const facts = { run: specHash, hotkey: signer.account, round: state.round, roots, optimizerSteps, pending };
  await saveState(local, KEY, JSON.stringify(facts), vectorsOf(state.params, memory));
}

function vectorsOf(params: Float32Array, { m, v, residual, next }: Memory): StateVectors {
  return new Map(Object.entries({ params, m, v, residual, next }));
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
  const { round, roots, optimizerSteps, pending } = parsed(facts);
  assert(length === params.length, "the params have the model's length");
  if (!isCount(round) || !isCount(optimizerSteps)) throw damaged("its counts are no counts");
  memory.optimizerSteps = optimizerSteps;
  memory.pending = pendingOf(pending);
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

function pendingOf(value: unknown): Pending | undefined {
  if (value === null) return undefined;
  const { round, uid, hash } = (typeof value === "object" ? value : {}) as Pending;
  const isNamed = typeof hash === "string" && hash.startsWith("0x") && isHash(hash.slice(2));
  if (!isCount(round) || !isCount(uid) || !isNamed) throw damaged("its payload is none");
  return { round, uid, hash };
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
