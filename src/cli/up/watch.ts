/**
 * What `skein up` sees with its own eyes: of the chain each new block, who has which uid, and what each epoch has paid; of the validators' reports what
 * they think of each node.
 */
import type { LogFields } from "../../base/log/log.ts";
import type { Chain, Hash, Head, Metagraph, RunRecord } from "../../chain/chain.ts";
import { connectChain } from "../../chain/connect.ts";
import { RAO_PER_COIN } from "../../chain/money.ts";
import { phaseAt } from "../../chain/rounds.ts";
import type { Store } from "../../store/store.ts";
import { nap } from "../shared/interrupt.ts";
import { seenIn, troubleOf } from "../status/peer.ts";
import { newestReports, permitted, type SignedReport } from "../status/reports.ts";

/** What is watched, and who is told. */
export interface WatchOptions {
  readonly rpcUrl: string;
  readonly runId: number;
  /** Names of nodes by their hotkeys, as far as they have said. */
  readonly hotkeys: ReadonlyMap<string, string>;
  /** The newest epoch whose emission was told before; undefined where none was. */
  readonly epoch: number | undefined;
  /** Where validators publish. */
  readonly reports: { readonly store: Store; readonly specHash: string };
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
  const seen: Seen = { epoch: options.epoch, uids: new Map(), reported: -1, report: "" };
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
  /** Round of the newest report that was told, and its hash: on the same round one of more stake may follow. */
  reported: number;
  report: string;
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

async function lookAround(chain: Chain, record: RunRecord, options: WatchOptions, seen: Seen): Promise<void> {
  const { hotkeys, tell } = options;
  const metagraph = await chain.metagraph(record.netuid);
  const { subnet, neurons } = metagraph;
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
  await lookAtReports(metagraph, record, options, seen);
}

/** Tells what is thought of each node, once a round: of the newest reports the one whose validator has the most stake. Nobody reports on what has not begun. */
async function lookAtReports(
  metagraph: Metagraph,
  record: RunRecord,
  { hotkeys, reports, tell }: WatchOptions,
  seen: Seen,
): Promise<void> {
  const now = phaseAt(record, metagraph.block)?.round ?? -1;
  const stakes = new Map<string, bigint>(metagraph.neurons.map(({ hotkey, stake }) => [hotkey, stake]));
  const all = await newestReports(reports.store, reports.specHash, permitted(metagraph));
  const found = all.filter(({ report }) => report.round <= now);
  const round = found[0]?.report.round ?? -1; // they come newest first
  const stakeOf = ({ account }: SignedReport): bigint => stakes.get(account) ?? 0n;
  const [best] = found.filter(({ report }) => report.round === round).sort((a, b) => Number(stakeOf(b) - stakeOf(a)));
  if (best === undefined || round < seen.reported || best.hash === seen.report) return;
  [seen.reported, seen.report] = [round, best.hash];
  for (const neuron of metagraph.neurons) {
    const node = hotkeys.get(neuron.hotkey);
    const known = seenIn(best, neuron);
    if (node === undefined || known.weight === undefined) continue;
    tell(node, "standing", { round, uid: neuron.uid, weight: known.weight, trouble: troubleOf(known) ?? null });
  }
}
