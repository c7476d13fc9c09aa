/**
 * The one shared store of a simulated network, and how a node sees it over its line. It does what a store behind caches and proxies does: a read may be some
 * seconds old or have a wrong byte, an upload may break off. Blobs under their hash are never replaced, so an old look at one can only miss it. A write that
 * arrives twice, or late, is done again: an old record of news then takes the place of a newer one, unless the store refuses that (`forwardNews`).
 *
 * Departures from the store behind a gateway (src/store/http.ts): any key may be written, listed and deleted; sizes and lists are never wrong, only old;
 * requests are not signed.
 */
import { gatherBytes } from "../../base/bytes.ts";
import { SkeinError } from "../../base/errors.ts";
import { blobHash } from "../../store/blobs.ts";
import { assertRange, checkKey } from "../../store/key.ts";
import { decodeNews, newsOfKey } from "../../store/news.ts";
import type { Store } from "../../store/store.ts";
import { happens, type Streams } from "../streams.ts";
import type { Timeline } from "../timeline.ts";
import { type Far, type Line, Passing } from "./link.ts";
import { faultCount, type Weather } from "./weather.ts";

/** What a shared store is made of. */
export interface StoreWorldOptions {
  /** What is really there. Whoever writes to it directly is not seen by stale reads. */
  readonly store: Store;
  readonly weather: Pick<Weather, "store" | "healMs">;
  readonly streams: Streams;
  readonly clock: Pick<Timeline, "now">;
  /** When the simulation began, by the clock; 0 unless given. */
  readonly startMs?: number;
}

/** The shared store of a network. */
export interface StoreWorld {
  /** As a request that arrives finds it: with faults. Rejects with `Passing` where an upload breaks off. */
  readonly served: Store;
  /** As it is: for checkers, and for whoever has no line. */
  readonly store: Store;
  /** Times that each fault was put in, by its name. Old reads count where they differ from what is there. */
  readonly faults: Readonly<Record<string, number>>;
  /** Earlier values that are remembered. */
  readonly remembered: number;
}

/** What a key had until it was written to. */
interface Earlier {
  readonly key: string;
  readonly untilMs: number;
  readonly bytes: Uint8Array | undefined;
}

/** Opens the shared store of a network. */
export function storeWorld(options: StoreWorldOptions): StoreWorld {
  const { store, weather, streams, clock, startMs = 0 } = options;
  const { faults, fault } = faultCount();
  const past = pastOf(clock, weather.store.stale > 0 ? weather.store.staleMs : 0);
  const direct = remembering(store, past);
  const draws = (what: string, p: number): boolean =>
    happens(streams(`store/${what}`), p) && clock.now() - startMs < weather.healMs;
  const moment = (): number | undefined =>
    draws("stale", weather.store.stale)
      ? clock.now() - weather.store.staleMs * streams("store/age").uniform()
      : undefined;
  const cut = (): void => {
    if (!draws("cut", weather.store.cutOff)) return;
    fault("cut off");
    throw new Passing("the connection ended early");
  };
  const earlier = (key: string): Earlier | undefined => {
    const atMs = moment();
    const found = atMs === undefined ? undefined : past.at(key, atMs);
    if (found !== undefined) fault("stale");
    return found;
  };
  const served: Store = {
    async get(key, range) {
      const old = earlier(key);
      const bytes = old === undefined ? await store.get(key, range) : old.bytes?.slice(range?.start, range?.end);
      if (bytes === undefined || bytes.length === 0 || !draws("corrupt", weather.store.corrupt)) return bytes;
      fault("corrupt");
      const random = streams("store/corrupt");
      const at = random.below(bytes.length);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
      return bytes;
    },
    async size(key) {
      const old = earlier(key);
      return old === undefined ? store.size(key) : old.bytes?.length;
    },
    async list(prefix = "") {
      const keys = await store.list(prefix);
      const atMs = moment();
      const old = atMs === undefined ? keys : past.listAt(keys, prefix, atMs);
      if (old.join() !== keys.join()) fault("stale");
      return old;
    },
    async put(key, bytes) {
      cut();
      await direct.put(key, bytes);
    },
    async putIfAbsent(key, bytes) {
      cut();
      return direct.putIfAbsent(key, bytes);
    },
    delete: (key) => direct.delete(key),
  };
  return {
    served,
    store: direct,
    faults,
    get remembered() {
      return past.size();
    },
  };
}

/** What there was in the last `staleMs`. */
interface Past {
  /** Remembers what a key had until now. */
  note(key: string, bytes: Uint8Array | undefined): void;
  /** What a key had then, where it has been written to since. */
  at(key: string, atMs: number): Earlier | undefined;
  /** The keys that there were then, where there are `keys` now. */
  listAt(keys: readonly string[], prefix: string, atMs: number): string[];
  readonly isKept: boolean;
  size(): number;
}

function pastOf(clock: Pick<Timeline, "now">, staleMs: number): Past {
  const notes: Earlier[] = []; // oldest first
  const prune = (): void => {
    const first = notes.findIndex(({ untilMs }) => untilMs > clock.now() - staleMs);
    notes.splice(0, first < 0 ? notes.length : first);
  };
  const at = (key: string, atMs: number): Earlier | undefined =>
    notes.find((note) => note.key === key && note.untilMs > atMs);
  return {
    isKept: staleMs > 0,
    note(key, bytes) {
      prune();
      notes.push({ key, untilMs: clock.now(), bytes });
    },
    at,
    listAt(keys, prefix, atMs) {
      const then = new Set(keys);
      for (const key of new Set(notes.map((note) => note.key))) {
        const old = key.startsWith(prefix) ? at(key, atMs) : undefined;
        if (old === undefined) continue;
        if (old.bytes === undefined) then.delete(key);
        else then.add(key);
      }
      return [...then].sort();
    },
    size: () => notes.length,
  };
}

/** The store, whose writes are done one after another and remembered. */
function remembering(store: Store, past: Past): Store {
  if (!past.isKept) return store;
  let last: Promise<unknown> = Promise.resolve();
  /** Does `write`, which says whether it changed anything. */
  const changing = (key: string, write: () => Promise<boolean>): Promise<boolean> => {
    const mine = last.then(async () => {
      checkKey(key);
      const before = await store.get(key);
      const isChanged = await write();
      if (isChanged && (before === undefined || blobHash(key) === undefined)) past.note(key, before);
      return isChanged;
    });
    last = mine.catch(() => undefined);
    return mine;
  };
  return {
    ...store,
    async put(key, source) {
      const bytes = await gatherBytes(source);
      await changing(key, async () => {
        await store.put(key, bytes);
        return true;
      });
    },
    putIfAbsent: (key, source) => {
      const bytes = source.slice();
      return changing(key, () => store.putIfAbsent(key, bytes));
    },
    async delete(key) {
      await changing(key, async () => {
        const isThere = (await store.size(key)) !== undefined;
        await store.delete(key);
        return isThere;
      });
    },
  };
}

/** Bytes from which on it is asked whether a blob is there before it is sent, as src/store/http.ts does. */
const LARGE_BYTES = 16 << 10;

/**
 * The shared store as a node sees it over its line. Writing a blob that is there already costs a question, if it is large. `signal` ends all waiting with
 * SkeinError("interrupted"), and nothing more is sent then.
 */
export function linkedStore(line: Line, world: Pick<StoreWorld, "served">, signal?: AbortSignal): Store {
  return overLine(line, "store", world.served, signal);
}

/** Another node's folder as a node sees it over its line: read, not written. Charged to the reader's line only. */
export function mirrorOf(folder: Store, line: Line, signal?: AbortSignal): Store {
  const refuse = async (): Promise<never> => {
    throw new SkeinError("store", "a mirror is read, not written", { remedy: "write to the shared store" });
  };
  return { ...overLine(line, "mirror", folder, signal), put: refuse, putIfAbsent: refuse, delete: refuse };
}

function overLine(line: Line, far: Far, served: Store, signal: AbortSignal | undefined): Store {
  const size = async (key: string): Promise<number | undefined> => {
    checkKey(key);
    return line.ask(far, `size of ${key}`, { upBytes: 0, downBytes: () => 0 }, () => served.size(key), signal);
  };
  const isThere = async (key: string, bytes: Uint8Array): Promise<boolean> =>
    blobHash(key) !== undefined && bytes.length >= LARGE_BYTES && (await size(key)) !== undefined;
  return {
    size,
    async get(key, range) {
      checkKey(key);
      if (range) assertRange(range);
      const downBytes = (bytes: Uint8Array | undefined): number => (bytes ? chargedBytes(line, key, bytes) : 0);
      return line.ask(far, `getting ${key}`, { upBytes: 0, downBytes }, () => served.get(key, range), signal);
    },
    async put(key, source) {
      checkKey(key);
      const bytes = await gatherBytes(source);
      if (await isThere(key, bytes)) return;
      const sizes = { upBytes: chargedBytes(line, key, bytes), downBytes: () => 0 };
      await line.ask(far, `putting ${key}`, sizes, () => served.put(key, bytes), signal);
    },
    async putIfAbsent(key, source) {
      checkKey(key);
      const bytes = source.slice();
      if (await isThere(key, bytes)) return false;
      const sizes = { upBytes: chargedBytes(line, key, bytes), downBytes: () => 0 };
      return line.ask(far, `putting ${key}`, sizes, () => served.putIfAbsent(key, bytes), signal);
    },
    async list(prefix = "") {
      const downBytes = (keys: readonly string[]): number => keys.reduce((sum, key) => sum + key.length + 3, 2); // as JSON
      return line.ask(far, `listing ${prefix}`, { upBytes: 0, downBytes }, () => served.list(prefix), signal);
    },
    async delete(key) {
      checkKey(key);
      const sizes = { upBytes: 0, downBytes: () => 0 };
      await line.ask(far, `deleting ${key}`, sizes, () => served.delete(key), signal);
    },
  };
}

/**
 * What bytes count on a line. A toy network stands for a larger one by its blobs of numbers: payloads and pieces. Documents (reports, manifests, answers: JSON)
 * have as many bytes there as here.
 */
export function chargedBytes({ scale }: Pick<Line, "scale">, key: string, bytes: Uint8Array): number {
  const isDocument = bytes[0] === 0x7b && bytes[bytes.length - 1] === 0x7d;
  return blobHash(key) === undefined || isDocument ? bytes.length : bytes.length * scale;
}

/**
 * The store, which takes news as a gateway does (src/gateway/store/upload.node.ts): it refuses what is no record, and news of an earlier round than what is
 * there. Whose it is, it does not ask.
 */
export function forwardNews(store: Store): Store {
  const roundOf = (bytes: Uint8Array | undefined): number | undefined => {
    const record = bytes && decodeNews(bytes);
    return record === undefined || "fault" in record ? undefined : record.round;
  };
  let last: Promise<unknown> = Promise.resolve();
  const putNews = async (key: string, bytes: Uint8Array): Promise<void> => {
    const [before, after] = [roundOf(await store.get(key)) ?? 0, roundOf(bytes)];
    if (after === undefined) throw refused("422: that is no record of news");
    if (after < before) throw refused(`409: there is news of round ${before} already, and this is of round ${after}`);
    await store.put(key, bytes);
  };
  return {
    ...store,
    async put(key, source) {
      if (newsOfKey(key) === undefined) return store.put(key, source);
      const bytes = await gatherBytes(source);
      const mine = last.then(() => putNews(key, bytes));
      last = mine.catch(() => undefined);
      return mine;
    },
  };
}

function refused(answer: string): SkeinError {
  return new SkeinError("store", `the shared store answered ${answer}`, { remedy: "say what is newer" });
}
