/** The burn price in Solidity against src/chain/burn.ts: the same steps, so the same rao, whatever the half-life and the distance. */
import type { Address } from "viem";
import { afterAll, beforeAll, expect, it } from "vitest";
import { seededRandom } from "../../src/base/random.ts";
import { burnAfter, burnBumped, decayFactor, powQ32 } from "../../src/chain/burn.ts";
import type { Contract, NeuronWorld } from "../helpers/neurons.ts";
import { PARAMS, startNeurons } from "../helpers/neurons.ts";

let world: NeuronWorld;
let probe: Contract;
beforeAll(async () => {
  world = await startNeurons();
  const name = "test/BurnPriceProbe";
  probe = world.at((await world.deploy(name)) as Address, world.artifact(name).abi);
}, 60_000);
afterAll(() => world?.anvil.stop());

it("has one decay factor a half-life", async () => {
  for (const halfLife of [1, 2, 3, 7, 100, 360, 7200, 50_400, 65_535, 1_000_000])
    expect([halfLife, await probe.read("decayFactor", BigInt(halfLife))]).toEqual([halfLife, decayFactor(halfLife)]);
});

it("takes the same powers", async () => {
  const random = seededRandom("powers");
  for (let i = 0; i < 60; i++) {
    const [base, exponent] = [(1n << 32n) - BigInt(random.below(2 ** 30)), BigInt(random.below(2 ** (1 + (i % 24))))];
    expect(await probe.read("pow", base, exponent)).toBe(powQ32(base, exponent));
  }
});

it("falls and rises by the same rao", async () => {
  const random = seededRandom("burns");
  for (let i = 0; i < 120; i++) {
    const terms = {
      minBurn: BigInt(random.below(1_000_000)),
      maxBurn: 1_000_000n + BigInt(random.below(2 ** 31)) * 512n,
      burnHalfLife: random.below(3) === 0 ? random.below(4) : random.below(20_000),
      burnIncreaseMult: 1_000_000 + random.below(9_000_001),
    };
    const burn = BigInt(random.below(2 ** 31)) * 512n;
    const blocks = random.below(2 ** (1 + (i % 22)));
    const params = { ...PARAMS, ...terms };
    expect(await probe.read("afterBlocks", burn, BigInt(blocks), params)).toBe(burnAfter(burn, blocks, terms));
    expect(await probe.read("bumped", burn, params)).toBe(burnBumped(burn, terms));
  }
});
