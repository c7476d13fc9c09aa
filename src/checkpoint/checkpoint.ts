/**
 * Checkpoints in a store: `step-00000100.safetensors` and so on, each the whole resumable state of a run on one machine.
 *
 * Written and read in pieces of 4 MiB straight from and to the engine, so a file may be larger than memory or any array. A
 * checkpoint is written before any older one is deleted. Reading checks every byte against the file's hashes before the
 * first of them reaches the engine, and hashes again on the way in; damaged files are reported and the next older one is taken.
 */
import { assert } from "../base/assert.ts";
import { bytesOf, concatBytes, equalBytes, littleEndian } from "../base/bytes.ts";
import { SkeinError } from "../base/errors.ts";
import { type Hasher, sha256, sha256Stream } from "../base/hash.ts";
import { METADATA_FIELD_MAX } from "../base/limits.ts";
import type { Engine, VectorName } from "../engine/engine.ts";
import { paramCount } from "../engine/shape.ts";
import { sameShape } from "../model/parse.ts";
import type { Store } from "../store/store.ts";
import {
  CHECKPOINT_VECTORS,
  type CheckpointInfo,
  damaged,
  decodeHead,
  decodeHeaderLength,
  encodeHead,
  INTEGRITY_BYTES,
  PIECE_LENGTH,
  PREFIX_BYTES,
  vectorsBytes,
} from "./format.ts";

export type { CheckpointInfo } from "./format.ts";

/** A checkpoint's place in a store. */
export interface CheckpointRef {
  readonly key: string;
  readonly step: number;
}

/** A checkpoint that was passed over, and why. */
export interface DamagedCheckpoint {
  readonly key: string;
  readonly problem: string;
}

/** What `loadLatest` found. */
export interface LoadedCheckpoint {
  readonly key: string;
  readonly info: CheckpointInfo;
  /** Newer ones that could not be used. */
  readonly damaged: readonly DamagedCheckpoint[];
}

/** The key of the checkpoint after `step` steps. */
export function checkpointKey(step: number): string {
  return `step-${String(step).padStart(8, "0")}.safetensors`;
}

/** The step that a key names, or undefined for any other key: a copy may have any name. */
function stepOf(key: string): number | undefined {
  const step = Number(/^step-([0-9]{8,16})\.safetensors$/.exec(key)?.[1]);
  return Number.isSafeInteger(step) && checkpointKey(step) === key ? step : undefined;
}

/** All checkpoints of a store by their names, newest first. Nothing is read. */
export async function listCheckpoints(store: Store): Promise<CheckpointRef[]> {
  const refs: CheckpointRef[] = [];
  for (const key of await store.list("step-")) {
    const step = stepOf(key);
    if (step !== undefined) refs.push({ key, step });
  }
  return refs.sort((a, b) => b.step - a.step);
}

/**
 * Writes the engine's state and `info` as one checkpoint, durably, then deletes all but the `keep` newest up to this step
 * (default: keeps all). The engine must not be trained meanwhile. Returns the key. Rejects with SkeinError("store") where the
 * store fails; then the older checkpoints are still there.
 */
export async function saveCheckpoint(
  store: Store,
  engine: Engine,
  info: Omit<CheckpointInfo, "shape" | "optimizerSteps">,
  keep: number = Number.POSITIVE_INFINITY,
): Promise<string> {
  assert(keep >= 1, "a run keeps at least one checkpoint");
  assert(littleEndian, "checkpoints are written on little-endian machines only");
  for (const field of ["seed", "dataHash", "config"] as const) {
    assert(info[field].length <= METADATA_FIELD_MAX, `${field} is too long for a checkpoint`);
  }
  const whole: CheckpointInfo = { ...info, shape: engine.options.shape, optimizerSteps: engine.stepCount() };
  const key = checkpointKey(info.step);
  await store.put(key, checkpointBytes(engine, whole));
  const older = (await listCheckpoints(store)).filter(({ step }) => step <= info.step);
  for (const ref of older.slice(keep)) await store.delete(ref.key);
  return key;
}

async function* checkpointBytes(engine: Engine, info: CheckpointInfo): AsyncGenerator<Uint8Array> {
  const head = encodeHead(info);
  yield head;
  const hasher = sha256Stream();
  const length = paramCount(info.shape);
  for (const vector of CHECKPOINT_VECTORS) {
    for (let at = 0; at < length; at += PIECE_LENGTH) {
      const bytes = bytesOf(await engine.read(vector, at, Math.min(PIECE_LENGTH, length - at)));
      hasher.update(bytes);
      yield bytes;
    }
  }
  yield concatBytes([sha256(head), hasher.digest()]);
}

/** An opened checkpoint: its head is known to be whole. */
interface Opened {
  readonly key: string;
  readonly info: CheckpointInfo;
  readonly dataStart: number;
  readonly dataHash: Uint8Array;
}

async function openCheckpoint(store: Store, key: string): Promise<Opened> {
  const fileBytes = await store.size(key);
  if (fileBytes === undefined) throw new SkeinError("checkpoint", `there is no checkpoint ${key}`);
  const prefix = await bytesAt(store, key, 0, Math.min(PREFIX_BYTES, fileBytes));
  const dataStart = PREFIX_BYTES + decodeHeaderLength(prefix, fileBytes);
  const head = await bytesAt(store, key, 0, dataStart);
  const info = decodeHead(head);
  const dataBytes = vectorsBytes(info.shape);
  const expected = dataStart + dataBytes + INTEGRITY_BYTES;
  if (fileBytes !== expected) throw damaged(`it has ${fileBytes} bytes where its header calls for ${expected}`);
  const integrity = await bytesAt(store, key, dataStart + dataBytes, INTEGRITY_BYTES);
  if (!equalBytes(integrity.subarray(0, 32), sha256(head))) throw damaged("its header does not match its hash");
  return { key, info, dataStart, dataHash: integrity.slice(32) };
}

async function bytesAt(store: Store, key: string, start: number, length: number): Promise<Uint8Array> {
  const bytes = await store.get(key, { start, end: start + length });
  if (bytes?.length !== length) throw damaged("it is cut short");
  return bytes;
}

/** Hashes the data and hands each piece to `sink`; at the end compares. */
async function streamData(
  store: Store,
  opened: Opened,
  sink?: (vector: VectorName, values: Float32Array, offset: number) => Promise<void>,
): Promise<void> {
  const hasher: Hasher = sha256Stream();
  const length = paramCount(opened.info.shape);
  let position = opened.dataStart;
  for (const vector of CHECKPOINT_VECTORS) {
    for (let at = 0; at < length; at += PIECE_LENGTH) {
      const bytes = await bytesAt(store, opened.key, position, 4 * Math.min(PIECE_LENGTH, length - at));
      hasher.update(bytes);
      position += bytes.length;
      await sink?.(vector, floatsOf(bytes), at);
    }
  }
  if (!equalBytes(hasher.digest(), opened.dataHash)) throw damaged("its data does not match its hash");
}

function floatsOf(bytes: Uint8Array): Float32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  return new Float32Array(aligned.buffer, aligned.byteOffset, aligned.length / 4);
}

/** The facts of a checkpoint from its head alone, which is checked; its data is not. Throws SkeinError("checkpoint"). */
export async function readCheckpointInfo(store: Store, key: string): Promise<CheckpointInfo> {
  return (await openCheckpoint(store, key)).info;
}

/** Checks every byte of a checkpoint. Throws SkeinError("checkpoint") that says what is wrong. */
export async function verifyCheckpoint(store: Store, key: string): Promise<CheckpointInfo> {
  return (await openVerified(store, key)).info;
}

async function openVerified(store: Store, key: string): Promise<Opened> {
  const opened = await openCheckpoint(store, key);
  const step = stepOf(key);
  if (step !== undefined && step !== opened.info.step)
    throw damaged(`it is named ${key} and holds step ${opened.info.step}`);
  await streamData(store, opened);
  return opened;
}

/**
 * Puts a checkpoint into the engine, after every byte of it was checked. `vectors` may leave out the moments, which
 * generation does not need. Throws SkeinError("checkpoint"): damaged, or of another shape than the engine's.
 */
export async function loadCheckpoint(
  store: Store,
  key: string,
  engine: Engine,
  vectors: readonly VectorName[] = CHECKPOINT_VECTORS,
): Promise<CheckpointInfo> {
  const opened = await openVerified(store, key);
  await deliver(store, opened, engine, vectors);
  return opened.info;
}

async function deliver(store: Store, opened: Opened, engine: Engine, vectors: readonly VectorName[]): Promise<void> {
  assert(littleEndian, "checkpoints are read on little-endian machines only");
  if (!sameShape(opened.info.shape, engine.options.shape)) {
    throw new SkeinError("checkpoint", `${opened.key} holds a model of another shape`, {
      remedy: "use the settings it was made with",
    });
  }
  await streamData(store, opened, async (vector, values, offset) => {
    if (vectors.includes(vector)) await engine.write(vector, values, offset);
  });
  engine.setStepCount(opened.info.optimizerSteps);
}

/** The newest checkpoint of which every byte is right, or undefined where there are none at all. See `loadLatest`. */
export async function latestCheckpoint(store: Store): Promise<LoadedCheckpoint | undefined> {
  const found = await newestVerified(store);
  return found && { key: found.opened.key, info: found.opened.info, damaged: found.damaged };
}

/**
 * Loads the newest usable checkpoint into the engine; undefined where there are none at all. `accept` sees the facts before
 * anything reaches the engine and may throw. Throws SkeinError("checkpoint") where there are some and all are damaged.
 */
export async function loadLatest(
  store: Store,
  engine: Engine,
  accept: (info: CheckpointInfo) => void = () => {},
): Promise<LoadedCheckpoint | undefined> {
  const found = await newestVerified(store);
  if (!found) return undefined;
  accept(found.opened.info);
  await deliver(store, found.opened, engine, CHECKPOINT_VECTORS);
  return { key: found.opened.key, info: found.opened.info, damaged: found.damaged };
}

async function newestVerified(
  store: Store,
): Promise<{ opened: Opened; damaged: readonly DamagedCheckpoint[] } | undefined> {
  const refs = await listCheckpoints(store);
  const passedOver: DamagedCheckpoint[] = [];
  for (const { key } of refs) {
    try {
      return { opened: await openVerified(store, key), damaged: passedOver };
    } catch (thrown) {
      if (!(thrown instanceof SkeinError) || thrown.code !== "checkpoint") throw thrown;
      passedOver.push({ key, problem: thrown.message });
    }
  }
  if (passedOver.length === 0) return undefined;
  throw new SkeinError("checkpoint", `none of the ${passedOver.length} checkpoints can be used`, {
    details: passedOver.map(({ key, problem }) => `${key}: ${problem}`).join("\n"),
    remedy: "restore one from a copy, or move them away to train from the beginning",
  });
}
