/**
 * Epochs to try: built by hand, or drawn at random in every shape that the contracts admit, for the tests that hold the contract and
 * the twin against the reference. Equal seeds give equal epochs.
 */
import type { Random } from "../../src/base/random.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { WeightVector } from "../../src/chain/chain.ts";
import type { EpochInput, EpochParams } from "../../src/chain/yuma/types.ts";

/** Subtensor's defaults. */
export const epochParams: EpochParams = {
  tempo: 360,
  activityCutoffFactor: 13_889,
  kappa: 32_767,
  bondsPenalty: 65_535,
  bondsMovingAverage: 900_000,
  yuma3: true,
  liquidAlpha: false,
  alphaLow: 45_875,
  alphaHigh: 58_982,
  alphaSteepness: 1000,
  maxValidators: 64,
  stakeThreshold: 0n,
};

/** Everything of an epoch that a test may leave out. */
export type EpochSketch = Partial<Omit<EpochInput, "params" | "stake">> & {
  readonly stake: readonly (number | bigint)[];
  readonly params?: Partial<EpochParams>;
};

/** An epoch at block 10 of neurons registered at 0 who all hold permits and have voted at 9, with what `sketch` says otherwise. */
export function epochOf({ stake, params, ...rest }: EpochSketch): EpochInput {
  const each = <T>(value: T): T[] => stake.map(() => value);
  return {
    block: 10,
    lastEpochBlock: 8,
    ownerUid: undefined,
    emission: 1_000_000_000n,
    stake: stake.map(BigInt),
    lastUpdate: each(9),
    registeredAt: each(0),
    oldestCommit: each(0),
    permit: each(true),
    weights: new Map(),
    bonds: new Map(),
    ...rest,
    params: { ...epochParams, ...params },
  };
}

/** A row of weights or bonds from pairs of uid and u16. */
export function rowOf(pairs: readonly (readonly [number, number])[]): WeightVector {
  return { uids: pairs.map(([uid]) => uid), values: pairs.map(([, value]) => value) };
}

/** How large random epochs are. */
export interface EpochSize {
  /** At most 256 in the contracts. */
  readonly maxUids: number;
  /** At most 64 in the contracts; the owner comes on top. */
  readonly maxValidators: number;
}

/**
 * The random epoch number `seed`: 1 to `maxUids` uids, up to `maxValidators` validators; dense and sparse weights, agreement and
 * discord, ties, no stake, no votes, recent registrations, inactive validators, an owner or none, every switch and extreme values of
 * every parameter. Rows never hold zeros, as in the contracts; only uids with a permit have bonds.
 */
export function randomEpoch(seed: string | number, { maxUids, maxValidators }: EpochSize): EpochInput {
  const random = seededRandom(`epoch ${seed}`);
  const n = 1 + random.below(oneOf(random, [Math.min(3, maxUids), Math.min(16, maxUids), maxUids, maxUids]));
  const uids = Array.from({ length: n }, (_, uid) => uid);
  const block = 1 + random.below(20_000);
  const params = randomParams(random, maxValidators);
  const ownerUid = chance(random, 0.6) ? random.below(n) : undefined;
  const stake = randomStake(random, n);
  const permit = randomPermits(random, stake, params.maxValidators);
  const [votes, oldVotes] = [voteStyle(random, n), voteStyle(random, n)];
  const permitted = uids.filter((uid) => permit[uid] || uid === ownerUid);
  const voters = uids.filter((uid) => chance(random, permitted.includes(uid) ? 0.95 : 0.02));
  const bonded = chance(random, 0.2) ? [] : permitted.filter(() => chance(random, 0.9));
  return {
    block,
    lastEpochBlock: oneOf(random, [0, random.below(block), Math.max(0, block - params.tempo)]),
    params,
    ownerUid,
    emission: oneOf(random, [0n, 1n, 1_000_000_000n, bigBelow(random, 1n << 53n)]),
    stake,
    ...randomTimes(random, n, block),
    permit,
    weights: rowsOf(voters, votes),
    bonds: rowsOf(bonded, oldVotes),
  };
}

function oneOf<T>(random: Random, choices: readonly T[]): T {
  return choices[random.below(choices.length)] as T;
}

const chance = (random: Random, p: number): boolean => random.uniform() < p;

function bigBelow(random: Random, n: bigint): bigint {
  const wide = (BigInt(random.uint32()) << 32n) | BigInt(random.uint32());
  return wide % n;
}

function rowsOf(uids: readonly number[], draw: () => WeightVector): EpochInput["weights"] {
  return new Map(uids.map((uid) => [uid, draw()] as const).filter(([, row]) => row.uids.length > 0));
}

function randomParams(random: Random, maxValidators: number): EpochParams {
  const u16 = (): number => oneOf(random, [0, 1, 32_767, 32_768, 65_534, 65_535, random.below(65_536)]);
  const alphas = [1638 + random.below(65_536 - 1638), oneOf(random, [1638, 45_875, 65_535])].sort((a, b) => a - b);
  const yuma3 = chance(random, 0.6);
  return {
    tempo: oneOf(random, [1, 10, 360, 1 + random.below(50_400)]),
    activityCutoffFactor: oneOf(random, [1000, 13_889, 50_000]),
    kappa: chance(random, 0.6) ? 32_767 : u16(),
    bondsPenalty: chance(random, 0.5) ? 65_535 : u16(),
    bondsMovingAverage: oneOf(random, [0, 900_000, 975_000, 1_000_000, random.below(1_000_001)]),
    yuma3,
    liquidAlpha: yuma3 && chance(random, 0.6),
    alphaLow: alphas[0] ?? 1638,
    alphaHigh: alphas[1] ?? 65_535,
    alphaSteepness: oneOf(random, [1000, 0, 200, -1000, 32_767, -32_768, random.below(65_536) - 32_768]),
    maxValidators: chance(random, 0.4) ? maxValidators : 1 + random.below(maxValidators),
    stakeThreshold: chance(random, 0.8) ? 0n : bigBelow(random, 1n << 40n),
  };
}

/** Mostly old neurons that voted lately; in some epochs anything. */
function randomTimes(
  random: Random,
  n: number,
  block: number,
): Pick<EpochInput, "registeredAt" | "lastUpdate" | "oldestCommit"> {
  const wild = oneOf(random, [0, 0.1, 0.1, 0.5]);
  const each = (usual: () => number, rare: () => number): number[] =>
    Array.from({ length: n }, () => (chance(random, wild) ? rare() : usual()));
  const back = (blocks: number) => (): number => Math.max(0, block - random.below(blocks));
  return {
    registeredAt: each(() => 0, oneOf(random, [back(30), back(500), () => random.below(block + 1)])),
    lastUpdate: each(back(8), () =>
      oneOf(random, [0, random.below(block + 1), Math.max(0, block - 4998 - random.below(5))]),
    ),
    oldestCommit: each(() => 0, back(600)),
  };
}

/** Those with the most stake, in most epochs, and now and then anybody. */
function randomPermits(random: Random, stake: readonly bigint[], maxValidators: number): boolean[] {
  const n = stake.length;
  const count = oneOf(random, [0, 1, maxValidators, maxValidators, 1 + random.below(maxValidators)]);
  const byStake = stake.map((rao, uid) => ({ rao, uid })).sort((a, b) => (a.rao < b.rao ? 1 : -1));
  const anybody = chance(random, 0.2);
  const holders = byStake.slice(0, count).map(({ uid }) => (anybody ? random.below(n) : uid));
  return stake.map((_, uid) => holders.includes(uid));
}

function randomStake(random: Random, n: number): bigint[] {
  const share = 21_000_000_000_000_000n / BigInt(n);
  const few = (): bigint => bigBelow(random, 4n);
  const any = (): bigint => bigBelow(random, share);
  const steep = (): bigint => any() >> BigInt(random.below(50));
  const style = oneOf<() => bigint>(random, [() => 1n, few, any, any, any, steep, steep]);
  const none = oneOf(random, [0, 0, 0.2, 0.7]);
  const nobody = chance(random, 0.03);
  return Array.from({ length: n }, () => (nobody || chance(random, none) ? 0n : style()));
}

/** A way to draw rows over `n` uids, without zeros: one opinion with more or less noise, or none in common. */
function voteStyle(random: Random, n: number): () => WeightVector {
  const density = oneOf(random, [1, 1, 0.5, 0.1, 2 / n]);
  const named = chance(random, 0.6); // all name the same uids
  const common = Array.from({ length: n }, () => ({ named: chance(random, density), value: random.below(65_536) }));
  const noise = oneOf(random, [0, 3, 2000]);
  const noisy = (value: number): number => Math.min(65_535, value + random.below(noise + 1));
  const value = oneOf<(value: number) => number>(random, [
    noisy,
    noisy,
    noisy,
    () => 65_535,
    () => random.below(65_536),
    () => random.below(4),
    () => 65_535 >> random.below(17),
  ]);
  return () => {
    const pairs = common.map(
      (uid, j) => [j, (named ? uid.named : chance(random, density)) ? value(uid.value) : 0] as const,
    );
    return rowOf(pairs.filter(([, u16]) => u16 > 0));
  };
}
