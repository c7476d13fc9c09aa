/** How many sequences a step may have on this machine, so that a round's work is done before its commits close. */

/** Share of the time until the deadline that work may take: the rest is for compressing, sending, and for a machine that has other things to do. */
const USABLE_SHARE = 0.7;
/** Share of the newest round in the smoothed time of a sequence, where it was faster than before; a slower one counts at once. */
const FASTER_SHARE = 0.4;
/** How much slower real rounds may be than a trial on a machine that was idle: other nodes train when this one does. */
const TRIAL_FACTOR = 3;

/** What has been measured. */
export interface Fit {
  /** Tells how long `sequences` took, in a round's work or in a trial before the first. */
  took(sequences: number, ms: number, isTrial?: boolean): void;
  /** Sequences of a step: at least one, at most `most`, for `steps` steps within `budgetMs`; `most` where nothing is known. */
  batch(steps: number, most: number, budgetMs: number): number;
}

/** A fit before its first measurement. */
export function newFit(): Fit {
  let sequenceMs: number | undefined;
  let onlyTried = true;
  return {
    took(sequences, ms, isTrial = false) {
      const newest = (ms / sequences) * (isTrial ? TRIAL_FACTOR : 1);
      if (!(newest > 0) || !Number.isFinite(newest)) return;
      const known = onlyTried ? undefined : sequenceMs;
      sequenceMs = known === undefined || newest > known ? newest : known + FASTER_SHARE * (newest - known);
      onlyTried = isTrial;
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

/** Sightings that are remembered. */
const SIGHTINGS = 128;
/** Blocks of a stretch whose pace is taken: a block is seen up to a step later than it came. */
const STRETCH_BLOCKS = 4;

/**
 * A pace that has seen nothing yet: the median over stretches of blocks, so that a time in which the chain stood still does not make a trainer believe in
 * more time than it has for rounds to come.
 */
export function newBlockPace(): BlockPace {
  const seen: { readonly block: number; readonly ms: number }[] = [];
  return {
    saw(block, ms) {
      if (block <= (seen.at(-1)?.block ?? -1)) return;
      seen.push({ block, ms });
      if (seen.length > SIGHTINGS) seen.shift();
    },
    blockMs() {
      const [first, last] = [seen[0], seen.at(-1)];
      if (!first || !last || last.block < first.block + 2) return undefined;
      const paces = seen.flatMap((from) => {
        const to = seen.find(({ block }) => block >= from.block + STRETCH_BLOCKS);
        return to ? [(to.ms - from.ms) / (to.block - from.block)] : [];
      });
      const median = paces.sort((a, b) => a - b)[(paces.length - 1) >> 1];
      return median ?? (last.ms - first.ms) / (last.block - first.block);
    },
  };
}
