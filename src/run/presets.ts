/**
 * Settings of whole runs, known or reckoned to be sensible, and the spec they make together with a dataset. A model's own settings
 * (model/presets.ts) suit one machine; these say besides how often peers exchange, what is sent, and how long a round takes.
 *
 * Why the outer step is as it is (docs/LOG.md, entries 10 and 12: 2m, 8 peers, 163 rounds): the mean over senders with outer rate 1 and inner
 * rate 4e-3 learns as well as dense DiLoCo (4.967 against 4.965), the mean over all with 2 and 8e-3 a little worse (5.009). Its price: a lone sender of
 * an element has full weight, where the mean over all divides by everybody. So clipping to the median norm stands in front of it, without which
 * one payload's size would be bounded by nothing that the others do; among honest peers, whose norms are alike, it changes little. Rates
 * for 125m are not measured: the model's own and the paper's outer rate of 1.
 */
import { SkeinError } from "../base/errors.ts";
import { toHex } from "../base/hash.ts";
import { CODEC_DEFAULTS, type CodecParams } from "../codec/params.ts";
import { type Manifest, manifestSha256 } from "../data/shards/manifest.ts";
import { STEP_DEFAULTS } from "../engine/engine.ts";
import { type ModelShape, paramCount } from "../engine/shape.ts";
import { initTensors } from "../model/init.ts";
import { PRESETS } from "../model/presets.ts";
import type { Schedule } from "../optim/schedule.ts";
import { stateTreeBuilder } from "../round/state-root.ts";
import { parseSpec } from "./parse.ts";
import type { RunSpec } from "./spec.ts";

/** The presets' names, smallest model first. */
export const RUN_PRESET_NAMES = ["tiny", "laptop", "2m", "125m"] as const;

/** The name of a run preset. */
export type RunPresetName = (typeof RUN_PRESET_NAMES)[number];

/** The parts of a spec that a preset decides. */
type Settings = Pick<RunSpec, "uids" | "inner" | "codec" | "outer" | "timing" | "checkpointEvery" | "score" | "audit">;

/** A named kind of run. */
export interface RunPreset extends Settings {
  readonly name: RunPresetName;
  /** One line for people. */
  readonly description: string;
  /** Its vocabulary gives way to the dataset's. */
  readonly model: ModelShape;
  /** Seconds of a block that the timing is meant for. */
  readonly blockSeconds: number;
}

/** What of a preset is to be otherwise. */
export interface SpecOverrides {
  /** The vocabulary is the dataset's in any case. */
  readonly model?: Partial<ModelShape>;
  readonly uids?: number;
  readonly inner?: Partial<RunSpec["inner"]>;
  readonly codec?: Partial<CodecParams>;
  readonly outer?: Partial<RunSpec["outer"]>;
  readonly timing?: Partial<RunSpec["timing"]>;
  readonly checkpointEvery?: number;
  readonly score?: Partial<RunSpec["score"]>;
  readonly audit?: Partial<RunSpec["audit"]>;
}

/** From what a run's spec is made. */
export interface SpecRequest {
  readonly preset: RunPresetName;
  readonly name: string;
  readonly seed: string;
  /** The dataset's. */
  readonly manifest: Manifest;
  readonly overrides?: SpecOverrides;
}

/** A run with a single uid exchanges nothing. */
const UIDS_MIN = 2;

/** Warmup, then cosine to a tenth of the peak. */
function cosine(lr: number, warmupSteps: number, steps: number): Schedule {
  return { kind: "cosine", lr, warmupSteps, steps, floorLr: lr / 10, annealSteps: 0 };
}

/** The mean over senders, clipped; see the head of this file. */
function outer(cap: number): RunSpec["outer"] {
  const aggregation = { rule: "mean-senders", clip: "median-norm" } as const;
  return { lr: 1, aggregation, cap, newcomerSlots: 2, delay: 0 };
}

/** All run presets by name. */
export const RUN_PRESETS: Readonly<Record<RunPresetName, RunPreset>> = {
  tiny: {
    name: "tiny",
    description: "ten rounds of a model that fits a test",
    model: {
      ...{ vocabSize: 257, dim: 8, layers: 2, heads: 2, kvHeads: 1, headDim: 4, ffnDim: 16 },
      ...{ ropeTheta: 10_000, normEps: 1e-5, tied: true },
    },
    blockSeconds: 1,
    uids: 8,
    inner: { steps: 4, batch: 2, seqLen: 32, adamw: STEP_DEFAULTS, schedule: cosine(4e-3, 4, 40), resetMoments: false },
    codec: CODEC_DEFAULTS,
    outer: outer(8),
    timing: { trainBlocks: 4, revealBlocks: 2, voteBlocks: 2 },
    checkpointEvery: 2,
    score: { sequences: 2, unassigned: 4, peers: 8, validationSequences: 8 },
    audit: { spans: 2, perMille: 200, tolerance: 0 },
  },
  laptop: {
    name: "laptop",
    description: "several peers on one machine: learns words in five minutes at a block a second",
    model: PRESETS.nano.shape,
    blockSeconds: 1,
    uids: 16,
    // Four peers, twelve rounds (docs/LOG.md, entry 12): twenty steps a round end at 5.30, ten at 6.02, and the mean over senders learns faster
    // than the mean over all when there is so little time (5.86 against 6.02). A laptop's two cores do four peers' 82,000 tokens in the time.
    inner: {
      steps: 20,
      batch: 8,
      seqLen: 128,
      adamw: STEP_DEFAULTS,
      schedule: cosine(4e-3, 20, 6000),
      resetMoments: false,
    },
    codec: CODEC_DEFAULTS,
    outer: outer(16),
    timing: { trainBlocks: 10, revealBlocks: 2, voteBlocks: 4 },
    checkpointEvery: 5,
    score: { sequences: 8, unassigned: 16, peers: 8, validationSequences: 32 },
    audit: { spans: 2, perMille: 40, tolerance: 0 },
  },
  "2m": {
    name: "2m",
    description: "a few dozen laptops: books to readable sentences in a night",
    model: PRESETS["2m"].shape,
    blockSeconds: 12,
    uids: 32,
    // 61,440 tokens in the two minutes of training: machines with 600 tokens a second keep up, slower ones take smaller batches.
    inner: {
      steps: 30,
      batch: 8,
      seqLen: 256,
      adamw: STEP_DEFAULTS,
      schedule: cosine(4e-3, 150, 5000),
      resetMoments: false,
    },
    codec: CODEC_DEFAULTS,
    outer: outer(20),
    timing: { trainBlocks: 10, revealBlocks: 3, voteBlocks: 4 },
    checkpointEvery: 10,
    score: { sequences: 8, unassigned: 16, peers: 10, validationSequences: 64 },
    audit: { spans: 4, perMille: 50, tolerance: 0.05 },
  },
  "125m": {
    name: "125m",
    description: "GPUs and strong desktops for some weeks: the size of the smallest GPT-2",
    model: PRESETS["125m"].shape,
    blockSeconds: 12,
    uids: 256,
    // 245,760 tokens in twelve minutes; revealing 2 MB takes a slow line of 1 Mbit/s twenty seconds, voting means fetching 20 of them.
    inner: {
      steps: 30,
      batch: 8,
      seqLen: 1024,
      adamw: STEP_DEFAULTS,
      schedule: PRESETS["125m"].schedule,
      resetMoments: false,
    },
    codec: CODEC_DEFAULTS,
    outer: outer(20),
    timing: { trainBlocks: 60, revealBlocks: 10, voteBlocks: 15 },
    checkpointEvery: 20,
    score: { sequences: 4, unassigned: 8, peers: 10, validationSequences: 64 },
    // An answer has 1.5 GB, which many lines do not carry in a round: few are asked for.
    audit: { spans: 2, perMille: 2, tolerance: 0.05 },
  },
};

/** The run preset called `name`. Throws SkeinError("usage") naming those there are. */
export function runPresetNamed(name: string): RunPreset {
  const known = RUN_PRESET_NAMES.find((preset) => preset === name);
  if (known !== undefined) return RUN_PRESETS[known];
  throw new SkeinError("usage", `there is no run preset ${JSON.stringify(name)}`, {
    remedy: `choose one of ${RUN_PRESET_NAMES.join(", ")}`,
  });
}

/** The state root of the first params, in hex: at no time are more than 16 MiB of them in memory. */
export function genesisRootOf(model: ModelShape, seed: string): string {
  const tree = stateTreeBuilder(paramCount(model));
  for (const { values } of initTensors(model, seed)) tree.update(values);
  return toHex(tree.finish().root());
}

/**
 * A new run's spec. Where the preset has more uids than the dataset has text for, so that a round would hand out sequences twice, it gets
 * fewer. Throws SkeinError("data") where there is too little text for two, and SkeinError("config") for overrides that contradict
 * each other.
 *
 * @example
 * const { manifest } = await openDataset(folderStore("data"));
 * const spec = makeSpec({ preset: "laptop", name: "first", seed: "1", manifest });
 */
export function makeSpec({ preset, name, seed, manifest, overrides = {} }: SpecRequest): RunSpec {
  const base = runPresetNamed(preset);
  const inner = { ...base.inner, ...overrides.inner };
  const uids = uidsFor(inner, overrides.uids ?? base.uids, overrides.uids !== undefined, manifest);
  const model = { ...base.model, ...overrides.model, vocabSize: manifest.tokenizer.vocabSize };
  const { score, outer, audit } = base;
  const cap = overrides.outer?.cap ?? Math.min(outer.cap, uids);
  const unchecked: RunSpec = {
    protocol: 1,
    name,
    model,
    seed,
    genesisRoot: "0".repeat(64),
    data: { manifest: manifestSha256(manifest), tokenizer: manifest.tokenizer.sha256 },
    uids,
    inner,
    codec: { ...base.codec, ...overrides.codec },
    outer: { ...outer, newcomerSlots: Math.min(outer.newcomerSlots, cap), ...overrides.outer, cap },
    timing: { ...base.timing, ...overrides.timing },
    checkpointEvery: overrides.checkpointEvery ?? base.checkpointEvery,
    score: {
      ...score,
      sequences: Math.min(score.sequences, inner.steps * inner.batch),
      peers: Math.min(score.peers, uids),
      ...overrides.score,
    },
    audit: { ...audit, spans: Math.min(audit.spans, inner.steps), ...overrides.audit },
  };
  const spec = parseSpec(unchecked); // before the work of making params, which an absurd model would never end
  return { ...spec, genesisRoot: genesisRootOf(spec.model, spec.seed) };
}

/** As many uids as the text serves: no sequence comes twice in a round while its slots are at most half of all (data/assignment.ts). */
function uidsFor(inner: RunSpec["inner"], wanted: number, exactly: boolean, manifest: Manifest): number {
  const { tokens } = manifest.splits.train;
  const sequences = Math.max(0, Math.floor((tokens - 1) / inner.seqLen));
  const own = inner.steps * inner.batch;
  const room = Math.floor(Math.floor(sequences / 2) / own);
  if (!(wanted > room)) return wanted; // nonsense is refused later, with its path
  if (!exactly && room >= UIDS_MIN) return room;
  const peers = exactly ? wanted : UIDS_MIN;
  throw new SkeinError("data", `the dataset has too little text: ${sequences} sequences of ${inner.seqLen} tokens`, {
    details: `${2 * peers * own} are needed: twice what ${peers} peers train on in a round`,
    remedy: "prepare more text with `skein data`, or take a smaller preset",
  });
}
