/** A token bucket per client: so many requests at once, so many a second in the long run. Time is an argument. */

/** Decides whether a client may ask. */
export interface Buckets {
  /** Takes `count` tokens of `client`; false where there are not enough. */
  take(client: string, count: number, nowMs: number): boolean;
  /** Milliseconds until there will be `count` tokens; infinite where the bucket never holds so many. */
  waitMs(client: string, count: number, nowMs: number): number;
}

/** Clients remembered; beyond, the one that has been there longest starts afresh. */
const CLIENTS_MAX = 4096;

/** Buckets of `burst` tokens that fill at `perSecond`. */
export function buckets(perSecond: number, burst: number): Buckets {
  const clients = new Map<string, { tokens: number; atMs: number }>();
  const filled = (client: string, nowMs: number): { tokens: number; atMs: number } => {
    let bucket = clients.get(client);
    if (bucket === undefined) {
      const oldest = clients.size >= CLIENTS_MAX ? clients.keys().next().value : undefined;
      if (oldest !== undefined) clients.delete(oldest);
      bucket = { tokens: burst, atMs: nowMs };
      clients.set(client, bucket);
    }
    const passedMs = Math.max(0, nowMs - bucket.atMs);
    bucket.tokens = Math.min(burst, bucket.tokens + (passedMs / 1000) * perSecond);
    bucket.atMs = nowMs;
    return bucket;
  };
  return {
    take(client, count, nowMs) {
      const bucket = filled(client, nowMs);
      if (bucket.tokens < count) return false;
      bucket.tokens -= count;
      return true;
    },
    waitMs(client, count, nowMs) {
      if (count > burst) return Number.POSITIVE_INFINITY;
      return (Math.max(0, count - filled(client, nowMs).tokens) / perSecond) * 1000;
    },
  };
}
