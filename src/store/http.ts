/**
 * The store that a gateway keeps for all nodes of a run (docs/protocol/gateway.md). Anybody reads; hotkeys that are registered write blobs and their
 * own news, each with a signature. What the protocol has no word for (arbitrary keys, deleting, listing blobs) is refused here.
 */
import { assert } from "../base/assert.ts";
import { fromUtf8, gatherBytes } from "../base/bytes.ts";
import { SkeinError } from "../base/errors.ts";
import { sha256Hex, toHex } from "../base/hash.ts";
import { ERROR_BODY_BYTES_MAX, HTTP_GET_BYTES_MAX, LIST_BYTES_MAX } from "../base/limits.ts";
import { blobHash } from "./blobs.ts";
import { assertRange, checkKey, keyFault } from "./key.ts";
import { NEWS_PREFIX, newsOfKey } from "./news.ts";
import type { Store } from "./store.ts";
import { type Answer, openWire, type Patience, statusError, type Wire } from "./transfer.ts";
import { ADDRESS_HEADER, putDigest, SIGNATURE_HEADER } from "./upload.ts";

/** Whoever signs what is written: a chain's Signer is one. */
export interface PutSigner {
  /** 0x and 40 hex digits. */
  readonly address: string;
  sign(digest: Uint8Array): Promise<Uint8Array>;
}

/** How to reach a gateway. */
export interface HttpStoreOptions {
  /** What stands before /r/ in the join link. */
  readonly base: string;
  /** Who writes, and for which run (hash of its spec, 64 hex digits). Without it the store is read-only. */
  readonly writer?: { readonly signer: PutSigner; readonly specHash: string };
  readonly patience?: Partial<Patience>;
  /** Ends all waiting with SkeinError("interrupted"). */
  readonly signal?: AbortSignal;
  /** Bytes of a blob that is got without a range, at most. */
  readonly bytesMax?: number;
}

/** Bytes from which on it is asked whether a blob is there before it is sent. */
const LARGE_BYTES = 16 << 10;
/** Says that a body has another hash than its key. What is sent here has the right one, so that happened on the way, and may go better next time. */
const DAMAGED = 422;

/**
 * The store behind the gateway at `base`. Rejects with SkeinError("store") where the gateway refuses or stays away, and with
 * SkeinError("interrupted").
 *
 * @example
 * const store = httpStore({ base: "http://127.0.0.1:4800", writer: { signer, specHash } });
 * const hash = await putBlob(store, payload);
 */
export function httpStore({ base, writer, patience, signal, bytesMax = HTTP_GET_BYTES_MAX }: HttpStoreOptions): Store {
  const root = checkedBase(base);
  const wire = openWire(patience, signal);
  const urlOf = (key: string): string => {
    checkKey(key);
    return `${root}/store/${key}`;
  };
  const size = async (key: string): Promise<number | undefined> => sizeAt(wire, urlOf(key));
  const write = async (key: string, bytes: Uint8Array, ifAbsent: boolean): Promise<boolean> => {
    const url = urlOf(key);
    checkWritable(key, bytes);
    if (writer === undefined) throw readOnly();
    const isBlob = blobHash(key) !== undefined;
    if (isBlob && bytes.length >= LARGE_BYTES && (await sizeAt(wire, url)) !== undefined) return false;
    const { signer, specHash } = writer;
    const signature = await signer.sign(putDigest({ specHash, key, bodyHash: sha256Hex(bytes), length: bytes.length }));
    const headers = {
      "content-type": "application/octet-stream",
      [ADDRESS_HEADER]: signer.address,
      [SIGNATURE_HEADER]: toHex(signature),
      ...(ifAbsent ? { "if-none-match": "*" } : {}),
    };
    const request = { method: "PUT", headers, body: bytes, bytesMax: ERROR_BODY_BYTES_MAX } as const;
    const answer = await wire.ask(url, isBlob ? { ...request, passing: DAMAGED } : request);
    if (answer.status === 201) return true;
    if (answer.status === 200 || (ifAbsent && answer.status === 412)) return false;
    throw statusError(url, answer.status, answer.body);
  };
  return {
    size,
    async get(key, range) {
      const url = urlOf(key);
      if (range) assertRange(range);
      if (range === undefined || range.end > range.start)
        return wire.download(url, range, range ? range.end - range.start : bytesMax);
      return (await size(key)) === undefined ? undefined : new Uint8Array(0);
    },
    async put(key, bytes) {
      checkKey(key);
      await write(key, await gatherBytes(bytes), false);
    },
    putIfAbsent: (key, bytes) => write(key, bytes.slice(), true),
    async list(prefix = "") {
      if (!prefix.startsWith(NEWS_PREFIX)) {
        throw refused(
          `the keys that begin with "${prefix.slice(0, 80)}"`,
          `ask for those that begin with "${NEWS_PREFIX}"`,
        );
      }
      if (keyFault(prefix.replace(/\/$/, "")) !== undefined) return [];
      return keysIn(`${root}/list/${prefix}`, prefix, wire);
    },
    async delete(key) {
      checkKey(key);
      throw refused(`that ${key} be deleted`, "delete it where the gateway keeps its files");
    },
  };
}

/** The address without a slash at its end. Throws SkeinError("usage") where it is none of http or https. */
function checkedBase(base: string): string {
  const { protocol } = URL.canParse(base) ? new URL(base) : { protocol: "" };
  if (protocol === "http:" || protocol === "https:") return base.replace(/\/+$/, "");
  throw new SkeinError("usage", `${JSON.stringify(base.slice(0, 80))} is no address of a gateway`, {
    remedy: "give one that begins with http:// or https://",
  });
}

function checkWritable(key: string, bytes: Uint8Array): void {
  const hash = blobHash(key);
  if (hash !== undefined) assert(sha256Hex(bytes) === hash, `the bytes for ${key} have another hash`);
  else if (newsOfKey(key) === undefined) {
    throw refused(`that ${key} be written`, "write blobs under their hash, and news of this run's kinds");
  }
}

function refused(what: string, remedy: string): SkeinError {
  return new SkeinError("store", `a gateway does not allow ${what}`, { remedy });
}

function readOnly(): SkeinError {
  return new SkeinError("store", "nothing can be written to this gateway without a hotkey", {
    remedy: "register a hotkey on the run's subnet and start with it",
  });
}

async function sizeAt(wire: Wire, url: string): Promise<number | undefined> {
  const { status, header, body } = await wire.ask(url, { method: "HEAD", bytesMax: 0 });
  if (status === 404 || status === 410) return undefined;
  const length = header("content-length") ?? "";
  if (status === 200 && /^\d{1,15}$/.test(length)) return Number(length);
  throw statusError(url, status, body);
}

async function keysIn(url: string, prefix: string, wire: Wire): Promise<string[]> {
  const answer = await wire.ask(url, { bytesMax: LIST_BYTES_MAX });
  if (answer.status !== 200) throw statusError(url, answer.status, answer.body);
  return keysOf(answer, prefix) ?? Promise.reject(statusError(url, answer.status, answer.body));
}

/** The keys in an answer, ascending; undefined where it is no list of such keys. */
function keysOf({ body }: Answer, prefix: string): string[] | undefined {
  let json: unknown;
  try {
    json = JSON.parse(fromUtf8(body));
  } catch {
    return undefined;
  }
  const isKey = (key: unknown): key is string =>
    typeof key === "string" && key.startsWith(prefix) && keyFault(key) === undefined;
  return Array.isArray(json) && json.every(isKey) ? json.sort() : undefined;
}
