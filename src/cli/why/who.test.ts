import { describe, expect, it } from "vitest";
import { COIN, testSigner } from "../../../test/contract/chain-kit.ts";
import type { Hash } from "../../chain/chain.ts";
import { createTwin } from "../../chain/twin/twin.ts";
import { askedOf, peerOf } from "./who.ts";

const [owner, peer] = [testSigner("owner"), testSigner("peer")];

describe("whom it is about", () => {
  it("is a uid, an address or an account", () => {
    expect(askedOf("7")).toEqual({ uid: 7 });
    expect(askedOf(peer.address)).toEqual({ account: peer.account });
    expect(askedOf(peer.account.toUpperCase().replace("0X", "0x"))).toEqual({ account: peer.account });
    for (const text of ["", "-1", "1.5", "65536", "seven", "0x12", "1e3"])
      expect(() => askedOf(text), text).toThrow("It must be");
  });

  it("is somebody there, or the error says who is", async () => {
    const balances = new Map([owner, peer].map(({ account }): [Hash, bigint] => [account, 5000n * COIN]));
    const chain = createTwin({ balances, lockMin: COIN });
    await chain.as(owner).createSubnet(peer, COIN, { maxUids: 8 });
    const metagraph = await chain.metagraph(1);
    expect(peerOf(metagraph, { uid: 0 }).hotkey).toBe(peer.account);
    expect(peerOf(metagraph, { account: peer.account }).uid).toBe(0);
    expect(() => peerOf(metagraph, { uid: 3 })).toThrow("there is no uid 3 in subnet 1");
    const why = (account: Hash): unknown => {
      try {
        return peerOf(metagraph, { account });
      } catch (thrown) {
        return thrown;
      }
    };
    expect(why(owner.account)).toMatchObject({ code: "usage", details: expect.stringContaining("owns uid 0") });
    expect(why(testSigner("nobody").account)).toMatchObject({ details: expect.stringContaining("never registered") });
  });
});
