/** What a metagraph means, against the twin that does it. */
import { describe, expect, it } from "vitest";
import { testSigner } from "../../test/contract/chain-kit.ts";
import { burnPrices, epochLeft, immunityLeft, isOpen, nextPruned, singleValidator } from "./metagraph.ts";
import { createTwin } from "./twin/twin.ts";

const COIN = 1_000_000_000n;
const keyOfNumber = (n: number) => testSigner(String(n));
const owner = keyOfNumber(1);

async function subnetOf(minNonImmuneUids: number) {
  const chain = createTwin({ balances: new Map([[owner.account, 10n ** 6n * COIN]]), lockMin: COIN });
  const params = { maxUids: 4, minNonImmuneUids, immunityPeriod: 50, tempo: 1000 };
  const { netuid } = await chain.as(owner).createSubnet(owner, COIN, params);
  const join = (n: number) => chain.as(owner).register(netuid, keyOfNumber(n), 10n ** 6n * COIN);
  return { chain, netuid, join, look: () => chain.metagraph(netuid) };
}

describe("a metagraph", () => {
  it("names the uid that the next registration then takes over, and the price it then burns", async () => {
    const { chain, join, look } = await subnetOf(0);
    for (const n of [2, 3, 4]) {
      expect(nextPruned(await look())).toBeUndefined();
      await join(n);
    }
    for (let n = 5; n < 12; n++) {
      chain.mine(n % 3 === 0 ? 60 : 7);
      const before = await look();
      expect(isOpen(before)).toBe(true);
      const [price, after] = burnPrices(before.subnet);
      const { balance } = await chain.funds(owner.account);
      const { uid } = await join(n);
      expect(uid).toBe(nextPruned(before));
      expect(balance - (await chain.funds(owner.account)).balance).toBe(price);
      expect((await look()).subnet.burn).toBeLessThanOrEqual(after);
    }
  });

  it("knows when nobody can be pruned, so that registration is closed", async () => {
    const { chain, join, look } = await subnetOf(10);
    for (const n of [2, 3, 4]) await join(n);
    expect(isOpen(await look())).toBe(true); // the immune go first where so few are not
    chain.mine(60);
    expect(nextPruned(await look())).toBeUndefined();
    expect(isOpen(await look())).toBe(false);
    await expect(join(5)).rejects.toMatchObject({ details: expect.stringMatching(/^NoNeuronIdAvailable/) });
  });

  it("counts down immunity and the epoch, and warns of a single validator", async () => {
    const { chain, netuid, join, look } = await subnetOf(0);
    await join(2);
    const before = await look();
    const neuron = before.neurons[1];
    expect(neuron && immunityLeft(before, neuron)).toBe(50);
    expect(epochLeft(before)).toBeGreaterThan(900);
    await chain.as(owner).addStake(netuid, owner.account, COIN);
    chain.mine(1100);
    const later = await look();
    expect(epochLeft(later)).toBe(0);
    expect(later.neurons.map((each) => immunityLeft(later, each))).toEqual([0, 0]);
    await chain.as(owner).stepEpoch(netuid);
    expect(singleValidator(await look())).toBe(true);
  });
});
