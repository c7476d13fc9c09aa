/**
 * The answer to a challenge: the leaves of the work commitment that the challenged part lies between, with their paths, and the vectors that are needed to
 * do it again, each as a list of blobs. It is one blob of canonical JSON; news of kind "answer" names it. docs/protocol/work.md has its form.
 *
 * An answer comes from a stranger: decoding takes any bytes and gives an answer or a fault.
 */
import { assert } from "../../base/assert.ts";
import { equalBytes, utf8 } from "../../base/bytes.ts";
import { fromHex, toHex } from "../../base/hash.ts";
import { fieldsIn, isCount, isHash, isHex, jsonIn } from "../../base/json.ts";
import { type CanonicalValue, canonicalJson } from "../../data/shards/canonical.ts";
import { pieceCount } from "../../round/state-root.ts";
import { BORDER_BYTES, borderLeaf, type LeafProof, residualLeaf, START_LEAF, type WorkClass } from "./commitment.ts";

const FORMAT = "skein answer";
const VERSION = 1;
/** Bytes of a path: 64 spans have 68 leaves, so 7 hashes. */
const PATH_BYTES_MAX = 7 * 32;
const VECTORS_MAX = 6;

/** A vector of the model's length by its pieces (round/state-root.ts), each the sha256 of its bytes in hex; null: all zeros. */
export type VectorPieces = readonly string[] | null;

/** What answers a challenge. */
export interface Answer {
  /** Hash of the run's spec, in hex. */
  readonly specHash: string;
  /** Of the payload. */
  readonly round: number;
  readonly uid: number;
  readonly part: number;
  /** Those of `answeredLeaves`, in their order. */
  readonly leaves: readonly LeafProof[];
  /** The leaf of an earlier payload of the same hotkey which the state goes on from; null where none is asked for. */
  readonly previous: (LeafProof & { readonly leaf: number }) | null;
  /** Those of `answeredVectors`, in their order. */
  readonly vectors: readonly VectorPieces[];
}

/** What is wrong with the bytes of an answer. */
export interface AnswerFault {
  readonly fault: "too long" | "not JSON" | "another format" | "wrong fields" | "not canonical";
}

/** What a run fixes about the form of answers. */
export interface AnswerForm {
  readonly spans: number;
  readonly paramCount: number;
}

/** Whether decoding gave a fault. */
export function isAnswerFault(result: Answer | AnswerFault): result is AnswerFault {
  return "fault" in result;
}

/** The leaves that an answer for `part` has: the start; then for a span the borders at its ends, for the compression the last border and both residuals. */
export function answeredLeaves(part: number, spans: number): number[] {
  if (part < spans) return [START_LEAF, borderLeaf(part), borderLeaf(part + 1)];
  return [START_LEAF, borderLeaf(spans), residualLeaf(spans, "before"), residualLeaf(spans, "after")];
}

/** A vector that an answer has. "next": at the end of the span. */
export type VectorRole = "params" | "m" | "v" | "nextParams" | "nextM" | "nextV" | "residual";

/**
 * The vectors that an answer for `part` has. The params that a round begins with are the run's, known to all. Whoever computes the same bits finds the
 * state at the end of a span by itself; otherwise it must be shown.
 */
export function answeredVectors(part: number, spans: number, kind: WorkClass): VectorRole[] {
  if (part === spans) return ["params", "residual"];
  const start: VectorRole[] = part === 0 ? ["m", "v"] : ["params", "m", "v"];
  return kind === "tolerant" ? [...start, "nextParams", "nextM", "nextV"] : start;
}

/** Bytes of an answer's JSON, at most: 67 for each piece, and the leaves. */
export function answerBytesMax({ paramCount }: Pick<AnswerForm, "paramCount">): number {
  return VECTORS_MAX * (67 * pieceCount(paramCount) + 16) + 5 * 2 * (BORDER_BYTES + PATH_BYTES_MAX) + 1024;
}

/** The answer's one form. */
export function encodeAnswer({ specHash, round, uid, part, leaves, previous, vectors }: Answer): Uint8Array {
  assert(vectors.length <= VECTORS_MAX, "an answer has few vectors");
  const proof = ({ data, path }: LeafProof) => ({ data: toHex(data), path: toHex(path) });
  const before: CanonicalValue = previous === null ? null : { ...proof(previous), leaf: previous.leaf };
  const facts = { specHash, round, uid, part, leaves: leaves.map(proof), previous: before, vectors };
  return utf8(canonicalJson({ format: FORMAT, version: VERSION, ...facts }));
}

/** Decodes any bytes: an answer, or the first thing found wrong. Never throws; memory is bounded by `answerBytesMax`. */
export function decodeAnswer(bytes: Uint8Array, form: AnswerForm): Answer | AnswerFault {
  if (bytes.length > answerBytesMax(form)) return { fault: "too long" };
  const json = jsonIn(bytes);
  if (typeof json !== "object" || json === null) return { fault: "not JSON" };
  const fields = fieldsIn(json);
  if (fields.get("format") !== FORMAT || fields.get("version") !== VERSION) return { fault: "another format" };
  const answer = answerOf(fields, form);
  if (answer === undefined) return { fault: "wrong fields" };
  return equalBytes(encodeAnswer(answer), bytes) ? answer : { fault: "not canonical" };
}

function answerOf(fields: ReadonlyMap<string, unknown>, { spans, paramCount }: AnswerForm): Answer | undefined {
  const [specHash, round, uid, part] = ["specHash", "round", "uid", "part"].map((name) => fields.get(name));
  if (!isHash(specHash) || !isCount(round) || !isCount(uid) || !isCount(part) || part > spans) return undefined;
  const leaves = listOf(fields.get("leaves"), answeredLeaves(part, spans).length, proofOf);
  const vectors = listOf(fields.get("vectors"), VECTORS_MAX, (value) => piecesOf(value, pieceCount(paramCount)));
  const before = fields.get("previous");
  const previous = before === null ? null : previousOf(before);
  if (leaves === undefined || vectors === undefined || previous === undefined) return undefined;
  return { specHash, round, uid, part, leaves, previous, vectors };
}

/** The items of a list of at most `max`; undefined where one of them is none. */
function listOf<T>(value: unknown, max: number, itemOf: (item: unknown) => T | undefined): T[] | undefined {
  if (!Array.isArray(value) || value.length > max) return undefined;
  const items: T[] = [];
  for (const each of value) {
    const item = itemOf(each);
    if (item === undefined) return undefined;
    items.push(item);
  }
  return items;
}

function proofOf(value: unknown): LeafProof | undefined {
  const fields = fieldsIn(value);
  const [data, path] = [bytesIn(fields.get("data"), BORDER_BYTES), bytesIn(fields.get("path"), PATH_BYTES_MAX)];
  return data && path && { data, path };
}

function previousOf(value: unknown): Answer["previous"] | undefined {
  const proof = proofOf(value);
  const leaf = fieldsIn(value).get("leaf");
  return proof && isCount(leaf) ? { ...proof, leaf } : undefined;
}

function bytesIn(value: unknown, max: number): Uint8Array | undefined {
  return isHex(value, max) ? fromHex(value) : undefined;
}

function piecesOf(value: unknown, count: number): VectorPieces | undefined {
  if (value === null) return null;
  return Array.isArray(value) && value.length === count && value.every(isHash) ? value : undefined;
}
