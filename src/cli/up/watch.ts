/** What `skein up` sees of the chain with its own eyes: each new block, who has which uid, and what each epoch has paid. */
import type { LogFields } from "../../base/log/log.ts";
import type { Chain, Hash, Head, RunRecord } from "../../chain/chain.ts";
import { connectChain } from "../../chain/connect.ts";
import { RAO_PER_COIN } from "../../chain/money.ts";
import { phaseAt } from "../../chain/rounds.ts";
import { nap } from "../shared/interrupt.ts";

/** What is watched, and who is told. */
export interface WatchOptions {
  readonly rpcUrl: string;
  readonly runId: number;
  /** Names of nodes by their hotkeys, as far as they have said. */
  readonly hotkeys: ReadonlyMap<string, string>;
  /** The newest epoch whose emission was told before; undefined where none was. */
  readonly epoch: number | undefined;
  readonly tell: (node: string, kind: string, fields: LogFields) => void;
  readonly signal: AbortSignal;
  /** For tests: another chain than the one at `rpcUrl`. */
  readonly connect?: () => Promise<Chain>;
}

/** Blocks between two looks at the metagraph. */
const METAGRAPH_BLOCKS = 4;
/** Milliseconds before a chain that does not answer is asked again. */
const PAUSE_MS = 1000;

/** Watches until the signal says stop. A chain that is away is waited for. */
export async function watchChain(options: WatchOptions): Promise<void> {
  const { rpcUrl, signal, connect = () => connectChain({ rpcUrl }) } = options;
  const seen: Seen = { epoch: options.epoch, uids: new Map() };
  while (!signal.aborted) {
    try {
      const chain = await connect();
      try {
        await follow(chain, options, seen);
      } finally {
        await chain.close();
      }
    } catch {
      await nap(PAUSE_MS, signal); // whoever depends on it says so
    }
  }
}

interface Seen {
  epoch: number | undefined;
  readonly uids: Map<string, number>;
}

async function follow(chain: Chain, options: WatchOptions, seen: Seen): Promise<void> {
  const { runId, tell, signal } = options;
  const record = await chain.run(runId);
  for (let head = await chain.head(), looked = 0; ; head = await chain.waitForBlock(head.block + 1, signal)) {
    tell("up", "block", placeAt(record, head));
    if (head.block < looked + METAGRAPH_BLOCKS) continue;
    looked = head.block;
    await lookAround(chain, record, options, seen);
  }
}

/** Where the run is, as an event; round −1 before it begins. */
export function placeAt(record: RunRecord, { block }: Head): LogFields {
  const at = phaseAt(record, block);
  if (at === undefined) return { block, round: -1, phase: "train", blocksLeft: record.startBlock - block };
  return { block, round: at.round, phase: at.phase, blocksLeft: at.blocksLeft };
}

async function lookAround(chain: Chain, record: RunRecord, { hotkeys, tell }: WatchOptions, seen: Seen): Promise<void> {
  const { subnet, neurons } = await chain.metagraph(record.netuid);
  const { index } = subnet.epoch;
  const isNew = seen.epoch !== undefined && index > seen.epoch;
  seen.epoch = index;
  let paid = 0;
  for (const { uid, hotkey, emission, permit } of neurons) {
    const node = hotkeys.get(hotkey satisfies Hash);
    const coins = Number(emission) / Number(RAO_PER_COIN);
    paid += coins;
    if (node === undefined) continue;
    if (seen.uids.get(node) !== uid) tell(node, "seat", { uid, permit });
    seen.uids.set(node, uid);
    if (isNew) tell(node, "emission", { epoch: index, coins });
  }
  if (isNew) tell("up", "paid", { epoch: index, coins: paid });
}
