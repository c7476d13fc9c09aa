/**
 * The k values of largest magnitude of one chunk. Of equal magnitudes the one that comes first in the chunk (row by row) wins,
 * so every machine keeps the same ones. This is the obvious version, by sorting; selection.ts has the fast one.
 */
import { SkeinError } from "../base/errors.ts";
import type { Chunk } from "./chunks.ts";

/** Positions r · width + c of the kept values of `chunk`, ascending, by sorting. Throws SkeinError("diverged") at NaN or ±Infinity. */
export function topkReference(values: Float32Array, chunk: Chunk): number[] {
  const all: { position: number; magnitude: number }[] = [];
  for (let r = 0; r < chunk.height; r++) {
    for (let c = 0; c < chunk.width; c++) {
      const value = values[chunk.start + r * chunk.stride + c] as number;
      if (!Number.isFinite(value)) throw notFinite();
      all.push({ position: r * chunk.width + c, magnitude: Math.abs(value) });
    }
  }
  all.sort((a, b) => b.magnitude - a.magnitude || a.position - b.position);
  const kept = all.slice(0, chunk.kept).map(({ position }) => position);
  return kept.sort((a, b) => a - b);
}

/** A pseudo-gradient that cannot be sent. */
export function notFinite(): SkeinError {
  return new SkeinError("diverged", "the pseudo-gradient is not finite, or absurdly large", {
    remedy: "drop this round's work and start again from the run's params; lower the learning rate if it happens again",
  });
}
