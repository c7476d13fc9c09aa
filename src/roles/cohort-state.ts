/**
 * A cohort's whole resumable state in a store: the shared params, every worker's AdamW state, and what the method remembers. Files
 * `cohort-00000012.safetensors`, one after so many rounds; the newest whole one of this very run is taken.
 */
import { SkeinError } from "../base/errors.ts";
import { damaged } from "../checkpoint/format.ts";
import { loadState, type StateVectors, saveState } from "../checkpoint/state.ts";
import { manifestSha256 } from "../data/shards/manifest.ts";
import { shapeJson } from "../model/parse.ts";
import type { Store } from "../store/store.ts";
import type { CohortMethod, CohortOptions, CohortSettings } from "./cohort-options.ts";

/** Who takes inner steps together: one peer, or all of them. Its AdamW state waits here while others have the engine. */
export interface Worker {
  readonly uids: readonly number[];
  readonly m: Float32Array;
  readonly v: Float32Array;
  optimizerSteps: number;
  /** Steps in a row that were not finite. */
  rejected: number;
}

/** What a run is between two rounds. */
export interface CohortState {
  /** Rounds done. */
  round: number;
  params: Float32Array;
  readonly workers: readonly Worker[];
  readonly method: CohortMethod;
}

/** Files kept: the newest, and one to fall back on. */
const KEPT = 2;
const PREFIX = "cohort-";

/** The file after `rounds` rounds. */
export function cohortKey(rounds: number): string {
  return `${PREFIX}${String(rounds).padStart(8, "0")}.safetensors`;
}

/** The states in a store, newest first. */
export async function listCohortStates(store: Store): Promise<string[]> {
  const keys = await store.list(PREFIX);
  return keys.filter((key) => /^cohort-[0-9]{8,16}\.safetensors$/.test(key)).sort((a, b) => roundOf(b) - roundOf(a));
}

function roundOf(key: string): number {
  return Number(/[0-9]+/.exec(key)?.[0]);
}

/** What makes a run this run: everything its result depends on. */
export function identityOf({ engine, dataset, schedule }: CohortOptions, settings: CohortSettings): string {
  const { validateEvery: _every, validationSequences: _sequences, checkpointEvery: _saves, ...rest } = settings;
  const shape = JSON.parse(shapeJson(engine.options.shape)) as unknown;
  return JSON.stringify({ shape, data: manifestSha256(dataset.manifest), schedule, ...rest });
}

function vectorsOf({ params, workers, method }: CohortState): StateVectors {
  const vectors = new Map([["params", params]]);
  for (const { uids, m, v } of workers) {
    vectors.set(`m/${uids[0]}`, m);
    vectors.set(`v/${uids[0]}`, v);
  }
  for (const [name, vector] of Object.entries(method.memory)) vectors.set(`method/${name}`, vector);
  return vectors;
}

/** Writes the state, then deletes all but the newest files. Returns the key. */
export async function saveCohort(store: Store, identity: string, state: CohortState): Promise<string> {
  const counts = state.workers.map(({ optimizerSteps, rejected }) => [optimizerSteps, rejected]);
  const key = cohortKey(state.round);
  await saveState(store, key, JSON.stringify({ identity, round: state.round, workers: counts }), vectorsOf(state));
  for (const old of (await listCohortStates(store)).slice(KEPT)) await store.delete(old);
  return key;
}

/**
 * Puts the newest usable state into `state`; returns its key, or undefined where there is none. Throws SkeinError: "config" where the
 * folder holds another run, "checkpoint" where all its states are damaged.
 */
export async function loadCohort(store: Store, identity: string, state: CohortState): Promise<string | undefined> {
  const problems: string[] = [];
  for (const key of await listCohortStates(store)) {
    try {
      const facts = await loadState(store, key, vectorsOf(state), (text) => refuseOther(text, identity));
      if (facts === undefined) continue;
      takeCounts(facts, key, state);
      return key;
    } catch (thrown) {
      if (!(thrown instanceof SkeinError) || thrown.code !== "checkpoint") throw thrown;
      problems.push(`${key}: ${thrown.message}`);
    }
  }
  if (problems.length === 0) return undefined;
  throw new SkeinError("checkpoint", `none of the ${problems.length} saved states can be used`, {
    details: problems.join("\n"),
    remedy: "restore one from a copy, or move them away to train from the beginning",
  });
}

function refuseOther(facts: string, identity: string): void {
  if (parsed(facts).get("identity") === identity) return;
  throw new SkeinError("config", "the folder holds a training by several peers with other settings or data", {
    remedy: "repeat its settings, or train into another folder: --out",
  });
}

function takeCounts(facts: string, key: string, state: CohortState): void {
  const fields = parsed(facts);
  const round = fields.get("round");
  const counts = fields.get("workers");
  if (round !== roundOf(key)) throw damaged("its name and its facts disagree");
  const whole = (x: unknown): x is number => Number.isSafeInteger(x) && (x as number) >= 0;
  if (!Array.isArray(counts) || counts.length !== state.workers.length) throw damaged("its workers are others");
  state.workers.forEach((worker, i) => {
    const [optimizerSteps, rejected] = Array.isArray(counts[i]) ? (counts[i] as unknown[]) : [];
    if (!whole(optimizerSteps) || !whole(rejected)) throw damaged("its step counts are no counts");
    Object.assign(worker, { optimizerSteps, rejected });
  });
  state.round = round as number;
}

function parsed(facts: string): Map<string, unknown> {
  try {
    const value: unknown = JSON.parse(facts);
    if (typeof value === "object" && value !== null) return new Map(Object.entries(value));
  } catch {
    // said below
  }
  throw damaged("its facts cannot be read");
}
