/**
 * The work commitment: 32 bytes in a payload's header that fix how it came about, so that any part of the work can be asked for afterwards, replayed and
 * proven wrong. A peer cuts its round into spans of steps; the Merkle tree (merkle.ts) has a leaf for the start, one for the state at each border of
 * spans, and two for its error feedback. docs/protocol/work.md has them byte by byte.
 *
 *   leaf 0          the start: what class of engine, and which earlier payload of this hotkey the moments and the error feedback come from
 *   leaf 1 + i      the state at border i (0 to S): state roots of params and moments, and the optimizer's step count
 *   leaf S + 2      state root of the error feedback before compression
 *   leaf S + 3      the same afterwards
 *
 * Leaves come from strangers: decoding takes any bytes.
 */
import { assert } from "../../base/assert.ts";
import { concatBytes, equalBytes } from "../../base/bytes.ts";
import type { Engine } from "../../engine/engine.ts";
import { HASH_BYTES, leafHasher, merkleTree, rootOfPath } from "../../round/merkle.ts";
import { PIECE_PARAMS, stateTreeBuilder } from "../../round/state-root.ts";

/** Classes of work, by their number in a leaf. */
const CLASSES = ["exact", "tolerant", "reference"] as const;

/** How a round is cut. */
export interface WorkPlan {
  /** Inner steps H. */
  readonly steps: number;
  /** Spans S, 1 to H. */
  readonly spans: number;
}

/**
 * What replaying gives. exact: the same bits, on the exact engine. tolerant: about the same numbers. reference: the same bits, on the reference engine, which is far
 * too slow for real runs: only networks that validate on it too, which are tests, can take such work.
 */
export type WorkClass = (typeof CLASSES)[number];

/** The class of work that an engine does. */
export function workClass({ deterministic, name }: Pick<Engine, "deterministic" | "name">): WorkClass {
  if (!deterministic) return "tolerant";
  return name === "reference" ? "reference" : "exact";
}

/** Where a round's work began, besides the params, which are the run's. */
export interface WorkStart {
  readonly kind: WorkClass;
  /** Round of the payload of this hotkey after which moments and error feedback are as they were left; undefined: both are zeros. */
  readonly previous: number | undefined;
}

/** A state at a border: state roots (32 bytes each) of params and of both moments. */
export interface BorderState {
  readonly params: Uint8Array;
  readonly m: Uint8Array;
  readonly v: Uint8Array;
  readonly optimizerSteps: number;
}

/** Everything that is committed to. */
export interface WorkFacts {
  readonly start: WorkStart;
  /** S + 1 states. */
  readonly borders: readonly BorderState[];
  /** State root of the error feedback before compression, and afterwards. */
  readonly residualBefore: Uint8Array;
  readonly residualAfter: Uint8Array;
}

/** A leaf's data and its path to the root. */
export interface LeafProof {
  readonly data: Uint8Array;
  readonly path: Uint8Array;
}

/** Bytes of the start's leaf and of a border's; the other two have 32. */
export const START_BYTES = 9;
export const BORDER_BYTES: number = 3 * HASH_BYTES + 8;
/** The leaf of the start. */
export const START_LEAF = 0;

/** The inner step before which border `index` (0 to S) lies: the whole part of index · H / S. */
export function borderStep({ steps, spans }: WorkPlan, index: number): number {
  assert(Number.isInteger(index) && index >= 0 && index <= spans, `there is no border ${index} of ${spans} spans`);
  return Math.floor((index * steps) / spans);
}

/** The leaf of border `index`. */
export function borderLeaf(index: number): number {
  return 1 + index;
}

/** The leaf of the error feedback before compression or after it. */
export function residualLeaf(spans: number, when: "before" | "after"): number {
  return spans + (when === "before" ? 2 : 3);
}

/** Leaves of a commitment. */
export function leafCount(spans: number): number {
  return spans + 4;
}

/** The data of all leaves, in order. */
export function workLeaves({ start, borders, residualBefore, residualAfter }: WorkFacts): Uint8Array[] {
  assert(borders.length >= 2, "there is a border at either end");
  return [encodeStart(start), ...borders.map(encodeBorder), residualBefore, residualAfter];
}

/** The commitment over `leaves`, as `workLeaves` made them: 32 bytes. */
export function workCommitment(leaves: readonly Uint8Array[]): Uint8Array {
  return treeOver(leaves).root();
}

/** Leaf `index` with its path. */
export function leafProof(leaves: readonly Uint8Array[], index: number): LeafProof {
  const data = leaves[index];
  assert(data !== undefined, `there is no leaf ${index}`);
  return { data, path: treeOver(leaves).path(index) };
}

/** Whether `commitment` has that leaf at `index`. For any bytes; never throws. */
export function isLeaf(commitment: Uint8Array, spans: number, index: number, { data, path }: LeafProof): boolean {
  const root = rootOfPath(leafHash(data), index, leafCount(spans), path);
  return root !== undefined && equalBytes(root, commitment);
}

function treeOver(leaves: readonly Uint8Array[]) {
  return merkleTree(leaves.map(leafHash));
}

function leafHash(data: Uint8Array): Uint8Array {
  return leafHasher().update(data).digest();
}

function encodeStart({ kind, previous }: WorkStart): Uint8Array {
  const bytes = new Uint8Array(START_BYTES);
  bytes[0] = CLASSES.indexOf(kind);
  putCount(bytes, 1, previous === undefined ? 0 : previous + 1);
  return bytes;
}

/** The start in a leaf's data; undefined where that is none. Takes any bytes. */
export function decodeStart(bytes: Uint8Array): WorkStart | undefined {
  const kind = CLASSES[bytes[0] ?? CLASSES.length];
  if (bytes.length !== START_BYTES || kind === undefined) return undefined;
  const after = countAt(bytes, 1);
  return after === undefined ? undefined : { kind, previous: after === 0 ? undefined : after - 1 };
}

function encodeBorder({ params, m, v, optimizerSteps }: BorderState): Uint8Array {
  for (const root of [params, m, v]) assert(root.length === HASH_BYTES, "a state root has 32 bytes");
  const bytes = concatBytes([params, m, v, new Uint8Array(8)]);
  putCount(bytes, 3 * HASH_BYTES, optimizerSteps);
  return bytes;
}

/** The state in a leaf's data; undefined where that is none. Takes any bytes. */
export function decodeBorder(bytes: Uint8Array): BorderState | undefined {
  if (bytes.length !== BORDER_BYTES) return undefined;
  const optimizerSteps = countAt(bytes, 3 * HASH_BYTES);
  if (optimizerSteps === undefined) return undefined;
  const root = (i: number): Uint8Array => bytes.slice(i * HASH_BYTES, (i + 1) * HASH_BYTES);
  return { params: root(0), m: root(1), v: root(2), optimizerSteps };
}

function putCount(bytes: Uint8Array, at: number, count: number): void {
  assert(Number.isSafeInteger(count) && count >= 0, "rounds and steps are counts");
  new DataView(bytes.buffer, bytes.byteOffset).setBigUint64(at, BigInt(count), true);
}

function countAt(bytes: Uint8Array, at: number): number | undefined {
  const count = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(at, true));
  return Number.isSafeInteger(count) ? count : undefined;
}

let newestZeros: { readonly length: number; readonly root: Uint8Array } | undefined;

/** The state root of `length` zeros, without making them. The newest is remembered: a process works for one model. */
export function zeroRoot(length: number): Uint8Array {
  if (newestZeros?.length !== length) {
    const zeros = new Float32Array(Math.min(length, PIECE_PARAMS));
    const builder = stateTreeBuilder(length);
    for (let at = 0; at < length; at += zeros.length)
      builder.update(zeros.subarray(0, Math.min(zeros.length, length - at)));
    newestZeros = { length, root: builder.finish().root() };
  }
  return newestZeros.root.slice();
}
