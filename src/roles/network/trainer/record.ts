/**
 * What a trainer keeps of a round's work, so that it can be asked for it: the state roots at the borders of spans, which become the work commitment, and
 * the states themselves until the payload's challenge is known. They lie in memory while they are small, else in the trainer's folder.
 */
import { bytesOf } from "../../../base/bytes.ts";
import type { Engine } from "../../../engine/engine.ts";
import { paramCount } from "../../../engine/shape.ts";
import { stateRoot } from "../../../round/state-root.ts";
import type { VectorRole } from "../../../score/audit/answer.ts";
import {
  type BorderState,
  borderLeaf,
  borderStep,
  decodeBorder,
  type WorkClass,
  workClass,
  workLeaves,
  zeroRoot,
} from "../../../score/audit/commitment.ts";
import type { Store } from "../../../store/store.ts";
import type { ActingNode } from "../node.ts";
import type { Link } from "./memory.ts";

/** Bytes of states that are held in memory; more go into the folder. */
const MEMORY_BYTES_MAX = 512 << 20;
/** What the keys of states in the folder begin with. */
const PREFIX = "work/";

/** The work of one payload, as far as a challenge may ask for it. */
export interface WorkRecord {
  /** The leaves of its work commitment. */
  readonly leaves: readonly Uint8Array[];
  /** The payload that it went on from; undefined where it began with zeros. */
  readonly from: Link | undefined;
  /** A vector of the answer for `part`; undefined where it was lost. */
  vector(role: VectorRole, part: number): Promise<Float32Array | undefined>;
  /** Forgets the states. */
  drop(): Promise<void>;
}

/** Writes down a round's work while it is done. */
export interface Recorder {
  /** Takes the engine's state if a border of spans lies before `step`; to be called before every step, and after the last. */
  before(step: number): Promise<void>;
  /** Ends the record, with the error feedback before and after compression. */
  finish(before: Float32Array, after: Float32Array): Promise<WorkRecord>;
  /** Forgets the states. */
  drop(): Promise<void>;
}

/** What it takes to record. */
export type RecordingNode = Pick<ActingNode, "spec" | "local">;

/** Vectors by name. */
interface Keep {
  put(name: string, vector: Float32Array): Promise<void>;
  get(name: string): Promise<Float32Array | undefined>;
  drop(): Promise<void>;
}

/**
 * A recorder for `round`, which begins with the params that have the state root `baseRoot`, and with the moments and error feedback that `from` left. What is known
 * of the first border is not hashed again. More than `memoryBytesMax` bytes of states go into the folder.
 */
export function recorder(
  node: RecordingNode,
  engine: Engine,
  { round, baseRoot, from }: { readonly round: number; readonly baseRoot: Uint8Array; readonly from: Link | undefined },
  memoryBytesMax: number = MEMORY_BYTES_MAX,
): Recorder {
  const { spans } = node.spec.audit;
  const { steps } = node.spec.inner;
  const kind = workClass(engine);
  const keep = bytesKept(node, kind) <= memoryBytesMax ? memoryKeep() : folderKeep(node.local, round);
  const borders: BorderState[] = [];
  const first = firstBorder(node, baseRoot, from);
  const taken = async (vector: "params" | "m" | "v", index: number, isKept: boolean): Promise<Uint8Array> => {
    const known = index === 0 ? first[vector] : undefined;
    if (known !== undefined && !isKept) return known;
    const values = await engine.read(vector);
    if (isKept) await keep.put(`${vector}-${index}`, values);
    return known ?? stateRoot(values);
  };
  return {
    drop: () => keep.drop(),
    async before(step) {
      const index = borders.length;
      if (index > spans || borderStep({ steps, spans }, index) !== step) return;
      const isStart = index < spans || kind === "tolerant"; // otherwise no challenge asks for these moments
      const params = await taken("params", index, index > 0);
      const [m, v] = [await taken("m", index, isStart), await taken("v", index, isStart)];
      borders.push({ params, m, v, optimizerSteps: engine.stepCount() });
    },
    async finish(before, after) {
      await keep.put("residual", before.slice());
      const start = { kind, previous: from?.round };
      const leaves = workLeaves({ start, borders, residualBefore: stateRoot(before), residualAfter: stateRoot(after) });
      return recordOver(keep, leaves, from, spans);
    },
  };
}

/** The state that a round begins with. */
function firstBorder(
  { spec }: RecordingNode,
  params: Uint8Array,
  from: Link | undefined,
): Omit<BorderState, "optimizerSteps"> {
  const last = spec.inner.resetMoments ? undefined : from?.leaves[borderLeaf(spec.audit.spans)];
  const none = zeroRoot(paramCount(spec.model));
  return { m: none, v: none, ...(last && decodeBorder(last)), params };
}

/** The record of a payload from before a restart, if its states are in the folder. */
export async function reopenedRecord(
  { local, spec }: RecordingNode,
  round: number,
  leaves: readonly Uint8Array[],
  from: Link | undefined,
): Promise<WorkRecord | undefined> {
  const kept = await local.list(prefixOf(round));
  return kept.length > 0 ? recordOver(folderKeep(local, round), leaves, from, spec.audit.spans) : undefined;
}

/** Deletes the states of all rounds but one from the folder. */
export async function forgetStates({ local }: ActingNode, except: number | undefined): Promise<void> {
  const kept = except === undefined ? undefined : prefixOf(except);
  for (const key of await local.list(PREFIX)) {
    if (kept === undefined || !key.startsWith(kept)) await local.delete(key);
  }
}

function recordOver(keep: Keep, leaves: readonly Uint8Array[], from: Link | undefined, spans: number): WorkRecord {
  return {
    leaves,
    from,
    vector: (role, part) => keep.get(nameOf(role, part, spans)),
    drop: () => keep.drop(),
  };
}

/** The name under which a vector of an answer is kept: the compression begins at the last border. */
function nameOf(role: VectorRole, part: number, spans: number): string {
  if (role === "residual") return role;
  if (role === "nextParams") return `params-${part + 1}`;
  if (role === "nextM") return `m-${part + 1}`;
  if (role === "nextV") return `v-${part + 1}`;
  return `${role}-${Math.min(part, spans)}`;
}

/** Bytes of the states of a round. */
function bytesKept({ spec }: RecordingNode, kind: WorkClass): number {
  const { spans } = spec.audit;
  const vectors = 3 * spans + (kind === "tolerant" ? 3 : 1);
  return 4 * paramCount(spec.model) * vectors;
}

function memoryKeep(): Keep {
  const vectors = new Map<string, Float32Array>();
  return {
    put: async (name, vector) => void vectors.set(name, vector),
    get: async (name) => vectors.get(name),
    drop: async () => vectors.clear(),
  };
}

function folderKeep(local: Store, round: number): Keep {
  const prefix = prefixOf(round);
  return {
    put: (name, vector) => local.put(prefix + name, bytesOf(vector)),
    async get(name) {
      const bytes = await local.get(prefix + name);
      return bytes && new Float32Array(bytes.slice().buffer);
    },
    async drop() {
      for (const key of await local.list(prefix)) await local.delete(key);
    },
  };
}

function prefixOf(round: number): string {
  return `${PREFIX}${round}/`;
}
