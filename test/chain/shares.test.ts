/**
 * Shares of stake pools under random deposits, withdrawals and dividends, compared with exact rational arithmetic: nobody gains by
 * rounding, everybody's loss is below the price of a few shares, pools stay solvent, and whoever attacks by rounding pays for it.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.ts";
import { seededRandom } from "../../src/base/random.ts";
import { COIN } from "../helpers/contracts.ts";
import { account, type Money, PEOPLE, person, startMoney } from "../helpers/money.ts";

const VIRTUAL = 1_000_000n;
const everybody = Array.from({ length: PEOPLE }, (_, i) => i + 1);

let money: Money;
beforeAll(async () => {
  money = await startMoney();
  await money.chain.send(person(1), "subnets", "registerNetwork", account(1));
  await money.own(account(1), account(1));
}, 60_000);
afterAll(() => money.chain.anvil.stop());

/** A new hotkey with an empty pool, which takes nothing for itself. */
async function newPool(n: number) {
  const hotkey = account(n);
  await money.own(hotkey, account(1));
  await money.chain.send(person(1), "staking", "setTake", hotkey, 0);
  return hotkey;
}

const position = (hotkey: string, n: number) => money.chain.read<bigint>("staking", "getStake", hotkey, account(n), 1n);
const add = (hotkey: string, n: number, rao: bigint) => money.act(person(n), "addStake", hotkey, rao, 1n);
const remove = (hotkey: string, n: number, rao: bigint) => money.act(person(n), "removeStake", hotkey, rao, 1n);
async function dividend(hotkey: `0x${string}`, rao: bigint): Promise<bigint> {
  const { dividendRao } = await money.pay(1, (pending) => ({
    hotkeys: [hotkey],
    dividendRao: [rao < pending ? rao : pending],
  }));
  return must(dividendRao[0], "a dividend");
}

interface Ratio {
  readonly top: bigint;
  readonly bottom: bigint;
}
const gcd = (a: bigint, b: bigint): bigint => (b === 0n ? a : gcd(b, a % b));
const ratio = (top: bigint, bottom: bigint): Ratio => {
  const common = gcd(top < 0n ? -top : top, bottom);
  return { top: top / common, bottom: bottom / common };
};
const plus = (a: Ratio, b: Ratio): Ratio => ratio(a.top * b.bottom + b.top * a.bottom, a.bottom * b.bottom);
const times = (a: Ratio, b: Ratio): Ratio => ratio(a.top * b.top, a.bottom * b.bottom);
const floor = ({ top, bottom }: Ratio): bigint => top / bottom;
const whole = (n: bigint): Ratio => ({ top: n, bottom: 1n });

/** A pool without rounding: everybody's rao as fractions, the virtual holder's 1 rao among them. */
class ExactPool {
  readonly parts = new Map<number, Ratio>();

  add(who: number, rao: bigint): void {
    this.parts.set(who, plus(this.of(who), whole(rao)));
  }
  of(who: number): Ratio {
    return this.parts.get(who) ?? whole(who === 0 ? 1n : 0n);
  }
  dividend(rao: bigint): void {
    this.add(0, 0n);
    const sum = [...this.parts.values()].reduce(plus);
    const growth = times(plus(sum, whole(rao)), ratio(sum.bottom, sum.top));
    for (const [who, part] of this.parts) this.parts.set(who, times(part, growth));
  }
}

describe("shares", () => {
  it.each([1, 2, 3])("follow exact arithmetic and never favour whoever acts (seed %i)", async (seed) => {
    const random = seededRandom(`shares/${seed}`);
    const upTo = (n: bigint): bigint => 1n + (BigInt(Math.floor(random.uniform() * 2 ** 32)) * n) / 2n ** 32n;
    const hotkey = await newPool(100 + seed);
    const exact = new ExactPool();
    const values = async () =>
      new Map(await Promise.all(everybody.map(async (n) => [n, await position(hotkey, n)] as const)));
    const poolOf = () => money.chain.read<[bigint, bigint, bigint]>("staking", "poolOf", hotkey, 1, account(1));
    let before = await values();
    // how far rounding may have led away from the exact values: a few shares a turn, which then earn dividends like all others
    let tolerance = 0n;
    for (let turn = 0; turn < 70; turn++) {
      const who = 1 + Math.floor(random.uniform() * PEOPLE);
      const own = must(before.get(who), "a position");
      const kind = random.uniform();
      let change = 0n;
      if (kind < 0.2) {
        const [assets, shares] = await poolOf();
        if (shares === 0n) continue;
        const rao = await dividend(hotkey, upTo(turn % 2 === 0 ? 100n : COIN * 10n));
        exact.dividend(rao);
        tolerance = (tolerance * (assets + 1n + rao)) / (assets + 1n) + 1n;
      } else if (kind < 0.6 || own === 0n) {
        change = upTo(random.uniform() < 0.5 ? 1000n : COIN);
        await add(hotkey, who, change);
      } else {
        change = -(random.uniform() < 0.3 ? own : upTo(own));
        await remove(hotkey, who, -change);
      }
      exact.add(who, change);
      const after = await values();
      const [assets, shares] = await poolOf();
      if (shares === 0n) exact.parts.clear();
      tolerance += 3n * ((assets + 1n) / (shares + VIRTUAL) + 2n);
      for (const n of everybody) {
        const [was, is] = [must(before.get(n), "before"), must(after.get(n), "after")];
        if (n === who) expect(is).toBeLessThanOrEqual(kind < 0.2 ? assets : was + change);
        else expect(is).toBeGreaterThanOrEqual(was);
        const off = is - floor(exact.of(n));
        expect(off < 0n ? -off : off).toBeLessThanOrEqual(tolerance);
      }
      before = after;
    }
  });

  it("make a donation to hurt the next delegator a bad bargain", async () => {
    const hotkey = await newPool(200);
    const [attacker, victim] = [2, 3];
    // someone else's stake brings the rao that the attacker's pool is paid
    await add(account(1), 4, 1000n * COIN);
    await money.chain.mine(2000);
    await add(hotkey, attacker, 1n);
    const donation = await dividend(hotkey, 1500n * COIN);
    expect(donation).toBe(1500n * COIN);
    await add(hotkey, victim, COIN);
    const loss = COIN - (await position(hotkey, victim));
    expect(loss).toBeLessThan(COIN / 1000n);
    expect(donation - (await position(hotkey, attacker))).toBeGreaterThan(donation / 3n);

    // with one share left he cannot raise its price for less than a million times what it costs the victim
    const all = await position(hotkey, attacker);
    await remove(hotkey, attacker, all);
    await remove(hotkey, victim, await position(hotkey, victim));
    expect(await money.chain.read("staking", "getTotalAlphaStaked", hotkey, 1n)).toBe(0n);
  });

  it("refuse a deposit that buys none", async () => {
    const hotkey = await newPool(201);
    await add(hotkey, 2, 1n);
    await money.chain.mine(100);
    await dividend(hotkey, 20n * COIN);
    const [assets, shares] = await money.chain.read<[bigint, bigint, bigint]>(
      "staking",
      "poolOf",
      hotkey,
      1,
      account(2),
    );
    const price = (assets + 1n) / (shares + VIRTUAL);
    expect(price).toBeGreaterThan(1000n);
    expect(await money.chain.refusal(person(3), "staking", "addStake", hotkey, price, 1n)).toBe("AmountTooLow()");
    await add(hotkey, 3, price + 1n);
    expect(await position(hotkey, 3)).toBeLessThanOrEqual(price + 1n);
  });
});
