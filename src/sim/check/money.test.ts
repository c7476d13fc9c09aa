/** Money, kept and broken. */
import { beforeAll, describe, expect, it } from "vitest";
import { emptyNetwork, sightOf, VALIDATORS, watch, withChain } from "../../../test/helpers/sight.ts";
import { must } from "../../base/assert.ts";
import type { Ledger, SubnetState } from "../../chain/twin/state.ts";
import type { TwinState } from "../../chain/twin/twin.ts";
import type { Network } from "../network.ts";
import { money } from "./money.ts";

describe("money", () => {
  let network: Network;
  /** The states after some blocks; an epoch is in the last but one. */
  const states: TwinState[] = [];

  beforeAll(async () => {
    network = await emptyNetwork();
    const { twin, record } = network;
    const owner = network.signer("owner");
    const push = (): void => void states.push(twin.save());
    await network.during(twin.as(owner).register(record.netuid, network.signer("p1"), 10n ** 12n), push);
    const { subnet } = await twin.metagraph(record.netuid);
    await network.during(twin.waitForBlock(subnet.epoch.dueBlock), push);
    const paid = await network.during(twin.as(network.signer("v1")).stepEpoch(record.netuid), push);
    await network.during(twin.waitForBlock((paid?.block ?? 0) + 1), push);
  });

  /** What is found where the state after block `at` from the end, and all that come after it, are changed. */
  const changed = async (at: number, change: (ledger: Ledger, subnet: SubnetState) => void) => {
    let state = must(states[0], "a state");
    const { checker, violations } = watch(money, withChain(sightOf(network), { peek: () => state }));
    for (const [i, each] of states.entries()) {
      state = structuredClone(each);
      const { ledger, subnets } = state.world;
      if (i >= states.length + at) change(ledger, must(subnets.get(network.record.netuid), "a subnet"));
      checker.onBlock?.(state.blocks.head.block);
    }
    await checker.onEnd?.();
    return violations;
  };
  const account = (name: string) => network.signer(name).account;
  const add = (map: Map<`0x${string}`, bigint>, name: string, rao: bigint): void =>
    void map.set(account(name), (map.get(account(name)) ?? 0n) + rao);

  it("is kept by the chain", async () => {
    expect(states.length).toBeGreaterThan(5);
    const [before, after] = [states.at(-3), states.at(-2)].map((state) => state?.world.subnets.values().next().value);
    expect(after?.epochIndex).toBe((before?.epochIndex ?? 0) + 1);
    expect(after?.slots.some(({ emission }) => emission > 0n)).toBe(true);
    expect(await changed(-1, () => undefined)).toEqual([]);
  });

  it("is broken by rao from nowhere", async () => {
    const found = await changed(-1, ({ balances }) => add(balances, "owner", 1n));
    expect(found.join()).toContain("all accounts together");
  });

  it("is broken by a block that mints too much, and by rao that vanish", async () => {
    const minted = (rao: bigint) => (ledger: Ledger) => {
      ledger.issuance += rao;
      add(ledger.balances, "owner", rao);
    };
    expect((await changed(-1, minted(10n ** 10n))).join()).toContain("minted");
    expect((await changed(-1, minted(-5n))).join()).toContain("lost 5 rao");
  });

  it("is broken by staked rao that are in no pool, and shares that nobody holds", async () => {
    const found = await changed(-1, (ledger) => {
      ledger.stake += 1n;
    });
    expect(found.join()).toContain("are staked");
    const shares = await changed(-1, ({ pools }) => {
      for (const pool of pools.values()) pool.shares += 1n;
    });
    expect(shares.join()).toContain("other shares");
  });

  it("is broken by an epoch that comes twice", async () => {
    const found = await changed(-1, (_, subnet) => {
      subnet.epochIndex += 1;
      subnet.lastEpochBlock += 1;
    });
    expect(found.join()).toContain("after epoch");
  });

  it("is broken by an epoch that pays somebody twice, from what waits or from what is another's", async () => {
    const rao = 10n ** 8n;
    const waits = await changed(-2, ({ earned, accruals }) => {
      add(earned, VALIDATORS[0] ?? "", rao);
      for (const accrual of accruals.values()) accrual.pending -= rao;
    });
    expect(waits.join()).toContain("says that it paid");
    const others = await changed(-2, ({ earned }, { slots, owner }) => {
      const coldkey = slots.find((slot) => slot.coldkey === owner)?.coldkey;
      const due = earned.get(must(coldkey, "the owner's")) ?? 0n;
      earned.set(owner, 0n);
      slots.push({ ...must(slots[0], "a slot"), coldkey: account("p2"), emission: 0n });
      earned.set(account("p2"), due);
    });
    expect(others.join()).toContain(`to ${account("p2")}`);
  });
});
