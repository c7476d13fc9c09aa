/** What a peer did in a round. */
import type { Recorder } from "./record.ts";

/** What the inner steps of a round came to. */
export interface Work {
  readonly round: number;
  readonly uid: number;
  readonly baseRoot: Uint8Array;
  /** Params before minus after. */
  readonly delta: Float32Array;
  readonly tokens: number;
  readonly dataDigest: Uint8Array;
  /** Mean over the steps, nats a token. */
  readonly loss: number;
  readonly trainMs: number;
  /** The record of the steps, to be ended when the work is compressed; undefined where the run challenges nobody. */
  readonly recorder: Recorder | undefined;
}
