/**
 * A run's spec out of what somebody else wrote, and its one form as bytes. Canonical form: RFC 8785 JSON, every field there, nothing
 * else; its sha256 is the run's name on chain and in every payload. People edit another form, with comments (json.ts, commented.ts);
 * both go through `parseSpec`, which believes nothing: after it, whatever follows from the spec (rules.ts) is within all limits.
 */
import { equalBytes, utf8 } from "../base/bytes.ts";
import { SkeinError } from "../base/errors.ts";
import { sha256Hex } from "../base/hash.ts";
import { jsonIn } from "../base/json.ts";
import {
  AUDIT_SPANS_MAX,
  BATCH_MAX,
  CHUNK_SIDE_MAX,
  CONTRIBUTIONS_MAX,
  DIM_MAX,
  PHASE_BLOCKS_MAX,
  ROUND_BLOCKS_MAX,
  ROUND_SLOTS_MAX,
  RUN_NAME_CHARS_MAX,
  RUN_PARAMS_MAX,
  RUN_SEED_CHARS_MAX,
  RUN_STEPS_MAX,
  RUN_UIDS_MAX,
  SCORE_SEQUENCES_MAX,
  SEQ_MAX,
  SPEC_BYTES_MAX,
  VALIDATION_SEQUENCES_MAX,
} from "../base/limits.ts";
import { type CodecParams, checkCodecParams } from "../codec/params.ts";
import { type CanonicalValue, canonicalJson } from "../data/shards/canonical.ts";
import { type ModelShape, paramCount } from "../engine/shape.ts";
import { parseShape } from "../model/parse.ts";
import { checkSchedule, type Schedule } from "../optim/schedule.ts";
import { type Aggregation, checkApplySettings } from "../round/aggregation.ts";
import { type Fields, fieldsOf, refusal, wrong } from "./fields.ts";
import { readJson } from "./json.ts";
import { blocksOf, bodyLayoutOf, peerTokensOf, roundsOf, slotsOf } from "./rules.ts";
import type { RunSpec } from "./spec.ts";

const ROOT = ["protocol", "name", "model", "seed", "genesisRoot", "data", "uids"] as const;
const SECTIONS = ["inner", "codec", "outer", "timing", "checkpointEvery", "score", "audit"] as const;
const SHAPE: readonly (keyof ModelShape)[] = [
  ...(["vocabSize", "dim", "layers", "heads", "kvHeads", "headDim", "ffnDim"] as const),
  ...(["ropeTheta", "normEps", "tied"] as const),
];
/** Bytes of a payload's body: its header counts them in 32 bits. */
const BODY_BYTES_MAX = 2 ** 32 - 1;

/**
 * The spec that `value` (parsed JSON) says, its fields in the order of `RunSpec`. Throws SkeinError("config") naming the path of the first field that is
 * missing, unknown, of another type, out of its range, or at odds with another one.
 */
export function parseSpec(value: unknown): RunSpec {
  const root = fieldsOf(value, "", [...ROOT, ...SECTIONS]);
  if (root.raw("protocol") !== 1) {
    const known = refusal("protocol", "1, the only one that this version knows", root.raw("protocol"));
    throw new SkeinError("config", known.message, { remedy: "take the version of skein that this run was made for" });
  }
  const data = root.object("data", ["manifest", "tokenizer"]);
  const timing = root.object("timing", ["trainBlocks", "revealBlocks", "voteBlocks"]);
  const score = root.object("score", ["sequences", "unassigned", "peers", "validationSequences"]);
  const uids = root.whole("uids", 1, RUN_UIDS_MAX);
  const inner = innerOf(root);
  const spec: RunSpec = {
    protocol: 1,
    name: root.text("name", RUN_NAME_CHARS_MAX),
    model: modelOf(root),
    seed: root.text("seed", RUN_SEED_CHARS_MAX),
    genesisRoot: root.hash("genesisRoot"),
    data: { manifest: data.hash("manifest"), tokenizer: data.hash("tokenizer") },
    uids,
    inner,
    codec: codecOf(root),
    outer: outerOf(root, uids),
    timing: {
      trainBlocks: timing.whole("trainBlocks", 1, PHASE_BLOCKS_MAX),
      revealBlocks: timing.whole("revealBlocks", 1, PHASE_BLOCKS_MAX),
      voteBlocks: timing.whole("voteBlocks", 1, PHASE_BLOCKS_MAX),
    },
    checkpointEvery: root.whole("checkpointEvery", 1, RUN_STEPS_MAX),
    score: {
      sequences: score.whole("sequences", 1, SCORE_SEQUENCES_MAX),
      unassigned: score.whole("unassigned", 1, SCORE_SEQUENCES_MAX),
      peers: score.whole("peers", 1, uids),
      validationSequences: score.whole("validationSequences", 1, VALIDATION_SEQUENCES_MAX),
    },
    audit: auditOf(root, inner.steps),
  };
  checkTogether(spec);
  return spec;
}

function modelOf(root: Fields): ModelShape {
  root.object("model", SHAPE); // says better what is missing or unknown
  const shape = under("model", root.raw("model"), () => parseShape(root.raw("model")));
  const attention = shape.heads * shape.headDim;
  if (attention > DIM_MAX)
    throw wrong("model.heads", `times headDim may be at most ${DIM_MAX}, and is ${attention}`, "take fewer heads");
  const params = paramCount(shape);
  if (params > RUN_PARAMS_MAX)
    throw wrong("model", `has ${params} params; at most ${RUN_PARAMS_MAX} are allowed`, "take a smaller model");
  return shape;
}

function innerOf(root: Fields): RunSpec["inner"] {
  const inner = root.object("inner", ["steps", "batch", "seqLen", "adamw", "schedule", "resetMoments"]);
  const adamw = inner.object("adamw", ["beta1", "beta2", "eps", "weightDecay", "clipNorm"]);
  return {
    steps: inner.whole("steps", 1, RUN_STEPS_MAX),
    batch: inner.whole("batch", 1, BATCH_MAX),
    seqLen: inner.whole("seqLen", 1, SEQ_MAX),
    adamw: {
      beta1: adamw.real("beta1", { min: 0, max: 1, open: "max" }),
      beta2: adamw.real("beta2", { min: 0, max: 1, open: "max" }),
      eps: adamw.real("eps", { min: 0, max: 1, open: "both" }),
      weightDecay: adamw.real("weightDecay", { min: 0, max: 1000 }),
      clipNorm: adamw.real("clipNorm", { min: 0, max: 1e9, open: "min" }), // the largest clips nothing
    },
    schedule: scheduleOf(inner),
    resetMoments: inner.truth("resetMoments"),
  };
}

function scheduleOf(inner: Fields): Schedule {
  const raw = inner.raw("schedule");
  const constant = typeof raw === "object" && raw !== null && "kind" in raw && raw.kind === "constant";
  const more = constant ? [] : ["floorLr", "annealSteps"];
  const fields = inner.object("schedule", ["kind", "lr", "warmupSteps", "steps", ...more]);
  const kind = fields.choice("kind", ["constant", "cosine"] as const);
  const lr = fields.real("lr");
  const warmupSteps = fields.whole("warmupSteps", 0, RUN_STEPS_MAX);
  const steps = fields.whole("steps", 1, RUN_STEPS_MAX);
  const schedule: Schedule =
    kind === "constant"
      ? { kind, lr, warmupSteps, steps }
      : {
          ...{ kind, lr, warmupSteps, steps },
          floorLr: fields.real("floorLr"),
          annealSteps: fields.whole("annealSteps", 0, RUN_STEPS_MAX),
        };
  under("inner.schedule", schedule, () => checkSchedule(schedule));
  return schedule;
}

function codecOf(root: Fields): CodecParams {
  const fields = root.object("codec", ["chunkSide", "k", "bits", "beta"]);
  const codec: CodecParams = {
    chunkSide: fields.whole("chunkSide", 8, CHUNK_SIDE_MAX),
    k: fields.whole("k", 1, CHUNK_SIDE_MAX ** 2),
    bits: fields.choice("bits", [1, 2] as const),
    beta: fields.real("beta"),
  };
  under("codec", codec, () => checkCodecParams(codec));
  return codec;
}

function outerOf(root: Fields, uids: number): RunSpec["outer"] {
  const fields = root.object("outer", ["lr", "aggregation", "cap", "newcomerSlots", "delay"]);
  const lr = fields.real("lr", { min: 0, max: 1000, open: "min" });
  const aggregation = aggregationOf(fields);
  under("outer.aggregation", aggregation, () => checkApplySettings({ aggregation, outerLr: lr }));
  const cap = fields.whole("cap", 1, Math.min(uids, CONTRIBUTIONS_MAX));
  const newcomerSlots = fields.whole("newcomerSlots", 0, cap);
  return { lr, aggregation, cap, newcomerSlots, delay: fields.choice("delay", [0, 1] as const) };
}

function aggregationOf(outer: Fields): Aggregation {
  const raw = outer.raw("aggregation");
  const trimmed = typeof raw === "object" && raw !== null && "rule" in raw && raw.rule === "trimmed-mean";
  const fields = outer.object("aggregation", ["rule", "clip", ...(trimmed ? ["trimPercent"] : [])]);
  const rule = fields.choice("rule", ["mean-all", "mean-senders", "trimmed-mean"] as const);
  const clip = fields.choice("clip", ["none", "median-norm"] as const);
  return rule === "trimmed-mean" ? { rule, clip, trimPercent: fields.whole("trimPercent", 0, 49) } : { rule, clip };
}

function auditOf(root: Fields, steps: number): RunSpec["audit"] {
  const fields = root.object("audit", ["spans", "perMille", "tolerance"]);
  return {
    spans: fields.whole("spans", 1, Math.min(steps, AUDIT_SPANS_MAX)),
    perMille: fields.whole("perMille", 0, 1000),
    tolerance: fields.real("tolerance", { min: 0, max: 1, open: "max" }), // 1 is the error of who did nothing
  };
}

/** Rounds that nodes look back upon, by hashes of blocks: this one, the one whose params it starts from, and where work is audited the one before. */
export function roundsSeen({ outer, audit }: Pick<RunSpec, "outer" | "audit">): number {
  return 1 + outer.delay + (audit.perMille > 0 ? 1 : 0);
}

/** What no field shows alone. */
function checkTogether(spec: RunSpec): void {
  const { inner, score } = spec;
  const slots = slotsOf(spec);
  if (slots > ROUND_SLOTS_MAX)
    throw wrong("inner.steps", `· inner.batch · uids are ${slots} sequences a round; at most 2^48 can be dealt out`);
  if (slots * roundsOf(spec) > Number.MAX_SAFE_INTEGER)
    throw wrong("inner.schedule.steps", `makes ${roundsOf(spec)} rounds of ${slots} sequences, more than 2^53 in all`);
  if (!Number.isSafeInteger(peerTokensOf(spec)))
    throw wrong("inner.seqLen", `makes ${peerTokensOf(spec)} tokens a round and peer; more than 2^53 are not counted`);
  const blocks = blocksOf(spec);
  const most = Math.floor(ROUND_BLOCKS_MAX / roundsSeen(spec));
  if (blocks > most) {
    const why =
      "data, newcomers and audits are drawn by hashes of blocks, and a chain shows only those of the last 256";
    throw wrong("timing", `makes rounds of ${blocks} blocks; at most ${most} are allowed here: ${why}`);
  }
  const own = inner.steps * inner.batch;
  if (score.sequences > own)
    throw wrong("score.sequences", `must be at most inner.steps · inner.batch = ${own}, not ${score.sequences}`);
  const { bytesMax } = bodyLayoutOf(spec);
  if (bytesMax > BODY_BYTES_MAX)
    throw wrong("codec.k", `allows payloads of ${bytesMax} bytes; at most ${BODY_BYTES_MAX} are allowed`);
}

/**
 * Runs a check of a lower floor, which knows its fields and not where they stand. What it refuses is refused with the path in front; the
 * floor's own name for the whole goes away.
 */
function under<T>(path: string, value: unknown, check: () => T): T {
  try {
    return check();
  } catch (thrown) {
    if (!(thrown instanceof SkeinError)) throw thrown;
    const message = thrown.message.replace(/^(?:model shape: |model |learning-rate schedule: |outer step: )/, "");
    const name = /^\w+/.exec(message)?.[0] ?? "";
    const isField = typeof value === "object" && value !== null && Object.hasOwn(value, name);
    throw isField ? wrong(`${path}.${name}`, message.slice(name.length + 1)) : wrong(path, message);
  }
}

/**
 * The spec in a run.json that people edit: JSON with `//` comments. Throws SkeinError("config") naming the line or the field.
 *
 * @example
 * const spec = readSpecText(await readFile("run.json", "utf8"));
 */
export function readSpecText(text: string): RunSpec {
  if (text.length > SPEC_BYTES_MAX)
    throw wrong("", `has ${text.length} characters; at most ${SPEC_BYTES_MAX} are allowed`, "is this a run.json?");
  return parseSpec(readJson(text));
}

/** The canonical bytes. `spec` comes from here or from makeSpec. */
export function specBytes(spec: RunSpec): Uint8Array {
  return utf8(canonicalJson(spec as unknown as CanonicalValue, "finite"));
}

/** The run's hash: sha256 of the canonical bytes, 64 hex digits; on chain with 0x in front. */
export function specHash(spec: RunSpec): string {
  return sha256Hex(specBytes(spec));
}

/** The spec in bytes that somebody sent. Throws SkeinError("config") unless they are a spec's canonical bytes. */
export function parseSpecBytes(bytes: Uint8Array): RunSpec {
  const remedy = "fetch it again, from somebody else if need be";
  if (bytes.length > SPEC_BYTES_MAX)
    throw wrong("", `has ${bytes.length} bytes; at most ${SPEC_BYTES_MAX} are allowed`, remedy);
  const spec = parseSpec(decoded(bytes, remedy));
  if (!equalBytes(specBytes(spec), bytes)) throw wrong("", "is not in canonical form", remedy);
  return spec;
}

function decoded(bytes: Uint8Array, remedy: string): unknown {
  const json = jsonIn(bytes);
  if (json === undefined) throw wrong("", "is not JSON in UTF-8", remedy);
  return json;
}
