/**
 * Random operations on a chain, through the seam alone: for the invariants that must hold whatever happens, and for telling two
 * adapters the same story and comparing what they say (`sameStory`).
 */
import fc from "fast-check";
import { expect } from "vitest";
import type { Hash, SubnetParams, WeightVector } from "../../src/chain/chain.ts";
import { refusalName } from "../../src/chain/errors.ts";
import { type Bench, benchOver, type ChainUnderTest, COIN, testHash, testSigner } from "./chain-kit.ts";

/** Who takes part. The first is the owner of subnet 1; "anyone" has nothing. */
export const CAST = ["owner", "ann", "bob", "cat", "dan", "eve", "anyone"] as const;
const account = (name: string): Hash => testSigner(name).account;

/** What to do, and three numbers that say how. */
export interface Operation {
  readonly kind: (typeof KINDS)[number];
  readonly actor: number;
  readonly a: number;
  readonly b: number;
}

const KINDS = [
  "mine",
  "transfer",
  "createSubnet",
  "setSubnet",
  "register",
  "addStake",
  "removeStake",
  "removeAll",
  "moveStake",
  "setTake",
  "claim",
  "setWeights",
  "commitWeights",
  "revealWeights",
  "stepEpoch",
  "createRun",
  "commitPayload",
  "vote",
  "decideRound",
] as const;

/** Sequences of operations; what makes epochs pay comes oftener than the rest. */
export function operations(length: number): fc.Arbitrary<Operation[]> {
  const often = [
    "mine",
    "mine",
    "mine",
    "addStake",
    "setWeights",
    "setWeights",
    "commitWeights",
    "revealWeights",
  ] as const;
  return fc.array(
    fc.record({
      kind: fc.constantFrom(...KINDS, ...often, "stepEpoch" as const),
      actor: fc.nat(CAST.length - 1),
      a: fc.nat(1 << 20),
      b: fc.nat(1 << 20),
    }),
    { minLength: length >> 1, maxLength: length, size: "max" },
  );
}

/** Gives everybody money and makes subnet 1, with short epochs, and weights hidden or open. */
export async function stage(bench: Bench, story: readonly Operation[]): Promise<void> {
  const commitReveal = (story[0]?.a ?? 0) % 2 === 1;
  for (const name of CAST.slice(0, -1)) await bench.fund(account(name), 3000n * COIN);
  const params = { tempo: 20, maxUids: 5, immunityPeriod: 20, minNonImmuneUids: 1, weightsSetRateLimit: 2 };
  await bench.as("owner").createSubnet(testSigner("owner"), COIN, { ...params, commitReveal });
  for (const name of ["ann", "bob", "cat"]) {
    await bench.register(1, name);
    await bench.as(name).addStake(1, account(name), 1000n * COIN);
  }
}

const CHANGES: readonly Partial<SubnetParams>[] = [
  { commitReveal: true },
  { commitReveal: false },
  { bondsPenalty: 30_000 },
  { maxUids: 6 },
  { revealInterval: 2 },
  { yuma3: false },
  { yuma3: true },
  { liquidAlpha: true },
  { maxValidators: 2 },
  { maxUids: 4 },
  { maxUids: 7 },
  { stakeThreshold: 500n * COIN },
  { stakeThreshold: 0n },
  { ownerCut: 0 },
  { burnHalfLife: 5 },
  { kappa: 0 },
  { minBurn: 10n * COIN, maxBurn: COIN },
  { registrationAllowed: false },
  { registrationAllowed: true },
  { activityCutoffFactor: 1000 },
];

const VOTES: readonly WeightVector[] = [
  { uids: [0, 1, 2, 3], values: [1, 2, 3, 4] },
  { uids: [3, 2], values: [65_535, 7] },
  { uids: [4, 1], values: [0, 9] },
  { uids: [1], values: [5] },
  { uids: [2, 2], values: [1, 1] },
  { uids: [], values: [] },
];

function pick<T>(list: readonly T[], n: number): T {
  return list[n % list.length] as T;
}

/** Carries out an operation: "ok", or the name of the refusal. Anything else that goes wrong is thrown. */
export async function perform(bench: Bench, operation: Operation): Promise<string> {
  try {
    await act(bench, operation);
    return "ok";
  } catch (thrown) {
    const name = refusalName(thrown);
    if (name === undefined) throw thrown;
    return name;
  }
}

async function act(bench: Bench, { kind, actor, a, b }: Operation): Promise<unknown> {
  const name = pick(CAST, actor);
  const other = b % 2 === 0 ? name : pick(CAST, a);
  const netuid = b % 16 === 0 ? 2 : 1;
  const self = bench.as(name);
  const votes = pick(VOTES, a);
  const salt = [b % 2];
  const runId = 0;
  const round = await roundNow(bench, b % 8 === 0 ? 1 : 0);
  switch (kind) {
    case "mine":
      return bench.mine(1 + (a % 9));
    case "transfer":
      return self.transfer(account(other), BigInt(b) * 10_000n);
    case "createSubnet":
      return a % 4 === 0
        ? self.createSubnet(testSigner(name), 500n * COIN, { tempo: 9, commitReveal: b % 2 === 0 })
        : undefined;
    case "setSubnet":
      return bench.as(b % 4 === 0 ? name : "owner").setSubnet(netuid, pick(CHANGES, a));
    case "register":
      return self.register(netuid, testSigner(other), BigInt(b) * 100_000n);
    case "addStake":
      return self.addStake(netuid, account(other), BigInt(b) * 100_000n + BigInt(a % 3));
    case "removeStake":
      return self.removeStake(netuid, account(other), BigInt(b) * 100_000n + BigInt(a % 3));
    case "removeAll":
      return self.removeStake(netuid, account(other), await bench.staked(name, netuid, other));
    case "moveStake": {
      const to = { netuid: b % 3 === 0 ? 2 : 1, hotkey: account(pick(CAST, b)) };
      return self.moveStake({ netuid, hotkey: account(other) }, to, BigInt(b) * 50_000n);
    }
    case "setTake":
      return self.setTake(account(other), b % 13_000);
    case "claim":
      return self.claim();
    case "setWeights":
      return self.setWeights(netuid, votes);
    case "commitWeights":
      await self.commitWeights(netuid, votes, salt);
      if (a % 3 > 0 || !committed.has(bench)) committed.set(bench, { name, votes, salt });
      return undefined;
    case "revealWeights": {
      const last = b % 5 === 0 ? undefined : committed.get(bench);
      return bench.as(last?.name ?? name).revealWeights(netuid, last?.votes ?? votes, last?.salt ?? salt);
    }
    case "stepEpoch":
      return self.stepEpoch(netuid);
    case "createRun": {
      const phases = { trainBlocks: 3, revealBlocks: 2, voteBlocks: 4 };
      const hashes = { specHash: testHash(`spec ${a}`), genesisRoot: testHash("genesis") };
      return self.createRun({ netuid, ...hashes, startBlock: (await bench.block()) + (b % 5), ...phases });
    }
    case "commitPayload":
      return self.commitPayload(runId, round, testHash(`payload ${b % 5}`));
    case "vote":
      return self.vote(runId, round, [a % 5, b % 5], testHash(`root ${b % 2}`));
    case "decideRound":
      return self.decideRound(runId, Math.max(0, round - 1));
  }
}

interface Commit {
  readonly name: string;
  readonly votes: WeightVector;
  readonly salt: readonly number[];
}

/** A recent commit of each chain, so that reveals often fit. */
const committed = new WeakMap<Bench, Commit>();

async function roundNow(bench: Bench, more: number): Promise<number> {
  const run = await bench.chain.run(0).catch(() => undefined);
  return run ? Math.max(0, Math.floor(((await bench.block()) - run.startBlock) / 9) + more) : 0;
}

/** All that the seam shows of a chain, for comparing; blocks' hashes aside. */
export async function everything({ chain }: Bench): Promise<unknown> {
  const subnets = await chain.subnets();
  const views = [];
  for (const { netuid } of subnets) {
    const [weights, bonds] = [await chain.weights(netuid), await chain.bonds(netuid)].map((rows) =>
      [...rows].sort(([a], [b]) => a - b),
    );
    views.push({ metagraph: await chain.metagraph(netuid), weights, bonds });
  }
  const funds = [];
  for (const name of CAST) {
    const { balance, earned, stakes } = await chain.funds(account(name));
    const sorted = [...stakes].sort((a, b) => a.netuid - b.netuid || (a.hotkey < b.hotkey ? -1 : 1));
    funds.push({ name, balance, earned, stakes: sorted });
  }
  const run = await chain.run(0).catch(() => undefined);
  const rounds = [];
  const block = (await chain.head()).block;
  for (let round = 0; run && run.startBlock + 9 * round <= block; round++) {
    const { seed: _seed, ...decision } = (await chain.decision(0, round)) ?? {};
    rounds.push([await chain.commits(0, round), await chain.votes(0, round), decision]);
  }
  return {
    block,
    subnets,
    views,
    funds,
    issuance: await chain.issuance(),
    cost: await chain.subnetCost(),
    run,
    rounds,
  };
}

/** What holds whatever happens, as far as the seam shows it. */
export async function checkInvariants({ chain }: Bench): Promise<void> {
  for (const { netuid, stake } of await chain.subnets()) {
    const { neurons } = await chain.metagraph(netuid);
    expect(new Set(neurons.map(({ hotkey }) => hotkey)).size, "each hotkey has one uid").toBe(neurons.length);
    neurons.forEach(({ uid }, i) => void expect(uid).toBe(i));
    let positions = 0n;
    for (const name of CAST) {
      for (const position of (await chain.funds(account(name))).stakes) {
        if (position.netuid === netuid) positions += position.rao;
      }
    }
    expect(positions, "pools can pay everybody").toBeLessThanOrEqual(stake);
    for (const rows of [await chain.weights(netuid), await chain.bonds(netuid)]) {
      for (const { uids, values } of rows.values()) {
        expect(values.every((value) => value > 0 && value <= 65_535)).toBe(true);
        expect(uids.every((uid, i) => uid < neurons.length && (i === 0 || uid > (uids[i - 1] ?? 0)))).toBe(true);
      }
    }
    expect(neurons.reduce((sum, { incentive }) => sum + incentive, 0)).toBeLessThanOrEqual(65_535);
    expect(neurons.reduce((sum, { dividends }) => sum + dividends, 0)).toBeLessThanOrEqual(65_535);
  }
}

/**
 * Tells two chains one story and expects the same answers, refusals and states, operation by operation. Where one needs more blocks for an
 * operation than the other, that one is caught up with; but an epoch must take one block in both, or the story forks.
 *
 * @param stride - operations between two comparisons of everything
 */
export async function sameStory(
  one: ChainUnderTest,
  other: ChainUnderTest,
  story: readonly Operation[],
  stride = 1,
): Promise<void> {
  const [left, right] = [benchOver(one), benchOver(other)];
  await stage(left, story);
  await stage(right, story);
  await level(left, right);
  for (const [i, operation] of story.entries()) {
    const said = await perform(left, operation);
    expect(await perform(right, operation), `operation ${i}: ${JSON.stringify(operation)}`).toBe(said);
    await level(left, right);
    if ((i + 1) % stride !== 0 && i + 1 < story.length) continue;
    expect(await everything(right), `after operation ${i}: ${JSON.stringify(operation)}`).toEqual(
      await everything(left),
    );
  }
}

async function level(left: Bench, right: Bench): Promise<void> {
  const gap = (await left.block()) - (await right.block());
  if (gap > 0) await right.mine(gap);
  if (gap < 0) await left.mine(-gap);
}
