/**
 * What a run is: everything that its result depends on, in one document, run.json. Its canonical bytes have a hash; that hash is registered on
 * chain and stands in every payload, so nobody can be made to train another run than the one he joined (design: a run is a hash).
 */
import type { CodecParams } from "../codec/params.ts";
import type { StepOptions } from "../engine/engine.ts";
import type { ModelShape } from "../engine/shape.ts";
import type { Schedule } from "../optim/schedule.ts";
import type { Aggregation } from "../round/aggregation.ts";

/** A run's settings. Hashes are sha256 in lower-case hex. */
export interface RunSpec {
  readonly protocol: 1;
  /** For people: 1 to 64 printable characters. */
  readonly name: string;
  readonly model: ModelShape;
  /** Chooses the first params and the order of the data. */
  readonly seed: string;
  /** State root of the first params. */
  readonly genesisRoot: string;
  readonly data: {
    /** Of manifest.json. */
    readonly manifest: string;
    /** Of the tokenizer's file. */
    readonly tokenizer: string;
  };
  /** Uids with data of their own, 0 to uids − 1: the subnet's maxUids. */
  readonly uids: number;
  /** What a peer does in a round. */
  readonly inner: {
    /** Steps H. */
    readonly steps: number;
    /** Sequences in a step, at most. */
    readonly batch: number;
    readonly seqLen: number;
    readonly adamw: Required<Omit<StepOptions, "lr">>;
    /** By inner step: round · H + step. Its length is the run's. */
    readonly schedule: Schedule;
    /** Whether AdamW's moments begin at zero in every round: then an audit of a round's first steps needs nothing from the peer. */
    readonly resetMoments: boolean;
  };
  readonly codec: CodecParams;
  /** What is made of the payloads. */
  readonly outer: {
    readonly lr: number;
    readonly aggregation: Aggregation;
    /** Payloads applied in a round, at most. */
    readonly cap: number;
    /** Places among them kept for peers that have earned nothing yet. */
    readonly newcomerSlots: number;
    /** Rounds by which the params that a round starts from lag behind: 1 lets peers train while votes are counted. */
    readonly delay: 0 | 1;
  };
  /** Phases of a round, in blocks. */
  readonly timing: { readonly trainBlocks: number; readonly revealBlocks: number; readonly voteBlocks: number };
  /** Rounds between two checkpoints that validators publish. */
  readonly checkpointEvery: number;
  /** How validators judge. */
  readonly score: {
    /** Sequences that the sender was assigned, on which its payload is judged. */
    readonly sequences: number;
    /** Sequences that nobody was assigned, on which all of a round are judged. */
    readonly unassigned: number;
    /** Payloads that one validator judges in a round, at most. */
    readonly peers: number;
    /** Sequences on which the validation loss is measured. */
    readonly validationSequences: number;
  };
  /** How work is proven (docs/protocol/work.md). */
  readonly audit: {
    /** Spans into which a round's inner steps are cut: a challenge asks for one of them, or for the compression. */
    readonly spans: number;
    /** Payloads of a thousand that are challenged. */
    readonly perMille: number;
    /** Relative error up to which a replayed span may differ, for peers whose engine is not deterministic; 0: only exact work is admitted. */
    readonly tolerance: number;
  };
}
