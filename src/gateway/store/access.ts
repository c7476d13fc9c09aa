/**
 * Who may write what to the shared store: the policy, as pure functions and one small book of who is writing how much. Only blobs under their own
 * hash and one's own news; only hotkeys that are registered, each write signed; a length that is known beforehand; so many bytes a hotkey and time; and
 * in all no more than the quota. Time is an argument.
 */
import { assert } from "../../base/assert.ts";
import { fromHex, toHex } from "../../base/hash.ts";
import { NEWS_BYTES_MAX } from "../../base/limits.ts";
import { buckets } from "../../chain/local/door/bucket.ts";
import { blobHash } from "../../store/blobs.ts";
import { keyFault } from "../../store/key.ts";
import { type NewsRecord, newsOfKey } from "../../store/news.ts";
import { recoverAddress } from "../../store/signature.ts";
import { ADDRESS_HEADER, putDigest, SIGNATURE_HEADER } from "../../store/upload.ts";
import type { Refusal } from "../http/refusal.ts";
import type { GatewayLimits } from "../limits.ts";

/** What a key stands for, as far as it can be written. */
export type Target =
  | { readonly kind: "blob"; readonly key: string; readonly hash: string }
  | { readonly kind: "news"; readonly key: string; readonly account: string };

/** What `key`, any text, stands for. */
export function targetOf(key: string): Target | Refusal {
  const hash = blobHash(key);
  if (hash !== undefined) return { kind: "blob", key, hash };
  const news = newsOfKey(key);
  if (news !== undefined) return { kind: "news", key, account: news.account };
  const fault = keyFault(key);
  if (fault !== undefined) {
    return {
      status: 400,
      error: `that is no key: it ${fault}`,
      remedy: "see docs/protocol/gateway.md for what keys there are",
    };
  }
  return {
    status: 403,
    error: "nothing can be written there",
    remedy: "write blobs/<first 2 digits>/<sha256> and news/<kind>/<own account>",
  };
}

/** A write as its head announces it. */
export interface Claim {
  readonly target: Target;
  readonly length: number;
  /** 20 bytes in lower-case hex with 0x. */
  readonly address: string;
  /** 65 bytes. */
  readonly signature: Uint8Array;
}

/** Headers by their lower-case names. */
export type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/** What the headers of a write claim. Nothing of it is proven yet. */
export function claimOf(
  target: Target,
  headers: Headers,
  limits: Pick<GatewayLimits, "blobBytesMax">,
): Claim | Refusal {
  const length = headers["content-length"];
  if (typeof length !== "string" || !/^\d{1,15}$/.test(length) || headers["transfer-encoding"] !== undefined) {
    return { status: 411, error: "the length is missing", remedy: "send a Content-Length, and the body in one piece" };
  }
  const bytesMax = target.kind === "blob" ? limits.blobBytesMax : NEWS_BYTES_MAX;
  if (Number(length) > bytesMax) {
    const error = `${target.kind === "blob" ? "a blob" : "a record of news"} has at most ${bytesMax} bytes, not ${Number(length)}`;
    return { status: 413, error, remedy: "send less: this run's payloads and pieces are not longer" };
  }
  const [address, signature] = [headers[ADDRESS_HEADER], headers[SIGNATURE_HEADER]];
  if (typeof address !== "string" || !/^0x[0-9a-fA-F]{40}$/.test(address))
    return unsigned(`${ADDRESS_HEADER} is no address`);
  if (typeof signature !== "string" || !/^[0-9a-f]{130}$/.test(signature))
    return unsigned(`${SIGNATURE_HEADER} is no signature`);
  return { target, length: Number(length), address: address.toLowerCase(), signature: fromHex(signature) };
}

function unsigned(error: string): Refusal {
  return {
    status: 401,
    error,
    remedy: "sign every write with a hotkey of this run (docs/protocol/gateway.md says what)",
  };
}

/** Why the claim's signature does not hold for a body with the sha256 `bodyHash`; undefined where it does. */
export function signatureFault(claim: Claim, specHash: string, bodyHash: string): Refusal | undefined {
  const { target, length, address, signature } = claim;
  const signer = recoverAddress(putDigest({ specHash, key: target.key, bodyHash, length }), signature);
  if (signer !== undefined && `0x${toHex(signer)}` === address) return undefined;
  return unsigned("the signature is not that address's over this run, key, body and length");
}

/** Why a record may not take the place of `stored`; undefined where it may. Its signature is looked at elsewhere. */
export function newsFault(record: NewsRecord, target: Target, stored: NewsRecord | undefined): Refusal | undefined {
  const named = newsOfKey(target.key);
  if (named === undefined || named.kind !== record.kind || named.account !== record.account) {
    return { status: 422, error: "the record is not of that kind and account", remedy: "write it where it belongs" };
  }
  if (stored !== undefined && record.round < stored.round) {
    const error = `there is news of round ${stored.round} already, and this is of round ${record.round}`;
    return { status: 409, error, remedy: "news goes forwards: say what is newer" };
  }
  return undefined;
}

/** Leave to write. */
export interface Ticket {
  /** The write has ended, and that many bytes more are stored than before. To be called once. */
  done(bytesAdded: number): void;
}

/** Who is writing how much. */
export interface WriteBook {
  /** Lets `account` write `bytes`, or says why not. */
  admit(account: string, bytes: number, nowMs: number): Ticket | Refusal;
  /** Takes the number of bytes that are stored from a new count. */
  recount(bytes: number): void;
  /** Bytes stored, as far as this book knows. */
  stored(): number;
  /** Whether the quota leaves no room for `bytes` more. */
  isFull(bytes: number): boolean;
}

/** Bytes that a write counts at least, so that many small ones are bounded too. */
export const WRITE_BYTES_MIN = 4096;
/** Seconds after which a client may hope that a full store has room again. */
const FULL_RETRY_SECONDS = 600;

/** An empty book over `storedBytes`. */
export function writeBook(limits: GatewayLimits, storedBytes: number): WriteBook {
  const rate = buckets(limits.bytesPerSecond, limits.burstBytes);
  const writing = new Map<string, number>();
  let stored = storedBytes;
  let underWay = 0;
  const isFull = (bytes: number): boolean => stored + underWay + bytes > limits.quotaBytes;
  return {
    stored: () => stored,
    isFull,
    recount(bytes) {
      stored = bytes;
    },
    admit(account, bytes, nowMs) {
      const uploads = writing.get(account) ?? 0;
      if (uploads >= limits.uploadsPerAccount) return later(`this hotkey has ${uploads} uploads under way`, 429, 1);
      if (isFull(bytes)) return full(limits.quotaBytes);
      if (underWay + bytes > limits.uploadBytes) return later("too many uploads are under way", 503, 2);
      const cost = Math.max(bytes, WRITE_BYTES_MIN);
      if (!rate.take(account, cost, nowMs)) {
        const seconds = Math.ceil(rate.waitMs(account, cost, nowMs) / 1000);
        return later(`this hotkey has written as much as it may; in ${seconds} s it may write this`, 429, seconds);
      }
      writing.set(account, uploads + 1);
      underWay += bytes;
      let open = true;
      const done = (bytesAdded: number): void => {
        assert(open, "a ticket is handed in once");
        open = false;
        underWay -= bytes;
        stored += bytesAdded;
        const left = (writing.get(account) ?? 1) - 1;
        if (left === 0) writing.delete(account);
        else writing.set(account, left);
      };
      return { done };
    },
  };
}

function later(error: string, status: number, retryAfterSeconds: number): Refusal {
  return {
    status,
    error,
    remedy: `wait ${retryAfterSeconds} s and send it again`,
    retryAfterSeconds: Math.max(1, retryAfterSeconds),
  };
}

function full(quotaBytes: number): Refusal {
  const error = `the store is full: it holds at most ${quotaBytes} bytes`;
  return {
    status: 507,
    error,
    remedy: "ask the run's owner to raise the quota or to take old blobs away",
    retryAfterSeconds: FULL_RETRY_SECONDS,
  };
}
