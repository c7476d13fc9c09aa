/**
 * The parameters of compression: what a run fixes once for all its payloads (SparseLoCo: arXiv 2508.15706; Covenant-72B, arXiv
 * 2603.08163, equations 1 and 2).
 *
 * Departures: k may be anything from 1 to the chunk size, not only even numbers, since indices are entropy-coded and not packed
 * in pairs; values are sign + magnitude level (levels.ts) and not four uniform bins.
 */
import { SkeinError, shown } from "../base/errors.ts";
import { CHUNK_SIDE_MAX } from "../base/limits.ts";

/** How pseudo-gradients are compressed. Equal for all peers of a run. */
export interface CodecParams {
  /** Side s of a chunk: matrices are cut into s × s blocks, vectors into pieces of s². A power of two from 8 to CHUNK_SIDE_MAX. */
  readonly chunkSide: number;
  /** Values kept of a whole chunk of s². */
  readonly k: number;
  /** Bits of a kept value: 1 = sign and one magnitude per tensor, 2 = sign and one of two magnitudes. */
  readonly bits: 1 | 2;
  /** Decay β of error feedback, in [0, 1]; used as a float32. */
  readonly beta: number;
}

/** Covenant-72B's sparsity and decay. */
export const CODEC_DEFAULTS: CodecParams = { chunkSide: 64, k: 64, bits: 2, beta: 0.95 };

/** Throws SkeinError("config") unless `params` can be worked with. Accepts untrusted values. */
export function checkCodecParams(params: CodecParams): void {
  const { chunkSide, k, bits, beta } = params;
  const power = Number.isInteger(Math.log2(chunkSide));
  if (!power || !(chunkSide >= 8 && chunkSide <= CHUNK_SIDE_MAX)) {
    throw new SkeinError("config", `chunkSide must be a power of two from 8 to ${CHUNK_SIDE_MAX}, not ${chunkSide}`);
  }
  if (!(Number.isInteger(k) && k >= 1 && k <= chunkSide * chunkSide)) {
    throw new SkeinError("config", `k must be a whole number from 1 to chunkSide² = ${chunkSide ** 2}, not ${k}`);
  }
  if (bits !== 1 && bits !== 2) throw new SkeinError("config", `bits must be 1 or 2, not ${shown(bits)}`);
  if (!(typeof beta === "number" && beta >= 0 && beta <= 1)) {
    throw new SkeinError("config", `beta must lie in [0, 1], not ${shown(beta)}`);
  }
}
