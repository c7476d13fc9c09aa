/** What bench/natural.ts writes down of a round. */

/** A payload that was made by training. */
export interface PeerRecord {
  readonly name: string;
  readonly batch: number;
  /** L2 norms: of the payload, the pseudo-gradient, the residual afterwards. */
  readonly norm: number;
  readonly delta: number;
  readonly residual: number;
  /** Cosine of payload and pseudo-gradient. */
  readonly fresh: number;
}

/** What judging found; lists go by sequence. */
export interface Judgement {
  /** Names of the payloads, in the order of `slopes`. */
  readonly payloads: readonly string[];
  /** The uid each claims to be. */
  readonly uids: readonly number[];
  /** For each set of sequences ("U", "A0", "A0 before 1", …) and each of its sequences: the slope along each payload. */
  readonly slopes: Readonly<Record<string, readonly (readonly number[])[]>>;
  /** The inner step in which a sequence of a set was trained on. */
  readonly steps: Readonly<Record<string, readonly number[]>>;
  /** Gains, by size of the step. */
  readonly gains: readonly {
    readonly step: number;
    readonly payload: string;
    readonly set: string;
    readonly values: readonly number[];
  }[];
}

/** A line of the file. */
export interface RoundRecord {
  readonly round: number;
  /** Whether nothing was applied. */
  readonly nothing: boolean;
  readonly validation: number;
  readonly peers: readonly PeerRecord[];
  /** Payloads of this round with each other (lag 0), and with those of the round before (lag 1, `b` being the older). */
  readonly pairs: readonly {
    readonly a: string;
    readonly b: string;
    readonly lag: 0 | 1;
    readonly cosine: number;
    readonly overlap: number;
  }[];
  /** Perturbed copies and how alike they are to the original. */
  readonly copies: readonly { readonly name: string; readonly cosine: number; readonly overlap: number }[];
  readonly judgement?: Judgement;
}
