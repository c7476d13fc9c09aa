/** How many sequences a step may have on this machine, so that a round's work is done before its commits close. */

/** Share of the time until the deadline that work may take: the rest is for compressing, sending, and for a machine that has other things to do. */
const USABLE_SHARE = 0.7;
/** Share of the newest round in the smoothed time of a sequence. */
const NEWEST_SHARE = 0.4;
/** What a round that came too late makes of it. */
const LATE_FACTOR = 1.5;

/** What has been measured. */
export interface Fit {
  /** Tells how long `sequences` took. */
  took(sequences: number, ms: number): void;
  /** Tells that a round's work was not done in time. */
  late(): void;
  /** Sequences of a step: at least one, at most `most`, for `steps` steps within `budgetMs`; `most` where nothing is known. */
  batch(steps: number, most: number, budgetMs: number): number;
}

/** A fit before its first measurement. */
export function newFit(): Fit {
  let sequenceMs: number | undefined;
  return {
    took(sequences, ms) {
      const newest = ms / sequences;
      if (!(newest > 0)) return;
      sequenceMs = sequenceMs === undefined ? newest : sequenceMs + NEWEST_SHARE * (newest - sequenceMs);
    },
    late() {
      if (sequenceMs !== undefined) sequenceMs *= LATE_FACTOR;
    },
    batch(steps, most, budgetMs) {
      if (sequenceMs === undefined || !(budgetMs > 0)) return most;
      return Math.max(1, Math.min(most, Math.floor((USABLE_SHARE * budgetMs) / (steps * sequenceMs))));
    },
  };
}

/** Measures how long blocks take, from what a node sees of them. */
export interface BlockPace {
  saw(block: number, nowMs: number): void;
  /** Milliseconds of a block; undefined before a few have been seen. */
  blockMs(): number | undefined;
}

/** A pace that has seen nothing yet. */
export function newBlockPace(): BlockPace {
  let first: { block: number; ms: number } | undefined;
  let last: { block: number; ms: number } | undefined;
  return {
    saw(block, nowMs) {
      first ??= { block, ms: nowMs };
      if (last === undefined || block > last.block) last = { block, ms: nowMs };
    },
    blockMs() {
      if (!first || !last || last.block < first.block + 2) return undefined;
      return (last.ms - first.ms) / (last.block - first.block);
    },
  };
}
