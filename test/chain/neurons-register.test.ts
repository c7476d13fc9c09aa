/**
 * Registration in Neurons.sol on anvil: prices, refusals, pruning against a model, whose hotkey is whose, and gas under spam.
 */
import type { Address, Hex } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { seededRandom } from "../../src/base/random.ts";
import { burnAfter, burnBumped } from "../../src/chain/burn.ts";
import type { NeuronWorld } from "../helpers/neurons.ts";
import { accountOf, outcomeOf, PARAMS, person, startNeurons } from "../helpers/neurons.ts";

let world: NeuronWorld;
let us: Address;
let netuids = 0;
beforeAll(async () => {
  world = await startNeurons();
  us = world.anvil.client.account.address;
}, 60_000);
afterAll(() => world?.anvil.stop());

const rich = async (who: Address, rao = 10n ** 18n): Promise<void> => {
  await world.peers.send(us, "setBalance", accountOf(who), rao);
};
/** A new subnet of person 0's. */
const subnet = async (params: Record<string, bigint | number | boolean> = {}): Promise<number> => {
  await world.subnet(++netuids, person(0), params);
  return netuids;
};
const register = (netuid: number, who: Address) => world.neurons.send(who, "burnedRegister", netuid, accountOf(who));
const terms = { minBurn: 500_000n, maxBurn: 100_000_000_000n, burnHalfLife: 360, burnIncreaseMult: 1_260_000 };

describe("the price of a uid", () => {
  it("starts at one coin, rises with each registration, falls from block to block, all to the rao", async () => {
    const netuid = await subnet();
    const born = await world.block();
    const random = seededRandom("prices");
    let [burn, since] = [1_000_000_000n, born];
    for (let i = 1; i <= 24; i++) {
      await rich(person(i));
      const at = (await world.block()) + 1 + (i % 3 === 0 ? random.below(400) : random.below(4));
      await world.before(at);
      const price = burnAfter(burn, at - since, terms);
      expect(await world.neurons.read("nextBurn", netuid)).toBe(price);
      expect(await world.neurons.read("burnOf", netuid)).toBe(burnAfter(burn, at - 1 - since, terms));
      await register(netuid, person(i));
      expect(await world.peers.read("balances", accountOf(person(i)))).toBe(10n ** 18n - price);
      [burn, since] = [burnBumped(price, terms), at];
    }
  });

  it("keeps within the subnet's bounds, and follows a new half-life", async () => {
    const netuid = await subnet({ minBurn: 2_000_000_000n, maxBurn: 2_200_000_000n });
    expect(await world.neurons.read("burnOf", netuid)).toBe(2_000_000_000n);
    await rich(person(1));
    await register(netuid, person(1));
    expect(await world.neurons.read("burnOf", netuid)).toBe(2_200_000_000n);
    await world.setParams(netuid, { minBurn: 1n, burnHalfLife: 1 });
    expect(await world.neurons.read("nextBurn", netuid)).toBe(550_000_000n); // two blocks since
    await world.setParams(netuid, { minBurn: 1n, burnHalfLife: 0 });
    expect(await world.neurons.read("nextBurn", netuid)).toBe(2_200_000_000n);
  });

  it("is taken only up to the caller's limit", async () => {
    const netuid = await subnet({ burnHalfLife: 0 });
    await rich(person(1));
    const account = accountOf(person(1));
    const tight = await world.neurons.refusal(person(1), "registerLimit", netuid, account, 999_999_999n);
    expect(tight).toBe("RegistrationPriceLimitExceeded(1000000000)");
    await world.neurons.send(person(1), "registerLimit", netuid, account, 1_000_000_000n);
    expect(await world.neurons.read("uidOf", netuid, account)).toBe(1);
  });
});

describe("refusals", () => {
  it("name what is wrong", async () => {
    const { neurons, peers } = world;
    const netuid = await subnet();
    const [stranger, account] = [person(1), accountOf(person(1))];
    const refusal = (...args: unknown[]) => neurons.refusal(stranger, "burnedRegister", ...args);
    expect(await refusal(999, account)).toBe("SubnetNotExists(999)");
    await peers.send(us, "setBalance", account, 5n);
    expect(await refusal(netuid, account)).toMatch(/^NotEnoughBalanceToStake\(5, \d+\)$/);
    await rich(stranger);
    await peers.send(us, "setEpoch", netuid, 0n, 0n, true);
    expect(await refusal(netuid, account)).toBe(`EpochDue(${netuid})`);
    await peers.send(us, "setEpoch", netuid, 0n, 0n, false);
    await world.setParams(netuid, { registrationAllowed: false });
    expect(await refusal(netuid, account)).toBe("SubNetRegistrationDisabled()");
    await world.setParams(netuid, {});
    await register(netuid, stranger);
    expect(await refusal(netuid, account)).toBe("HotKeyAlreadyRegisteredInSubNet()");
    expect(await neurons.refusal(us, "registerOwner", netuid, account, account, stranger)).toBe("NotAllowed()");
    const links = { staking: us, subnets: us, neurons: us, epochs: us };
    expect(await neurons.refusal(us, "initialize", links)).toBe("AlreadyInitialized()");
    expect(await neurons.read("isRegistered", netuid, accountOf(person(2)))).toBe(false);
  });

  it("a subnet of the owner alone has no uid to give", async () => {
    const netuid = await subnet({ maxUids: 1, immunityPeriod: 0 });
    await rich(person(1));
    const refused = await world.neurons.refusal(person(1), "burnedRegister", netuid, accountOf(person(1)));
    expect(refused).toBe("NoNeuronIdAvailable()");
  });
});

describe("pruning", () => {
  interface Seat {
    readonly hotkey: Hex;
    readonly registeredAt: number;
    emission: bigint;
  }
  /** The rule in plain words. */
  function victim(seats: readonly Seat[], block: number, immunity: number, minNonImmune: number): number | undefined {
    const others = seats.map((seat, uid) => ({ ...seat, uid })).slice(1);
    others.sort((a, b) => Number(a.emission - b.emission) || a.registeredAt - b.registeredAt || a.uid - b.uid);
    const open = others.filter((seat) => block - seat.registeredAt >= immunity);
    const immune = others.filter((seat) => block - seat.registeredAt < immunity);
    return (open.length > minNonImmune ? open : immune)[0]?.uid;
  }

  for (const [immunityPeriod, minNonImmuneUids] of [
    [12, 2],
    [0, 0],
    [1000, 3],
    [25, 6],
  ] as const) {
    it(`agrees with the model: immunity ${immunityPeriod}, ${minNonImmuneUids} never immune`, async () => {
      const params = { maxUids: 9, immunityPeriod, minNonImmuneUids, minBurn: 0n };
      const netuid = await subnet(params);
      const random = seededRandom(`pruning ${immunityPeriod}`);
      const seats: Seat[] = [{ hotkey: accountOf(person(0)), registeredAt: await world.block(), emission: 0n }];
      let pruned = 0;
      for (let turn = 0; turn < 40; turn++) {
        const who = person(1 + random.below(20));
        const hotkey = accountOf(who);
        if (random.below(3) === 0) {
          const uid = random.below(seats.length);
          const emission = BigInt(random.below(3));
          await world.peers.send(us, "setOutcome", netuid, uid, outcomeOf({ emission, permit: true }));
          (seats[uid] as Seat).emission = emission;
          continue;
        }
        await rich(who);
        if (seats.some((seat) => seat.hotkey === hotkey)) {
          const refused = await world.neurons.refusal(who, "burnedRegister", netuid, hotkey);
          expect(refused).toBe("HotKeyAlreadyRegisteredInSubNet()");
          continue;
        }
        const block = (await world.block()) + 1;
        const uid = seats.length < 9 ? seats.length : victim(seats, block, immunityPeriod, minNonImmuneUids);
        if (uid === undefined) {
          expect(await world.neurons.refusal(who, "burnedRegister", netuid, hotkey)).toBe("NoNeuronIdAvailable()");
          continue;
        }
        if (seats[uid]) pruned++;
        await register(netuid, who);
        const former = seats[uid]?.hotkey;
        seats[uid] = { hotkey, registeredAt: block, emission: 0n };
        if (former) expect(await world.neurons.read("isRegistered", netuid, former)).toBe(false);
        // uid ↔ hotkey is one to one, and newcomers start from nothing
        const slots = await world.neurons.read<{ hotkey: Hex; registeredAt: bigint; rowSum: number }[]>(
          "slots",
          netuid,
        );
        expect(slots.map((slot) => [slot.hotkey, Number(slot.registeredAt)])).toEqual(
          seats.map((seat) => [seat.hotkey, seat.registeredAt]),
        );
        expect(await world.neurons.read("uidOf", netuid, hotkey)).toBe(uid);
        expect(await world.metagraph.read("getEmission", netuid, uid)).toBe(0n);
      }
      for (const [uid, seat] of seats.entries()) {
        expect(await world.neurons.read("uidOf", netuid, seat.hotkey)).toBe(uid);
        expect(await world.neurons.read("hotkeyOf", netuid, uid)).toBe(seat.hotkey);
      }
      expect(pruned).toBeGreaterThan(3);
      const order = await world.extras.read<number[]>("getPruneOrder", netuid);
      expect(order[0]).toBe(victim(seats, await world.block(), immunityPeriod, minNonImmuneUids) ?? order[0]);
      expect([...order].sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    }, 20_000);
  }

  it("tells the order in which all would go", async () => {
    const netuid = await subnet({ immunityPeriod: 4, minNonImmuneUids: 2, minBurn: 0n });
    for (let i = 1; i <= 6; i++) {
      await rich(person(i));
      await register(netuid, person(i));
    }
    const emissions = [0n, 9n, 5n, 5n, 7n, 0n, 0n];
    for (const [uid, emission] of emissions.entries())
      await world.peers.send(us, "setOutcome", netuid, uid, outcomeOf({ emission }));
    expect(await world.extras.read("getPruneOrder", netuid)).toEqual([5, 6, 2, 3, 4, 1]);
    expect(await world.neurons.read("nextUid", netuid)).toEqual([7, false]);
    // with 5 and 6 immune: of 1 to 4 two may go, then the immune, then the rest
    const slots = await world.neurons.read<{ registeredAt: bigint }[]>("slots", netuid);
    const immunityPeriod = (await world.block()) + 1 - Number(slots[4]?.registeredAt);
    await world.setParams(netuid, { immunityPeriod, minNonImmuneUids: 2, maxUids: 7 });
    expect(await world.extras.read("getPruneOrder", netuid)).toEqual([2, 3, 5, 6, 4, 1]);
    expect(await world.neurons.read("nextUid", netuid)).toEqual([2, true]);
  });
});

describe("whose hotkey is whose", () => {
  const types = {
    Register: [
      { name: "netuid", type: "uint16" },
      { name: "coldkey", type: "address" },
      { name: "nonce", type: "uint64" },
      { name: "deadline", type: "uint64" },
    ],
    Authorize: [
      { name: "coldkey", type: "address" },
      { name: "nonce", type: "uint64" },
      { name: "deadline", type: "uint64" },
    ],
  } as const;
  const domain = (over: object = {}) => ({
    name: "Skein neurons",
    version: "1",
    chainId: world.anvil.chain.id,
    verifyingContract: world.neurons.address,
    ...over,
  });

  it("a stranger's hotkey cannot be taken, nor one that belongs to another coldkey", async () => {
    const { neurons } = world;
    const netuid = await subnet();
    const [cold, hot, thief] = [person(31), person(32), person(33)];
    await Promise.all([cold, hot, thief].map((who) => rich(who)));
    const hotkey = accountOf(hot);
    expect(await neurons.refusal(thief, "burnedRegister", netuid, hotkey)).toBe("HotKeyNotAuthorized()");
    await neurons.send(hot, "authorize", accountOf(cold));
    expect(await neurons.read("authorizedOf", hotkey)).toBe(accountOf(cold));
    expect(await neurons.refusal(thief, "burnedRegister", netuid, hotkey)).toBe("HotKeyNotAuthorized()");
    await neurons.send(cold, "burnedRegister", netuid, hotkey);
    expect(await neurons.read("coldkeyOf", netuid, 1)).toBe(accountOf(cold));
    expect(await neurons.read("hotkeyAddressOf", hotkey)).toBe(hot);
    // it stays the first coldkey's, in every subnet and whatever the hotkey says later
    const other = await subnet();
    await neurons.send(hot, "authorize", accountOf(thief));
    expect(await neurons.refusal(thief, "burnedRegister", other, hotkey)).toBe("NonAssociatedColdKey()");
    expect(await neurons.refusal(hot, "burnedRegister", other, hotkey)).toBe("NonAssociatedColdKey()");
    await neurons.send(cold, "burnedRegister", other, hotkey);
    expect(await neurons.read("uidOf", other, hotkey)).toBe(1);
  });

  it("a signature serves one coldkey, one subnet, once, in time, on one chain and contract", async () => {
    const { neurons } = world;
    const [netuid, other] = [await subnet(), await subnet()];
    const key = privateKeyToAccount(generatePrivateKey());
    const [cold, thief] = [person(41), person(42)];
    await Promise.all([rich(cold), rich(thief)]);
    const deadline = BigInt((await world.block()) + 8);
    const claim = { netuid, coldkey: cold, nonce: 0n, deadline };
    const sign = (message: typeof claim, over: object = {}) =>
      key.signTypedData({ domain: domain(over), types, primaryType: "Register", message });
    const attempt = (from: Address, signature: Hex, at = netuid, until = deadline) =>
      neurons.refusal(from, "registerWithProof", at, key.address, 10n ** 12n, until, signature);
    const good = await sign(claim);
    expect(await attempt(thief, good)).toBe("InvalidProof()");
    expect(await attempt(cold, good, other)).toBe("InvalidProof()");
    expect(await attempt(cold, good, netuid, deadline + 1n)).toBe("InvalidProof()");
    expect(await attempt(cold, await sign({ ...claim, nonce: 1n }))).toBe("InvalidProof()");
    expect(await attempt(cold, await sign(claim, { chainId: 1 }))).toBe("InvalidProof()");
    expect(await attempt(cold, await sign(claim, { verifyingContract: person(9) }))).toBe("InvalidProof()");
    expect(await attempt(cold, await sign(claim, { version: "2" }))).toBe("InvalidProof()");
    expect(await attempt(cold, `0x${"00".repeat(65)}`)).toBe("InvalidProof()");
    expect(await attempt(cold, good.slice(0, -2) as Hex)).toBe("InvalidProof()");
    expect(await neurons.refusal(cold, "registerWithProof", netuid, key.address, 1n, deadline, good)).toMatch(
      /^RegistrationPriceLimitExceeded\(\d+\)$/,
    );
    await neurons.send(cold, "registerWithProof", netuid, key.address, 10n ** 12n, deadline, good);
    expect(await neurons.read("nonces", key.address)).toBe(1n);
    expect(await neurons.read("hotkeyAddressOf", accountOf(key.address))).toBe(key.address);
    expect(await attempt(cold, good)).toBe("InvalidProof()"); // replayed: the nonce is used
    const late = BigInt((await world.block()) + 1);
    const again = await sign({ netuid: other, coldkey: cold, nonce: 1n, deadline: late });
    expect(await attempt(cold, again, other, late)).toBe("no refusal");
    await world.mine(1);
    expect(await attempt(cold, again, other, late)).toBe(`SignatureExpired(${late})`);
  });

  it("a signed authorization lets a key without coin consent", async () => {
    const { neurons } = world;
    const netuid = await subnet();
    const key = privateKeyToAccount(generatePrivateKey());
    const [cold, thief] = [person(51), person(52)];
    await rich(cold);
    const deadline = BigInt((await world.block()) + 10);
    const message = { coldkey: cold, nonce: 0n, deadline };
    const signature = await key.signTypedData({ domain: domain(), types, primaryType: "Authorize", message });
    expect(await neurons.refusal(thief, "authorizeWithProof", key.address, deadline, signature)).toBe("InvalidProof()");
    await neurons.send(cold, "authorizeWithProof", key.address, deadline, signature);
    expect(await neurons.refusal(cold, "authorizeWithProof", key.address, deadline, signature)).toBe("InvalidProof()");
    await neurons.send(cold, "burnedRegister", netuid, accountOf(key.address));
    expect(await neurons.read("coldkeyOf", netuid, 1)).toBe(accountOf(cold));
  });
});

describe("gas", () => {
  it("of registrations does not grow with their number, and pruning in a full subnet stays bounded", async () => {
    const netuid = await subnet({ maxBurn: 500_000n, immunityPeriod: 20, minNonImmuneUids: 10 });
    const gas: number[] = [];
    for (let i = 1; i < 256; i++) {
      await rich(person(i + 100));
      gas.push((await register(netuid, person(i + 100))).gas);
    }
    expect(Math.max(...gas.slice(5))).toBeLessThanOrEqual(Math.min(...gas) + 20_000);
    expect(Math.max(...gas)).toBeLessThan(240_000);
    const spam: number[] = [];
    for (let i = 0; i < 12; i++) {
      await rich(person(i + 1000));
      spam.push((await register(netuid, person(i + 1000))).gas);
    }
    expect(await world.neurons.read("count", netuid)).toBe(256);
    expect(Math.max(...spam)).toBeLessThan(1_500_000);
    console.log("gas:", { register: gas.at(-1), prune: Math.max(...spam) });
    expect(PARAMS["maxUids"]).toBe(256);
  }, 30_000);
});
