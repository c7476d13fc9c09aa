/**
 * The twin's subnet registry: creation for a lock cost, hyperparameters within their ranges. To the rule what Subnets.sol does. Names,
 * units and defaults are subtensor's; what is a root call there is the owner's here.
 */
import { BURN_INITIAL, within } from "../burn.ts";
import type { Hash, SubnetParams } from "../chain.ts";
import { refusal } from "../errors.ts";
import { burn, checkBalance, SUPPLY_MAX } from "./ledger.ts";
import { checkHotkey, freshSlot, type Registration, takeHotkey } from "./neurons.ts";
import { checkThawed, subnetOf, type World } from "./state.ts";

/** What a new subnet starts with. */
export const PARAMS_DEFAULT: SubnetParams = {
  tempo: 360,
  maxUids: 256,
  maxValidators: 64,
  immunityPeriod: 5000,
  activityCutoffFactor: 13_889,
  weightsSetRateLimit: 100,
  servingRateLimit: 50,
  weightsVersionKey: 0n,
  minAllowedWeights: 1,
  minNonImmuneUids: 10,
  registrationAllowed: true,
  minBurn: 500_000n,
  maxBurn: 100_000_000_000n,
  burnHalfLife: 360,
  burnIncreaseMult: 1_260_000,
  stakeThreshold: 0n,
  commitReveal: true,
  revealInterval: 1,
  kappa: 32_767,
  rho: 10,
  bondsPenalty: 65_535,
  bondsMovingAverage: 900_000,
  yuma3: true,
  liquidAlpha: false,
  alphaLow: 45_875,
  alphaHigh: 58_982,
  alphaSteepness: 1000,
  ownerCut: 11_796,
};
/** Rao that creating a subnet burns in `block`: twice the last cost, falling linearly to the least over the interval. */
export function lockCost({ lock, lockMin, lockInterval }: World, block: number): bigint {
  if (!lock) return lockMin;
  const doubled = lock.cost * 2n;
  const fallen = (lock.cost * BigInt(block - lock.block)) / BigInt(lockInterval);
  return doubled - fallen > lockMin ? doubled - fallen : lockMin;
}

/** Creates a subnet whose uid 0 is the hotkey; returns its netuid. */
export function createSubnet(
  world: World,
  registration: Registration,
  costMax: bigint,
  change: Partial<SubnetParams>,
): number {
  const { coldkey, hotkey, address, block } = registration;
  const netuid = world.subnets.size + 1;
  const params = { ...PARAMS_DEFAULT, ...change };
  const cost = lockCost(world, block);
  if (cost > costMax) throw refusal("SubnetCostLimitExceeded", cost);
  checkParams(params);
  checkBalance(world.ledger, coldkey, cost);
  checkHotkey(world, netuid, registration);
  burn(world.ledger, coldkey, cost, block);
  world.lock = { cost, block };
  takeHotkey(world, registration);
  world.subnets.set(netuid, {
    netuid,
    owner: coldkey,
    ownerHotkey: hotkey,
    registrationBlock: block,
    params,
    burn: within(BURN_INITIAL, params),
    burnBlock: block,
    epochIndex: 0,
    lastEpochBlock: block,
    slots: [freshSlot(hotkey, coldkey, address, block)],
  });
  return netuid;
}

/** Who changes which hyperparameters. */
export interface ParamsChange {
  readonly caller: Hash;
  readonly netuid: number;
  readonly params: Partial<SubnetParams>;
  readonly block: number;
}

/** Changes hyperparameters, by the owner. */
export function setParams(world: World, { caller, netuid, params, block }: ParamsChange): void {
  const subnet = subnetOf(world, netuid);
  if (subnet.owner !== caller) throw refusal("NotSubnetOwner");
  checkThawed(subnet, block);
  const next = { ...subnet.params, ...params };
  checkParams(next);
  if (next.maxUids < subnet.slots.length) throw refusal("MaxAllowedUIdsLessThanCurrentUIds", subnet.slots.length);
  subnet.params = next;
}

type NumberParam = { [P in keyof SubnetParams]: SubnetParams[P] extends boolean ? never : P }[keyof SubnetParams];
type Range = readonly [name: NumberParam, least: number | bigint, most: number | bigint];

/** Ranges in the order in which they are checked; u16 where the contracts only have the type. */
function rangesFor({ maxBurn, alphaHigh }: SubnetParams): readonly Range[] {
  return [
    ["tempo", 1, 50_400],
    ["maxUids", 1, 256],
    ["maxValidators", 1, 64],
    ["activityCutoffFactor", 1000, 50_000],
    ["weightsSetRateLimit", 0, 1_000_000],
    ["servingRateLimit", 0, 1_000_000],
    ["minAllowedWeights", 0, 256],
    ["minNonImmuneUids", 0, 256],
    ["maxBurn", 0n, SUPPLY_MAX],
    ["minBurn", 0n, maxBurn],
    ["burnHalfLife", 0, 1_000_000],
    ["burnIncreaseMult", 1_000_000, 10_000_000],
    ["stakeThreshold", 0n, SUPPLY_MAX],
    ["revealInterval", 1, 100],
    ["kappa", 1, 65_535],
    ["bondsMovingAverage", 0, 1_000_000],
    ["alphaHigh", 1638, 65_535],
    ["alphaLow", 1638, alphaHigh],
    ["alphaSteepness", 0, 32_767],
    ["ownerCut", 0, 11_796],
    ["immunityPeriod", 0, 65_535],
    ["rho", 0, 65_535],
    ["bondsPenalty", 0, 65_535],
    ["weightsVersionKey", 0n, 2n ** 64n - 1n],
  ];
}

function checkParams(params: SubnetParams): void {
  for (const [name, least, most] of rangesFor(params)) {
    const value = params[name];
    if (value < least || value > most) throw refusal("ValueNotInBounds", name, least, most);
  }
}
