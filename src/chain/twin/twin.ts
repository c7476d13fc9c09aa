/**
 * The chain in memory: the same rules as the contracts, to the rao, and the same refusals, without a process or a network. For
 * simulations, for the browser, and as what the contracts are compared with.
 *
 * Departures from a chain of contracts: no gas; an epoch is computed in one transaction, so none is ever seen open; and a block comes
 * when somebody asks for one.
 */
import { assert } from "../../base/assert.ts";
import type { Chain, ChainAccount, Hash, Head, Signer } from "../chain.ts";
import { accountOf } from "../keys/account.ts";
import { accountFor } from "./account.ts";
import {
  type BlockOptions,
  type BlockState,
  blockProducer,
  type Follower,
  genesisBlock,
  type Producer,
  type Submit,
} from "./blocks.ts";
import { blockEmission, issuanceAt, newLedger } from "./ledger.ts";
import { commitsView, decisionView, runOf, votesView } from "./rounds.ts";
import { subnetOf, type World } from "./state.ts";
import { lockCost } from "./subnets.ts";
import { bondsView, fundsView, metagraphView, subnetView, weightsView } from "./views.ts";

/** A chain's beginning. */
export interface TwinOptions extends BlockOptions {
  readonly chainId?: number;
  /** Rao at the beginning, by account: they count as issued. */
  readonly balances?: ReadonlyMap<Hash, bigint>;
  /** Least rao that creating a subnet burns, and the blocks in which the doubled cost falls back. */
  readonly lockMin?: bigint;
  readonly lockInterval?: number;
}

/** Everything a twin knows, as plain data. */
export interface TwinState {
  readonly world: World;
  readonly blocks: BlockState;
}

/** A chain whose blocks come when told to. */
export interface Twin extends Chain, Pick<Producer, "enter" | "pending" | "allowReorgs" | "reorg"> {
  /** Acts as the holder of a key, whose transactions come to the chain by `submit`: directly, unless told. */
  as(signer: Signer, submit?: Submit): ChainAccount;
  /**
   * The chain as it is told `lag` blocks late, from the newest block on: where `reorg` goes no deeper, nothing in it is ever taken back. It has a world of its own, to
   * which every block is done a second time.
   */
  settled(lag: number): Omit<Chain, "as">;
  /** Makes blocks; the first one takes the waiting transactions, and `timestamp` where it is given. */
  mine(count?: number, timestamp?: number): Head;
  /** The state itself and no copy, to be looked at and not to be changed: it says what is now, and something else after the next block. */
  peek(): TwinState;
  /** A copy of the state; transactions that wait for a block are not in it. */
  save(): TwinState;
  /** Goes back (or over) to a saved state. */
  restore(state: TwinState): void;
}

/**
 * A new chain.
 *
 * @example
 * const chain = createTwin({ balances: new Map([[signer.account, 10_000n * 10n ** 9n]]) });
 * const { netuid } = await chain.as(signer).createSubnet(signer, await chain.subnetCost());
 * chain.mine(360);
 */
export function createTwin(options: TwinOptions = {}): Twin {
  let world = newWorld(options);
  const remember = (): (() => void) => {
    const then = structuredClone(world);
    return () => {
      world = structuredClone(then);
    };
  };
  const producer = blockProducer(genesisBlock(world.chainId, options.startSeconds ?? 0), options, remember);
  const now = (): number => producer.state.head.block;
  return {
    ...reader(() => world, producer),
    as: (signer, submit = producer.submit) => {
      checkSigner(signer);
      return accountFor({ signer, world: () => world, blocks: () => producer.state, submit });
    },
    settled(lag) {
      let late = world;
      const ground = {
        begin: () => {
          late = structuredClone(world);
        },
        does: (work: () => void) => {
          const now = world;
          world = late;
          work();
          world = now;
        },
      };
      const follower = producer.follow(lag, ground);
      return reader(() => late, follower, lag);
    },
    mine: (count, timestamp) => producer.mine(count, timestamp),
    enter: (transaction, fortune, notBefore) => producer.enter(transaction, fortune, notBefore),
    allowReorgs: (depth) => producer.allowReorgs(depth),
    reorg: (depth, arrange) => producer.reorg(depth, arrange),
    pending: () => producer.pending(),
    peek: () => ({ world, blocks: producer.state }),
    save: () => structuredClone({ world, blocks: producer.state }),
    restore(state) {
      const copy = structuredClone(state);
      world = copy.world;
      producer.restore(copy.blocks);
      assert(now() === state.blocks.head.block, "a restored chain has another head");
    },
  };
}

function checkSigner({ address, account }: Signer): void {
  assert(accountOf(address) === account, "a signer's account does not belong to its address");
}

function newWorld({ chainId = 1337, balances = new Map(), lockMin, lockInterval }: TwinOptions): World {
  return {
    chainId,
    ledger: newLedger(balances),
    subnets: new Map(),
    lock: undefined,
    lockMin: lockMin ?? 1_000_000_000_000n,
    lockInterval: lockInterval ?? 100_800,
    nonces: new Map(),
    runs: new Map(),
  };
}

/** The reading half of the seam. */
function reader(world: () => World, producer: Follower, lag = 0): Omit<Chain, "as"> {
  const now = (): number => producer.state.head.block;
  return {
    lag,
    get chainId() {
      return world().chainId;
    },
    head: async () => producer.state.head,
    blockHash: async (block) => producer.state.hashes.get(block),
    waitForBlock: (block, signal) => producer.waitForBlock(block, signal),
    subnets: async () => [...world().subnets.values()].map((subnet) => subnetView(world(), subnet, now())),
    metagraph: async (netuid) => metagraphView(world(), netuid, now()),
    weights: async (netuid) => weightsView(subnetOf(world(), netuid)),
    bonds: async (netuid) => bondsView(subnetOf(world(), netuid)),
    funds: async (coldkey) => fundsView(world(), coldkey),
    async issuance() {
      const total = issuanceAt(world().ledger, now());
      return { total, perBlock: world().ledger.stake > 0n ? blockEmission(total) : 0n };
    },
    subnetCost: async () => lockCost(world(), now() + 1),
    run: async (runId) => runOf(world(), runId).record,
    commits: async (runId, round) => commitsView(world(), runId, round),
    votes: async (runId, round) => votesView(world(), runId, round),
    decision: async (runId, round) => decisionView(world(), runId, round),
    close: async () => undefined,
  };
}
