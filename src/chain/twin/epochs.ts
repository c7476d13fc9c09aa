/**
 * The twin's epochs: gathers what an epoch reads, lets Yuma's reference (yuma/epoch.ts) compute it, stores the outcome and pays. To the
 * unit what Epochs.sol does in pages.
 */
import type { WeightVector } from "../chain.ts";
import { refusal } from "../errors.ts";
import { epoch } from "../yuma/epoch.ts";
import type { EpochInput, EpochOutput } from "../yuma/types.ts";
import { payEpoch, settle, stakeOf } from "./ledger.ts";
import { isDue, type Slot, type SubnetState, subnetOf, type World } from "./state.ts";
import { oldestVote } from "./weights.ts";

const SHARE = 65_535n;

/** Computes and pays the epoch that is due. */
export function runEpoch(world: World, netuid: number, block: number): void {
  const subnet = subnetOf(world, netuid);
  if (!isDue(subnet, block)) throw refusal("EpochNotDue", netuid, subnet.lastEpochBlock + subnet.params.tempo);
  const { pending } = settle(world.ledger, netuid, block);
  const ownerRao = (pending * BigInt(subnet.params.ownerCut)) / SHARE;
  const output = epoch(inputOf(world, subnet, pending - ownerRao, block));
  pay(world, subnet, ownerRao, output, block);
  store(subnet, output);
  subnet.epochIndex++;
  subnet.lastEpochBlock = block;
}

function inputOf(world: World, subnet: SubnetState, emission: bigint, block: number): EpochInput {
  const { slots, params, netuid, ownerHotkey, lastEpochBlock } = subnet;
  const ownerUid = slots.findIndex(({ hotkey }) => hotkey === ownerHotkey);
  return {
    block,
    lastEpochBlock,
    params,
    ownerUid: ownerUid < 0 ? undefined : ownerUid,
    emission,
    stake: slots.map(({ hotkey }) => stakeOf(world.ledger, hotkey, netuid)),
    lastUpdate: slots.map(({ lastUpdate }) => lastUpdate),
    registeredAt: slots.map(({ registeredAt }) => registeredAt),
    oldestCommit: slots.map((slot) => oldestVote(subnet, slot)),
    permit: slots.map(({ permit }) => permit),
    weights: rowsOf(slots, "row"),
    bonds: rowsOf(slots, "bonds"),
  };
}

function rowsOf(slots: readonly Slot[], kind: "row" | "bonds"): Map<number, WeightVector> {
  const rows = new Map<number, WeightVector>();
  for (const [uid, slot] of slots.entries()) {
    const row = slot[kind];
    if (row) rows.set(uid, row);
  }
  return rows;
}

/** The owner's cut; incentive to coldkeys, but the owner's own is burned; dividends to the hotkeys' pools. */
function pay(world: World, subnet: SubnetState, ownerRao: bigint, output: EpochOutput, block: number): void {
  const { slots, owner, ownerHotkey, netuid } = subnet;
  const server = slots.map((slot, uid) => ({ slot, rao: output.serverEmission[uid] ?? 0n }));
  const burned = server.filter(({ slot }) => slot.hotkey === ownerHotkey);
  const earned = server.filter(({ slot }) => slot.hotkey !== ownerHotkey);
  const payments = {
    owner,
    ownerRao,
    burnRao: burned.reduce((sum, { rao }) => sum + rao, 0n),
    earned: earned.map(({ slot, rao }) => ({ account: slot.coldkey, rao })),
    dividends: slots.map(({ hotkey }, uid) => ({ hotkey, rao: output.validatorEmission[uid] ?? 0n })),
  };
  payEpoch(world.ledger, netuid, payments, block);
}

function store(subnet: SubnetState, output: EpochOutput): void {
  for (const [uid, slot] of subnet.slots.entries()) {
    slot.permit = output.permit[uid] ?? false;
    slot.active = output.active[uid] ?? false;
    slot.stakeWeight = output.stakeWeight[uid] ?? 0;
    slot.consensus = output.consensus[uid] ?? 0;
    slot.incentive = output.incentive[uid] ?? 0;
    slot.dividends = output.dividends[uid] ?? 0;
    slot.vtrust = output.vtrust[uid] ?? 0;
    slot.emission = output.emission[uid] ?? 0n;
    slot.bonds = output.bonds.get(uid);
  }
}
