/**
 * Money: every rao is where it should be. The ledger's books are balanced to the unit; the issuance grows by the schedule and shrinks only where
 * something is burned; an epoch comes when it is due and not twice, pays no more than was minted for it, and pays everybody once.
 *
 * All of it is counted from the ledger's own state without its functions, except for the schedule of the emission. The books are looked at in full every
 * few blocks and after each epoch.
 */
import type { Hash } from "../../chain/chain.ts";
import { blockEmission, issuanceAt, pendingAt, SUPPLY_MAX } from "../../chain/twin/ledger.ts";
import type { Ledger, SubnetState, World } from "../../chain/twin/state.ts";
import type { Checker, Sight } from "./checker.ts";
import { chainState } from "./seen.ts";

/** Blocks between two looks into all books. */
const BOOKS_EVERY = 8;
/** Rao by which the shares of a uid may be rounded. */
const ROUNDING = 2n;

/** A subnet before an epoch. */
interface Waiting {
  readonly index: number;
  readonly lastBlock: number;
  /** Rao that an epoch in the next block would find. */
  readonly due: bigint;
}

/** What is remembered of a block. */
interface Page {
  readonly block: number;
  readonly hash: Hash;
  readonly issuance: bigint;
  readonly stake: bigint;
  /** Changes where something is bought by burning. */
  readonly burns: string;
  readonly earned: ReadonlyMap<Hash, bigint>;
  readonly subnets: ReadonlyMap<number, Waiting>;
}

/** No rao comes from nowhere, goes nowhere, or is paid twice. */
export function money(sight: Sight, violated: (what: string) => void): Checker {
  let last: Page | undefined;
  const books = (world: World, block: number): void => {
    const problem = bookFault(world);
    if (problem !== undefined) violated(`in block ${block} ${problem}`);
  };
  return {
    name: "money",
    onBlock() {
      const { world, blocks } = chainState(sight);
      const { block, hash } = blocks.head;
      const page = pageOf(world, block, hash);
      const isNext = last?.block === block - 1 && blocks.hashes.get(block - 1) === last.hash; // no reorg came between
      const isPaid = last !== undefined && isNext && epochs(world, last, block, violated);
      if (last !== undefined && isNext) issued(last, page, isPaid, violated);
      if (isPaid || block % BOOKS_EVERY === 0) books(world, block);
      last = page;
    },
    async onEnd() {
      const { world, blocks } = chainState(sight);
      books(world, blocks.head.block);
    },
  };
}

function pageOf({ ledger, subnets }: World, block: number, hash: Hash): Page {
  const burns = [...subnets.values()].flatMap(({ netuid, slots }) =>
    slots.map(({ hotkey, registeredAt }) => `${netuid} ${hotkey} ${registeredAt}`),
  );
  return {
    ...{ block, hash, issuance: issuanceAt(ledger, block), stake: ledger.stake },
    burns: burns.join(),
    earned: new Map(ledger.earned),
    subnets: new Map(
      [...subnets.values()].map(({ netuid, epochIndex, lastEpochBlock }) => [
        netuid,
        { index: epochIndex, lastBlock: lastEpochBlock, due: pendingAt(ledger, netuid, block + 1) },
      ]),
    ),
  };
}

/** What is wrong with the ledger's books; undefined where they are balanced. */
export function bookFault({ ledger }: World): string | undefined {
  const { pools, accruals, balances, earned, undistributed, issuance, stake } = ledger;
  const assets = sumOf([...pools.values()].map((pool) => pool.assets));
  const pending = sumOf([...accruals.values()].map((accrual) => accrual.pending));
  const all = sumOf(balances.values()) + assets + sumOf(earned.values()) + pending + undistributed;
  if (all !== issuance) return `all accounts together have ${all} rao, and ${issuance} are issued`;
  if (fractionsOf(ledger) !== undistributed << 64n) return "subnets wait for other rao than were minted for them";
  if (assets !== stake || sumOf([...accruals.values()].map((accrual) => accrual.stake)) !== stake)
    return `pools have ${assets} rao, and ${stake} are staked`;
  for (const pool of pools.values()) {
    if (sumOf(pool.holders.values()) !== pool.shares)
      return `a pool of ${pool.hotkey} has other shares than its holders`;
    if (pool.assets < 0n || (pool.shares === 0n && pool.assets !== 0n)) return `a pool of ${pool.hotkey} is nobody's`;
  }
  for (const rao of [...balances.values(), ...earned.values()]) if (rao < 0n) return `somebody has ${rao} rao`;
  if (issuance > SUPPLY_MAX) return `${issuance} rao are issued, more than can ever be`;
  return undefined;
}

/** Rao that are minted and not credited yet, in 2^-64. */
function fractionsOf({ dust, rest, index, accruals }: Ledger): bigint {
  const waiting = [...accruals.values()].map((each) => each.fraction + each.stake * (index - each.index));
  return (dust << 64n) + rest + sumOf(waiting);
}

function issued(last: Page, now: Page, isPaid: boolean, violated: (what: string) => void): void {
  const most = blockEmission(last.issuance < now.issuance ? last.issuance : now.issuance);
  const grown = now.issuance - last.issuance;
  if (grown > most) violated(`block ${now.block} minted ${grown} rao, ${most} at most are due`);
  const isBurned = isPaid || last.burns !== now.burns || last.subnets.size !== now.subnets.size;
  if (!isBurned && last.stake > 0n && grown < most)
    violated(`block ${now.block} lost ${most - grown} rao, and nothing was burned`);
}

/** Looks at the epochs of a block; says whether there were any. */
function epochs(world: World, last: Page, block: number, violated: (what: string) => void): boolean {
  let isPaid = false;
  for (const subnet of world.subnets.values()) {
    const { netuid, epochIndex: index, lastEpochBlock, params } = subnet;
    const before = last.subnets.get(netuid);
    if (before === undefined || (before.index === index && before.lastBlock === lastEpochBlock)) continue;
    isPaid = true;
    if (index !== before.index + 1 || lastEpochBlock !== block || block < before.lastBlock + params.tempo)
      violated(`epoch ${index} came in block ${block}, after epoch ${before.index} in block ${before.lastBlock}`);
    else paid(world.ledger, subnet, before, last, violated);
  }
  return isPaid;
}

/** Looks at what an epoch has paid: no more than there was, and to each account no more than its uids'. */
function paid(
  ledger: Ledger,
  { netuid, slots, owner, params, epochIndex }: SubnetState,
  { due }: Waiting,
  { earned }: Page,
  violated: (what: string) => void,
): void {
  const slack = ROUNDING * BigInt(slots.length);
  const ownerRao = (due * BigInt(params.ownerCut)) / 65_535n;
  const told = sumOf(slots.map(({ emission }) => emission)) + ownerRao;
  const taken = due - (ledger.accruals.get(netuid)?.pending ?? 0n);
  const off = taken - told;
  if (told > due + slack) violated(`epoch ${epochIndex} paid ${told} rao of ${due}`);
  if (off > slack || off < -slack) violated(`epoch ${epochIndex} took ${taken} rao and says that it paid ${told}`);
  for (const account of new Set(slots.map(({ coldkey }) => coldkey))) {
    const own = sumOf(slots.filter(({ coldkey }) => coldkey === account).map(({ emission }) => emission));
    const most = own + slack + (account === owner ? ownerRao : 0n);
    const got = (ledger.earned.get(account) ?? 0n) - (earned.get(account) ?? 0n);
    if (got > most) violated(`epoch ${epochIndex} paid ${got} rao to ${account}, whose uids earned ${most}`);
  }
}

function sumOf(values: Iterable<bigint>): bigint {
  let sum = 0n;
  for (const value of values) sum += value;
  return sum;
}
