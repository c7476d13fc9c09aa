/**
 * What the embedded chain writes down, one record a line: a checksum, a space, JSON. Every raw transaction that was accepted, and every
 * block that was mined: its number, time, hash, and the hashes of its transactions in their order. Together with any state copy they
 * determine the chain from there on, because the EVM is deterministic and everything else that enters a block's hash is either in the
 * record or fixed by the chain's own settings.
 */

import { utf8 } from "../../../base/bytes.ts";
import { sha256Hex } from "../../../base/hash.ts";
import { isAccount, isCount } from "../../../base/json.ts";
import type { Hash } from "../../chain.ts";

/** A transaction that was accepted into the pool, as it came. */
export interface TransactionRecord {
  readonly kind: "tx";
  readonly hash: Hash;
  /** The signed transaction's bytes in hex. */
  readonly raw: Hash;
}

/** A mined block. */
export interface BlockRecord {
  readonly kind: "block";
  readonly number: number;
  /** Seconds since 1970. */
  readonly timestamp: number;
  readonly hash: Hash;
  readonly transactions: readonly Hash[];
}

/** Any line. */
export type JournalRecord = TransactionRecord | BlockRecord;

/** A block with its transactions' bytes. */
export interface MinedBlock {
  readonly number: number;
  readonly timestamp: number;
  readonly hash: Hash;
  readonly raws: readonly Hash[];
}

const CHECKSUM_CHARS = 12;

function checksum(text: string): string {
  return sha256Hex(utf8(text)).slice(0, CHECKSUM_CHARS);
}

/** One line, with its line break. */
export function lineOf(record: JournalRecord): string {
  const json = JSON.stringify(
    record.kind === "tx"
      ? { tx: record.hash, raw: record.raw }
      : { block: record.number, at: record.timestamp, hash: record.hash, txs: record.transactions },
  );
  return `${checksum(json)} ${json}\n`;
}

/** A hash has an account's form. */
const isHash: (value: unknown) => value is Hash = isAccount;

/** The record of a line without its line break; undefined where the line is damaged. */
export function parseLine(line: string): JournalRecord | undefined {
  const json = line.slice(CHECKSUM_CHARS + 1);
  if (line[CHECKSUM_CHARS] !== " " || checksum(json) !== line.slice(0, CHECKSUM_CHARS)) return undefined;
  try {
    return recordOf(JSON.parse(json));
  } catch {
    return undefined;
  }
}

function recordOf(json: unknown): JournalRecord | undefined {
  if (typeof json !== "object" || json === null) return undefined;
  if ("tx" in json && "raw" in json) {
    const { tx, raw } = json;
    if (!isHash(tx) || typeof raw !== "string" || !/^0x(?:[0-9a-f]{2})+$/.test(raw)) return undefined;
    return { kind: "tx", hash: tx, raw: raw as Hash };
  }
  if (!("block" in json && "at" in json && "hash" in json && "txs" in json)) return undefined;
  const { block, at, hash, txs } = json;
  if (!isCount(block) || !isCount(at) || !isHash(hash) || !Array.isArray(txs) || !txs.every(isHash)) return undefined;
  return { kind: "block", number: block, timestamp: at, hash, transactions: txs };
}

/** What a segment of the journal holds. */
export interface Segment {
  readonly blocks: readonly MinedBlock[];
  /** Transactions accepted, here or in earlier segments, and not in any block. */
  readonly pending: ReadonlyMap<Hash, Hash>;
  /** Bytes of the good records from the start; what follows is a torn tail. */
  readonly goodBytes: number;
  /** Why reading stopped before the end; undefined where it did not. */
  readonly fault: "torn" | "damaged" | undefined;
}

/**
 * Reads a segment from its bytes. Records end at the first line that is damaged, incomplete or out of place. A block record is served
 * only after it was flushed, so at most one can follow a place where a write was torn; where more do, the disk lost something.
 * `before`: what was pending at the end of the segment before.
 */
export function readSegment(
  bytes: Uint8Array,
  firstBlock: number,
  before: ReadonlyMap<Hash, Hash> = new Map(),
): Segment {
  const blocks: MinedBlock[] = [];
  const pending = new Map(before);
  const decoder = new TextDecoder();
  let at = 0;
  let next = firstBlock;
  while (at < bytes.length) {
    const end = bytes.indexOf(10, at);
    const record = end < 0 ? undefined : parseLine(decoder.decode(bytes.subarray(at, end)));
    if (record === undefined) break;
    if (record.kind === "tx") pending.set(record.hash, record.raw);
    else {
      const raws = record.transactions.map((hash) => pending.get(hash));
      if (record.number !== next || raws.includes(undefined)) break;
      for (const hash of record.transactions) pending.delete(hash);
      blocks.push({ number: next, timestamp: record.timestamp, hash: record.hash, raws: raws as Hash[] });
      next++;
    }
    at = end + 1;
  }
  const fault = at === bytes.length ? undefined : blockRecordsAfter(bytes, at) > 1 ? "damaged" : "torn";
  return { blocks, pending, goodBytes: at, fault };
}

function blockRecordsAfter(bytes: Uint8Array, start: number): number {
  const lines = new TextDecoder().decode(bytes.subarray(start)).split("\n");
  return lines.filter((line) => parseLine(line)?.kind === "block").length;
}
