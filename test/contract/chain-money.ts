/** The chain's contract suite, part one: rao, subnets, neurons, stake, emission. */
import { describe, expect, it } from "vitest";
import type { Hash } from "../../src/chain/chain.ts";
import type { WithChain } from "./chain.ts";
import { type Bench, COIN, refused, testSigner } from "./chain-kit.ts";

const SUPPLY_MAX = 21_000_000n * COIN;
const account = (name: string): Hash => testSigner(name).account;

/** Registers this part. */
export function membersAndMoney(withChain: WithChain): void {
  describe("balances", () => balances(withChain));
  describe("subnets", () => subnets(withChain));
  describe("registration", () => registration(withChain));
  describe("stake", () => stake(withChain));
  describe("emission", () => emission(withChain));
}

function balances(withChain: WithChain): void {
  it("moves rao, and nothing that is not there", () =>
    withChain(async ({ chain, fund, as, balance }) => {
      const { total } = await chain.issuance();
      await fund(account("ann"), 5n * COIN);
      await as("ann").transfer(account("bob"), 2n * COIN + 1n);
      expect(await balance("ann")).toBe(3n * COIN - 1n);
      expect(await balance("bob")).toBe(2n * COIN + 1n);
      await refused(as("ann").transfer(account("bob"), 3n * COIN), "NotEnoughBalanceToStake");
      await as("ann").transfer(account("ann"), 3n * COIN - 1n);
      expect(await balance("ann")).toBe(3n * COIN - 1n);
      await as("ann").transfer(account("bob"), 3n * COIN - 1n);
      expect(await balance("ann")).toBe(0n);
      expect((await chain.issuance()).total).toBe(total);
    }));

  it("knows nothing of strangers", () =>
    withChain(async ({ chain, as }) => {
      expect(await chain.funds(account("nobody"))).toEqual({ balance: 0n, earned: 0n, stakes: [] });
      const { total } = await chain.issuance();
      await as("nobody").claim();
      expect(await chain.funds(account("nobody"))).toEqual({ balance: 0n, earned: 0n, stakes: [] });
      expect((await chain.issuance()).total).toBe(total);
    }));
}

function subnets(withChain: WithChain): void {
  it("creates them for a cost that doubles, falls back, and leaves the issuance", () =>
    withChain(
      async ({ chain, fund, as, before, balance }) => {
        await fund(account("owner"), 1000n * COIN);
        const { total } = await chain.issuance();
        expect(await chain.subnetCost()).toBe(100n * COIN);
        await refused(as("owner").createSubnet(testSigner("owner"), 100n * COIN - 1n), "SubnetCostLimitExceeded");
        const first = await as("owner").createSubnet(testSigner("owner"), 100n * COIN);
        expect(first.netuid).toBe(1);
        expect(await balance("owner")).toBe(900n * COIN);
        expect((await chain.issuance()).total).toBe(total - 100n * COIN);
        await before(first.block + 250);
        expect(await chain.subnetCost()).toBe(175n * COIN);
        const second = await as("owner").createSubnet(testSigner("owner"), 175n * COIN);
        expect(second).toMatchObject({ netuid: 2, block: first.block + 250 });
        expect(await chain.subnetCost()).toBe(349_825_000_000n); // of the next block: 2 · 175 − 175/1000
        await before(second.block + 1600);
        expect(await chain.subnetCost()).toBe(100n * COIN);
        expect((await chain.subnets()).map(({ netuid }) => netuid)).toEqual([1, 2]);
      },
      { lockMin: 100n * COIN, lockInterval: 1000 },
    ));

  it("gives uid 0 to the owner's hotkey, which may be another key", () =>
    withChain(async ({ chain, fund, as }) => {
      await fund(account("ann"), 2000n * COIN);
      const { netuid, block } = await as("ann").createSubnet(testSigner("hot"), 1000n * COIN);
      const { subnet, neurons } = await chain.metagraph(netuid);
      expect(subnet).toMatchObject({ owner: account("ann"), ownerHotkey: account("hot"), neurons: 1, stake: 0n });
      expect(subnet.registrationBlock).toBe(block);
      expect(subnet.epoch).toMatchObject({ index: 0, lastBlock: block, dueBlock: block + 360, open: false });
      expect(neurons).toHaveLength(1);
      expect(neurons[0]).toMatchObject({
        uid: 0,
        hotkey: account("hot"),
        coldkey: account("ann"),
        registeredAt: block,
      });
      expect(neurons[0]).toMatchObject({ hotkeyAddress: testSigner("hot").address, stake: 0n, permit: false });
    }));

  it("starts with subtensor's hyperparameters, and lets the owner set them within their ranges", () =>
    withChain(async ({ chain, fund, as, subnet }) => {
      await fund(account("ann"), 2000n * COIN);
      const { netuid } = await as("ann").createSubnet(testSigner("ann"), 1000n * COIN, { revealInterval: 3 });
      const { params } = await subnet(netuid);
      expect(params).toMatchObject({
        tempo: 360,
        maxUids: 256,
        maxValidators: 64,
        immunityPeriod: 5000,
        kappa: 32_767,
      });
      expect(params).toMatchObject({ activityCutoffFactor: 13_889, weightsSetRateLimit: 100, weightsVersionKey: 0n });
      expect(params).toMatchObject({ commitReveal: true, revealInterval: 3, yuma3: true, liquidAlpha: false });
      expect(params).toMatchObject({ bondsMovingAverage: 900_000, bondsPenalty: 65_535, ownerCut: 11_796 });
      expect(params).toMatchObject({ minBurn: 500_000n, maxBurn: 100n * COIN, burnHalfLife: 360, stakeThreshold: 0n });
      const change = { kappa: 40_000, tempo: 400, minBurn: 1_000_000n, liquidAlpha: true, commitReveal: false };
      await as("ann").setSubnet(netuid, change);
      expect((await subnet(netuid)).params).toEqual({ ...params, ...change });
      await as("ann").setSubnet(netuid, change); // again: no harm
      for (const bad of [{ maxUids: 257 }, { maxValidators: 65 }, { tempo: 0 }, { revealInterval: 101 }]) {
        await expect(as("ann").setSubnet(netuid, bad), JSON.stringify(bad)).rejects.toMatchObject({ code: "chain" });
      }
      await refused(as("bob").setSubnet(netuid, { kappa: 1 }), "NotSubnetOwner");
      expect((await subnet(netuid)).params).toEqual({ ...params, ...change });
      await refused(chain.metagraph(7), "SubnetNotExists");
    }));
}

function registration(withChain: WithChain): void {
  it("burns a price that rises by 1.26 and halves in 360 blocks, to the rao", () =>
    withChain(async ({ chain, fund, as, before, open, subnet, balance }) => {
      const netuid = await open({ tempo: 5000 });
      const { registrationBlock } = await subnet(netuid);
      await fund(account("ann"), 100n * COIN);
      const { total } = await chain.issuance();
      await before(registrationBlock + 100);
      expect((await subnet(netuid)).burn).toBe(PRICES.after100);
      await refused(
        as("ann").register(netuid, testSigner("m1"), PRICES.after100 - 1n),
        "RegistrationPriceLimitExceeded",
      );
      const first = await as("ann").register(netuid, testSigner("m1"), PRICES.after100);
      expect(first).toMatchObject({ uid: 1, block: registrationBlock + 100 });
      expect(await balance("ann")).toBe(100n * COIN - PRICES.after100);
      await before(registrationBlock + 101);
      const second = await as("ann").register(netuid, testSigner("m2"), COIN * 2n);
      expect(await balance("ann")).toBe(100n * COIN - PRICES.after100 - PRICES.next);
      await before(second.block + 360);
      expect((await subnet(netuid)).burn).toBe(PRICES.halved);
      await before(second.block + 4500);
      expect((await subnet(netuid)).burn).toBe(500_000n);
      expect((await chain.issuance()).total).toBe(total - PRICES.after100 - PRICES.next);
    }));

  it("refuses what may not be", () =>
    withChain(async ({ fund, as, open, register, chain }) => {
      const netuid = await open();
      for (const name of ["ann", "bob"]) await fund(account(name), 10n * COIN);
      await register(netuid, "hot", "ann");
      await refused(as("ann").register(netuid, testSigner("hot"), 10n * COIN), "HotKeyAlreadyRegisteredInSubNet");
      await refused(as("bob").register(netuid, testSigner("hot"), 10n * COIN), "NonAssociatedColdKey");
      const liar = { ...testSigner("victim"), sign: testSigner("bob").sign };
      await refused(as("bob").register(netuid, liar, 10n * COIN), "InvalidProof");
      const garbled = { ...testSigner("victim"), sign: async () => new Uint8Array(65).fill(255) };
      await refused(as("bob").register(netuid, garbled, 10n * COIN), "InvalidProof");
      await refused(as("poor").register(netuid, testSigner("poor"), 10n * COIN), "NotEnoughBalanceToStake");
      await refused(as("ann").register(9, testSigner("ann"), 10n * COIN), "SubnetNotExists");
      await as("owner").setSubnet(netuid, { registrationAllowed: false });
      await refused(as("ann").register(netuid, testSigner("ann"), 10n * COIN), "SubNetRegistrationDisabled");
      expect((await chain.metagraph(netuid)).neurons.map(({ hotkey }) => hotkey)).toEqual([
        account("owner"),
        account("hot"),
      ]);
    }));

  it("prunes the least paid, then the oldest; never the owner, and the immune only where too few others are left", () =>
    withChain(async ({ fund, as, open, register, chain, block, mine }) => {
      const netuid = await open({ tempo: 5000, maxUids: 4, immunityPeriod: 20, minNonImmuneUids: 1, burnHalfLife: 1 });
      await fund(account("ann"), 100n * COIN);
      for (const hotkey of ["m1", "m2"]) await register(netuid, hotkey, "ann");
      await mine(20);
      await register(netuid, "m3", "ann"); // the last free uid; now m1 and m2 are past their immunity
      expect(await register(netuid, "m4", "ann")).toBe(1); // instead of m1, the oldest
      expect(await register(netuid, "m5", "ann")).toBe(3); // one left that is not immune: the oldest immune goes, m3
      const names = ["owner", "m4", "m2", "m5"].map(account);
      expect((await chain.metagraph(netuid)).neurons.map(({ hotkey }) => hotkey)).toEqual(names);
      expect((await chain.metagraph(netuid)).neurons[3]?.registeredAt).toBe(await block());
      expect(await register(netuid, "m1", "ann")).toBe(1); // pruned keys may come back
      await as("owner").setSubnet(netuid, { minNonImmuneUids: 0 });
      expect(await register(netuid, "m6", "ann")).toBe(2);
    }));

  it("has no uid to give where the owner's is the only one", () =>
    withChain(async ({ fund, as, open }) => {
      const netuid = await open({ maxUids: 1 });
      await fund(account("ann"), 10n * COIN);
      await refused(as("ann").register(netuid, testSigner("ann"), 10n * COIN), "NoNeuronIdAvailable");
    }));
}

/** Prices of a new subnet's uid, to the rao. */
const PRICES = { after100: 824_860_582n, next: 1_037_325_133n, halved: 653_514_798n };

function stake(withChain: WithChain): void {
  it("stakes free rao on a hotkey, one's own or another's, and gives them back", () =>
    withChain(async ({ chain, fund, as, open, register, balance, staked, neuron, subnet }) => {
      const netuid = await open();
      for (const name of ["ann", "bob"]) await fund(account(name), 100n * COIN);
      await register(netuid, "hot", "ann");
      const left = await balance("ann");
      await as("ann").addStake(netuid, account("hot"), 50n * COIN);
      await as("bob").addStake(netuid, account("hot"), 30n * COIN + 7n);
      expect(await staked("ann", netuid, "hot")).toBe(50n * COIN);
      expect(await staked("bob", netuid, "hot")).toBe(30n * COIN + 7n);
      expect((await neuron(netuid, 1)).stake).toBe(80n * COIN + 7n);
      expect((await subnet(netuid)).stake).toBe(80n * COIN + 7n);
      expect(await balance("ann")).toBe(left - 50n * COIN);
      await as("bob").removeStake(netuid, account("hot"), 10n * COIN);
      expect(await staked("bob", netuid, "hot")).toBe(20n * COIN + 7n);
      expect(await balance("bob")).toBe(80n * COIN - 7n);
      await as("bob").removeStake(netuid, account("hot"), 20n * COIN + 7n);
      expect(await balance("bob")).toBe(100n * COIN);
      expect((await chain.funds(account("bob"))).stakes).toEqual([]);
      expect(await staked("ann", netuid, "hot")).toBe(50n * COIN);
    }));

  it("moves stake between hotkeys and subnets without a stop at the balance", () =>
    withChain(
      async ({ chain, fund, as, open, register, staked, balance, epoch, subnet, block }) => {
        const [first, second] = [await open({ tempo: 20 }), await open({ tempo: 5000 })];
        for (const name of ["ann", "bob"]) await fund(account(name), 1000n * COIN);
        await register(first, "hot", "ann");
        await as("bob").addStake(first, account("hot"), 500n * COIN);
        await epoch(first); // without votes, by stake: a share is worth more now
        const grown = await staked("bob", first, "hot");
        expect(grown).toBeGreaterThan(500n * COIN);
        const free = await balance("bob");
        const moved = 123_456_789_123n;
        await as("bob").moveStake(
          { netuid: first, hotkey: account("hot") },
          { netuid: second, hotkey: account("owner") },
          moved,
        );
        expect(await staked("bob", second, "owner")).toBe(moved);
        const left = await staked("bob", first, "hot");
        expect(left).toBeLessThanOrEqual(grown - moved); // rounding is the pool's
        expect(left).toBeGreaterThanOrEqual(grown - moved - 1n);
        await as("bob").moveStake(
          { netuid: first, hotkey: account("hot") },
          { netuid: first, hotkey: account("owner") },
          left,
        );
        expect(await staked("bob", first, "hot")).toBe(0n);
        expect(await staked("bob", first, "owner")).toBe(left);
        expect((await chain.metagraph(first)).neurons.map((neuron) => neuron.stake)).toEqual([left, 0n]);
        expect((await subnet(second)).stake).toBe(moved);
        expect(await balance("bob")).toBe(free);
        const { total } = await chain.issuance();
        const head = await block();
        await as("bob").removeStake(first, account("owner"), left);
        await as("bob").removeStake(second, account("owner"), moved);
        expect(await balance("bob")).toBe(free + left + moved);
        expect((await chain.issuance()).total).toBe(total + BigInt((await block()) - head) * COIN);
        expect((await chain.issuance()).perBlock).toBe(0n);
      },
      { lockMin: COIN, lockInterval: 10 },
    ));

  it("refuses what is not there, is nothing, or goes nowhere", () =>
    withChain(async ({ fund, as, open, register, staked }) => {
      const netuid = await open();
      await fund(account("ann"), 100n * COIN);
      await register(netuid, "hot", "ann");
      const here = { netuid, hotkey: account("hot") };
      const ann = as("ann");
      await refused(ann.addStake(netuid, account("nobody"), COIN), "HotKeyAccountNotExists");
      await refused(ann.addStake(9, account("hot"), COIN), "SubnetNotExists");
      await refused(ann.addStake(netuid, account("hot"), 0n), "AmountTooLow");
      await refused(ann.addStake(netuid, account("hot"), 1000n * COIN), "NotEnoughBalanceToStake");
      await refused(ann.removeStake(netuid, account("hot"), 1n), "NotEnoughStakeToWithdraw");
      await ann.addStake(netuid, account("hot"), 5n * COIN);
      const error = await refused(ann.removeStake(netuid, account("hot"), 5n * COIN + 1n), "NotEnoughStakeToWithdraw");
      expect(error.message).toContain("5 coin");
      await refused(ann.removeStake(netuid, account("hot"), 0n), "AmountTooLow");
      await refused(as("bob").removeStake(netuid, account("hot"), 1n), "NotEnoughStakeToWithdraw");
      await refused(ann.moveStake(here, here, COIN), "SameStake");
      await refused(ann.moveStake(here, { netuid: 9, hotkey: account("hot") }, COIN), "SubnetNotExists");
      await refused(ann.moveStake(here, { netuid, hotkey: account("nobody") }, COIN), "HotKeyAccountNotExists");
      await refused(ann.moveStake(here, { netuid, hotkey: account("owner") }, 6n * COIN), "NotEnoughStakeToWithdraw");
      expect(await staked("ann", netuid, "hot")).toBe(5n * COIN);
    }));
}

function emission(withChain: WithChain): void {
  it("mints nothing before anybody has staked, then a coin a block, to the rao", () =>
    withChain(async ({ chain, fund, as, open, mine, subnet, balance }) => {
      const netuid = await open({ tempo: 5000 });
      const { total } = await chain.issuance();
      await mine(50);
      expect(await chain.issuance()).toEqual({ total, perBlock: 0n });
      await fund(account("ann"), 100n * COIN);
      const { block } = await as("ann").addStake(netuid, account("owner"), 100n * COIN);
      expect(await chain.issuance()).toEqual({ total, perBlock: COIN });
      await mine(75);
      expect(await chain.issuance()).toEqual({ total: total + 75n * COIN, perBlock: COIN });
      expect((await subnet(netuid)).pending).toBe(75n * COIN);
      expect(await balance("ann")).toBe(0n);
      expect((await chain.head()).block).toBe(block + 75);
    }));

  it("halves in the very block in which half of what is left has been issued", () =>
    withChain(
      async ({ chain, fund, as, mine }) => {
        await fund(account("ann"), 1100n * COIN);
        const { netuid } = await as("ann").createSubnet(testSigner("ann"), 1000n * COIN, { tempo: 5000 });
        await as("ann").addStake(netuid, account("ann"), 100n * COIN);
        const { total } = await chain.issuance();
        expect(total).toBe(SUPPLY_MAX / 2n - 5n * COIN - 500_000_000n);
        await mine(5);
        expect(await chain.issuance()).toEqual({ total: total + 5n * COIN, perBlock: COIN });
        await mine(1);
        expect(await chain.issuance()).toEqual({ total: total + 6n * COIN, perBlock: COIN / 2n });
        await mine(100);
        expect(await chain.issuance()).toEqual({ total: total + 56n * COIN, perBlock: COIN / 2n });
      },
      { supply: SUPPLY_MAX / 2n - 5n * COIN - 500_000_000n + 1000n * COIN },
    ));

  it("shares the emission among subnets by their stake", () =>
    withChain(
      async ({ chain, fund, as, open, mine, subnet }: Bench) => {
        const [first, second] = [await open({ tempo: 5000 }), await open({ tempo: 5000 })];
        await fund(account("ann"), 400n * COIN);
        await as("ann").addStake(first, account("owner"), 300n * COIN);
        const start = (await subnet(first)).pending;
        await as("ann").addStake(second, account("owner"), 100n * COIN);
        const { total } = await chain.issuance();
        await mine(1000);
        expect((await chain.issuance()).total - total).toBe(1000n * COIN);
        const [a, b] = [(await subnet(first)).pending - start - COIN, (await subnet(second)).pending];
        expect(a).toBeGreaterThanOrEqual(750n * COIN - 3n);
        expect(b).toBeGreaterThanOrEqual(250n * COIN - 3n);
        expect(a + b).toBeLessThanOrEqual(1000n * COIN + 3n);
      },
      { lockMin: 1n, lockInterval: 10 },
    ));
}
