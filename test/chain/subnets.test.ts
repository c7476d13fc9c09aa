/** Subnets.sol: registration and its cost, each hyperparameter's getter, setter, range and owner. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.ts";
import { COIN, compiled, startContracts } from "../helpers/contracts.ts";
import { account, type Money, person, startMoney } from "../helpers/money.ts";

const [alice, bob, poor] = [person(1), person(2), person(70)];
const LEAST = 10n * COIN;
const SUPPLY = 21_000_000_000_000_000n;
type Params = Readonly<Record<string, bigint | number | boolean>>;

let money: Money;
beforeAll(async () => {
  money = await startMoney();
}, 60_000);
afterAll(() => money.chain.anvil.stop());

const read = <T>(name: string, ...args: readonly unknown[]) => money.chain.read<T>("subnets", name, ...args);
const refusal = (from: `0x${string}`, name: string, ...args: readonly unknown[]) =>
  money.chain.refusal(from, "subnets", name, ...args);
const send = (name: string, ...args: readonly unknown[]) => money.chain.send(alice, "subnets", name, ...args);
const balance = () => money.chain.read<bigint>("staking", "balanceOf", account(1));

/** What the next subnet costs, from the last one's cost and the blocks since. */
const costAfter = (cost: bigint, blocks: bigint): bigint => {
  const now = 2n * cost - (cost * blocks) / 100n;
  return now > LEAST ? now : LEAST;
};

describe("registration", () => {
  it("makes the caller owner, for the least cost the first time", async () => {
    expect(await read("subnetCount")).toBe(0);
    expect([await read("lockCost"), await read("nextLockCost")]).toEqual([LEAST, LEAST]);
    const before = await balance();
    const { block } = await send("registerNetwork", account(11));
    expect(before - (await balance())).toBe(LEAST);
    expect([await read("subnetCount"), await read("exists", 1)]).toEqual([1, true]);
    expect([await read("exists", 0), await read("exists", 2)]).toEqual([false, false]);
    expect(await read("ownerOf", 1)).toEqual([account(1), account(11)]);
    expect(await read("getNetworkRegistrationBlock", 1)).toBe(BigInt(block));
    expect(await money.chain.read("staking", "ownerOf", account(11))).toBe(account(1));
    expect(await read("params", 1)).toEqual({
      ...(await read<Params>("defaultParams")),
      registrationBlock: BigInt(block),
    });
    await money.audit();
  });

  it("doubles the cost, which falls back linearly", async () => {
    let [cost, block] = [LEAST, await money.chain.block()];
    for (const wait of [0, 10, 50, 99, 130, 300]) {
      if (wait > 0) await money.chain.mine(wait);
      const due = costAfter(cost, BigInt((await money.chain.block()) + 1 - block));
      expect(await read("nextLockCost")).toBe(due);
      const before = await balance();
      ({ block } = await send("registerNetwork", account(11), ...Array(7).fill("text")));
      expect(before - (await balance())).toBe(due);
      cost = due;
    }
    await send("registerNetwork", account(11), ...Array(8).fill("text"));
    expect(await read("lockTerms")).toMatchObject({ least: LEAST, interval: 100n, cost: 2n * cost - cost / 100n });
    await money.audit();
  });

  it("is refused to who cannot pay, and for a hotkey that is not the caller's", async () => {
    expect(await refusal(poor, "registerNetwork", account(70))).toMatch(/^NotEnoughBalanceToStake\(0, \d+\)$/);
    const cost = await read<bigint>("nextLockCost");
    const defaults = await read("defaultParams");
    expect(await refusal(alice, "createSubnet", account(11), cost - 1n, defaults)).toBe(
      `SubnetCostLimitExceeded(${cost})`,
    );
    await money.chain.send(alice, "neurons", "setRefused", account(66));
    expect(await refusal(alice, "registerNetwork", account(66))).toBe("HotKeyNotAuthorized()");
    expect(await money.chain.refusalWithValue(alice, "subnets", "registerNetwork", account(11))).toBe(
      "ValueNotAccepted()",
    );
  });

  it("takes hyperparameters along", async () => {
    const defaults = await read<Params>("defaultParams");
    const params = { ...defaults, tempo: 20, commitReveal: false, registrationBlock: 7n };
    const { block } = await send("createSubnet", account(11), SUPPLY, params);
    const netuid = await read<number>("subnetCount");
    expect(await read("params", netuid)).toEqual({ ...params, registrationBlock: BigInt(block) });
    expect(await refusal(alice, "createSubnet", account(11), SUPPLY, { ...defaults, tempo: 0 })).toMatch(
      /^ValueNotInBounds/,
    );
  });
});

/** Precompile's name, name in `params`, values within its range, values outside. */
const KNOBS: readonly (readonly [string, string, readonly unknown[], readonly unknown[]])[] = [
  ["ServingRateLimit", "servingRateLimit", [0n, 1_000_000n], [1_000_001n]],
  ["WeightsVersionKey", "weightsVersionKey", [0n, 2n ** 64n - 1n], []],
  ["WeightsSetRateLimit", "weightsSetRateLimit", [0n, 1_000_000n], [1_000_001n]],
  ["ImmunityPeriod", "immunityPeriod", [0, 65_535], []],
  ["MinAllowedWeights", "minAllowedWeights", [0, 256], [257]],
  ["Kappa", "kappa", [1, 65_535], [0]],
  ["Rho", "rho", [0, 65_535], []],
  ["AlphaSigmoidSteepness", "alphaSteepness", [0, 32_767], [32_768]],
  ["ActivityCutoffFactor", "activityCutoffFactor", [1000, 50_000], [999, 50_001]],
  ["NetworkRegistrationAllowed", "registrationAllowed", [false, true], []],
  ["MinBurn", "minBurn", [0n, 100n * COIN], [100n * COIN + 1n]],
  ["MaxBurn", "maxBurn", [100n * COIN, SUPPLY], [SUPPLY + 1n, 100n * COIN - 1n]],
  ["BondsMovingAverage", "bondsMovingAverage", [0n, 1_000_000n], [1_000_001n]],
  ["CommitRevealWeightsEnabled", "commitReveal", [false, true], []],
  ["LiquidAlphaEnabled", "liquidAlpha", [true, false], []],
  ["Yuma3Enabled", "yuma3", [false, true], []],
  ["CommitRevealWeightsInterval", "revealInterval", [1n, 100n], [0n, 101n]],
];
/** Those that the precompile does not have, set with all others at once. */
const OURS: readonly (readonly [string, readonly unknown[], readonly unknown[]])[] = [
  ["tempo", [1, 50_400], [0, 50_401]],
  ["maxUids", [3, 256], [0, 257]],
  ["maxValidators", [1, 64], [0, 65]],
  ["bondsPenalty", [0, 65_535], []],
  ["burnHalfLife", [0, 1_000_000], [1_000_001]],
  ["burnIncreaseMult", [1_000_000, 10_000_000], [999_999, 10_000_001]],
  ["stakeThreshold", [0n, SUPPLY], [SUPPLY + 1n]],
  ["minNonImmuneUids", [0, 256], [257]],
  ["ownerCut", [0, 11_796], [11_797]],
  ["alphaLow", [1638, 40_000], [1637, 60_000]],
  ["alphaHigh", [45_875, 65_535], [1637, 1638]],
];

describe("hyperparameters", () => {
  it.each(KNOBS)("%s is set and got by the precompile's names, within its range", async (name, field, good, bad) => {
    for (const value of good) {
      await send(`set${name}`, 1, value);
      expect(await read(`get${name}`, 1)).toBe(value);
      expect((await read<Params>("params", 1))[field]).toBe(value);
    }
    for (const value of bad) expect(await refusal(alice, `set${name}`, 1, value)).toMatch(/^ValueNotInBounds\(/);
    const [value] = good;
    expect(await refusal(bob, `set${name}`, 1, value)).toBe("NotSubnetOwner()");
    expect(await refusal(alice, `set${name}`, 99, value)).toBe("SubnetNotExists(99)");
    expect(await money.chain.refusalWithValue(alice, "subnets", `set${name}`, 1, value)).toBe("ValueNotAccepted()");
    await expect(read(`get${name}`, 99)).rejects.toThrow();
  });

  it.each(OURS)("%s is set with all others, within its range", async (field, good, bad) => {
    const now = await read<Params>("params", 2);
    for (const value of good) {
      await send("setParams", 2, { ...now, [field]: value, registrationBlock: 1n });
      expect(await read("params", 2)).toEqual({ ...now, [field]: value });
    }
    for (const value of bad) {
      expect(await refusal(alice, "setParams", 2, { ...now, [field]: value })).toMatch(/^ValueNotInBounds\(/);
    }
    await send("setParams", 2, now);
    expect(await refusal(bob, "setParams", 2, now)).toBe("NotSubnetOwner()");
    expect(await refusal(alice, "setParams", 0, now)).toBe("SubnetNotExists(0)");
  });

  it("have an activity cutoff in blocks, which is a factor of the tempo", async () => {
    expect(await read("getActivityCutoff", 2)).toBe(5000);
    for (const blocks of [360, 361, 1000, 18_000]) {
      await send("setActivityCutoff", 2, blocks);
      expect(await read("getActivityCutoff", 2)).toBe(blocks);
    }
    expect(await refusal(alice, "setActivityCutoff", 2, 359)).toMatch(/^ValueNotInBounds\(/);
    expect(await refusal(bob, "setActivityCutoff", 2, 360)).toBe("NotSubnetOwner()");
    const now = await read<Params>("params", 2);
    await send("setParams", 2, { ...now, tempo: 1, activityCutoffFactor: 1000 });
    expect(await read("getActivityCutoff", 2)).toBe(1);
    await send("setParams", 2, { ...now, tempo: 50_400, activityCutoffFactor: 50_000 });
    expect(await read("getActivityCutoff", 2)).toBe(65_535);
  });

  it("have two alphas and a constant limit of weights", async () => {
    await send("setAlphaValues", 1, 2000, 3000);
    expect(await read("getAlphaValues", 1)).toEqual([2000, 3000]);
    expect(await refusal(alice, "setAlphaValues", 1, 3001, 3000)).toMatch(/^ValueNotInBounds\(0x616c7068614c6f77/);
    expect(await refusal(bob, "setAlphaValues", 1, 2000, 3000)).toBe("NotSubnetOwner()");
    expect(await read("getMaxWeightLimit", 1)).toBe(65_535);
    await expect(read("getMaxWeightLimit", 99)).rejects.toThrow();
    await expect(read("getNetworkRegistrationBlock", 99)).rejects.toThrow();
  });

  it("stand still while an epoch is due, and never drop neurons", async () => {
    await money.chain.send(alice, "epochs", "setFrozen", true);
    expect(await refusal(alice, "setKappa", 1, 5)).toBe("EpochDue(1)");
    expect(await refusal(alice, "setParams", 1, await read("params", 1))).toBe("EpochDue(1)");
    await money.chain.send(alice, "epochs", "setFrozen", false);
    await money.chain.send(alice, "neurons", "setCount", 7);
    const now = await read<Params>("params", 1);
    expect(await refusal(alice, "setParams", 1, { ...now, maxUids: 6 })).toBe("MaxAllowedUIdsLessThanCurrentUIds(7)");
    await send("setParams", 1, { ...now, maxUids: 7 });
  });
});

describe("initialization", () => {
  it("happens once", async () => {
    const { book } = money.chain;
    const peers = { staking: book.staking, subnets: alice, neurons: alice, epochs: alice };
    expect(await refusal(alice, "initialize", peers, 1n, 1n)).toBe("AlreadyInitialized()");
    expect(await money.chain.refusal(alice, "staking", "initialize", peers, [], [])).toBe("AlreadyInitialized()");
  });

  it("is the deployer's where contracts are created, at any address", async () => {
    const artifacts = compiled(["Staking", "Subnets", "AddressMapping"], { MoneyStubs: ["NeuronsStub", "EpochsStub"] });
    artifacts
      .set("Neurons", must(artifacts.get("NeuronsStub"), "stub"))
      .set("Epochs", must(artifacts.get("EpochsStub"), "stub"));
    const genesis = { balances: new Map([[account(1), 5000n * COIN]]) };
    const chain = await startContracts(artifacts, genesis, { fixed: false });
    try {
      expect(new Set(Object.values(chain.book)).size).toBe(6); // five, and nowhere
      await chain.send(alice, "subnets", "registerNetwork", account(1));
      expect(await chain.read("staking", "balanceOf", account(1))).toBe(4000n * COIN);
      const staking = must(artifacts.get("Staking"), "Staking");
      const from = chain.anvil.client.account.address;
      const hash = await chain.anvil.client.deployContract({ abi: staking.abi, bytecode: staking.bytecode });
      const receipt = await chain.anvil.client.waitForTransactionReceipt({ hash });
      const fresh = { address: must(receipt.contractAddress, "address"), abi: staking.abi };
      const peers = { staking: fresh.address, subnets: alice, neurons: alice, epochs: alice };
      expect(await chain.refusal(bob, fresh, "initialize", peers, [], [])).toBe("NotAllowed()");
      expect(await chain.refusal(from, fresh, "initialize", peers, [account(1)], [])).toBe("UnequalLengths()");
      const tooMuch = [
        [account(1), account(2)],
        [SUPPLY, 1n],
      ] as const;
      expect(await chain.refusal(from, fresh, "initialize", peers, ...tooMuch)).toBe(`SupplyTooLarge(${SUPPLY})`);
      const nowhere = { ...peers, staking: `0x${"0".repeat(40)}` };
      expect(await chain.refusal(from, fresh, "initialize", nowhere, [], [])).toBe("NotAllowed()");
      await chain.send(from, fresh, "initialize", peers, [account(1), account(1)], [SUPPLY - 1n, 1n]);
      expect(await chain.read(fresh, "balanceOf", account(1))).toBe(SUPPLY);
    } finally {
      await chain.anvil.stop();
    }
  });
});
