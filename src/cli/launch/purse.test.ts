import { describe, expect, it } from "vitest";
import { COIN, testSigner } from "../../../test/contract/chain-kit.ts";
import { createTwin, type Twin } from "../../chain/twin/twin.ts";
import { grantFor, grantMax, purse } from "./purse.ts";

const owner = testSigner("owner");

async function withSubnet(): Promise<Twin> {
  const chain = createTwin({ balances: new Map([[owner.account, 100_000n * COIN]]), lockMin: COIN });
  await chain.as(owner).createSubnet(owner, COIN, { tempo: 20 });
  return chain;
}

describe("purse", () => {
  it("gives newcomers that come all at once enough to register, one after another", async () => {
    const chain = await withSubnet();
    const { grant } = purse(chain, owner, 1);
    const peers = Array.from({ length: 15 }, (_, i) => testSigner(`peer ${i}`));
    for (const peer of peers) await grant(peer.account, 1000n * COIN);
    for (const peer of peers) await chain.as(peer).register(1, peer, 1000n * COIN);
    expect((await chain.metagraph(1)).neurons).toHaveLength(16);
  });

  it("does not reckon with those who have registered, or did not for long", async () => {
    const chain = await withSubnet();
    const { grant } = purse(chain, owner, 1);
    const [a, b, c] = [testSigner("a"), testSigner("b"), testSigner("c")];
    const { rao } = await grant(a.account, 1000n * COIN);
    await chain.as(a).register(1, a, 1000n * COIN);
    const metagraph = await chain.metagraph(1);
    expect((await grant(b.account, 1000n * COIN)).rao).toBe(grantFor(metagraph, 0));
    chain.mine(60);
    const later = await chain.metagraph(1);
    const last = await grant(c.account, 1000n * COIN);
    expect(last.rao).toBe(grantFor(later, 0));
    expect(last.rao < rao * 2n).toBe(true);
  });

  it("sends no more than it may, and nothing to who has enough", async () => {
    const chain = await withSubnet();
    const { grant } = purse(chain, owner, 1);
    const [poor, rich] = [testSigner("poor"), testSigner("rich")];
    expect((await grant(poor.account, 5n)).rao).toBe(5n);
    expect((await chain.funds(poor.account)).balance).toBe(5n);
    await chain.as(owner).transfer(rich.account, 100n * COIN);
    expect((await grant(rich.account, 1000n * COIN)).rao).toBe(0n);
  });

  it("settles a grant whose end is not known by what the account has", async () => {
    const chain = await withSubnet();
    const { grant, settled } = purse(chain, owner, 1);
    const [nobody, somebody, seated] = [testSigner("nobody"), testSigner("somebody"), testSigner("seated")];
    expect(await settled(nobody.account)).toBe("nothing");
    const { rao } = await grant(somebody.account, 1000n * COIN);
    expect(await settled(somebody.account)).toMatchObject({ rao });
    await chain.as(owner).transfer(seated.account, (await chain.metagraph(1)).subnet.burn);
    await chain.as(seated).register(1, seated, 1000n * COIN);
    expect(await settled(seated.account)).toMatchObject({ block: expect.any(Number) });
  });
});

describe("grantMax", () => {
  it("leaves a budget for several, and is enough for one where it is small", () => {
    expect(grantMax(500n * COIN)).toBe(50n * COIN);
    expect(grantMax(20n * COIN)).toBe(4n * COIN);
    expect(grantMax(3n * COIN)).toBe(3n * COIN);
  });
});
