/** Share, kept and broken. */
import { beforeAll, describe, expect, it } from "vitest";
import { emptyNetwork, shortSpec, sightOf, watch, withChain } from "../../../test/helpers/sight.ts";
import type { RoundDecision } from "../../chain/chain.ts";
import type { Network } from "../network.ts";
import { share } from "./share.ts";

const ROUNDS = 14;

describe("share", () => {
  let network: Network;
  beforeAll(async () => {
    network = await emptyNetwork(shortSpec(ROUNDS));
  });

  /** What is found where two epochs pay p1 and p2, the dishonest one, who promise a payload in so many rounds. */
  const found = async (pay: readonly [bigint, bigint], rounds: readonly [number, number], decided = ROUNDS) => {
    const state = network.twin.save();
    const names = ["p1", "p2"];
    const { record } = network;
    const decision: RoundDecision = {
      round: 0,
      accepted: [],
      incentives: [],
      seed: "0x",
      stateRoot: undefined,
      block: 1,
    };
    const base = sightOf(network, { dishonest: new Set(["p2"]) });
    const sight = withChain(base, {
      peek: () => state,
      decision: async (_, round) => (round < decided ? decision : undefined),
      commits: async (_, round) =>
        names.flatMap((name, uid) =>
          round < (rounds[uid] ?? 0) ? [{ uid, hotkey: base.account(name), payloadHash: "0x", block: 1 }] : [],
        ),
    });
    const { checker, violations } = watch(share, sight);
    const subnet = state.world.subnets.get(record.netuid);
    for (const block of [record.startBlock + 1, record.startBlock + 1, record.startBlock + 2]) {
      if (subnet) subnet.lastEpochBlock = block;
      if (subnet) subnet.epochIndex = block;
      const [slot] = subnet?.slots ?? [];
      const paid = names.flatMap((name, i) =>
        slot ? [{ ...slot, hotkey: base.account(name), emission: pay[i] ?? 0n }] : [],
      );
      subnet?.slots.splice(0, subnet.slots.length, ...paid);
      checker.onBlock?.(block);
    }
    await checker.onEnd?.();
    return violations;
  };

  it("is kept where the dishonest earn less, also if they were there for longer", async () => {
    expect(await found([100n, 99n], [ROUNDS, ROUNDS])).toEqual([]);
    expect(await found([50n, 90n], [ROUNDS / 2, ROUNDS])).toEqual([]);
  });

  it("is broken where they do not", async () => {
    expect(await found([100n, 101n], [ROUNDS, ROUNDS])).toHaveLength(1);
    expect(await found([100n, 60n], [ROUNDS, ROUNDS / 2])).toHaveLength(1);
  });

  it("judges no short run and none that paid nobody", async () => {
    expect(await found([100n, 101n], [ROUNDS, ROUNDS], 11)).toEqual([]);
    expect(await found([0n, 0n], [ROUNDS, ROUNDS])).toEqual([]);
    expect(await found([1n, 100n], [ROUNDS, 2])).toEqual([]);
  });
});
