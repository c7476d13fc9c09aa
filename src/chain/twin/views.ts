/** What readers see of the twin's state, as the seam describes it. */
import type { EpochClock, Funds, Hash, Metagraph, Neuron, StakePosition, Subnet, WeightVector } from "../chain.ts";
import { pendingAt, positionOf, stakeOf } from "./ledger.ts";
import { burnPrice } from "./neurons.ts";
import { type Slot, type SubnetState, subnetOf, type World } from "./state.ts";

/** A subnet as of `block`. */
export function subnetView(world: World, subnet: SubnetState, block: number): Subnet {
  const { netuid, owner, ownerHotkey, registrationBlock, params } = subnet;
  return {
    netuid,
    owner,
    ownerHotkey,
    registrationBlock,
    params: { ...params },
    burn: burnPrice(subnet, block + 1),
    neurons: subnet.slots.length,
    stake: world.ledger.accruals.get(netuid)?.stake ?? 0n,
    pending: pendingAt(world.ledger, netuid, block),
    epoch: epochClock(subnet),
  };
}

function epochClock({ epochIndex, lastEpochBlock, params }: SubnetState): EpochClock {
  return { index: epochIndex, lastBlock: lastEpochBlock, dueBlock: lastEpochBlock + params.tempo, open: false };
}

/** All uids of a subnet. */
export function metagraphView(world: World, netuid: number, block: number): Metagraph {
  const subnet = subnetOf(world, netuid);
  const neurons = subnet.slots.map((slot, uid) => neuronView(slot, uid, stakeOf(world.ledger, slot.hotkey, netuid)));
  return { block, subnet: subnetView(world, subnet, block), neurons };
}

function neuronView(slot: Slot, uid: number, stake: bigint): Neuron {
  const { hotkey, coldkey, hotkeyAddress, registeredAt, lastUpdate, permit, active } = slot;
  const { consensus, incentive, dividends, vtrust, emission } = slot;
  const shares = { consensus, incentive, dividends, vtrust, emission };
  return { uid, hotkey, coldkey, hotkeyAddress, registeredAt, lastUpdate, stake, permit, active, ...shares };
}

/** Rows of bonds by uid; those who have none are left out. */
export function bondsView({ slots }: SubnetState): Map<number, WeightVector> {
  return rowsOf(
    slots,
    ({ bonds }) => bonds,
    () => true,
  );
}

/** Rows of weights by uid, towards uids that were registered before the vote was made; those who have none are left out. */
export function weightsView({ slots }: SubnetState): Map<number, WeightVector> {
  const counts = ({ votedAt }: Slot, uid: number): boolean => (slots[uid]?.registeredAt ?? 0) < votedAt;
  return rowsOf(slots, ({ row }) => row, counts);
}

function rowsOf(
  slots: readonly Slot[],
  rowOf: (slot: Slot) => WeightVector | undefined,
  counts: (slot: Slot, uid: number) => boolean,
): Map<number, WeightVector> {
  const rows = new Map<number, WeightVector>();
  for (const [voter, slot] of slots.entries()) {
    const row = rowOf(slot);
    const places = row ? [...row.uids.keys()].filter((i) => counts(slot, row.uids[i] as number)) : [];
    const at = (values: readonly number[]): number[] => places.map((i) => values[i] as number);
    if (row && places.length > 0) rows.set(voter, { uids: at(row.uids), values: at(row.values) });
  }
  return rows;
}

/** An account's money; positions by subnet, then hotkey. */
export function fundsView({ ledger }: World, coldkey: Hash): Funds {
  const stakes: StakePosition[] = [];
  for (const pool of ledger.pools.values()) {
    const rao = positionOf(pool, coldkey);
    if (rao > 0n) stakes.push({ hotkey: pool.hotkey, netuid: pool.netuid, rao });
  }
  stakes.sort((a, b) => a.netuid - b.netuid || (a.hotkey < b.hotkey ? -1 : 1));
  return { balance: ledger.balances.get(coldkey) ?? 0n, earned: ledger.earned.get(coldkey) ?? 0n, stakes };
}
