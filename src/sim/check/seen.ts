/**
 * What several checkers look at: the chain's state without a copy of it, blobs wherever they lie, and the run done again from the chain and all stores by an
 * onlooker who trusts nobody.
 */
import { messageOf, SkeinError } from "../../base/errors.ts";
import { sha256Hex, toHex } from "../../base/hash.ts";
import type { Chain, Hash } from "../../chain/chain.ts";
import { roundStart } from "../../chain/rounds.ts";
import type { TwinState } from "../../chain/twin/twin.ts";
import { advance, rootOf } from "../../roles/network/follower.ts";
import type { Node } from "../../roles/network/node.ts";
import { genesisState } from "../../roles/network/sync.ts";
import { roundsOf } from "../../run/rules.ts";
import { blobKey } from "../../store/blobs.ts";
import type { Store } from "../../store/store.ts";
import type { Sight } from "./checker.ts";

/** The chain's state now: to be read at once and neither kept nor changed, for it goes on changing by itself. */
export function chainState({ network: { twin } }: Sight): TwinState {
  return twin.peek() as TwinState;
}

/** Names of the honest nodes. */
export function honestOf({ trainers, validators, dishonest }: Sight): readonly string[] {
  return [...trainers, ...validators].filter((name) => !dishonest.has(name));
}

/** The age in blocks from which on a block stands for good; 0 where the weather has no reorgs. */
export function reorgDepth({ weather: { chain } }: Sight): number {
  return chain.reorg > 0 ? chain.reorgDepth : 0;
}

/** The shared store, and then everybody's folder. */
export function allStores(sight: Sight): readonly Store[] {
  return [sight.shared, ...[...sight.validators, ...sight.trainers].map((name) => sight.folder(name))];
}

/** The blob with that hash, from wherever it lies whole; undefined where it is nowhere. */
export async function blobAnywhere(sight: Sight, hash: Hash): Promise<Uint8Array | undefined> {
  for (const store of allStores(sight)) {
    const bytes = await store.get(blobKey(hash.slice(2)));
    if (bytes !== undefined && sha256Hex(bytes) === hash.slice(2)) return bytes;
  }
  return undefined;
}

/** Looks into nodes' folders while they live. */
export interface Looks {
  /** What `work` finds in the folder of a node; undefined where the node's process ended meanwhile, since with it end its reads. */
  look<T>(name: string, work: (folder: Store) => Promise<T>): Promise<T | undefined>;
  /** To be told of every process that ends. */
  ended(name: string): void;
}

/** No looks so far. */
export function openLooks(sight: Sight): Looks {
  const open = new Map<string, Set<() => void>>();
  return {
    async look(name, work) {
      const own = open.get(name) ?? new Set();
      open.set(name, own);
      let giveUp = (): void => undefined;
      const ended = new Promise<undefined>((resolve) => {
        giveUp = () => resolve(undefined);
      });
      own.add(giveUp);
      try {
        return await Promise.race([work(sight.folder(name)), ended]);
      } finally {
        own.delete(giveUp);
      }
    },
    ended(name) {
      for (const giveUp of open.get(name) ?? []) giveUp();
    },
  };
}

/** The run, done again. */
export interface Again {
  readonly node: Node;
  /** State roots in hex: before round 0, before round 1, … as far as it went. */
  readonly roots: readonly string[];
  /** Uids whose payloads moved the params, by round. */
  readonly applied: readonly (readonly number[])[];
  /** Why it did not reach the last round that is over on chain; undefined where it did. */
  readonly stuck: string | undefined;
}

const known = new WeakMap<Sight, Promise<Again>>();

/** The run, done again from the chain and the stores as they are at the first call, which is to come when everything is over. */
export function runAgain(sight: Sight): Promise<Again> {
  const again = known.get(sight) ?? againOf(sight);
  known.set(sight, again);
  return again;
}

async function againOf(sight: Sight): Promise<Again> {
  const node = await onlooker(sight);
  const { record, spec, chain } = node;
  const { block } = await chain.head();
  let state = genesisState(node);
  const roots = [toHex(rootOf(state))];
  const applied: (readonly number[])[] = [];
  try {
    while (state.round < roundsOf(spec) && roundStart(record, state.round + 1) <= block) {
      const next = await advance(node, state);
      state = next.state;
      roots.push(toHex(rootOf(state)));
      applied.push(next.applied?.uids ?? []);
    }
    return { node, roots, applied, stuck: undefined };
  } catch (thrown) {
    const isWaiting = thrown instanceof SkeinError && thrown.code === "interrupted";
    const why = isWaiting ? await whyWaits(node, state.round) : messageOf(thrown);
    return { node, roots, applied, stuck: `round ${state.round}: ${why}` };
  }
}

async function whyWaits({ chain, runId }: Node, round: number): Promise<string> {
  const isDecided = (await chain.decision(runId, round)) !== undefined;
  return isDecided ? "an accepted payload is nowhere" : "it has votes and was never decided";
}

/** A node without a key or a log, for whom no time passes: where others would wait, it gives up. */
async function onlooker(sight: Sight): Promise<Node> {
  const [shared, ...mirrors] = allStores(sight);
  const { signer: _, ...node } = await sight.network.node("onlooker", { ...(shared && { shared }), mirrors });
  return { ...node, log: { event: () => undefined }, chain: impatient(sight.network.twin) };
}

function impatient(chain: Chain): Chain {
  return {
    ...chain,
    chainId: chain.chainId,
    async waitForBlock(block) {
      const head = await chain.head();
      if (head.block >= block) return head;
      throw new SkeinError("interrupted", `block ${block} is not there`);
    },
  };
}
