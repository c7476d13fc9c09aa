/** Issuance.sol and Identity.sol against slow and independent versions: a loop over single blocks, and blake2b from a library. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { seededRandom } from "../../src/base/random.ts";
import type { Address } from "../../src/chain/chain.ts";
import { accountOf, type Contracts, compiled, startContracts, type Target } from "../helpers/contracts.ts";

const MAX = 21_000_000_000_000_000n;
const random = seededRandom("issuance");
const below = (n: bigint): bigint => (BigInt(Math.floor(random.uniform() * 2 ** 32)) * (n + 1n)) >> 32n;

let chain: Contracts;
let libraries: Target;
beforeAll(async () => {
  const artifacts = compiled(["AddressMapping"], { MoneyStubs: ["MoneyLibraries"] });
  chain = await startContracts(artifacts, { balances: new Map() });
  libraries = await chain.place(artifacts.get("MoneyLibraries") as never);
}, 60_000);
afterAll(() => chain.anvil.stop());

/** 1e9 >> floor(log2(1 / (1 − issuance / 21e15))), by looking for the first halving that is not reached. */
function minted(issuance: bigint): bigint {
  for (let k = 0n; k < 40n; k++) {
    // 1 / (1 − i/M) < 2^(k+1)  ⟺  M < 2^(k+1)·(M − i)
    if (MAX < (MAX - issuance) << (k + 1n)) return 1_000_000_000n >> k;
  }
  return 0n;
}

function mintedOver(issuance: bigint, blocks: bigint): bigint {
  let now = issuance;
  for (let i = 0n; i < blocks; i++) now += minted(now);
  return now - issuance;
}

/** Supplies at which the emission halves. */
const thresholds = Array.from({ length: 30 }, (_, k) => MAX - (MAX >> BigInt(k + 1)));

describe("issuance", () => {
  it("halves exactly at the thresholds", async () => {
    const supplies = thresholds.flatMap((at) => [at - 1n, at, at + 1n]).concat([0n, MAX - 1n, MAX]);
    const got = await chain.read<readonly bigint[]>(libraries, "perBlock", supplies);
    expect(got).toEqual(supplies.map((supply) => (supply === MAX ? 0n : minted(supply))));
    expect([got[0], got[1]]).toEqual([1_000_000_000n, 500_000_000n]);
  });

  it("sums up single blocks exactly, across thresholds too", async () => {
    const spans = Array.from({ length: 300 }, (_, i) => {
      const blocks = below(i % 3 === 0 ? 3000n : 60n);
      const threshold = thresholds[i % 30] as bigint;
      const near = threshold - below(blocks * minted(threshold - 1n) + 5n);
      return { issuance: i % 5 === 0 ? below(MAX) : near, blocks };
    });
    const got = await chain.read<readonly bigint[]>(
      libraries,
      "over",
      spans.map(({ issuance }) => issuance),
      spans.map(({ blocks }) => blocks),
    );
    expect(got).toEqual(spans.map(({ issuance, blocks }) => mintedOver(issuance, blocks)));
    const crossed = spans.filter(
      ({ issuance, blocks }) => minted(issuance) !== minted(issuance + mintedOver(issuance, blocks)),
    );
    expect(crossed.length).toBeGreaterThan(100);
  });

  it("does not depend on where a long span is cut, and ends just below the most", async () => {
    const whole = 2n ** 40n;
    const cuts = Array.from({ length: 100 }, () => below(400_000_000n));
    const first = await chain.read<readonly bigint[]>(
      libraries,
      "over",
      cuts.map(() => 0n),
      cuts,
    );
    const rest = cuts.map((cut) => whole - cut);
    const second = await chain.read<readonly bigint[]>(libraries, "over", first, rest);
    const [total] = await chain.read<readonly bigint[]>(libraries, "over", [0n], [whole]);
    expect(first.map((rao, i) => rao + (second[i] as bigint))).toEqual(cuts.map(() => total));
    expect(total).toBeLessThan(MAX);
    expect(total).toBeGreaterThanOrEqual(MAX - (MAX >> 30n));
  });
});

describe("identity", () => {
  it("is blake2b-256 of evm: and the address", async () => {
    const holders = Array.from({ length: 200 }, (_, i): Address => {
      if (i < 2) return `0x${(i === 0 ? "00" : "ff").repeat(20)}`;
      return `0x${Array.from({ length: 40 }, () => Number(below(15n)).toString(16)).join("")}`;
    });
    const accounts = await chain.read(libraries, "accountsOf", holders);
    expect(accounts).toEqual(holders.map(accountOf));
    const address = holders[2] as Address;
    expect(await chain.read("addressMapping", "addressMapping", address)).toBe(accountOf(address));
  });

  it("is a known account for a known address", () => {
    // computed with Python's hashlib.blake2b(b"evm:" + bytes(20), digest_size=32)
    expect(accountOf(`0x${"00".repeat(20)}`)).toBe(KNOWN);
  });
});

const KNOWN = "0xc2cdcf01af7163d2d99b2ec87954e4c1b735e9e9ea80f8775bf29dd9457eaca1";
