/** Names Node: reading the shared store through HTTP: blobs, news, the dataset and the run's spec, whole or in ranges, and the list of news. */
import type { Clock } from "../../base/clock.ts";
import { sha256Hex } from "../../base/hash.ts";
import { NEWS_KEYS_MAX, SPEC_BYTES_MAX } from "../../base/limits.ts";
import { blobHash } from "../../store/blobs.ts";
import { keyFault } from "../../store/key.ts";
import { NEWS_PREFIX } from "../../store/news.ts";
import type { Store } from "../../store/store.ts";
import { answer, answerJson, begin, type Exchange, finish, refuse, send } from "../http/exchange.node.ts";
import { select } from "../http/ranges.ts";
import type { Refusal } from "../http/refusal.ts";
import { isReadable } from "../http/routes.ts";

/** What is read from. */
export interface DownloadOptions {
  readonly store: Store;
  readonly specHash: string;
  readonly clock: Clock;
}

/** Answers to readers. */
export interface Downloads {
  get(exchange: Exchange, key: string): Promise<void>;
  list(exchange: Exchange, prefix: string): Promise<void>;
}

/** Bytes read from the store at a time: a client's slowness costs no more memory than this. */
const STEP_BYTES = 256 << 10;
/** Milliseconds for which a list serves all who ask. */
const LIST_MS = 500;
const DATA_PREFIX = "data/";

const ABSENT: Refusal = {
  status: 404,
  error: "nothing is there",
  remedy: "it may not have been uploaded yet: ask again in the next block",
};

/** A blob as it is served. */
interface Served {
  readonly key: string;
  readonly size: number;
  /** Strong, with its quotes. */
  readonly tag: string;
  readonly cacheControl: string;
}

/** Answers from the given stores. */
export function downloads({ store, specHash, clock }: DownloadOptions): Downloads {
  const listNews = sharedList(store, clock);
  const find = async (key: string): Promise<Served | undefined> => {
    const size = await store.size(key);
    if (size === undefined) return undefined;
    const hash = blobHash(key);
    if (hash !== undefined) return { key, size, tag: `"${hash}"`, cacheControl: "public, max-age=31536000, immutable" };
    if (key.startsWith(DATA_PREFIX)) return { key, size, tag: `"${specHash}-${size}"`, cacheControl: "no-cache" };
    const bytes = await store.get(key, { start: 0, end: SPEC_BYTES_MAX });
    return bytes && { key, size: bytes.length, tag: `"${sha256Hex(bytes)}"`, cacheControl: "no-cache" };
  };
  return {
    async get(exchange, key) {
      const fault = keyFault(key);
      if (fault !== undefined) return refuse(exchange, badKey(fault));
      const found = isReadable(key) ? await find(key) : undefined;
      return found === undefined ? refuse(exchange, ABSENT) : serve(exchange, store, found);
    },
    async list(exchange, prefix) {
      const fault = keyFault(prefix.replace(/\/$/, ""));
      if (fault !== undefined) return refuse(exchange, badKey(fault));
      if (!prefix.startsWith(NEWS_PREFIX)) {
        const remedy = `ask for keys that begin with ${NEWS_PREFIX}`;
        return refuse(exchange, { status: 403, error: "only news can be listed", remedy });
      }
      const keys = (await listNews()).filter((key) => key.startsWith(prefix));
      answerJson(exchange, 200, keys.slice(0, NEWS_KEYS_MAX));
    },
  };
}

function badKey(fault: string): Refusal {
  return {
    status: 400,
    error: `that is no key: it ${fault}`,
    remedy: "see docs/protocol/gateway.md for what keys there are",
  };
}

/** The keys of news; those who ask at about the same time share one look at the disk. */
function sharedList(store: Store, clock: Clock): () => Promise<readonly string[]> {
  let newest: Promise<readonly string[]> | undefined;
  let atMs = Number.NEGATIVE_INFINITY;
  return () => {
    if (newest === undefined || clock.monotonic() - atMs > LIST_MS) {
      atMs = clock.monotonic();
      newest = store.list(NEWS_PREFIX);
      newest.catch(() => {
        newest = undefined;
      });
    }
    return newest;
  };
}

async function serve(exchange: Exchange, store: Store, found: Served): Promise<void> {
  const { request, response } = exchange;
  const { size, tag, cacheControl } = found;
  const headers = {
    "content-type": found.key === "run.json" ? "application/json" : "application/octet-stream",
    "accept-ranges": "bytes",
    "cache-control": cacheControl,
    etag: tag,
  };
  const isHead = request.method === "HEAD";
  const one = (name: string): string | undefined => {
    const value = request.headers[name];
    return typeof value === "string" ? value : undefined;
  };
  const range = isHead ? undefined : one("range");
  const chosen = select({ range, ifRange: one("if-range"), ifNoneMatch: one("if-none-match") }, size, tag);
  if (chosen.status === 304) return answer(exchange, 304, "", headers);
  if (chosen.status === 416) {
    const refusal = { status: 416, error: `there are ${size} bytes`, remedy: "ask for a range within them" };
    return refuse(exchange, refusal, {
      ...headers,
      "content-type": "application/json",
      "content-range": `bytes */${size}`,
    });
  }
  const { start, end } = chosen.range;
  const part = chosen.status === 206 ? { "content-range": `bytes ${start}-${end - 1}/${size}` } : {};
  begin(exchange, chosen.status, end - start, { ...headers, ...part });
  if (isHead) return finish(exchange);
  for (let at = start; at < end; ) {
    const bytes = await store.get(found.key, { start: at, end: Math.min(end, at + STEP_BYTES) });
    if (bytes === undefined || bytes.length === 0) return void response.destroy(); // it has been replaced or taken away
    if (!(await send(exchange, bytes))) return;
    at += bytes.length;
  }
  finish(exchange);
}
