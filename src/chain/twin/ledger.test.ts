import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { must } from "../../base/assert.ts";
import type { Hash } from "../chain.ts";
import * as ledger from "./ledger.ts";
import type { World } from "./state.ts";
import { createTwin } from "./twin.ts";

const { SUPPLY_MAX, blockEmission, emissionOver } = ledger;

/** One block at a time, by the formula as it is written: 1e9 >> floor(log2(1 / (1 − issuance / 21e15))). */
function naively(issuance: bigint, blocks: number): bigint {
  let now = issuance;
  for (let i = 0; i < blocks; i++) {
    let halvings = 0n;
    while (SUPPLY_MAX >= (SUPPLY_MAX - now) * 2n ** (halvings + 1n) && now < SUPPLY_MAX) halvings++;
    if (now < SUPPLY_MAX) now += 1_000_000_000n >> halvings;
  }
  return now - issuance;
}

describe("emission", () => {
  it("is the sum of single blocks, around every halving", () => {
    for (let k = 1n; k <= 31n; k++) {
      const threshold = SUPPLY_MAX - (SUPPLY_MAX >> k);
      for (const before of [0n, 1n, 7n, (1_000_000_000n >> (k - 1n)) * 3n + 1n]) {
        if (before > threshold) continue;
        const issuance = threshold - before;
        expect(emissionOver(issuance, 9n), `halving ${k}`).toBe(naively(issuance, 9));
        expect(blockEmission(issuance)).toBe(naively(issuance, 1));
      }
    }
    expect(blockEmission(SUPPLY_MAX / 2n - 1n)).toBe(1_000_000_000n);
    expect(blockEmission(SUPPLY_MAX / 2n)).toBe(500_000_000n);
    expect(blockEmission(SUPPLY_MAX)).toBe(0n);
  });

  it("does not depend on how often it is reckoned", () =>
    fc.assert(
      fc.property(
        fc.bigInt(0n, SUPPLY_MAX),
        fc.nat(1_000_000_000),
        fc.nat(1_000_000_000),
        (issuance, first, second) => {
          const one = emissionOver(issuance, BigInt(first));
          expect(one + emissionOver(issuance + one, BigInt(second))).toBe(
            emissionOver(issuance, BigInt(first + second)),
          );
        },
      ),
    ));

  it("ends", () => {
    const all = emissionOver(0n, 10n ** 18n);
    expect(SUPPLY_MAX - all).toBeLessThan(SUPPLY_MAX >> 29n);
    expect(blockEmission(all)).toBe(0n);
  });
});

const hash = (n: number): Hash => `0x${n.toString(16).padStart(64, "0")}`;

/** A world with one subnet, and hotkey 100 of coldkey 100. */
function world(): World {
  const balances = new Map([1, 2, 3].map((n) => [hash(n), 1_000_000_000_000n] as const));
  const { world: made } = createTwin({ balances }).save();
  made.subnets.set(1, {} as never);
  for (const hotkey of [100, 200]) made.ledger.owners.set(hash(hotkey), hash(hotkey));
  return made;
}

const stake = (coldkey: number, rao: bigint, block = 1, hotkey = 100): ledger.Stake => ({
  coldkey: hash(coldkey),
  netuid: 1,
  hotkey: hash(hotkey),
  rao,
  block,
});

function dividend(now: World, rao: bigint, block: number): void {
  const pending = ledger.settle(now.ledger, 1, block).pending;
  expect(pending).toBeGreaterThanOrEqual(rao);
  const nobody = { owner: hash(9), ownerRao: 0n, burnRao: 0n, earned: [] };
  ledger.payEpoch(now.ledger, 1, { ...nobody, dividends: [{ hotkey: hash(100), rao }] }, block);
}

describe("stake pools", () => {
  const poolOf = (now: World, hotkey = 100) => must(now.ledger.pools.get(ledger.poolKey(hash(hotkey), 1)), "pool");
  const worth = (now: World, coldkey: number): bigint => ledger.positionOf(poolOf(now), hash(coldkey));

  it("give a first tiny depositor no way to eat the next one's stake", () => {
    const now = world();
    ledger.setTake(now.ledger, hash(100), hash(100), 0);
    ledger.addStake(now, stake(1, 1n));
    ledger.addStake(now, stake(3, 1_000_000_000n, 1, 200)); // so that something is minted
    dividend(now, 40_000_000_000n, 60);
    const attacker = worth(now, 1);
    expect(attacker).toBeLessThan(40_000_000_000n); // the virtual shares hold the rest
    ledger.addStake(now, stake(2, 100_000n, 60));
    expect(worth(now, 2)).toBeGreaterThanOrEqual(100_000n - 40_000n);
    expect(worth(now, 1) - attacker).toBeLessThanOrEqual(40_000n);
    expect(() => ledger.addStake(now, stake(2, 1n, 60))).toThrow(/zero, or too small/); // would buy no share
  });

  it("share dividends by shares, round in the pool's favour, and are empty when all have left", () => {
    const now = world();
    ledger.addStake(now, stake(1, 300_000_000_000n));
    ledger.addStake(now, stake(2, 100_000_000_001n));
    dividend(now, 40_000_000_000n, 101);
    const take = (40_000_000_000n * 11_796n) / 65_535n;
    expect(now.ledger.earned.get(hash(100))).toBe(take);
    const [one, two] = [worth(now, 1), worth(now, 2)];
    expect(one + two).toBeLessThanOrEqual(poolOf(now).assets);
    expect(poolOf(now).assets - one - two).toBeLessThanOrEqual(2n);
    expect(one - 300_000_000_000n - ((40_000_000_000n - take) * 3n) / 4n).toBeLessThanOrEqual(0n);
    ledger.removeStake(now, stake(1, one, 102));
    ledger.removeStake(now, stake(2, worth(now, 2), 103));
    expect(poolOf(now)).toMatchObject({ assets: 0n, shares: 0n });
    expect(poolOf(now).holders.size).toBe(0);
    expect(now.ledger.stake).toBe(0n);
  });

  it("pay a hotkey without holders' dividends to its coldkey", () => {
    const now = world();
    ledger.addStake(now, stake(1, 1_000_000_000n, 1, 200));
    dividend(now, 7n, 50);
    expect(now.ledger.earned.get(hash(100))).toBe(7n);
  });

  it("pay no epoch more than waits for it", () => {
    const now = world();
    ledger.addStake(now, stake(1, 1_000_000_000n));
    const payments = { owner: hash(9), ownerRao: 10_000_000_001n, burnRao: 0n, earned: [], dividends: [] };
    expect(() => ledger.payEpoch(now.ledger, 1, payments, 11)).toThrow("more than is pending");
  });
});
