/**
 * Names Node: the append-only journal of the embedded chain, in segments; records.ts says what a line is. The segment `000000000129.log`
 * starts at block 129, right after the state copy of block 128. A block counts as mined when its line has been flushed to the disk.
 */
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { AssertionError, assert } from "../../../base/assert.ts";
import { syncFolder } from "../../../base/disk.node.ts";
import { SkeinError } from "../../../base/errors.ts";
import type { Hash } from "../../chain.ts";
import { fileError, namesIn, readBounded } from "../../files.node.ts";
import { type BlockRecord, lineOf, type MinedBlock, readSegment, type TransactionRecord } from "./records.ts";

/** Bytes of one segment: 256 blocks of 5,000 transactions of a few hundred bytes stay far below. */
const SEGMENT_BYTES_MAX = 1 << 30;

function nameOf(firstBlock: number): string {
  return `${String(firstBlock).padStart(12, "0")}.log`;
}

/** First blocks of the segments in `folder`, ascending. */
export async function segmentsIn(folder: string): Promise<number[]> {
  return (await namesIn(folder)).filter((name) => /^\d{12}\.log$/.test(name)).map((name) => Number(name.slice(0, 12)));
}

/** What the journal says about the blocks after a state copy. */
export interface JournalTail {
  readonly blocks: readonly MinedBlock[];
  readonly pending: ReadonlyMap<Hash, Hash>;
  /** Where the journal ends in a torn write: the file, and its length without it. */
  readonly torn: { readonly file: string; readonly goodBytes: number; readonly lostBytes: number } | undefined;
}

/**
 * The blocks after `copyBlock`. Throws SkeinError("chain") where some of them are missing or damaged in the middle, so that they cannot
 * be replayed from that copy.
 */
export async function readTail(folder: string, copyBlock: number): Promise<JournalTail> {
  const firsts = await segmentsIn(folder);
  // One segment earlier than need be: a killed process may have opened one and not yet written down again what was pending.
  const from = firsts.findLastIndex((first) => first <= copyBlock + 1) - 1;
  const early = from < 0 ? undefined : firsts[from];
  const blocks: MinedBlock[] = [];
  let pending: ReadonlyMap<Hash, Hash> = new Map();
  let torn: JournalTail["torn"];
  let next = copyBlock + 1;
  for (const first of from < 0 ? firsts : firsts.slice(from)) {
    const file = path.join(folder, nameOf(first));
    if (first > next) throw gap(file, next);
    const bytes = (await readBounded(file, SEGMENT_BYTES_MAX)) ?? new Uint8Array();
    const segment = readSegment(bytes, first, pending);
    if (segment.fault === "damaged" && first !== early) throw gap(file, first + segment.blocks.length);
    const { goodBytes } = segment;
    torn = segment.fault === "torn" ? { file, goodBytes, lostBytes: bytes.length - goodBytes } : undefined;
    for (const block of segment.blocks) if (block.number >= next) blocks.push(block);
    next = Math.max(next, first + segment.blocks.length);
    pending = segment.pending;
  }
  return { blocks, pending, torn };
}

function gap(file: string, block: number): SkeinError {
  return new SkeinError("chain", `the journal of the chain is damaged: block ${block} cannot be read`, {
    details: file,
    remedy: "restore the chain's folder from a backup; the file system or the disk has lost data",
  });
}

/** Cuts off a torn tail. */
export async function cutTail(torn: NonNullable<JournalTail["torn"]>): Promise<void> {
  try {
    const handle = await fs.open(torn.file, "r+");
    try {
      await handle.truncate(torn.goodBytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (thrown) {
    throw fileError("write", torn.file, thrown);
  }
}

/** An open segment. All methods may be called while others are under way. */
export interface Journal {
  /** Appends; resolves when the system has the records, before they are flushed: they outlive this process, not a power cut. */
  append(records: readonly TransactionRecord[]): Promise<void>;
  /** Appends and flushes; resolves when the block is safe. */
  commit(transactions: readonly TransactionRecord[], block: BlockRecord): Promise<void>;
  close(): Promise<void>;
}

/** Opens the segment that starts at `firstBlock`, creating it if need be. */
export async function openJournal(folder: string, firstBlock: number): Promise<Journal> {
  const file = path.join(folder, nameOf(firstBlock));
  let handle: fs.FileHandle;
  try {
    await fs.mkdir(folder, { recursive: true });
    handle = await fs.open(file, "a");
    await syncFolder(folder);
  } catch (thrown) {
    throw fileError("open", file, thrown);
  }
  let queued = "";
  let turn: Promise<void> = Promise.resolve();
  let broken: unknown;
  let closing: Promise<void> | undefined;
  /** Writes what is queued, after the writes before it. A failed write breaks the journal for good: what follows could not be read. */
  const flush = (sync: boolean): Promise<void> => {
    turn = turn.then(async () => {
      if (broken !== undefined) throw broken;
      const text = queued;
      queued = "";
      try {
        if (text !== "") await handle.appendFile(text);
        if (sync) await handle.datasync();
      } catch (thrown) {
        broken = fileError("write", file, thrown);
        throw broken;
      }
    });
    const done = turn;
    turn = turn.catch(() => {});
    return done;
  };
  return {
    append(records) {
      queued += records.map(lineOf).join("");
      return flush(false);
    },
    commit(transactions, block) {
      assert(block.number >= firstBlock, "a block before its segment");
      queued += transactions.map(lineOf).join("") + lineOf(block);
      return flush(true);
    },
    async close() {
      await turn;
      broken ??= new AssertionError("the journal is closed");
      closing ??= handle.close();
      await closing;
    },
  };
}
