/**
 * The twin's uid slots: registration for a burn, pruning, immunity, proof of possession. To the rule what Neurons.sol does.
 */
import { burnAfter, burnBumped } from "../burn.ts";
import type { Address, Hash } from "../chain.ts";
import { refusal } from "../errors.ts";
import { pruned } from "../metagraph.ts";
import { burn, checkBalance } from "./ledger.ts";
import { claimDigest, signerOf } from "./proof.ts";
import { checkThawed, type Slot, type SubnetState, subnetOf, uidOf, type World } from "./state.ts";

/** Uids a subnet can have. */
const UIDS_MAX = 256;

/** A uid that starts from nothing. */
export function freshSlot(hotkey: Hash, coldkey: Hash, hotkeyAddress: Address, block: number): Slot {
  return {
    hotkey,
    coldkey,
    hotkeyAddress,
    registeredAt: block,
    lastUpdate: block,
    row: undefined,
    votedAt: 0,
    bonds: undefined,
    commits: [],
    permit: false,
    active: false,
    stakeWeight: 0,
    consensus: 0,
    incentive: 0,
    dividends: 0,
    vtrust: 0,
    emission: 0n,
  };
}

/** Who registers which hotkey. */
export interface Registration {
  readonly coldkey: Hash;
  readonly hotkey: Hash;
  readonly address: Address;
  /** The hotkey's signature over the claim (proof.ts); not needed where it is the coldkey. */
  readonly proof: Uint8Array | undefined;
  readonly block: number;
}

/** Registers a hotkey for the burn price; returns its uid. */
export function register(world: World, netuid: number, registration: Registration, burnMax: bigint): number {
  const { coldkey, hotkey, block } = registration;
  checkHotkey(world, netuid, registration);
  const subnet = subnetOf(world, netuid);
  if (!subnet.params.registrationAllowed) throw refusal("SubNetRegistrationDisabled");
  checkThawed(subnet, block);
  if (uidOf(subnet, hotkey) !== undefined) throw refusal("HotKeyAlreadyRegisteredInSubNet");
  const price = burnPrice(subnet, block);
  if (price > burnMax) throw refusal("RegistrationPriceLimitExceeded", price);
  checkBalance(world.ledger, coldkey, price);
  const uid = freeUid(subnet, block);
  burn(world.ledger, coldkey, price, block);
  takeHotkey(world, registration);
  subnet.slots[uid] = freshSlot(hotkey, coldkey, registration.address, block);
  subnet.burn = burnBumped(price, subnet.params);
  subnet.burnBlock = block;
  return uid;
}

/** Throws unless the hotkey belongs to the coldkey, or to nobody, and its holder agrees. */
export function checkHotkey(world: World, netuid: number, { coldkey, hotkey, address, proof }: Registration): void {
  if (hotkey !== coldkey) {
    const claim = { chainId: world.chainId, netuid, coldkey, nonce: world.nonces.get(hotkey) ?? 0 };
    if (!proof || signerOf(claimDigest(claim), proof) !== address) throw refusal("InvalidProof");
  }
  const owner = world.ledger.owners.get(hotkey);
  if (owner !== undefined && owner !== coldkey) throw refusal("NonAssociatedColdKey");
}

/** Records whose hotkey it is, and that its proof is used. */
export function takeHotkey(world: World, { coldkey, hotkey }: Registration): void {
  world.ledger.owners.set(hotkey, coldkey);
  if (hotkey !== coldkey) world.nonces.set(hotkey, (world.nonces.get(hotkey) ?? 0) + 1);
}

function freeUid(subnet: SubnetState, block: number): number {
  if (subnet.slots.length < Math.min(subnet.params.maxUids, UIDS_MAX)) return subnet.slots.length;
  const uid = pruned(subnet.slots, subnet, block);
  if (uid === undefined) throw refusal("NoNeuronIdAvailable");
  return uid;
}

/** Rao that a registration in `block` burns. */
export const burnPrice = (subnet: SubnetState, block: number): bigint =>
  burnAfter(subnet.burn, block - subnet.burnBlock, subnet.params);
