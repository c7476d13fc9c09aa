/** What a command watches while its role works: the newest block, whether there are new ones, and what is earned. */
import { type Clock, systemClock } from "../../base/clock.ts";
import { systemCode } from "../../base/disk.node.ts";
import { SkeinError } from "../../base/errors.ts";
import type { Log } from "../../base/log/log.ts";
import type { Chain, Hash, Head } from "../../chain/chain.ts";
import { shortCoins } from "../chain/money.ts";
import { count, type Terminal } from "../shared/terminal.ts";
import { headTrouble } from "./reach.ts";

/** A chain that remembers the newest block that anybody was told of. */
export interface WatchedChain {
  readonly chain: Chain;
  /** The newest head seen. */
  newest(): Head;
}

/** Milliseconds between two looks at whether the chain goes on. */
const LOOK_MS = 60_000;

/** `chain`, watched. `first` is a head of it. */
export function watched(chain: Chain, first: Head): WatchedChain {
  let head = first;
  const seen = (next: Head): Head => {
    if (next.block > head.block) head = next;
    return next;
  };
  return {
    newest: () => head,
    chain: {
      ...chain,
      head: async () => seen(await chain.head()),
      waitForBlock: async (block, signal) => seen(await chain.waitForBlock(block, signal)),
    },
  };
}

/** Says when the chain stops making blocks, and when it goes on. Returns what ends the watch. */
export function watchBlocks(chain: Chain, terminal: Terminal, log: Log, clock: Clock = systemClock): () => void {
  let still = false;
  const look = async (): Promise<void> => {
    const head = await chain.head();
    const trouble = headTrouble(head, clock);
    if ((trouble !== undefined) === still) return;
    still = trouble !== undefined;
    terminal.note(trouble ?? `the chain goes on: block ${count(head.block)}`);
    log.event(still ? "chain-still" : "chain-goes-on", { block: head.block, timestamp: head.timestamp });
  };
  const timer = setInterval(() => {
    look().catch(() => undefined); // a chain that does not answer is the role's to tell
  }, LOOK_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** Tells what a coldkey has earned, once in each epoch of a subnet; to be called now and then. */
export function earningsTeller(chain: Chain, netuid: number, coldkey: Hash, terminal: Terminal, log: Log): () => void {
  let epoch: number | undefined;
  let busy = false;
  const look = async (): Promise<void> => {
    const { subnet } = await chain.metagraph(netuid);
    const { index } = subnet.epoch;
    const isNew = epoch !== undefined && index > epoch;
    epoch = index;
    if (!isNew) return;
    const { earned, balance } = await chain.funds(coldkey);
    terminal.line(
      `epoch ${String(index).padEnd(4)}  earned ${shortCoins(earned)} coins, not yet claimed; ${shortCoins(balance)} are free`,
    );
    log.event("earned", { epoch: index, earned: String(earned), balance: String(balance) });
  };
  return () => {
    if (busy) return;
    busy = true;
    look()
      .catch(() => undefined) // said in the next epoch
      .finally(() => {
        busy = false;
      });
  };
}

/** How long to bear a network that is away. */
export interface Endurance {
  /** Milliseconds before the second attempt; each further pause is twice as long, up to `pauseMsMax`. */
  readonly pauseMs: number;
  readonly pauseMsMax: number;
  /** Failures in a row, without progress between them, after which it is given up. */
  readonly attempts: number;
  readonly clock: Clock;
}

/** An hour, about: a gateway may be moved in the meantime. */
const ENDURANCE: Endurance = { pauseMs: 2000, pauseMsMax: 60_000, attempts: 65, clock: systemClock };
/** Milliseconds after which a pause looks whether it was interrupted. */
const NAP_MS = 200;

/** What `persevere` is told. */
export interface Perseverance {
  readonly terminal: Terminal;
  readonly log: Log;
  readonly signal?: AbortSignal | undefined;
  /** Grows while work gets on. */
  readonly progress: () => number;
  /** Whether the dataset cannot be had at the moment: what reads it calls that a damaged dataset. */
  readonly dataAway?: () => boolean;
  readonly endurance?: Partial<Endurance>;
}

/**
 * Does `work`, and begins it anew where chain or gateway were away: for work that goes on where it stopped. Throws what it throws else, and
 * SkeinError("interrupted").
 */
export async function persevere<T>(work: () => Promise<T>, options: Perseverance): Promise<T> {
  const { terminal, log, signal, progress, dataAway = () => false } = options;
  const { pauseMs, pauseMsMax, attempts, clock } = { ...ENDURANCE, ...options.endurance };
  let reachedBefore = progress();
  for (let failures = 1; ; failures++) {
    try {
      return await work();
    } catch (thrown) {
      if (!(thrown instanceof SkeinError) || !(await isAway(thrown, dataAway))) throw thrown;
      if (progress() > reachedBefore) failures = 1;
      reachedBefore = progress();
      if (failures >= attempts) throw thrown;
      const ms = Math.min(pauseMsMax, pauseMs * 2 ** (failures - 1));
      terminal.note(`${thrown.message}; trying again in ${Math.round(ms / 1000)} s`);
      log.event("away", { code: thrown.code, why: thrown.message, pauseMs: ms });
      for (let left = ms; left > 0; left -= NAP_MS) {
        if (signal?.aborted === true) throw new SkeinError("interrupted", "stopped while chain or gateway were away");
        await clock.sleep(Math.min(left, NAP_MS));
      }
    }
  }
}

async function isAway(error: SkeinError, dataAway: () => boolean): Promise<boolean> {
  if (error.code === "data") return dataAway();
  if (error.code === "store") return !/^E[A-Z0-9]+$/.test(systemCode(error.cause)); // this machine's own disk is no network
  if (error.code !== "chain") return false;
  const { isTransient } = await import("../../chain/evm/refusals.ts");
  return isTransient(error);
}
