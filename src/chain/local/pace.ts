/** When blocks come and what time they say. Pure: seconds since 1970 in and out, the clock's milliseconds as an argument. */

/** Seconds between blocks; 0: as soon as there is a transaction; "manual": only on request. */
export type BlockTime = number | "manual";

/** Whole seconds between blocks where there is a beat; shorter ones have none, because timestamps are whole. */
function beat(blockTime: BlockTime): number | undefined {
  return blockTime !== "manual" && blockTime >= 1 ? blockTime : undefined;
}

/** A block's timestamp: on the beat after its parent's; the clock's where a whole block was missed. Never before the parent's. */
export function nextTimestamp(blockTime: BlockTime, parentSeconds: number, nowMs: number): number {
  const now = Math.floor(nowMs / 1000);
  const period = beat(blockTime);
  if (period === undefined) return Math.max(parentSeconds, now);
  const due = parentSeconds + period;
  return now < due + period ? due : now;
}

/** Milliseconds until the next block. Where the clock was set back, blocks go on at their pace. */
export function waitMs(blockTime: number, parentSeconds: number, nowMs: number): number {
  const period = beat(blockTime);
  if (period === undefined) return blockTime * 1000;
  return Math.min(period * 1000, Math.max(0, (parentSeconds + period) * 1000 - nowMs));
}
