/**
 * The library: `import { … } from "skein"`. Everything here runs in Node and in browsers; what needs files, threads of the
 * operating system or the native engine is in `skein/node` (node.ts). Documented where it is defined.
 *
 * @example
 * // A model that learns to repeat, in memory, on the WebAssembly engine.
 * import { byteTokenizer, initParams, openExactWasm, PRESETS, withVocab } from "skein";
 *
 * const tokenizer = byteTokenizer();
 * const { shape } = withVocab(PRESETS.nano, tokenizer.vocabSize);
 * const engine = await openExactWasm({ shape, seqLen: 32, microBatch: 1, threads: 1, recompute: false });
 * await engine.write("params", initParams(shape, "seed"));
 * const tokens = tokenizer.encode("to be or not to be, that is the q");
 * const { loss } = await engine.trainStep({ tokens, rows: 1, length: tokens.length - 1 }, { lr: 1e-3 });
 * await engine.close();
 */
export { AssertionError } from "./base/assert.ts";
export { type Clock, manualClock, systemClock } from "./base/clock.ts";
export { type ErrorCode, SkeinError } from "./base/errors.ts";
export { type Random, seededRandom } from "./base/random.ts";
export type {
  Chain,
  ChainAccount,
  Metagraph,
  Neuron,
  Receipt,
  RunTerms,
  Signer,
  Subnet,
  SubnetParams,
  WeightVector,
} from "./chain/chain.ts";
export { connectChain } from "./chain/connect.ts";
export { newKey, signerOf } from "./chain/keys/signer.ts";
export { createTwin, type Twin, type TwinOptions } from "./chain/twin/twin.ts";
export { epoch } from "./chain/yuma/epoch.ts";
export type { EpochInput, EpochOutput } from "./chain/yuma/types.ts";
export {
  type CheckpointInfo,
  type LoadedCheckpoint,
  latestCheckpoint,
  listCheckpoints,
  loadCheckpoint,
  loadLatest,
  readCheckpointInfo,
  saveCheckpoint,
  verifyCheckpoint,
} from "./checkpoint/checkpoint.ts";
export { type BodyLayout, bodyLayout } from "./codec/body.ts";
export { compressor } from "./codec/feedback.ts";
export { CODEC_DEFAULTS, type CodecParams } from "./codec/params.ts";
export { passOrder } from "./data/assignment.ts";
export { type BpeOptions, type BpeProgress, trainBpe } from "./data/bpe-train.ts";
export { type BuildOptions, type BuildProgress, buildDataset } from "./data/build.ts";
export { type Dataset, openDataset, type TokenSource } from "./data/dataset.ts";
export type { Document } from "./data/document.ts";
export { keyedPermutation } from "./data/permutation.ts";
export { type Manifest, manifestSha256, parseManifest } from "./data/shards/manifest.ts";
export { documentsOf, type Skip, type SourceOptions } from "./data/sources.ts";
export { byteTokenizer, loadTokenizer, type Tokenizer } from "./data/tokenizer.ts";
export {
  type Batch,
  type Engine,
  type EngineOptions,
  type MemoryPlan,
  STEP_DEFAULTS,
  type StepOptions,
  type StepResult,
  type VectorName,
} from "./engine/engine.ts";
export { planExact } from "./engine/exact/plan.ts";
export { openExactWasm } from "./engine/exact/wasm.ts";
export { openReference, referencePlan } from "./engine/reference/reference.ts";
export { checkShape, type ModelShape, type ParamEntry, paramCount, paramLayout } from "./engine/shape.ts";
export { type Generated, type GenerateOptions, generate } from "./evaluate/generate.ts";
export { SAMPLE_DEFAULTS, type SampleOptions } from "./evaluate/sample.ts";
export { batchOf, type ValidationOptions, type ValidationResult, validationLoss } from "./evaluate/validation.ts";
export { countParams, type ParamCounts, type StateBytes, stateBytes, trainFlopsPerToken } from "./model/count.ts";
export { type InitPiece, initParams, initTensors } from "./model/init.ts";
export { PRESET_NAMES, PRESETS, type Preset, type PresetName, presetNamed, withVocab } from "./model/presets.ts";
export { learningRate, type Schedule, withSteps } from "./optim/schedule.ts";
export { type CohortConfig, type CohortOptions, type CohortResult, trainCohort } from "./roles/cohort.ts";
export { acting, type NodeOptions, openNode } from "./roles/network/node.ts";
export { runTrainer, type TrainerEnd, type TrainerOptions } from "./roles/network/trainer/trainer.ts";
export { runValidator, type ValidatorEnd, type ValidatorOptions } from "./roles/network/validator/validator.ts";
export {
  type SoloConfig,
  type SoloHooks,
  type SoloOptions,
  type SoloResult,
  type StepReport,
  trainSolo,
} from "./roles/solo.ts";
export { AGGREGATION_NAMES, AGGREGATIONS, type Aggregation } from "./round/aggregation.ts";
export { exchange, exchangeThrough } from "./round/exchange.ts";
export { contributionOf, decodePayload, encodePayload, type Fault, isFault, type Payload } from "./round/payload.ts";
export { stateRoot, stateTreeBuilder, verifyPiece } from "./round/state-root.ts";
export { linkOf, parseLink, type RunInfo } from "./run/link.ts";
export { parseSpec, readSpecText, specBytes, specHash } from "./run/parse.ts";
export { makeSpec, RUN_PRESETS } from "./run/presets.ts";
export type { RunSpec } from "./run/spec.ts";
export { type Evaluation, type EvaluationJob, evaluatePayloads } from "./score/gain.ts";
export { type Discrepancy, recount } from "./score/recount.ts";
export { decodeReport, isReportFault, type Report } from "./score/report.ts";
export { type Factors, type Finding, factorsOf, type Standing } from "./score/standing.ts";
export { getBlob, putBlob } from "./store/blobs.ts";
export { httpStore } from "./store/http.ts";
export { memoryStore } from "./store/memory.ts";
export type { ByteRange, Store } from "./store/store.ts";
