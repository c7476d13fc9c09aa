/** What a peer did in a round. */

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
}
