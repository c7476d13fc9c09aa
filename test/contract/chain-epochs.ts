/** The chain's contract suite, part two: weights, commit and reveal, epochs and what they pay. */
import { describe, expect, it } from "vitest";
import type { Hash, Metagraph, SubnetParams, WeightVector } from "../../src/chain/chain.ts";
import type { WithChain } from "./chain.ts";
import { type Bench, COIN, refused, testSigner } from "./chain-kit.ts";

const account = (name: string): Hash => testSigner(name).account;
const row = (...pairs: readonly (readonly [uid: number, value: number])[]): WeightVector => ({
  uids: pairs.map(([uid]) => uid),
  values: pairs.map(([, value]) => value),
});
const SALT = [7, 65_535, 0, 42];

/** Registers this part. */
export function epochsAndWeights(withChain: WithChain): void {
  describe("weights", () => openWeights(withChain));
  describe("commit and reveal", () => hiddenWeights(withChain));
  describe("epochs", () => epochs(withChain));
  describe("payment", () => payment(withChain));
}

/** A subnet with the owner at uid 0, validators v1 (uid 1, 3000 coins) and v2 (uid 2, 1000 coins), miners m1 to m3 (uids 3 to 5). */
async function committee(bench: Bench, params: Partial<SubnetParams> = {}): Promise<number> {
  const netuid = await bench.open(params);
  const stakes = { v1: 3000n * COIN, v2: 1000n * COIN };
  for (const name of ["v1", "v2", "m1", "m2", "m3"]) {
    await bench.fund(account(name), 5000n * COIN);
    await bench.register(netuid, name);
  }
  for (const [name, rao] of Object.entries(stakes)) await bench.as(name).addStake(netuid, account(name), rao);
  return netuid;
}

function openWeights(withChain: WithChain): void {
  it("keeps the last row of a permitted validator, scaled so that its largest weight is 65535", () =>
    withChain(async (bench) => {
      const { chain, as, epoch, neuron, block } = bench;
      const netuid = await committee(bench);
      await refused(as("v1").setWeights(netuid, row([3, 1])), "NeuronNoValidatorPermit"); // permits come with the first epoch
      await epoch(netuid);
      expect((await neuron(netuid, 1)).permit).toBe(true);
      expect((await neuron(netuid, 3)).permit).toBe(false);
      await as("v1").setWeights(netuid, row([5, 2], [3, 1], [4, 3]));
      expect(await chain.weights(netuid)).toEqual(new Map([[1, row([3, 21_845], [4, 65_535], [5, 43_690])]]));
      expect((await neuron(netuid, 1)).lastUpdate).toBe(await block());
      await as("v1").setWeights(netuid, row([3, 65_535], [4, 1], [5, 32_767]));
      expect((await chain.weights(netuid)).get(1)).toEqual(row([3, 65_535], [4, 1], [5, 32_767]));
      await as("v1").setWeights(netuid, row([3, 2], [4, 1], [5, 0])); // 0.5 rounds up, 0 is no weight
      expect((await chain.weights(netuid)).get(1)).toEqual(row([3, 65_535], [4, 32_768]));
    }));

  it("refuses rows that say nothing clear", () =>
    withChain(async (bench) => {
      const { as, epoch, chain } = bench;
      const netuid = await committee(bench, { minAllowedWeights: 2 });
      await epoch(netuid);
      const v1 = as("v1");
      await refused(v1.setWeights(netuid, { uids: [3, 4], values: [1] }), "WeightVecNotEqualSize");
      await refused(v1.setWeights(netuid, row([3, 1], [4, 1], [3, 2])), "DuplicateUids");
      await refused(v1.setWeights(netuid, row([3, 1], [6, 1])), "UidVecContainInvalidOne");
      await refused(v1.setWeights(netuid, row([3, 1])), "WeightVecLengthIsLow");
      const many = row(...Array.from({ length: 7 }, (_, uid) => [uid, 1] as const));
      await refused(v1.setWeights(netuid, many), "UidsLengthExceedUidsInSubNet");
      await refused(as("m1").setWeights(netuid, row([3, 1], [4, 1])), "NeuronNoValidatorPermit");
      await refused(as("stranger").setWeights(netuid, row([3, 1], [4, 1])), "HotKeyNotRegisteredInSubNet");
      await refused(v1.setWeights(99, row([3, 1], [4, 1])), "SubnetNotExists");
      expect((await chain.weights(netuid)).size).toBe(0);
      await as("m1").setWeights(netuid, row([3, 9])); // for oneself alone anybody may vote; it does not count
      await as("owner").setWeights(netuid, row([3, 1], [4, 1])); // the owner needs no permit
    }));

  it("asks for a version, for stake, and for patience where the subnet wants them", () =>
    withChain(async (bench) => {
      const { as, epoch, neuron, block, before } = bench;
      const netuid = await committee(bench, { tempo: 60 });
      await epoch(netuid);
      await as("owner").setSubnet(netuid, { weightsVersionKey: 5n, stakeThreshold: 2000n * COIN });
      await refused(as("v1").setWeights(netuid, row([3, 1])), "IncorrectWeightVersionKey");
      await refused(as("v1").setWeights(netuid, row([3, 1]), 4n), "IncorrectWeightVersionKey");
      await refused(as("v2").setWeights(netuid, row([3, 1]), 5n), "NotEnoughStakeToSetWeights");
      await as("owner").setWeights(netuid, row([3, 1]), 5n); // whose stake is 0
      await as("v1").setWeights(netuid, row([3, 1]), 6n);
      await as("owner").setSubnet(netuid, { weightsSetRateLimit: 12 });
      const { lastUpdate } = await neuron(netuid, 1);
      const error = await refused(as("v1").setWeights(netuid, row([4, 1]), 5n), "SettingWeightsTooFast");
      expect(error).toMatchObject({ details: `SettingWeightsTooFast(${lastUpdate + 12 - (await block()) - 1})` });
      await before(lastUpdate + 11);
      const last = await refused(as("v1").setWeights(netuid, row([4, 1]), 5n), "SettingWeightsTooFast");
      expect(last).toMatchObject({ details: "SettingWeightsTooFast(1)", remedy: expect.stringContaining("1 block") });
      await before(lastUpdate + 12);
      await as("v1").setWeights(netuid, row([4, 1]), 5n);
    }));
}

function hiddenWeights(withChain: WithChain): void {
  const HIDDEN = { commitReveal: true, tempo: 40, revealInterval: 1 };

  it("shows weights only in the epoch after their commit", () =>
    withChain(async (bench) => {
      const { chain, as, epoch, neuron, block, subnet } = bench;
      const netuid = await committee(bench, HIDDEN);
      await epoch(netuid);
      const vote = row([3, 65_535], [4, 100]);
      await refused(as("v1").setWeights(netuid, vote), "CommitRevealEnabled");
      await refused(as("v1").revealWeights(netuid, vote, SALT), "NoWeightsCommitFound");
      await as("v1").commitWeights(netuid, vote, SALT);
      expect((await neuron(netuid, 1)).lastUpdate).toBe(await block());
      expect((await chain.weights(netuid)).size).toBe(0);
      const early = await refused(as("v1").revealWeights(netuid, vote, SALT), "RevealTooEarly");
      const blocksLeft = (await subnet(netuid)).epoch.dueBlock - (await block()) - 1;
      expect(early).toMatchObject({ details: `RevealTooEarly(1, ${blocksLeft})` });
      await epoch(netuid);
      await refused(as("v1").revealWeights(netuid, vote, [1, 2, 3]), "InvalidRevealCommitHashNotMatch");
      await refused(
        as("v1").revealWeights(netuid, row([3, 65_535], [4, 101]), SALT),
        "InvalidRevealCommitHashNotMatch",
      );
      await refused(as("v1").revealWeights(netuid, vote, SALT, 1n), "InvalidRevealCommitHashNotMatch");
      await refused(as("v2").revealWeights(netuid, vote, SALT), "NoWeightsCommitFound");
      const { lastUpdate } = await neuron(netuid, 1);
      await as("v1").revealWeights(netuid, vote, SALT);
      expect(await chain.weights(netuid)).toEqual(new Map([[1, vote]]));
      expect((await neuron(netuid, 1)).lastUpdate).toBe(lastUpdate);
      await refused(as("v1").revealWeights(netuid, vote, SALT), "NoWeightsCommitFound");
    }));

  it("lets a commit expire, and drops older ones with the one that is revealed", () =>
    withChain(async (bench) => {
      const { chain, as, epoch } = bench;
      const netuid = await committee(bench, { ...HIDDEN, revealInterval: 2 });
      await epoch(netuid);
      const votes = [row([3, 1]), row([4, 1]), row([5, 1])] as const;
      await as("v2").commitWeights(netuid, votes[0], SALT);
      for (const vote of votes) await as("v1").commitWeights(netuid, vote, SALT);
      await epoch(netuid);
      await refused(as("v1").revealWeights(netuid, votes[1], SALT), "RevealTooEarly");
      await epoch(netuid);
      await as("v1").revealWeights(netuid, votes[1], SALT);
      expect((await chain.weights(netuid)).get(1)).toEqual(row([4, 65_535]));
      await refused(as("v1").revealWeights(netuid, votes[0], SALT), "InvalidRevealCommitHashNotMatch");
      await as("v1").revealWeights(netuid, votes[2], SALT);
      await epoch(netuid);
      await refused(as("v2").revealWeights(netuid, votes[0], SALT), "ExpiredWeightCommit");
    }));

  it("holds ten commits of a hotkey, keeps them apart in time, and has none where weights are open", () =>
    withChain(async (bench) => {
      const { as, epoch } = bench;
      const netuid = await committee(bench, HIDDEN);
      await epoch(netuid);
      for (let i = 0; i < 10; i++) await as("v1").commitWeights(netuid, row([3, 1]), [i]);
      await refused(as("v1").commitWeights(netuid, row([3, 1]), [10]), "TooManyUnrevealedCommits");
      await epoch(netuid);
      await refused(as("v1").commitWeights(netuid, row([3, 1]), [10]), "TooManyUnrevealedCommits");
      await epoch(netuid);
      await as("v1").commitWeights(netuid, row([3, 1]), [10]); // the others have expired
      await as("owner").setSubnet(netuid, { weightsSetRateLimit: 5 });
      await refused(as("v1").commitWeights(netuid, row([3, 1]), [11]), "CommittingWeightsTooFast");
      await as("owner").setSubnet(netuid, { commitReveal: false });
      await refused(as("v1").commitWeights(netuid, row([3, 1]), [11]), "CommitRevealDisabled");
      await refused(as("v1").revealWeights(netuid, row([3, 1]), [10]), "CommitRevealDisabled");
    }));

  it("gives a uid's new holder nothing of what was meant for the former one", () =>
    withChain(async (bench) => {
      const { chain, as, epoch, register, fund } = bench;
      const netuid = await committee(bench, { ...HIDDEN, maxUids: 6, minNonImmuneUids: 0 });
      await fund(account("late"), 100n * COIN);
      await epoch(netuid);
      await as("v1").commitWeights(netuid, row([3, 1], [4, 1]), SALT);
      expect(await register(netuid, "late")).toBe(3); // takes m1's uid after the commit
      await epoch(netuid);
      await as("v1").revealWeights(netuid, row([3, 1], [4, 1]), SALT);
      await epoch(netuid);
      const { neurons } = await chain.metagraph(netuid);
      expect(neurons.map(({ incentive }) => incentive)).toEqual([0, 0, 0, 0, 65_535, 0]);
      expect(neurons[3]).toMatchObject({ hotkey: account("late"), consensus: 0, emission: 0n });
      await as("v1").commitWeights(netuid, row([5, 1]), SALT); // makes its last update younger than the newcomer
      await epoch(netuid);
      expect((await chain.metagraph(netuid)).neurons[3]).toMatchObject({ incentive: 0, consensus: 0 });
    }));
}

function epochs(withChain: WithChain): void {
  it("come when they are due, once, and are pushed by whoever is first", () =>
    withChain(async (bench) => {
      const { chain, as, before, subnet } = bench;
      const netuid = await committee(bench);
      const { dueBlock } = (await subnet(netuid)).epoch;
      expect(await as("anyone").stepEpoch(netuid)).toBeUndefined();
      await before(dueBlock - 1);
      expect(await as("anyone").stepEpoch(netuid)).toBeUndefined();
      await before(dueBlock);
      const receipt = await as("anyone").stepEpoch(netuid);
      expect(receipt?.block).toBe(dueBlock);
      while (await as("anyone").stepEpoch(netuid));
      const { epoch } = await subnet(netuid);
      expect(epoch).toEqual({ index: 1, lastBlock: dueBlock, dueBlock: dueBlock + 50, open: false });
      expect(await as("anyone").stepEpoch(netuid)).toBeUndefined();
      await refused(as("anyone").stepEpoch(77), "SubnetNotExists");
      expect((await chain.metagraph(netuid)).neurons.map(({ permit }) => permit)).toEqual([
        true,
        true,
        true,
        false,
        false,
        false,
      ]);
    }));

  it("are pushed on the way by whatever has to wait for them", () =>
    withChain(async (bench) => {
      const { as, before, subnet, epoch, register, chain } = bench;
      const netuid = await committee(bench);
      await epoch(netuid);
      await before((await subnet(netuid)).epoch.dueBlock + 3);
      await as("v1").setWeights(netuid, row([3, 1]));
      expect((await subnet(netuid)).epoch.index).toBe(2);
      await before((await subnet(netuid)).epoch.dueBlock);
      expect(await register(netuid, "m4", "m3")).toBe(6);
      expect((await subnet(netuid)).epoch.index).toBe(3);
      await before((await subnet(netuid)).epoch.dueBlock);
      await as("owner").setSubnet(netuid, { kappa: 30_000 });
      expect((await subnet(netuid)).epoch.index).toBe(4);
      expect((await chain.weights(netuid)).get(1)).toEqual(row([3, 65_535]));
    }));

  it("count only who has voted lately, and give permits to those with most stake", () =>
    withChain(async (bench) => {
      const { chain, as, epoch, neuron } = bench;
      const netuid = await committee(bench, { maxValidators: 1, activityCutoffFactor: 2000 });
      await epoch(netuid);
      expect((await neuron(netuid, 1)).permit).toBe(true);
      expect((await neuron(netuid, 2)).permit).toBe(false);
      await as("v1").setWeights(netuid, row([3, 1]));
      await epoch(netuid);
      expect(await neuron(netuid, 1)).toMatchObject({ active: true, dividends: 65_535, vtrust: 65_535 });
      expect(await neuron(netuid, 3)).toMatchObject({ incentive: 65_535, consensus: 65_535 });
      await epoch(netuid);
      await epoch(netuid);
      expect(await neuron(netuid, 1)).toMatchObject({ active: false, vtrust: 0, dividends: 0 });
      expect((await chain.metagraph(netuid)).neurons.every(({ incentive }) => incentive === 0)).toBe(true);
    }));

  it("reckon to the rao what two validators say about three miners, over three epochs", () =>
    withChain(async (bench) => {
      const seen = await goldenRun(bench);
      expect(seen).toEqual(GOLDEN);
    }));
}

interface GoldenRun {
  readonly epochs: readonly Shares[];
  readonly bonds: readonly (readonly [number, WeightVector])[];
  readonly earned: Readonly<Record<string, bigint>>;
  readonly staked: Readonly<Record<string, bigint>>;
  readonly minted: bigint;
  readonly pending: bigint;
}

type Shares = Readonly<
  Record<"consensus" | "incentive" | "dividends" | "vtrust" | "emission", readonly (number | bigint)[]>
>;

function sharesOf({ neurons }: Metagraph): Shares {
  return {
    consensus: neurons.map(({ consensus }) => consensus),
    incentive: neurons.map(({ incentive }) => incentive),
    dividends: neurons.map(({ dividends }) => dividends),
    vtrust: neurons.map(({ vtrust }) => vtrust),
    emission: neurons.map(({ emission }) => emission),
  };
}

/** A story told by blocks from the subnet's registration on, so that it comes out the same on every chain. */
async function goldenRun(bench: Bench): Promise<GoldenRun> {
  const { chain, as, before, subnet, fund, staked } = bench;
  const netuid = await bench.open({ tempo: 100, immunityPeriod: 5000 });
  const start = (await subnet(netuid)).registrationBlock;
  const names = ["v1", "v2", "m1", "m2", "m3", "bob"];
  for (const name of names) await fund(account(name), 5000n * COIN);
  for (const [i, name] of ["v1", "v2", "m1", "m2", "m3"].entries()) {
    await before(start + 20 + 2 * i);
    await bench.register(netuid, name);
  }
  const { total } = await chain.issuance();
  const stakes = [
    ["v1", "v1", 3000n],
    ["v2", "v2", 1000n],
    ["bob", "v2", 500n],
  ] as const;
  for (const [i, [coldkey, hotkey, coins]] of stakes.entries()) {
    await before(start + 40 + i);
    await as(coldkey).addStake(netuid, account(hotkey), coins * COIN);
  }
  await before(start + 50);
  await as("v2").setTake(account("v2"), 6000);
  const votes = [
    [row([3, 50], [4, 30], [5, 20]), row([3, 10], [4, 10], [5, 80])],
    [row([3, 40], [4, 60]), row([3, 70], [5, 30])],
  ] as const;
  const epochsSeen: Shares[] = [];
  for (const [i, vote] of [undefined, ...votes].entries()) {
    if (vote) {
      await before(start + 100 * i + 20);
      await as("v1").setWeights(netuid, vote[0]);
      await before(start + 100 * i + 30);
      await as("v2").setWeights(netuid, vote[1]);
    }
    await before(start + 100 * (i + 1));
    await bench.epoch(netuid);
    epochsSeen.push(sharesOf(await chain.metagraph(netuid)));
  }
  await before(start + 321); // an epoch may take several blocks
  const earned: Record<string, bigint> = {};
  for (const name of ["owner", ...names]) earned[name] = (await chain.funds(account(name))).earned;
  const held = {
    v1: await staked("v1", netuid, "v1"),
    v2: await staked("v2", netuid, "v2"),
    bob: await staked("bob", netuid, "v2"),
  };
  const bonds = [...(await chain.bonds(netuid))].sort(([a], [b]) => a - b);
  const minted = (await chain.issuance()).total - total;
  return { epochs: epochsSeen, bonds, earned, staked: held, minted, pending: (await subnet(netuid)).pending };
}

const GOLDEN: GoldenRun = {
  epochs: [
    {
      consensus: [0, 0, 0, 0, 0, 0],
      incentive: [0, 0, 0, 0, 0, 0],
      dividends: [0, 0, 0, 0, 0, 0],
      vtrust: [0, 0, 0, 0, 0, 0],
      emission: [0n, 32_800_183_100n, 16_400_091_550n, 0n, 0n, 0n],
    },
    {
      consensus: [0, 0, 0, 32_767, 19_660, 13_106],
      incentive: [0, 0, 0, 30_034, 19_113, 16_386],
      dividends: [0, 55_108, 10_426, 0, 0, 0],
      vtrust: [0, 65_534, 26_214, 0, 0, 0],
      emission: [0n, 34_477_448_303n, 6_522_780_568n, 18_790_409_179n, 11_958_135_945n, 10_251_683_746n],
    },
    {
      consensus: [0, 0, 0, 26_213, 39_320, 0],
      incentive: [0, 0, 0, 32_743, 32_791, 0],
      dividends: [0, 57_069, 8465, 0, 0, 0],
      vtrust: [0, 65_534, 26_213, 0, 0, 0],
      emission: [0n, 35_703_713_153n, 5_296_515_729n, 20_484_983_924n, 20_515_244_958n, 0n],
    },
  ],
  bonds: [
    [1, { uids: [3, 4, 5], values: [5569, 5701, 1178] }],
    [2, { uids: [3, 4, 5], values: [3210, 589, 1178] }],
  ],
  earned: {
    owner: 46_798_809_804n,
    v1: 18_536_170_600n,
    v2: 2_583_601_541n,
    m1: 39_275_393_103n,
    m2: 32_473_380_903n,
    m3: 10_251_683_746n,
    bob: 0n,
  },
  staked: { v1: 3_084_445_173_955n, v2: 1_017_090_524_203n, bob: 508_545_262_101n },
  minted: 280_000_000_000n,
  pending: 20_000_000_040n,
};

/** Pushes the next epoch; returns the rao that it had to share out. It reads what is pending in its first block, and may take more. */
async function potOfNextEpoch(bench: Bench, netuid: number): Promise<bigint> {
  const [{ pending }, head] = [await bench.subnet(netuid), await bench.block()];
  return pending + BigInt((await bench.epoch(netuid)) - head) * COIN;
}

/** Rao that the last epoch has left unpaid. */
async function leftOver({ subnet, block }: Bench, netuid: number): Promise<bigint> {
  const { pending, epoch } = await subnet(netuid);
  return pending - BigInt((await block()) - epoch.lastBlock) * COIN;
}

function payment(withChain: WithChain): void {
  it("gives the owner its cut, validators and their delegators their dividends, miners their incentive, once", () =>
    withChain(async (bench) => {
      const { chain, as, epoch, balance, staked, fund } = bench;
      const netuid = await committee(bench, { ownerCut: 6553 });
      await fund(account("bob"), 3000n * COIN);
      await as("bob").addStake(netuid, account("v1"), 3000n * COIN);
      await epoch(netuid);
      await as("v1").setTake(account("v1"), 0);
      await refused(as("v1").setTake(account("v1"), 11_797), "DelegateTakeTooHigh");
      await refused(as("bob").setTake(account("v1"), 0), "NonAssociatedColdKey");
      await as("v1").setWeights(netuid, row([3, 1]));
      const before = { v1: await staked("v1", netuid, "v1"), bob: await staked("bob", netuid, "v1") };
      const { earned } = await chain.funds(account("owner"));
      const pending = await potOfNextEpoch(bench, netuid);
      const cut = (pending * 6553n) / 65_535n;
      expect((await chain.funds(account("owner"))).earned - earned).toBe(cut);
      const miner = (await chain.funds(account("m1"))).earned;
      expect(miner).toBe((pending - cut) >> 1n); // one miner has all incentive, which is half
      const gains = [await staked("v1", netuid, "v1"), await staked("bob", netuid, "v1")];
      const [gain, gainBob] = [(gains[0] ?? 0n) - before.v1, (gains[1] ?? 0n) - before.bob];
      expect(gain + gainBob).toBeGreaterThanOrEqual(((pending - cut) >> 1n) - 3n); // v2 has not voted
      expect(gain - gainBob).toBeLessThanOrEqual(1n);
      expect(gainBob - gain).toBeLessThanOrEqual(1n);
      expect(await leftOver(bench, netuid)).toBeLessThanOrEqual(3n);
      const free = await balance("m1");
      await as("m1").claim();
      expect(await balance("m1")).toBe(free + miner);
      await as("m1").claim();
      expect(await balance("m1")).toBe(free + miner);
      expect((await chain.funds(account("m1"))).earned).toBe(0n);
    }));

  it("burns what the owner's own hotkey would get as a miner", () =>
    withChain(async (bench) => {
      const { chain, as, epoch, block } = bench;
      const netuid = await committee(bench, { ownerCut: 0 });
      await epoch(netuid);
      await as("v1").setWeights(netuid, row([0, 1]));
      const [{ total }, head] = [await chain.issuance(), await block()];
      const pot = await potOfNextEpoch(bench, netuid);
      const minted = BigInt((await block()) - head) * COIN;
      expect(total + minted - (await chain.issuance()).total).toBe(pot >> 1n);
      expect((await chain.funds(account("owner"))).earned).toBe(0n);
    }));

  it("pays by stake where nobody has voted", () =>
    withChain(async (bench) => {
      const { chain, as, epoch, neuron, staked } = bench;
      const netuid = await committee(bench, { ownerCut: 0 });
      for (const name of ["v1", "v2"]) await as(name).setTake(account(name), 0);
      await epoch(netuid);
      for (let i = 0; i < 2; i++) {
        const before = [await staked("v1", netuid, "v1"), await staked("v2", netuid, "v2")] as const;
        const paid = await potOfNextEpoch(bench, netuid);
        const gains = [
          (await staked("v1", netuid, "v1")) - before[0],
          (await staked("v2", netuid, "v2")) - before[1],
        ] as const;
        const share = (paid * before[0]) / (before[0] + before[1]);
        expect(gains[0] - share).toBeLessThanOrEqual(1n);
        expect(share - gains[0]).toBeLessThanOrEqual(paid >> 31n); // shares of stake have 32 fractional bits
        expect(paid - gains[0] - gains[1]).toBeLessThanOrEqual(paid >> 30n);
        expect((await neuron(netuid, 1)).emission).toBeGreaterThanOrEqual(gains[0]);
        expect((await chain.funds(account("m1"))).earned).toBe(0n);
      }
    }));

  it("keeps every rao: what there is equals what everybody has, to the unit", () =>
    withChain(async (bench) => {
      const { chain, as, epoch } = bench;
      const netuid = await committee(bench);
      const names = ["owner", "v1", "v2", "m1", "m2", "m3"];
      const everything = async (): Promise<bigint> => {
        let sum = (await chain.subnets()).reduce((rao, { stake, pending }) => rao + stake + pending, 0n);
        for (const name of names) {
          const { balance, earned } = await chain.funds(account(name));
          sum += balance + earned;
        }
        return sum;
      };
      const hidden = (await chain.issuance()).total - (await everything()); // what other accounts hold
      for (let i = 0; i < 4; i++) {
        await epoch(netuid);
        await as("v1").setWeights(netuid, row([3, 3], [4, 1 + i]));
        await as("v2").setWeights(netuid, row([4, 1], [5, 7]));
        await as("m1").claim();
        await as("v2").removeStake(netuid, account("v2"), 100n * COIN + BigInt(i));
        await as("m1").addStake(netuid, account("v1"), COIN + 3n);
        const drift = (await chain.issuance()).total - (await everything()) - hidden;
        expect(drift).toBeGreaterThanOrEqual(-1n);
        expect(drift).toBeLessThanOrEqual(1n); // fractions that are not yet a rao
      }
    }));
}
