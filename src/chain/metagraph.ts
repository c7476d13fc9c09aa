/**
 * What a metagraph means for those in it: who is immune and how long, who goes next, what the next registrations cost, when the epoch
 * comes. Pure functions of a snapshot, for everything that shows one. Rules: Neurons.sol, and docs/protocol/chain.md.
 */
import { burnBumped } from "./burn.ts";
import type { Metagraph, Neuron, Subnet } from "./chain.ts";

/** Blocks for which `neuron` cannot be pruned yet; 0 where it can. */
export function immunityLeft({ block, subnet }: Metagraph, neuron: Neuron): number {
  return Math.max(0, neuron.registeredAt + subnet.params.immunityPeriod - block);
}

/** What the rule of pruning looks at; a uid's place in the list is its number. */
type Prunable = Pick<Neuron, "hotkey" | "emission" | "registeredAt">;

/**
 * The uid that a registration in `block` takes over where none is free: lowest emission, then oldest registration, then lowest uid, without
 * the owner's; the immune are spared while more than `minNonImmuneUids` others are there, and otherwise taken first. undefined where
 * nobody can be pruned: then nobody can register either.
 */
export function pruned(
  neurons: readonly Prunable[],
  { ownerHotkey, params }: Pick<Subnet, "ownerHotkey" | "params">,
  block: number,
): number | undefined {
  const { immunityPeriod, minNonImmuneUids } = params;
  const sorted = neurons
    .map(({ hotkey, emission, registeredAt }, uid) => ({ hotkey, emission, registeredAt, uid }))
    .filter(({ hotkey }) => hotkey !== ownerHotkey)
    .sort((a, b) => order(a.emission, b.emission) || a.registeredAt - b.registeredAt || a.uid - b.uid);
  const isImmune = ({ registeredAt }: Prunable): boolean => block - registeredAt < immunityPeriod;
  const open = sorted.filter((neuron) => !isImmune(neuron));
  return (open.length > minNonImmuneUids ? open : sorted.filter(isImmune))[0]?.uid;
}

const order = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);

/** The uid that the next registration takes over; undefined while there is a free one, and where nobody can be pruned. */
export function nextPruned({ block, subnet, neurons }: Metagraph): number | undefined {
  return neurons.length < subnet.params.maxUids ? undefined : pruned(neurons, subnet, block);
}

/** Whether the subnet takes newcomers: a uid is free or can be taken over, and its owner allows it. */
export function isOpen(metagraph: Metagraph): boolean {
  const { subnet, neurons } = metagraph;
  const place = neurons.length < subnet.params.maxUids || nextPruned(metagraph) !== undefined;
  return subnet.params.registrationAllowed && place;
}

/** Rao that a registration burns now, and that the one right after it burns. */
export function burnPrices({ burn, params }: Subnet): readonly [now: bigint, next: bigint] {
  return [burn, burnBumped(burn, params)];
}

/** Blocks until the epoch is due; 0 where it is, or is being computed. */
export function epochLeft({ block, subnet }: Metagraph): number {
  return subnet.epoch.open ? 0 : Math.max(0, subnet.epoch.dueBlock - block);
}

/** Whether one permitted validator alone decides what everybody is paid. */
export function singleValidator({ neurons }: Metagraph): boolean {
  return neurons.filter(({ permit, stake }) => permit && stake > 0n).length === 1;
}
