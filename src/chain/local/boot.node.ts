/**
 * Names Node: from the chain's folder to a running anvil that stands where the journal ends. A state copy is loaded and the blocks after it
 * are mined again from the journal, with the same transactions in the same order at the same times; because all else is fixed
 * (anvil.node.ts) every block gets the hash that it had, which is checked against the journal. A copy that is damaged, or from which a
 * replay comes out differently, is passed over for the next one; nothing is ever served that differs from what was served before.
 *
 * Measured of anvil 1.7.1: equal inputs give equal hashes across processes and restarts, mixHash included (it is a function of the block's
 * place, and so no source of randomness); BLOCKHASH after a restart knows only the blocks mined since, and gives made-up hashes for
 * older ones, which is why a start prefers copies 256 and more blocks back (copies.node.ts): the seeds of rounds come from it.
 */
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fromUtf8, utf8 } from "../../base/bytes.ts";
import { messageOf, SkeinError } from "../../base/errors.ts";
import type { Hash, Head } from "../chain.ts";
import { readBounded } from "../files.node.ts";
import { type Anvil, startAnvil } from "./anvil.node.ts";
import { checkCopy, copiesIn, replayOrder, type StateCopy, writeCopy } from "./disk/copies.node.ts";
import { cutTail, type JournalTail, readTail, segmentsIn } from "./disk/journal.node.ts";
import { isThere, parseMark, processStart } from "./disk/lock.node.ts";
import type { MinedBlock } from "./disk/records.ts";
import { type ChainSettings, chainMnemonic, FILES } from "./settings.node.ts";

/** What a boot needs to know. */
export interface BootPlan {
  readonly folder: string;
  readonly binary: string;
  readonly settings: ChainSettings;
  /** Told what a person may want to know. */
  readonly note: (what: string) => void;
}

/** A running chain. */
export interface Booted {
  readonly anvil: Anvil;
  readonly head: Head;
  /** Transactions that were accepted and are in no block. */
  readonly pending: ReadonlyMap<Hash, Hash>;
  /** Block of the copy that was loaded. */
  readonly base: number;
  readonly horizon: number;
  readonly replayed: number;
}

/** What a new chain's contracts are set up with, before its first block that clients see. */
export interface GenesisTools {
  /** Calls any of anvil's methods, `anvil_setCode` and the like included. */
  readonly rpc: (method: string, params?: readonly unknown[]) => Promise<unknown>;
  /** The same as an address; transactions are mined at once. */
  readonly rpcUrl: string;
  readonly chainId: number;
  /** The chain's own mnemonic, for accounts of the chain's owner. */
  readonly mnemonic: string;
}

/** A block as anvil tells it, as far as it is needed. */
export interface BlockFacts extends Head {
  readonly parent: Hash;
  readonly transactions: readonly Hash[];
}

/** The newest block of anvil. */
export async function latestBlock(anvil: Anvil): Promise<BlockFacts> {
  const block = (await anvil.call("eth_getBlockByNumber", ["latest", false])) as {
    number: string;
    hash: Hash;
    parentHash: Hash;
    timestamp: string;
    transactions: Hash[];
  };
  return {
    block: Number(block.number),
    hash: block.hash,
    parent: block.parentHash,
    timestamp: Number(block.timestamp),
    transactions: block.transactions,
  };
}

function anvilOf(plan: BootPlan, loadState?: string): Promise<Anvil> {
  return startAnvil({
    binary: plan.binary,
    ...plan.settings,
    ...(loadState === undefined ? {} : { loadState }),
    onPid: async (pid) => {
      const mark = JSON.stringify({ pid, start: processStart(pid) ?? "" });
      await fs.writeFile(path.join(plan.folder, FILES.anvil), utf8(mark));
    },
  });
}

/** Kills the anvil of an earlier supervisor, where it is still there: the very process that was written down, and no other. */
export async function killStale(folder: string): Promise<void> {
  const file = path.join(folder, FILES.anvil);
  const bytes = await readBounded(file, 4096);
  const mark = bytes === undefined ? undefined : parseMark(fromUtf8(bytes));
  if (mark !== undefined && mark.start !== "" && processStart(mark.pid) === mark.start && isThere(mark)) {
    process.kill(mark.pid, "SIGKILL");
  }
  await fs.rm(file, { force: true });
}

/** Makes state copy number 0 of a new chain. Does nothing where there is one. */
export async function makeGenesis(
  plan: BootPlan,
  prepare: ((tools: GenesisTools) => Promise<void>) | undefined,
): Promise<void> {
  const copies = path.join(plan.folder, FILES.copies);
  if ((await copiesIn(copies)).length > 0) return;
  if ((await segmentsIn(path.join(plan.folder, FILES.journal))).length > 0) {
    const remedy = "restore the chain's folder from a backup";
    throw new SkeinError("chain", "the chain has a journal but no copy of its state", { details: copies, remedy });
  }
  const anvil = await anvilOf(plan);
  try {
    if (prepare !== undefined) {
      const { chainId } = plan.settings;
      await anvil.call("evm_setAutomine", [true]);
      await prepare({ rpc: anvil.call, rpcUrl: anvil.url, chainId, mnemonic: await chainMnemonic(plan.folder) });
      await anvil.call("evm_setAutomine", [false]);
      await comeToRest(anvil);
    }
    const { block } = await latestBlock(anvil);
    await writeCopy(copies, block, String(await anvil.call("anvil_dumpState")), Number.MAX_SAFE_INTEGER);
  } finally {
    await anvil.stop();
  }
}

/** Readings of the chain's height that must agree before it counts as at rest, and the time between two of them. */
const REST_READINGS = 4;
const REST_MS = 15;

/**
 * Mines what was sent and not waited for, and waits until nothing moves: a block that anvil makes by itself comes some time after its
 * transaction was accepted, out of a pool that may look empty already. What cannot be mined stays behind.
 */
async function comeToRest(anvil: Anvil): Promise<void> {
  let before = "";
  for (let equal = 0; equal < REST_READINGS; ) {
    const { pending } = (await anvil.call("txpool_status")) as { pending: string };
    const now = `${(await latestBlock(anvil)).block} ${pending}`;
    equal = now === before ? equal + 1 : 0;
    if (equal === 0 && (before === "" || Number(pending) > 0)) await anvil.call("evm_mine");
    before = now;
    await delay(REST_MS);
  }
}

/** Starts the chain of `plan.folder`. Throws SkeinError("chain") where no copy leads to what the journal says. */
export async function bootChain(plan: BootPlan): Promise<Booted> {
  const copies = await copiesIn(path.join(plan.folder, FILES.copies));
  const journal = path.join(plan.folder, FILES.journal);
  const failures: string[] = [];
  const last = await headOf(journal, copies);
  for (const copy of replayOrder(copies, last)) {
    try {
      const tail = await readTail(journal, copy.block);
      const reached = tail.blocks.at(-1)?.number ?? copy.block;
      if (reached < last) throw new SkeinError("chain", `the journal leads to block ${reached} only, not to ${last}`);
      return await bootFrom(plan, copy, tail);
    } catch (thrown) {
      const details = thrown instanceof SkeinError && thrown.details !== undefined ? ` (${thrown.details})` : "";
      failures.push(`from block ${copy.block}: ${messageOf(thrown)}${details}`);
      plan.note(`state copy passed over ${failures.at(-1)}`);
    }
  }
  throw new SkeinError("chain", "the chain cannot be brought back to its last block", {
    details: failures.join("\n"),
    remedy: "restore the chain's folder from a backup, and use the version of skein that last ran it",
  });
}

/** The last block of which there is a trace. */
async function headOf(journal: string, copies: readonly StateCopy[]): Promise<number> {
  const newest = copies.at(-1)?.block ?? 0;
  try {
    return (await readTail(journal, newest)).blocks.at(-1)?.number ?? newest;
  } catch {
    return newest; // damaged; whether that matters is found out copy by copy
  }
}

async function bootFrom(plan: BootPlan, copy: StateCopy, tail: JournalTail): Promise<Booted> {
  const { horizon } = await checkCopy(copy);
  const anvil = await anvilOf(plan, copy.file);
  try {
    const loaded = await latestBlock(anvil);
    if (loaded.block !== copy.block) throw new SkeinError("chain", `anvil loaded block ${loaded.block}`);
    await replay(anvil, tail.blocks);
    const head = tail.blocks.length === 0 ? loaded : await latestBlock(anvil);
    if (tail.torn !== undefined) {
      plan.note(`journal cut at a torn write: ${tail.torn.lostBytes} bytes after block ${head.block}`);
      await cutTail(tail.torn);
    }
    const pending = await resubmit(anvil, tail.pending);
    return { anvil, head, pending, horizon, base: copy.block, replayed: tail.blocks.length };
  } catch (thrown) {
    anvil.kill();
    throw thrown;
  }
}

/** Blocks between two comparisons: a block's hash covers its parent's, so that the last one covers all. */
const COMPARE_EVERY = 32;

async function replay(anvil: Anvil, blocks: readonly MinedBlock[]): Promise<void> {
  for (const [i, block] of blocks.entries()) {
    for (const raw of block.raws) await anvil.call("eth_sendRawTransaction", [raw]);
    await anvil.call("evm_mine", [{ timestamp: block.timestamp }]);
    if (i % COMPARE_EVERY !== COMPARE_EVERY - 1 && i !== blocks.length - 1) continue;
    const mined = await latestBlock(anvil);
    if (mined.block === block.number && mined.hash === block.hash) continue;
    throw new SkeinError("chain", `block ${block.number} did not come out as it was`, {
      details: `${mined.hash} (block ${mined.block}) instead of ${block.hash}`,
    });
  }
}

/** Puts transactions back into the pool; those that no longer fit are dropped. */
async function resubmit(anvil: Anvil, pending: ReadonlyMap<Hash, Hash>): Promise<Map<Hash, Hash>> {
  const kept = new Map<Hash, Hash>();
  for (const [hash, raw] of pending) {
    const fits = await anvil.call("eth_sendRawTransaction", [raw]).then(
      () => true,
      (thrown: unknown) => {
        if (!anvil.alive()) throw thrown;
        return false;
      },
    );
    if (fits) kept.set(hash, raw);
  }
  return kept;
}
