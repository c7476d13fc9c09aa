import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { COIN, refused, testSigner } from "../../../test/contract/chain-kit.ts";
import { claimDigest, signerOf } from "./proof.ts";
import { createTwin } from "./twin.ts";

const ANN = testSigner("ann");
const HOT = testSigner("hot");
const claim = { chainId: 1337, netuid: 1, coldkey: ANN.account, nonce: 0 };

describe("a hotkey's proof", () => {
  it("names its signer, over this claim only", async () => {
    const signature = await HOT.sign(claimDigest(claim));
    expect(signerOf(claimDigest(claim), signature)).toBe(HOT.address);
    for (const other of [{ chainId: 1 }, { netuid: 2 }, { coldkey: HOT.account }, { nonce: 1 }]) {
      expect(signerOf(claimDigest({ ...claim, ...other }), signature)).not.toBe(HOT.address);
    }
  });

  it("may be any bytes, without harm", () =>
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 70 }),
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        (bytes, digest) => {
          expect(signerOf(digest, bytes)).not.toBe(HOT.address);
        },
      ),
    ));

  it("serves once", async () => {
    const chain = createTwin({ balances: new Map([[ANN.account, 100n * COIN]]), lockMin: COIN });
    const { netuid } = await chain
      .as(ANN)
      .createSubnet(ANN, COIN, { maxUids: 2, minNonImmuneUids: 0, immunityPeriod: 0 });
    let kept = new Uint8Array();
    const recorded = { ...HOT, sign: async (digest: Uint8Array) => (kept = new Uint8Array(await HOT.sign(digest))) };
    await chain.as(ANN).register(netuid, recorded, 5n * COIN);
    await chain.as(ANN).register(netuid, testSigner("next"), 5n * COIN); // takes the uid over
    const replayed = { ...HOT, sign: async () => kept };
    await refused(chain.as(ANN).register(netuid, replayed, 5n * COIN), "InvalidProof");
    expect((await chain.as(ANN).register(netuid, HOT, 5n * COIN)).uid).toBe(1);
  });
});
