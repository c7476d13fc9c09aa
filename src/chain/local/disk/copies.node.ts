/**
 * Names Node: copies of the chain's whole state. A copy is what anvil's `anvil_dumpState` gives (gzip, JSON), checked, trimmed to the newest
 * blocks, and written as a whole under a name that carries its block and its checksum, `000000000128-<sha256>.json`: a copy is either
 * there and right, or recognised as damaged. anvil itself never writes into the chain's folder (its own dump rewrites one file in place,
 * which a crash can leave half-written).
 *
 * Trimming drops old blocks and receipts from the copy, never state, so that restarting stays quick. The journal has every transaction, and
 * replaying it from copy 0 gives everything back.
 */
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { gunzipSync } from "node:zlib";
import { fromUtf8, utf8 } from "../../../base/bytes.ts";
import { SkeinError } from "../../../base/errors.ts";
import { sha256Hex } from "../../../base/hash.ts";
import { namesIn, readBounded, writeWhole } from "../../files.node.ts";

/** Bytes of a copy: a subnet of 256 uids takes about 10 MB with its blocks. */
const COPY_BYTES_MAX = 1 << 30;

/** A copy on the disk. */
export interface StateCopy {
  readonly block: number;
  readonly file: string;
  readonly sha256: string;
}

interface Dump {
  readonly best_block_number: number;
  readonly block: { readonly number: string };
  readonly accounts: Readonly<Record<string, unknown>>;
  readonly blocks: readonly { readonly header: { readonly number: string } }[];
  readonly transactions: readonly { readonly block_number: number }[];
}

/** Whether `json` has the parts of a dump that are relied on. */
function isDump(json: unknown): json is Dump {
  if (typeof json !== "object" || json === null) return false;
  const { best_block_number, block, accounts, blocks, transactions } = json as Partial<Dump>;
  return (
    Number.isSafeInteger(best_block_number) &&
    typeof block?.number === "string" &&
    typeof accounts === "object" &&
    accounts !== null &&
    Array.isArray(blocks) &&
    blocks.every((b) => typeof b?.header?.number === "string") &&
    Array.isArray(transactions) &&
    transactions.every((t) => Number.isSafeInteger(t?.block_number))
  );
}

function dumpFault(json: unknown, block: number): string | undefined {
  if (!isDump(json)) return "it is not a dump of anvil";
  if (json.best_block_number !== block || Number(json.block.number) !== block) {
    return `it is of block ${json.best_block_number}, not ${block}`;
  }
  return json.blocks.some(({ header }) => Number(header.number) === block) ? undefined : `it lacks block ${block}`;
}

/** All copies in `folder`, oldest first, unread. */
export async function copiesIn(folder: string): Promise<StateCopy[]> {
  const copies: StateCopy[] = [];
  for (const name of await namesIn(folder)) {
    const match = /^(\d{12})-([0-9a-f]{64})\.json$/.exec(name);
    if (match) copies.push({ block: Number(match[1]), sha256: match[2] ?? "", file: path.join(folder, name) });
  }
  return copies;
}

/**
 * Writes the copy of `block` out of anvil's answer, with the newest `blocksKept` blocks. Throws SkeinError("chain") where the dump is not
 * what it should be, SkeinError("store") where it cannot be written.
 */
export async function writeCopy(folder: string, block: number, dump: string, blocksKept: number): Promise<StateCopy> {
  let json: unknown;
  try {
    json = JSON.parse(fromUtf8(gunzipSync(Buffer.from(dump.slice(2), "hex"), { maxOutputLength: COPY_BYTES_MAX })));
  } catch (cause) {
    throw badDump("it cannot be unpacked", cause);
  }
  const fault = dumpFault(json, block);
  if (fault !== undefined) throw badDump(fault);
  const { blocks, transactions, ...rest } = json as Dump;
  const bytes = utf8(
    JSON.stringify({
      ...rest,
      blocks: blocks.filter(({ header }) => Number(header.number) > block - blocksKept),
      transactions: transactions.filter(({ block_number }) => block_number > block - blocksKept),
    }),
  );
  const sha256 = sha256Hex(bytes);
  const file = path.join(folder, `${String(block).padStart(12, "0")}-${sha256}.json`);
  await writeWhole(file, bytes);
  return { block, file, sha256 };
}

function badDump(why: string, cause?: unknown): SkeinError {
  return new SkeinError("chain", "anvil's dump of the state is unusable", { details: why, cause });
}

/** What is known of a copy that was read. */
export interface CopyFacts {
  /** The lowest block that the copy has; blocks below it (but 0) and their logs are not served. */
  readonly horizon: number;
}

/** Reads and checks a copy. Throws SkeinError("chain") where it is damaged. */
export async function checkCopy(copy: StateCopy): Promise<CopyFacts> {
  const bytes = await readBounded(copy.file, COPY_BYTES_MAX);
  if (bytes === undefined || sha256Hex(bytes) !== copy.sha256) throw badCopy(copy, "its checksum is wrong");
  let json: unknown;
  try {
    json = JSON.parse(fromUtf8(bytes));
  } catch (cause) {
    throw badCopy(copy, "it is not JSON", cause);
  }
  const fault = dumpFault(json, copy.block);
  if (fault !== undefined) throw badCopy(copy, fault);
  const numbers = (json as Dump).blocks.map(({ header }) => Number(header.number));
  return { horizon: numbers.reduce((a, b) => Math.min(a, b), copy.block) };
}

function badCopy(copy: StateCopy, why: string, cause?: unknown): SkeinError {
  return new SkeinError("chain", `the state copy of block ${copy.block} is damaged`, {
    details: `${copy.file}: ${why}`,
    cause,
  });
}

/** Blocks that the EVM's BLOCKHASH reaches back. anvil knows only hashes of blocks that it has mined itself. */
const BLOCKHASH_SPAN = 256;
/** Blocks that a start may replay only to know their hashes. */
const REPLAY_BLOCKS_MAX = 2048;

/** Whether a replay from `copy` up to `head` passes all blocks that BLOCKHASH reaches, and is not too long. */
function isWarm({ block }: StateCopy, oldest: number, head: number): boolean {
  return block <= Math.max(oldest, head - BLOCKHASH_SPAN) && head - block <= REPLAY_BLOCKS_MAX;
}

/**
 * The order in which to try `copies` (oldest first): those that make BLOCKHASH right, then the others, each from the newest to the oldest.
 * One of the first may fail, because a transaction soon after it asked for the hash of a block before it (a round that is decided then
 * takes its seed from one); the next older one knows that block.
 */
export function replayOrder(copies: readonly StateCopy[], head: number): StateCopy[] {
  const oldest = copies[0]?.block ?? 0;
  const newestFirst = [...copies].reverse();
  const warm = newestFirst.filter((copy) => isWarm(copy, oldest, head));
  return [...warm, ...newestFirst.filter((copy) => !warm.includes(copy))];
}

/** Spans of BLOCKHASH of each of which a copy is kept: two or more of them are out of its reach, for starts with right hashes. */
const SPANS_KEPT = 5;

/**
 * Blocks of the copies to keep: the first, the last two, the newest of each of the last spans of BLOCKHASH and the newest before its reach
 * (so that a warm start is near), and the one that the running anvil started from. That last one always replays exactly, because a replay
 * from it knows just the block hashes that the running anvil knew.
 */
export function copiesToKeep(copies: readonly StateCopy[], head: number, base: number): Set<number> {
  const span = (block: number): number => Math.floor(block / BLOCKHASH_SPAN);
  const newest = new Map(copies.map(({ block }) => [span(block), block]));
  const recent = [...newest].filter(([of]) => of > span(head) - SPANS_KEPT).map(([, block]) => block);
  const before = copies.findLast(({ block }) => block <= head - BLOCKHASH_SPAN);
  const ends = [copies[0], before, ...copies.slice(-2)].flatMap((copy) => copy?.block ?? []);
  return new Set([...ends, ...recent, base]);
}

/** Removes all copies but those of the blocks in `keep`. */
export async function removeCopies(folder: string, keep: ReadonlySet<number>): Promise<void> {
  for (const copy of await copiesIn(folder)) {
    if (!keep.has(copy.block)) await fs.rm(copy.file, { force: true });
  }
}
