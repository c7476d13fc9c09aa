/**
 * Where a dishonest peer differs from an honest one. A seam, so that attacks run against the production trainer: whatever is not tampered with is
 * what everybody runs. Production gives none.
 */
import type { SentTensor } from "../../../codec/feedback.ts";
import type { PayloadHeader } from "../../../round/payload.ts";
import type { Work } from "./work.ts";

/** What may differ. Other deviations are made around the node: its chain, its shared store, its engine, its dataset. */
export interface Tamper {
  /** What is sent as pseudo-gradient, tokens and data digest, in place of what the inner steps gave. */
  work?(work: Work): Work | Promise<Work>;
  /** The compressed tensors of a round, before they are encoded. */
  sent?(tensors: readonly SentTensor[], round: number): readonly SentTensor[] | Promise<readonly SentTensor[]>;
  /** The header, before it is signed. */
  header?(header: PayloadHeader): PayloadHeader;
  /** The signed bytes, before they are hashed and committed. */
  bytes?(bytes: Uint8Array, round: number): Uint8Array | Promise<Uint8Array>;
}
