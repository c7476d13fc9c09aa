/**
 * The twin's money: balances, stake pools with shares, emission with halving, takes, earned rao and their claim. To the unit what
 * Staking.sol does.
 *
 * Emission: as in subtensor, a block mints 1e9 rao, halved each time the issuance has covered half of what was left of 21e15. It is
 * shared among subnets by their stake (subtensor: by the price of their tokens, which our chain does not have), through an index of rao
 * per staked rao in 64 fractional bits. What an epoch does not pay stays pending; burned rao leave the issuance.
 *
 * Pools count shares with virtual ones beside them, so that nobody can make the first delegator's share worthless by a donation; every
 * division rounds in the pool's favour.
 */
import { assert, must } from "../../base/assert.ts";
import type { Hash } from "../chain.ts";
import { refusal } from "../errors.ts";
import type { Accrual, Ledger, Pool, World } from "./state.ts";

/** Rao that can ever be: 21 million coins. */
export const SUPPLY_MAX = 21_000_000_000_000_000n;
/** Rao of a block before the first halving. */
const BLOCK_EMISSION = 1_000_000_000n;
/** Largest and usual take, 65535ths: 18%. */
export const TAKE_MAX = 11_796;
const INDEX_BITS = 64n;
const INDEX_MASK = (1n << INDEX_BITS) - 1n;
/** Virtual shares of a pool, beside one virtual rao. */
const VIRTUAL = 1_000_000n;

/** Times that the emission has halved at an issuance below the most. */
function halvingsAt(issuance: bigint): bigint {
  let halvings = 0n;
  while ((SUPPLY_MAX - issuance) << (halvings + 1n) <= SUPPLY_MAX) halvings++;
  return halvings;
}

/** Rao that the next block mints at an issuance. */
export const blockEmission = (issuance: bigint): bigint =>
  issuance >= SUPPLY_MAX ? 0n : BLOCK_EMISSION >> halvingsAt(issuance);

/** Rao that `blocks` blocks mint from an issuance on: the sum of the single blocks' emissions, without a loop over blocks. */
export function emissionOver(issuance: bigint, blocks: bigint): bigint {
  let [now, left] = [issuance, blocks];
  while (left > 0n && blockEmission(now) > 0n) {
    const rate = blockEmission(now);
    const threshold = SUPPLY_MAX - (SUPPLY_MAX >> (halvingsAt(now) + 1n));
    const until = (threshold - now + rate - 1n) / rate;
    const count = until < left ? until : left;
    now += rate * count;
    left -= count;
  }
  return now - issuance;
}

/** An empty ledger whose issuance is `balances`. */
export function newLedger(balances: ReadonlyMap<Hash, bigint>): Ledger {
  return {
    issuance: [...balances.values()].reduce((sum, rao) => sum + rao, 0n),
    undistributed: 0n,
    dust: 0n,
    index: 0n,
    rest: 0n,
    settledBlock: 0,
    stake: 0n,
    balances: new Map(balances),
    earned: new Map(),
    pools: new Map(),
    accruals: new Map(),
    owners: new Map(),
    takes: new Map(),
  };
}

/** The pools' key. */
export const poolKey = (hotkey: Hash, netuid: number): string => `${hotkey}:${netuid}`;

/** Rao on a hotkey of a subnet. */
export const stakeOf = (ledger: Ledger, hotkey: Hash, netuid: number): bigint =>
  ledger.pools.get(poolKey(hotkey, netuid))?.assets ?? 0n;

/** Rao that a coldkey could take out of a pool. */
export function positionOf(pool: Pool | undefined, coldkey: Hash): bigint {
  return pool ? worth(pool, pool.holders.get(coldkey) ?? 0n) : 0n;
}

const worth = (pool: Pool, shares: bigint): bigint => (shares * (pool.assets + 1n)) / (pool.shares + VIRTUAL);
const bought = (pool: Pool, rao: bigint): bigint => (rao * (pool.shares + VIRTUAL)) / (pool.assets + 1n);

/** Shares that a withdrawal costs: all that are held where it takes all that they are worth. */
function sold(pool: Pool, held: bigint, rao: bigint): bigint {
  if (rao === worth(pool, held)) return held;
  return (rao * (pool.shares + VIRTUAL) + pool.assets) / (pool.assets + 1n);
}

function add(map: Map<Hash, bigint>, account: Hash, rao: bigint): void {
  if (rao !== 0n) map.set(account, (map.get(account) ?? 0n) + rao);
}

/** Takes from a balance; the caller has checked that there is enough. */
function subtract(map: Map<Hash, bigint>, account: Hash, rao: bigint): void {
  const left = (map.get(account) ?? 0n) - rao;
  assert(left >= 0n, "a balance below zero");
  if (left === 0n) map.delete(account);
  else map.set(account, left);
}

/** Throws NotEnoughBalance unless an account has the rao. */
export function checkBalance(ledger: Ledger, account: Hash, rao: bigint): void {
  assert(rao >= 0n, "an amount below zero");
  const balance = ledger.balances.get(account) ?? 0n;
  if (balance < rao) throw refusal("NotEnoughBalanceToStake", balance, rao);
}

/** The ledger's totals once all blocks up to `block` are minted. */
function accrued(ledger: Ledger, block: number): { minted: bigint; index: bigint; rest: bigint; dust: bigint } {
  const { stake, index, rest, dust } = ledger;
  if (stake === 0n) return { minted: 0n, index, rest, dust };
  const minted = emissionOver(ledger.issuance, BigInt(block - ledger.settledBlock));
  const share = ((minted + dust) << INDEX_BITS) + rest;
  return { minted, index: index + share / stake, rest: share % stake, dust: 0n };
}

/** What a subnet has earned since it was settled, in 2^-64 rao. */
const shareOf = (accrual: Accrual, index: bigint): bigint => accrual.stake * (index - accrual.index) + accrual.fraction;

/** Rao in existence at `block`. */
export const issuanceAt = (ledger: Ledger, block: number): bigint => ledger.issuance + accrued(ledger, block).minted;

/** Rao that wait for a subnet's epoch at `block`. */
export function pendingAt(ledger: Ledger, netuid: number, block: number): bigint {
  const accrual = ledger.accruals.get(netuid);
  return accrual ? accrual.pending + (shareOf(accrual, accrued(ledger, block).index) >> INDEX_BITS) : 0n;
}

/** Mints up to `block`. */
function mint(ledger: Ledger, block: number): void {
  const { minted, index, rest, dust } = accrued(ledger, block);
  ledger.issuance += minted;
  ledger.undistributed += minted;
  ledger.index = index;
  ledger.rest = rest;
  ledger.dust = dust;
  ledger.settledBlock = block;
}

/** Mints up to `block` and credits a subnet with its part; returns its accrual. */
export function settle(ledger: Ledger, netuid: number, block: number): Accrual {
  mint(ledger, block);
  const accrual = ledger.accruals.get(netuid) ?? { stake: 0n, index: 0n, pending: 0n, fraction: 0n };
  ledger.accruals.set(netuid, accrual);
  const share = shareOf(accrual, ledger.index);
  accrual.pending += share >> INDEX_BITS;
  accrual.fraction = share & INDEX_MASK;
  accrual.index = ledger.index;
  ledger.undistributed -= share >> INDEX_BITS;
  return accrual;
}

/** Moves rao between balances. */
export function transfer(ledger: Ledger, from: Hash, to: Hash, rao: bigint): void {
  checkBalance(ledger, from, rao);
  subtract(ledger.balances, from, rao);
  add(ledger.balances, to, rao);
}

/** Takes rao out of a balance and out of the issuance; the caller has checked that they are there. */
export function burn(ledger: Ledger, account: Hash, rao: bigint, block: number): void {
  mint(ledger, block);
  subtract(ledger.balances, account, rao);
  ledger.issuance -= rao;
}

/** Rao of a coldkey on a hotkey, on the way in or out. */
export interface Stake {
  readonly coldkey: Hash;
  readonly netuid: number;
  readonly hotkey: Hash;
  readonly rao: bigint;
  readonly block: number;
}

/** Stakes free rao. */
export function addStake(world: World, stake: Stake): void {
  const { ledger } = world;
  checkPlace(world, stake);
  if (stake.rao === 0n) throw refusal("AmountTooLow");
  checkBalance(ledger, stake.coldkey, stake.rao);
  checkDeposit(ledger, stake);
  subtract(ledger.balances, stake.coldkey, stake.rao);
  deposit(ledger, stake);
}

/** Takes staked rao back. */
export function removeStake(world: World, stake: Stake): void {
  checkPlace(world, stake);
  checkWithdrawal(world.ledger, stake);
  withdraw(world.ledger, stake);
  add(world.ledger.balances, stake.coldkey, stake.rao);
}

/** Moves staked rao to another hotkey or subnet. */
export function moveStake(world: World, from: Stake, to: Place): void {
  const { ledger } = world;
  checkPlace(world, from);
  checkPlace(world, to);
  if (from.netuid === to.netuid && from.hotkey === to.hotkey) throw refusal("SameStake");
  checkWithdrawal(ledger, from);
  checkDeposit(ledger, { ...from, ...to });
  settle(ledger, to.netuid, from.block); // before a sweep of the pool left behind adds to what is shared out
  withdraw(ledger, from);
  deposit(ledger, { ...from, ...to });
}

/** A hotkey in a subnet. */
export interface Place {
  readonly netuid: number;
  readonly hotkey: Hash;
}

function checkPlace(world: World, { netuid, hotkey }: Place): void {
  if (!world.subnets.has(netuid)) throw refusal("SubnetNotExists", netuid);
  if (!world.ledger.owners.has(hotkey)) throw refusal("HotKeyAccountNotExists");
}

function checkWithdrawal(ledger: Ledger, { hotkey, netuid, coldkey, rao }: Stake): void {
  assert(rao >= 0n, "an amount below zero");
  if (rao === 0n) throw refusal("AmountTooLow");
  const position = positionOf(ledger.pools.get(poolKey(hotkey, netuid)), coldkey);
  if (position < rao) throw refusal("NotEnoughStakeToWithdraw", position);
}

function checkDeposit(ledger: Ledger, { hotkey, netuid, rao }: Stake): void {
  const pool = ledger.pools.get(poolKey(hotkey, netuid));
  if (pool && bought(pool, rao) === 0n) throw refusal("AmountTooLow");
}

function deposit(ledger: Ledger, { hotkey, netuid, coldkey, rao, block }: Stake): void {
  const accrual = settle(ledger, netuid, block);
  const key = poolKey(hotkey, netuid);
  const pool = ledger.pools.get(key) ?? { hotkey, netuid, assets: 0n, shares: 0n, holders: new Map() };
  ledger.pools.set(key, pool);
  const shares = bought(pool, rao);
  add(pool.holders, coldkey, shares);
  pool.shares += shares;
  grow(ledger, accrual, pool, rao);
}

function withdraw(ledger: Ledger, { hotkey, netuid, coldkey, rao, block }: Stake): void {
  const accrual = settle(ledger, netuid, block);
  const pool = must(ledger.pools.get(poolKey(hotkey, netuid)), "a pool that was checked");
  const shares = sold(pool, pool.holders.get(coldkey) ?? 0n, rao);
  subtract(pool.holders, coldkey, shares);
  pool.shares -= shares;
  grow(ledger, accrual, pool, -rao);
  if (pool.shares === 0n) sweep(ledger, accrual, pool);
}

function grow(ledger: Ledger, accrual: Accrual, pool: Pool, rao: bigint): void {
  pool.assets += rao;
  accrual.stake += rao;
  ledger.stake += rao;
}

/** An empty pool is exactly empty: what rounding left in it is shared out anew. */
function sweep(ledger: Ledger, accrual: Accrual, pool: Pool): void {
  const left = pool.assets;
  grow(ledger, accrual, pool, -left);
  ledger.undistributed += left;
  ledger.dust += left;
}

/** Sets which part of its dividends a hotkey's coldkey keeps. */
export function setTake(ledger: Ledger, coldkey: Hash, hotkey: Hash, take: number): void {
  if (ledger.owners.get(hotkey) !== coldkey) throw refusal("NonAssociatedColdKey");
  assert(Number.isInteger(take) && take >= 0, "a take is a whole number of 65535ths");
  if (take > TAKE_MAX) throw refusal("DelegateTakeTooHigh", TAKE_MAX);
  ledger.takes.set(hotkey, take);
}

/** Moves what an account has earned to its balance. */
export function claim(ledger: Ledger, account: Hash): void {
  const rao = ledger.earned.get(account) ?? 0n;
  ledger.earned.delete(account);
  add(ledger.balances, account, rao);
}

/** What an epoch pays. */
export interface Payments {
  readonly owner: Hash;
  readonly ownerRao: bigint;
  readonly burnRao: bigint;
  readonly earned: readonly { readonly account: Hash; readonly rao: bigint }[];
  readonly dividends: readonly { readonly hotkey: Hash; readonly rao: bigint }[];
}

/** Pays an epoch out of what is pending; the rest stays. */
export function payEpoch(ledger: Ledger, netuid: number, payments: Payments, block: number): void {
  const accrual = settle(ledger, netuid, block);
  const paid = [...payments.earned, ...payments.dividends].reduce((sum, { rao }) => sum + rao, 0n);
  accrual.pending -= paid + payments.ownerRao + payments.burnRao;
  assert(accrual.pending >= 0n, "an epoch pays more than is pending");
  ledger.issuance -= payments.burnRao;
  add(ledger.earned, payments.owner, payments.ownerRao);
  for (const { account, rao } of payments.earned) add(ledger.earned, account, rao);
  for (const { hotkey, rao } of payments.dividends) payDividend(ledger, accrual, hotkey, netuid, rao);
}

function payDividend(ledger: Ledger, accrual: Accrual, hotkey: Hash, netuid: number, rao: bigint): void {
  const take = (rao * BigInt(ledger.takes.get(hotkey) ?? TAKE_MAX)) / 65_535n;
  const coldkey = must(ledger.owners.get(hotkey), "the coldkey of a registered hotkey");
  const pool = ledger.pools.get(poolKey(hotkey, netuid));
  const shared = pool && pool.shares > 0n ? rao - take : 0n; // where nobody holds shares, all goes to the coldkey
  add(ledger.earned, coldkey, rao - shared);
  if (pool && shared > 0n) grow(ledger, accrual, pool, shared);
}
