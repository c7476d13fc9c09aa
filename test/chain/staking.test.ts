/** Staking.sol: every function and every refusal; after each operation an auditor counts all rao there are, to 2^-64. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { COIN } from "../helpers/contracts.ts";
import { account, BANK, type Money, NOTHING, person, startMoney } from "../helpers/money.ts";

const MILLION = 1_000_000n;
const ZERO = `0x${"0".repeat(64)}`;
const [alice, bob, carol, dora] = [person(1), person(2), person(3), person(4)];
const [aliceId, bobId, carolId, doraId] = [account(1), account(2), account(3), account(4)];
/** Hotkeys: `hot` is alice's and holds uid 0 of subnets 1 and 2, `second` is bob's. */
const [hot, second] = [account(11), account(12)];

let money: Money;
beforeAll(async () => {
  money = await startMoney();
  await money.chain.send(alice, "subnets", "registerNetwork", hot);
  await money.chain.send(alice, "subnets", "registerNetwork", hot);
  await money.own(hot, aliceId);
  await money.own(second, bobId);
}, 60_000);
afterAll(() => money.chain.anvil.stop());

const staked = (who: string, hotkey = hot, netuid = 1) =>
  money.chain.read<bigint>("staking", "getStake", hotkey, who, BigInt(netuid));
const balance = (who: string) => money.chain.read<bigint>("staking", "balanceOf", who);
const earned = (who: string) => money.chain.read<bigint>("staking", "earnedOf", who);
const refusal = (from: `0x${string}`, name: string, ...args: readonly unknown[]) =>
  money.chain.refusal(from, "staking", name, ...args);

describe("balances", () => {
  it("are moved by their holder only, and never below zero", async () => {
    const before = await Promise.all([balance(bobId), balance(doraId)]);
    await money.act(bob, "transfer", doraId, 3n * COIN);
    await money.act(bob, "transfer", doraId, 0n);
    expect(await Promise.all([balance(bobId), balance(doraId)])).toEqual([
      before[0] - 3n * COIN,
      before[1] + 3n * COIN,
    ]);
    const all = await balance(bobId);
    await money.act(bob, "transfer", bobId, all);
    expect(await balance(bobId)).toBe(all);
    expect(await refusal(bob, "transfer", bobId, all + 1n)).toBe(`NotEnoughBalanceToStake(${all}, ${all + 1n})`);
    expect(await refusal(bob, "transfer", doraId, 2n ** 256n - 1n)).toMatch(/^NotEnoughBalanceToStake/);
  });

  it("are burned by subnets and neurons only", async () => {
    const { book } = money.chain;
    const before = await money.audit();
    await money.act(book.neurons, "burn", doraId, 5n);
    await money.act(book.subnets, "burn", doraId, 7n);
    const after = await money.audit();
    expect([after.issuance, after.balances]).toEqual([before.issuance - 12n, before.balances - 12n]);
    expect(await refusal(alice, "burn", doraId, 1n)).toBe("NotAllowed()");
    expect(await refusal(book.epochs, "burn", doraId, 1n)).toBe("NotAllowed()");
    expect(await refusal(book.neurons, "burn", ZERO, 1n)).toBe("NotEnoughBalanceToStake(0, 1)");
  });
});

describe("before anything is staked", () => {
  it("nothing is minted", async () => {
    const before = await money.audit();
    await money.chain.mine(1000);
    expect(await money.audit()).toEqual(before);
    expect(await money.chain.read("staking", "issuance")).toEqual([before.issuance, 0n]);
  });
});

describe("stake", () => {
  it("goes to a registered hotkey of a subnet", async () => {
    const before = await balance(aliceId);
    await money.act(alice, "addStake", hot, 100n * COIN, 1n);
    await money.act(bob, "addStakeLimit", hot, 50n * COIN, COIN, false, 1n);
    await money.act(bob, "addStake", second, 20n * COIN, 2n);
    expect(await balance(aliceId)).toBe(before - 100n * COIN);
    expect([await staked(aliceId), await staked(bobId)]).toEqual([100n * COIN, 50n * COIN]);
    const list = (hotkey: string, netuid: bigint) =>
      money.chain.read("staking", "getAlphaStakedValidators", hotkey, netuid);
    expect(await list(hot, 1n)).toEqual([aliceId, bobId]);
    expect(await list(hot, 2n)).toEqual([]);
    const view = (name: string, ...args: readonly unknown[]) => money.chain.read("staking", name, ...args);
    expect(await view("getTotalAlphaStaked", hot, 1n)).toBe(150n * COIN);
    expect(await view("getTotalHotkeyStake", hot)).toBe(150n * COIN);
    expect(await view("getTotalColdkeyStake", bobId)).toBe(70n * COIN);
    expect(await view("getTotalColdkeyStakeOnSubnet", bobId, 2n)).toBe(20n * COIN);
    expect(await view("getTotalColdkeyStakeOnSubnet", bobId, 2n ** 200n + 2n)).toBe(0n);
    expect(await view("getNominatorMinRequiredStake")).toBe(0n);
    expect(await view("stakeOf", 1, [hot, second])).toEqual([150n * COIN, 0n]);
    expect(await view("ownerOf", hot)).toBe(aliceId);
    expect(await view("positionsOf", bobId)).toEqual([
      { hotkey: hot, netuid: 1, rao: 50n * COIN },
      { hotkey: second, netuid: 2, rao: 20n * COIN },
    ]);
  });

  it("is refused where it cannot be", async () => {
    expect(await refusal(alice, "addStake", hot, COIN, 3n)).toBe("SubnetNotExists(3)");
    expect(await refusal(alice, "addStake", hot, COIN, 0n)).toBe("SubnetNotExists(0)");
    expect(await refusal(alice, "addStake", hot, COIN, 65_537n)).toBe("SubnetNotExists(65537)");
    expect(await refusal(alice, "addStake", account(99), COIN, 1n)).toBe("HotKeyAccountNotExists()");
    expect(await refusal(alice, "addStake", hot, 0n, 1n)).toBe("AmountTooLow()");
    expect(await refusal(person(50), "addStake", hot, COIN, 1n)).toBe(`NotEnoughBalanceToStake(0, ${COIN})`);
    expect(await refusal(alice, "addStakeLimit", hot, COIN, COIN - 1n, true, 1n)).toBe("SlippageTooHigh()");
    expect(await refusal(alice, "removeStakeLimit", hot, COIN, COIN + 1n, true, 1n)).toBe("SlippageTooHigh()");
    expect(await refusal(alice, "removeStakeFullLimit", hot, 1n, COIN + 1n)).toBe("SlippageTooHigh()");
    expect(await refusal(alice, "removeStake", hot, 100n * COIN + 1n, 1n)).toBe(
      `NotEnoughStakeToWithdraw(${100n * COIN})`,
    );
    expect(await refusal(carol, "removeStake", hot, 1n, 1n)).toBe("NotEnoughStakeToWithdraw(0)");
    expect(await refusal(carol, "removeStake", hot, 0n, 1n)).toBe("AmountTooLow()");
    expect(await refusal(carol, "removeStakeFull", hot, 1n)).toBe("AmountTooLow()");
    expect(await refusal(carol, "removeStake", hot, 1n, 9n)).toBe("SubnetNotExists(9)");
    expect(await refusal(alice, "moveStake", hot, hot, 1n, 1n, COIN)).toBe("SameStake()");
    expect(await refusal(alice, "moveStake", hot, account(99), 1n, 1n, COIN)).toBe("HotKeyAccountNotExists()");
    expect(await refusal(alice, "moveStake", hot, second, 1n, 7n, COIN)).toBe("SubnetNotExists(7)");
    expect(await refusal(alice, "transferStake", aliceId, hot, 1n, 1n, COIN)).toBe("SameStake()");
    expect(await refusal(carol, "transferStake", aliceId, hot, 1n, 1n, COIN)).toBe("NotEnoughStakeToWithdraw(0)");
  });

  it("takes no native coin", async () => {
    const payable: readonly (readonly [string, ...unknown[]])[] = [
      ["addStake", hot, COIN, 1n],
      ["removeStake", hot, 1n, 1n],
      ["addStakeLimit", hot, COIN, COIN, false, 1n],
      ["removeStakeLimit", hot, 1n, COIN, false, 1n],
      ["removeStakeFull", hot, 1n],
      ["removeStakeFullLimit", hot, 1n, COIN],
      ["moveStake", hot, second, 1n, 1n, 1n],
      ["transferStake", carolId, hot, 1n, 1n, 1n],
    ];
    for (const [name, ...args] of payable) {
      expect(await money.chain.refusalWithValue(alice, "staking", name, ...args), name).toBe("ValueNotAccepted()");
    }
  });

  it("comes back, in part or whole, and moves", async () => {
    await money.act(alice, "removeStake", hot, 10n * COIN, 1n);
    await money.act(alice, "removeStakeLimit", hot, 10n * COIN, COIN, false, 1n);
    expect(await staked(aliceId)).toBe(80n * COIN);
    await money.act(alice, "moveStake", hot, second, 1n, 2n, 30n * COIN);
    expect([await staked(aliceId), await staked(aliceId, second, 2)]).toEqual([50n * COIN, 30n * COIN]);
    await money.act(alice, "transferStake", carolId, hot, 1n, 1n, 5n * COIN);
    await money.act(alice, "transferStake", carolId, hot, 1n, 2n, 5n * COIN);
    expect([await staked(carolId), await staked(carolId, hot, 2)]).toEqual([5n * COIN, 5n * COIN]);
    const before = await balance(carolId);
    await money.act(carol, "removeStakeFull", hot, 2n);
    await money.act(carol, "removeStakeFullLimit", hot, 1n, COIN);
    expect(await balance(carolId)).toBe(before + 10n * COIN);
    expect(await money.chain.read("staking", "positionsOf", carolId)).toEqual([]);
    expect(await money.chain.read("staking", "getTotalAlphaStaked", hot, 2n)).toBe(0n);
  });
});

describe("emission", () => {
  it("is a coin a block, by the subnets' stake", async () => {
    await money.chain.send(money.chain.book.epochs, "staking", "settle", 1);
    await money.chain.send(money.chain.book.epochs, "staking", "settle", 2);
    const [one, two] = await Promise.all([accrual(1), accrual(2)]);
    const before = await money.audit();
    await money.chain.mine(100);
    const after = await money.audit();
    expect(after.issuance - before.issuance).toBe(100n * COIN);
    expect(after.balances).toBe(before.balances);
    const [later, laterTwo] = await Promise.all([accrual(1), accrual(2)]);
    const share = (100n * COIN * one.stake) / (one.stake + two.stake);
    expect(later.pending - one.pending - share).toBeLessThanOrEqual(1n);
    expect(later.pending - one.pending).toBeGreaterThanOrEqual(share);
    expect(laterTwo.pending + later.pending - one.pending - two.pending).toBeGreaterThanOrEqual(100n * COIN - 1n);
    expect(await money.chain.read("staking", "issuance")).toEqual([after.issuance, COIN]);
    expect(await refusal(alice, "settle", 1)).toBe("NotAllowed()");
  });

  it("is paid to owner, miners, validators and delegators, once", async () => {
    await money.act(alice, "setTake", hot, 6554);
    const before = await Promise.all([staked(aliceId), staked(bobId), earned(aliceId), earned(doraId)]);
    const issued = (await money.audit()).issuance;
    let part = 0n;
    await money.pay(1, (pending) => {
      part = pending / 4n;
      return {
        ...{ owner: doraId, ownerRao: part, burnRao: part, earners: [doraId, doraId], earnedRao: [part - 1n, 1n] },
        ...{ hotkeys: [hot], dividendRao: [part] },
      };
    });
    const take = (part * 6554n) / 65_535n;
    const after = await Promise.all([staked(aliceId), staked(bobId), earned(aliceId), earned(doraId)]);
    expect([after[2] - before[2], after[3] - before[3]]).toEqual([take, 2n * part]);
    const pool = before[0] + before[1];
    expect(Number(after[0] - before[0] - ((part - take) * before[0]) / pool)).toBeCloseTo(0, -1);
    expect(after[0] + after[1] - pool).toBeLessThanOrEqual(part - take);
    // two blocks were minted on the way, and one part was burned
    expect((await money.audit()).issuance).toBe(issued + 2n * COIN - part);

    const { book } = money.chain;
    expect(await refusal(alice, "payEpoch", 1, NOTHING)).toBe("NotAllowed()");
    const { pending } = await accrual(1);
    const more = pending + 2n * COIN;
    for (const payments of [
      { ...NOTHING, ownerRao: more },
      { ...NOTHING, burnRao: more },
      { ...NOTHING, earners: [doraId], earnedRao: [more] },
      { ...NOTHING, hotkeys: [hot], dividendRao: [more] },
    ]) {
      expect(await refusal(book.epochs, "payEpoch", 1, payments)).toMatch(/^PaymentExceedsPending\(\d+\)$/);
    }
    const huge = { ...NOTHING, hotkeys: [hot, hot], dividendRao: [2n ** 255n, 2n ** 255n] };
    expect(await refusal(book.epochs, "payEpoch", 1, huge)).toMatch(/Panic|overflow/);
    const unequal = { ...NOTHING, earners: [doraId] };
    expect(await refusal(book.epochs, "payEpoch", 1, unequal)).toBe("UnequalLengths()");
    expect(await refusal(book.epochs, "payEpoch", 1, { ...NOTHING, dividendRao: [1n] })).toBe("UnequalLengths()");
  });

  it("goes to the coldkey where a hotkey's pool is empty", async () => {
    const before = await earned(bobId);
    await money.pay(1, () => ({ hotkeys: [second], dividendRao: [1000n] }));
    expect(await earned(bobId)).toBe(before + 1000n);
    expect(await money.chain.read("staking", "getTotalAlphaStaked", second, 1n)).toBe(0n);
  });

  it("waits to be claimed, by anyone for its earner", async () => {
    const waiting = await earned(doraId);
    const before = await balance(doraId);
    expect(waiting).toBeGreaterThan(0n);
    await money.act(alice, "claimFor", doraId);
    await money.act(dora, "claim");
    await money.act(alice, "claimFor", doraId);
    expect([await balance(doraId), await earned(doraId)]).toEqual([before + waiting, 0n]);
    const own = await earned(bobId);
    await money.act(bob, "claim");
    expect([await earned(bobId), own > 0n]).toEqual([0n, true]);
  });

  it("is taken in part by the hotkey's coldkey, 18% at most and by default", async () => {
    const take = (hotkey: string) => money.chain.read("staking", "takeOf", hotkey);
    expect([await take(hot), await take(second)]).toEqual([6554, 11_796]);
    await money.act(bob, "setTake", second, 0);
    expect(await take(second)).toBe(0);
    await money.act(bob, "setTake", second, 11_796);
    expect(await refusal(bob, "setTake", second, 11_797)).toBe("DelegateTakeTooHigh(11796)");
    expect(await refusal(bob, "setTake", hot, 1)).toBe("NonAssociatedColdKey()");
    expect(await refusal(bob, "setTake", account(77), 1)).toBe("NonAssociatedColdKey()");
  });

  it("stops where everybody leaves, and shares out anew what rounding left", async () => {
    for (const [who, hotkey, netuid] of [
      [alice, second, 2n],
      [bob, second, 2n],
      [alice, hot, 1n],
      [bob, hot, 1n],
    ] as const) {
      await money.act(who, "removeStakeFull", hotkey, netuid);
    }
    const left = await money.chain.read<{ dust: bigint; stake: bigint }>("staking", "ledger");
    expect(left.stake).toBe(0n);
    expect(left.dust).toBeGreaterThan(0n);
    const { issuance } = await money.audit();
    await money.chain.mine(50);
    expect((await money.audit()).issuance).toBe(issuance);
    await money.act(alice, "addStake", hot, MILLION, 1n);
    await money.chain.mine(1);
    expect(await money.chain.read("staking", "ledger")).toMatchObject({ dust: 0n, stake: MILLION });
    expect((await money.audit()).issuance).toBe(issuance + COIN);
  });
});

describe("a burn", () => {
  it("comes after what was minted before it, at the emission of that time", async () => {
    const halving = 10_500_000n * COIN;
    const rich = await startMoney(halving + 55n * COIN);
    try {
      const { chain } = rich;
      await chain.send(alice, "subnets", "registerNetwork", hot); // burns 10 coins
      await rich.own(hot, aliceId);
      await rich.act(alice, "addStake", hot, COIN, 1n);
      const before = (await rich.audit()).issuance;
      expect(before).toBe(halving + 45n * COIN);
      await chain.mine(99);
      await rich.act(chain.book.neurons, "burn", account(BANK), 100n * COIN);
      expect((await rich.audit()).issuance).toBe(before + 50n * COIN - 100n * COIN);
      await chain.mine(10); // five blocks at a coin reach the halving
      expect((await rich.audit()).issuance).toBe(halving + (5n * COIN) / 2n);
    } finally {
      await rich.chain.anvil.stop();
    }
  });
});

describe("hotkeys", () => {
  it("get their coldkey from the neurons' contract, once", async () => {
    const { neurons } = money.chain.book;
    await money.act(neurons, "setOwner", second, bobId);
    expect(await refusal(neurons, "setOwner", second, aliceId)).toBe("NonAssociatedColdKey()");
    expect(await refusal(bob, "setOwner", account(88), bobId)).toBe("NotAllowed()");
  });
});

const accrual = (netuid: number) =>
  money.chain.read<{ stake: bigint; pending: bigint }>("staking", "accrualOf", netuid);
