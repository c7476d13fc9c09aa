/**
 * The bytes of a checkpoint: one safetensors file (huggingface/safetensors, "Format") that any library of that format opens,
 * with the run's facts as metadata and, last, a tensor of two hashes. docs/protocol/checkpoint.md has it byte by byte.
 *
 * The header has one canonical text for its facts. The decoder reads only the facts, bounded and strict, writes the header
 * anew from them and compares bytes: so no other dtype, offset, order, name, spacing or duplicate can pass, and there is no
 * second parser to get wrong. The hashes come last because a checkpoint is written in one pass, while it is still unknown
 * what its data will hash to.
 */
import { equalBytes, fromUtf8, utf8 } from "../base/bytes.ts";
import { messageOf, SkeinError } from "../base/errors.ts";
import { HEADER_BYTES_MAX, METADATA_FIELD_MAX } from "../base/limits.ts";
import { type ModelShape, paramCount, paramLayout } from "../engine/shape.ts";
import { parseShape, shapeJson } from "../model/parse.ts";

/** The facts of a checkpoint, besides its numbers. */
export interface CheckpointInfo {
  readonly shape: ModelShape;
  /** Steps taken, rejected ones too: the next step's number. */
  readonly step: number;
  /** Optimizer updates applied: AdamW's bias correction depends on it. */
  readonly optimizerSteps: number;
  readonly tokensSeen: number;
  /** The seed that chose first params and data order, as text. */
  readonly seed: string;
  /** Hash of the dataset's manifest. */
  readonly dataHash: string;
  /** The settings of the run as JSON text. Whoever trains decides what is in it. */
  readonly config: string;
}

/** The vectors a checkpoint holds, in the order of the file. */
export const CHECKPOINT_VECTORS = ["params", "m", "v"] as const;

/** Name of the last tensor: sha256 of all bytes before the data, then sha256 of the data before this tensor. */
export const INTEGRITY_NAME = "integrity";
/** Its bytes. */
export const INTEGRITY_BYTES = 64;
/** Numbers moved at a time: 4 MiB. */
export const PIECE_LENGTH: number = 1 << 20;
/** Bytes of the header's length at the start of the file. */
export const PREFIX_BYTES = 8;

const FORMAT = "skein checkpoint";
const VERSION = "1";
const FIELDS = [
  "format",
  "version",
  "shape",
  "step",
  "optimizerSteps",
  "tokensSeen",
  "seed",
  "dataHash",
  "config",
] as const;

/** A checkpoint that cannot be used, and why. */
export function damaged(problem: string, cause?: unknown): SkeinError {
  return new SkeinError("checkpoint", `not a usable checkpoint: ${problem}`, {
    remedy: "use an older checkpoint, or move the file away and train again from the one before it",
    cause,
  });
}

/** Bytes of the three vectors of a model. */
export function vectorsBytes(shape: ModelShape): number {
  return CHECKPOINT_VECTORS.length * 4 * paramCount(shape);
}

/** Everything before the data: the length of the header and the header, a multiple of 8 bytes in all. */
export function encodeHead(info: CheckpointInfo): Uint8Array {
  const { shape, seed, dataHash, config } = info;
  const metadata = {
    format: FORMAT,
    version: VERSION,
    shape: shapeJson(shape),
    step: String(info.step),
    optimizerSteps: String(info.optimizerSteps),
    tokensSeen: String(info.tokensSeen),
    seed,
    dataHash,
    config,
  };
  const tensors = CHECKPOINT_VECTORS.flatMap((vector) =>
    paramLayout(shape).map(({ name, dims, length }) => ({ name: `${vector}/${name}`, dims, length })),
  );
  return encodeSafetensorsHead(metadata, tensors);
}

/** A float32 tensor of a safetensors file. */
export interface TensorEntry {
  readonly name: string;
  readonly dims: readonly number[];
  readonly length: number;
}

/** The head of a safetensors file whose data are `tensors` in this order, without gaps, and the integrity tensor. */
export function encodeSafetensorsHead(
  metadata: Readonly<Record<string, string>>,
  tensors: Iterable<TensorEntry>,
): Uint8Array {
  const header: Record<string, unknown> = { __metadata__: metadata };
  let at = 0;
  for (const { name, dims, length } of tensors) {
    header[name] = { dtype: "F32", shape: dims, data_offsets: [at, at + 4 * length] };
    at += 4 * length;
  }
  header[INTEGRITY_NAME] = { dtype: "U8", shape: [INTEGRITY_BYTES], data_offsets: [at, at + INTEGRITY_BYTES] };
  const json = utf8(JSON.stringify(header));
  const head = new Uint8Array(PREFIX_BYTES + Math.ceil(json.length / 8) * 8).fill(0x20);
  head.set(json, PREFIX_BYTES);
  new DataView(head.buffer).setBigUint64(0, BigInt(head.length - PREFIX_BYTES), true);
  return head;
}

/** Bytes of the header from the first 8 bytes of a file of `fileBytes`. Throws SkeinError("checkpoint"). */
export function decodeHeaderLength(prefix: Uint8Array, fileBytes: number): number {
  if (prefix.length < PREFIX_BYTES) throw damaged(`the file has only ${fileBytes} bytes`);
  const length = new DataView(prefix.buffer, prefix.byteOffset, PREFIX_BYTES).getBigUint64(0, true);
  if (length > BigInt(HEADER_BYTES_MAX))
    throw damaged(`its header claims ${length} bytes, over the limit of ${HEADER_BYTES_MAX}`);
  if (length > BigInt(fileBytes - PREFIX_BYTES)) throw damaged("its header is longer than the file");
  return Number(length);
}

/** The facts in `head` (length and header, whole). Throws SkeinError("checkpoint") for anything but a canonical head. */
export function decodeHead(head: Uint8Array): CheckpointInfo {
  const fields = metadataOf(head);
  const text = (name: (typeof FIELDS)[number]): string => {
    const value = fields.get(name);
    if (typeof value !== "string") throw damaged(`its metadata lacks the text ${name}`);
    if (value.length > METADATA_FIELD_MAX) throw damaged(`its ${name} is longer than ${METADATA_FIELD_MAX} characters`);
    return value;
  };
  const count = (name: (typeof FIELDS)[number]): number => {
    const value = Number(text(name));
    if (!/^(0|[1-9][0-9]*)$/.test(text(name)) || !Number.isSafeInteger(value)) throw damaged(`its ${name} is no count`);
    return value;
  };
  if (text("format") !== FORMAT) throw damaged("it is a safetensors file of another kind");
  if (text("version") !== VERSION)
    throw damaged(`its format version is ${JSON.stringify(text("version"))}, not ${VERSION}`);
  const info: CheckpointInfo = {
    shape: shapeOf(text("shape")),
    step: count("step"),
    optimizerSteps: count("optimizerSteps"),
    tokensSeen: count("tokensSeen"),
    seed: text("seed"),
    dataHash: text("dataHash"),
    config: text("config"),
  };
  if (!equalBytes(encodeHead(info), head)) throw damaged("its header is not the one its metadata calls for");
  return info;
}

/** The metadata in `head`. Throws SkeinError("checkpoint") where there is none. */
export function metadataOf(head: Uint8Array): Map<string, unknown> {
  let header: unknown;
  try {
    header = JSON.parse(fromUtf8(head.subarray(PREFIX_BYTES)));
  } catch (thrown) {
    throw damaged("its header is not JSON", thrown);
  }
  const metadata = isObject(header) ? new Map(Object.entries(header)).get("__metadata__") : undefined;
  if (!isObject(metadata)) throw damaged("its header has no metadata");
  return new Map(Object.entries(metadata));
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function shapeOf(json: string): ModelShape {
  try {
    return parseShape(JSON.parse(json));
  } catch (thrown) {
    throw damaged(`its model shape is unusable (${messageOf(thrown)})`, thrown);
  }
}
