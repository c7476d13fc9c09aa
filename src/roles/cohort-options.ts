/** What a cohort, several peers trained in one process, is given and tells, and checks before anything is begun. */
import { SkeinError, shown } from "../base/errors.ts";
import { CONTRIBUTIONS_MAX } from "../base/limits.ts";
import { CODEC_DEFAULTS, type CodecParams, checkCodecParams } from "../codec/params.ts";
import type { Dataset } from "../data/dataset.ts";
import type { Engine, StepOptions } from "../engine/engine.ts";
import { checkOuterSgd, DILOCO } from "../optim/outer.ts";
import type { Schedule } from "../optim/schedule.ts";
import { AGGREGATIONS, type Aggregation, checkApplySettings } from "../round/aggregation.ts";
import type { MeansKernel } from "../round/means.ts";
import type { Store } from "../store/store.ts";
import { checkSolo } from "./solo-options.ts";

/** Names of the ways in which a cohort trains, ours first, then the baselines. */
export const COHORT_METHODS = ["sparseloco", "diloco", "adamw"] as const;

/** A way in which peers train together; cohort.ts says what each is. */
export type CohortMethodName = (typeof COHORT_METHODS)[number];

/** Inner steps of a round, where nothing else is said: half of Covenant-72B's, for models that learn faster. */
export const INNER_STEPS_DEFAULT = 15;

/** The settings of a cohort, besides the model and the schedule, whose steps are inner steps of each peer. */
export interface CohortConfig {
  /** Chooses first params, data order and the peers' keys. */
  readonly seed: string | number;
  /** Peers N, from 1 to CONTRIBUTIONS_MAX. */
  readonly peers: number;
  readonly method: CohortMethodName;
  /** Steps H of each peer in a round; the last round takes what the schedule leaves. Default INNER_STEPS_DEFAULT. */
  readonly innerSteps?: number;
  /** Sequences in a step of one peer. */
  readonly batch: number;
  /** Tokens in a sequence; at most the engine's seqLen. */
  readonly seqLen: number;
  /** AdamW and clipping, where they are not to be STEP_DEFAULTS. */
  readonly adamw?: Omit<StepOptions, "lr">;
  /** Outer learning rate. Default 1 for "sparseloco", 0.7 for "diloco"; "adamw" has none. */
  readonly outerLr?: number;
  /** Nesterov momentum of "diloco", in [0, 1); 0 is plain averaging scaled by `outerLr`. Default 0.9. */
  readonly outerMomentum?: number;
  /** How "sparseloco" makes one update of many payloads. Default the mean over all peers. */
  readonly aggregation?: Aggregation;
  /** How "sparseloco" compresses, where it is not to be CODEC_DEFAULTS. */
  readonly codec?: Partial<CodecParams>;
  /** Rounds between validations; 0, the default, is never. */
  readonly validateEvery?: number;
  /** Sequences to validate on. Default 64. */
  readonly validationSequences?: number;
  /** Rounds between saved states, where there is a store; the end saves one anyway. Default 10. */
  readonly checkpointEvery?: number;
}

/** `CohortConfig` with its defaults filled in. */
export type CohortSettings = Required<Omit<CohortConfig, "codec">> & { readonly codec: CodecParams };

/** What a round did, for people and logs. */
export interface RoundReport {
  /** Rounds done, this one included. */
  readonly round: number;
  readonly rounds: number;
  /** Inner steps done by each peer. */
  readonly step: number;
  readonly steps: number;
  /** Of all peers together. */
  readonly tokensSeen: number;
  /** Mean training loss over the round's steps and peers, each before its update. */
  readonly loss: number;
  /** Loss of the new params on the validation split, in rounds where that is due. */
  readonly validation: number | undefined;
  /** Bytes that each peer sent in this round, on average. */
  readonly bytes: number;
  /** Bytes of the params in float32 over `bytes`: 1 for one dense pseudo-gradient, 1/H for "adamw". */
  readonly ratio: number;
  /** State root of the new params, in hex. */
  readonly stateRoot: string;
}

/** What is told while a cohort trains. A hook that returns a promise is waited for; one that throws ends the run. */
export interface CohortHooks {
  /** `disjoint`: whether no sequence comes twice in a round, which needs twice a round's data. */
  readonly onStart?: (start: {
    /** Rounds done already, in the state that was resumed. */
    readonly round: number;
    /** Key of that state. */
    readonly resumedFrom: string | undefined;
    readonly rounds: number;
    readonly steps: number;
    readonly disjoint: boolean;
  }) => void | Promise<void>;
  /** After each inner step; `uids` are those who took it together. */
  readonly onStep?: (report: {
    readonly round: number;
    readonly uids: readonly number[];
    readonly step: number;
    readonly lr: number;
    readonly loss: number;
    readonly applied: boolean;
  }) => void | Promise<void>;
  /** What peer `uid` sent under "sparseloco": a signed payload, from which with all the others anyone computes the new params. */
  readonly onPayload?: (sent: {
    readonly round: number;
    readonly uid: number;
    readonly payload: Uint8Array;
  }) => void | Promise<void>;
  readonly onRound?: (report: RoundReport) => void | Promise<void>;
  /** After a state was saved. */
  readonly onCheckpoint?: (saved: { readonly round: number; readonly key: string }) => void | Promise<void>;
}

/** What a peer's inner steps did. */
export interface Work {
  readonly round: number;
  readonly uid: number;
  /** State root of the params it began with. */
  readonly baseRoot: Uint8Array;
  readonly start: Float32Array;
  readonly end: Float32Array;
  readonly steps: number;
  readonly tokens: number;
  readonly dataDigest: Uint8Array;
}

/** What a peer hands to all the others. */
export interface Message {
  readonly message: Uint8Array;
  /** Bytes that each peer who worked for this message sent in the round. */
  readonly bytes: number;
}

/** A method. */
export interface CohortMethod {
  /** What it remembers from round to round, by name: saved states hold these vectors, and a resumed run finds them filled in place. */
  readonly memory: Readonly<Record<string, Float32Array>>;
  send(work: Work): Message;
  /** The new params and their state root, from the messages in the order of uids. The old ones stay as they are. */
  merge(
    round: number,
    params: Float32Array,
    messages: readonly Uint8Array[],
  ): { readonly params: Float32Array; readonly root: Uint8Array };
}

/** Everything a cohort needs. */
export interface CohortOptions {
  /** One engine for all peers, in turn. */
  readonly engine: Engine;
  readonly dataset: Dataset;
  readonly schedule: Schedule;
  readonly config: CohortConfig;
  /** What sums the contributions up, where it is not to be the WebAssembly; all kernels give the same bits. */
  readonly means?: MeansKernel;
  /** Where states are saved and a stopped run is resumed from; without one nothing is kept. */
  readonly store?: Store;
  /** Ends the run after the current round. */
  readonly signal?: AbortSignal;
  readonly hooks?: CohortHooks;
  /** A way of exchanging of your own instead of the one that `config.method` names, for experiments. It is new for every run. */
  readonly exchange?: CohortMethod;
}

/** How a cohort ended. */
export interface CohortResult {
  /** Whole rounds done. */
  readonly rounds: number;
  /** Inner steps of each peer in them. */
  readonly step: number;
  readonly tokensSeen: number;
  /** Mean training loss of the last round; undefined where this call did none. */
  readonly loss: number | undefined;
  /** State root of the params, in hex. */
  readonly stateRoot: string;
  /** Whether the signal ended it before its last round. */
  readonly stopped: boolean;
}

/** The settings that `options` mean. Throws SkeinError("config") or ("data") where they cannot be worked with. */
export function settingsOf({ engine, dataset, schedule, config }: CohortOptions): CohortSettings {
  const settings: CohortSettings = {
    innerSteps: INNER_STEPS_DEFAULT,
    adamw: {},
    outerLr: config.method === "diloco" ? DILOCO.lr : 1,
    outerMomentum: DILOCO.momentum,
    aggregation: AGGREGATIONS["mean-all"],
    validateEvery: 0,
    validationSequences: 64,
    checkpointEvery: 10,
    ...config,
    codec: { ...CODEC_DEFAULTS, ...config.codec },
  };
  const { peers, method, innerSteps, outerLr, outerMomentum, aggregation, codec } = settings;
  checkSolo({ engine, dataset, schedule, config: settings });
  checkWhole("peers", peers, CONTRIBUTIONS_MAX);
  checkWhole("innerSteps", innerSteps, Number.MAX_SAFE_INTEGER);
  checkWhole("checkpointEvery", settings.checkpointEvery, Number.MAX_SAFE_INTEGER);
  if (!COHORT_METHODS.includes(method)) {
    throw new SkeinError("config", `method must be one of ${COHORT_METHODS.join(", ")}, not ${shown(method)}`);
  }
  if (method === "sparseloco") {
    checkApplySettings({ aggregation, outerLr });
    checkCodecParams(codec);
  }
  if (method === "diloco") checkOuterSgd({ lr: outerLr, momentum: outerMomentum, nesterov: outerMomentum > 0 });
  return settings;
}

function checkWhole(name: string, value: number, max: number): void {
  if (Number.isSafeInteger(value) && value >= 1 && value <= max) return;
  throw new SkeinError("config", `${name} must be a whole number from 1 to ${max}, not ${value}`);
}

/** Bytes that a cohort with this many params holds beside its engine: the peers' AdamW states, residuals and messages. */
export function cohortBytes({ peers, method }: Pick<CohortConfig, "peers" | "method">, params: number): number {
  const vectors = { sparseloco: 3 * peers, diloco: 3 * peers + 2, adamw: 2 }[method];
  return 4 * params * (vectors + 6); // old and new params, those a turn ended with, the pseudo-gradient, a copy on the way in or out
}
