/** What trainers and validators must know alike: the data that a uid was dealt, and who is challenged. */
import { describe, expect, it } from "vitest";
import { keyOf, toyNetwork, toySpec } from "../../../test/helpers/network.ts";
import { toyDataset } from "../../../test/helpers/toy.ts";
import { bytesOf, concatBytes } from "../../base/bytes.ts";
import { sha256, toHex } from "../../base/hash.ts";
import type { Metagraph } from "../../chain/chain.ts";
import { roundStart } from "../../chain/rounds.ts";
import { assignment } from "../../data/assignment.ts";
import { assignmentPlan } from "../../run/rules.ts";
import { challengesOf, dealtDigest } from "./work.ts";

describe("dealtDigest", () => {
  const dataset = toyDataset(3, 6000);
  const split = dataset.split("train");
  const spec = toySpec({ uids: 4, inner: { steps: 3, batch: 4, seqLen: 8 } });
  const assigned = assignment(assignmentPlan(spec, split.sequences(8)));
  const node = { assigned, dataset, spec };
  const dealt = { round: 2, uid: 1, batch: 2, seed: "hash" };

  it("is over the tokens of each step in order", async () => {
    const sequences = [0, 1, 2].flatMap((step) => [0, 1].map((slot) => assigned.at(2, 1, step, slot, "hash").sequence));
    const tokens = await Promise.all(sequences.map((sequence) => split.sequence(sequence, 8)));
    expect(toHex(await dealtDigest(node, dealt))).toBe(toHex(sha256(concatBytes(tokens.map(bytesOf)))));
  });

  it("differs by round, uid, batch and seed", async () => {
    const others = [{}, { round: 1 }, { uid: 2 }, { batch: 3 }, { seed: "other" }];
    const digests = await Promise.all(others.map((each) => dealtDigest(node, { ...dealt, ...each })));
    expect(new Set(digests.map(toHex)).size).toBe(others.length);
  });
});

describe("challenges", () => {
  /** Two peers that have promised payloads in round 0, seen when they are to be revealed. */
  const begun = async () => {
    const network = await toyNetwork({ spec: toySpec({ audit: { perMille: 1000, spans: 2 } }) });
    const { twin, runId, record } = network;
    const peers = ["a", "b"].map((name) => keyOf(name));
    const promise = async (): Promise<number[]> => {
      const uids = [];
      for (const peer of peers) uids.push((await twin.as(keyOf("owner")).register(1, peer, 10n ** 12n)).uid);
      await twin.waitForBlock(roundStart(record, 0));
      await Promise.all(peers.map((peer) => twin.as(peer).commitPayload(runId, 0, `0x${"7".repeat(64)}`)));
      await twin.waitForBlock(roundStart(record, 0, "reveal"));
      return uids;
    };
    const [a = -1, b = -1] = await network.during(promise());
    return { node: await network.node("v1"), a, b };
  };

  it("are for those who promised a payload, from the first reveal block on", async () => {
    const { node, a, b } = await begun();
    const challenges = await challengesOf(node, 0);
    for (const uid of [a, b]) expect([0, 1, 2]).toContain(challenges?.(uid));
    expect(challenges?.(0)).toBeUndefined(); // a validator's
    expect(await challengesOf(node, 0, await node.chain.commits(node.runId, 0))).toBeDefined();
    expect(await challengesOf(node, 1)).toBeUndefined();
  });

  it("are not for whoever has taken over a uid since, nor for whoever had it", async () => {
    const { node, a, b } = await begun();
    const metagraph = async (netuid: number): Promise<Metagraph> => {
      const found = await node.chain.metagraph(netuid);
      const taken = { hotkey: keyOf("c").account, registeredAt: found.block };
      return { ...found, neurons: found.neurons.map((each) => (each.uid === b ? { ...each, ...taken } : each)) };
    };
    const challenges = await challengesOf({ ...node, chain: { ...node.chain, metagraph } }, 0);
    expect(challenges?.(a)).toBe((await challengesOf(node, 0))?.(a));
    expect(challenges?.(b)).toBeUndefined();
  });
});
