/**
 * What can be read of neurons on anvil: the functions of Bittensor's precompiles by their selectors, endpoints, one value a call
 * (Metagraph.sol, UidLookup.sol) and everything in one call (Extras.sol).
 */
import type { Abi, Address } from "viem";
import { getAddress, numberToHex, toFunctionSelector, toFunctionSignature } from "viem";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { NeuronWorld } from "../helpers/neurons.ts";
import { accountOf, outcomeOf, PARAMS, person, startNeurons } from "../helpers/neurons.ts";

let world: NeuronWorld;
let us: Address;
beforeAll(async () => {
  world = await startNeurons();
  us = world.anvil.client.account.address;
  await world.subnet(1, person(0), { minBurn: 0n, maxBurn: 0n });
  for (let i = 1; i < 5; i++) await world.neurons.send(person(i), "burnedRegister", 1, accountOf(person(i)));
}, 60_000);
afterAll(() => world?.anvil.stop());

describe("the functions of the precompiles", () => {
  const AXON = "(uint64,uint32,uint128,uint16,uint8,uint8)";
  const each = (type: string, names: string): [string, string][] =>
    names.split(" ").map((name) => [`${name}(uint16,uint16)`, type]);
  const TABLES: Record<string, { address: string; functions: [string, string][] }> = {
    Neurons: {
      address: "0x804",
      functions: [
        ["setWeights(uint16,uint16[],uint16[],uint64)", ""],
        ["commitWeights(uint16,bytes32)", ""],
        ["revealWeights(uint16,uint16[],uint16[],uint16[],uint64)", ""],
        ["burnedRegister(uint16,bytes32)", ""],
        ["registerLimit(uint16,bytes32,uint64)", ""],
        ["serveAxon(uint16,uint32,uint128,uint16,uint8,uint8,uint8,uint8)", ""],
        ["serveAxonTls(uint16,uint32,uint128,uint16,uint8,uint8,uint8,uint8,bytes)", ""],
        ["servePrometheus(uint16,uint32,uint128,uint16,uint8)", ""],
      ],
    },
    Metagraph: {
      address: "0x802",
      functions: [
        ["getUidCount(uint16)", "uint16"],
        ...each("uint64", "getStake getEmission getLastUpdate"),
        ...each("uint16", "getRank getTrust getConsensus getIncentive getDividends getVtrust"),
        ...each("bool", "getValidatorStatus getIsActive"),
        ...each(AXON, "getAxon"),
        ...each("bytes32", "getHotkey getColdkey"),
      ],
    },
    UidLookup: { address: "0x806", functions: [["uidLookup(uint16,address,uint16)", "(uint16,uint64)[]"]] },
  };
  type Typed = { readonly type: string; readonly components?: readonly Typed[] };
  const typeText = ({ type, components }: Typed): string =>
    components ? `(${components.map(typeText).join(",")})${type.replace("tuple", "")}` : type;

  for (const [name, { address, functions }] of Object.entries(TABLES)) {
    it(`${name} has all ${functions.length} of ${address}`, () => {
      const abi: Abi = world.artifact(name).abi;
      for (const [signature, returns] of functions) {
        const found = abi.find((entry) => entry.type === "function" && toFunctionSignature(entry) === signature);
        if (found?.type !== "function") throw new Error(`${signature} is missing`);
        expect(toFunctionSelector(found)).toBe(toFunctionSelector(signature));
        expect([signature, found.outputs.map(typeText).join(",")]).toEqual([signature, returns]);
        expect([signature, found.stateMutability]).toEqual([signature, returns === "" ? "payable" : "view"]);
      }
    });
  }
});

it("works at the precompiles' addresses, where no constructor has run", async () => {
  const links = {
    staking: world.peers.address,
    subnets: world.peers.address,
    neurons: us,
    epochs: world.peers.address,
  };
  for (const [name, place] of [
    ["Neurons", 0x804],
    ["Metagraph", 0x802],
    ["UidLookup", 0x806],
    ["Extras", 0xe92],
  ] as const) {
    const address = getAddress(numberToHex(place, { size: 20 }));
    const { abi, deployedBytecode } = world.artifact(name);
    await world.anvil.client.setCode({ address, bytecode: deployedBytecode });
    const contract = world.at(address, abi);
    await contract.send(person(1), "initialize", links);
    expect(await contract.refusal(us, "initialize", links)).toBe("AlreadyInitialized()");
    expect(await contract.read("addresses")).toEqual(links);
  }
  expect(await world.neurons.refusal(us, "initialize", links)).toBe("AlreadyInitialized()");
  const early = world.at(await world.deploy("Neurons"), world.neurons.abi);
  expect(await early.refusal(person(1), "initialize", links)).toBe("NotAllowed()"); // another's deployment
});

it("takes transactions of one account that are sent at once, each in its turn", async () => {
  const before = await world.block();
  const many = Array.from({ length: 40 }, (_, i) => BigInt(i));
  const sent = await Promise.all(many.map((rao) => world.peers.send(us, "setBalance", accountOf(person(99)), rao)));
  expect(sent.map(({ block }) => block)).toEqual(many.map((_, i) => before + 1 + i));
  expect(await world.peers.read("balances", accountOf(person(99)))).toBe(39n);
});

describe("endpoints", () => {
  const V4 = 0x0102_0304n;
  const serve = ["serveAxon", 1, 9, V4, 8091, 4, 1, 0, 0] as const;

  it("are kept by hotkey, with the block", async () => {
    const { neurons, metagraph } = world;
    const { block } = await neurons.send(person(1), ...serve);
    const axon = { blockNumber: BigInt(block), version: 9, ip: V4, port: 8091, ipType: 4, protocol: 1 };
    expect(await metagraph.read("getAxon", 1, 1)).toEqual(axon);
    expect(await metagraph.read("getAxon", 1, 2)).toEqual({
      ...axon,
      blockNumber: 0n,
      version: 0,
      ip: 0n,
      port: 0,
      ipType: 0,
      protocol: 0,
    });
    const tls = await neurons.send(person(2), "serveAxonTls", 1, 9, 2n ** 127n, 1, 6, 0, 0, 0, `0x${"ab".repeat(65)}`);
    expect(tls.logs[0]?.data).toContain("ab".repeat(65));
    expect(await metagraph.read("getAxon", 1, 2)).toMatchObject({ ip: 2n ** 127n, ipType: 6 });
    await neurons.send(person(2), "servePrometheus", 1, 3, V4, 9100, 4);
    expect(await neurons.read("prometheusOf", 1, accountOf(person(2)))).toMatchObject({ port: 9100, version: 3 });
  });

  it("are refused by name", async () => {
    const { neurons } = world;
    const refusal = (who: number, ip: bigint, port: number, ipType: number) =>
      neurons.refusal(person(who), "serveAxon", 1, 9, ip, port, ipType, 1, 0, 0);
    expect(await refusal(77, V4, 1, 4)).toBe("HotKeyNotRegisteredInSubNet()");
    expect(await neurons.refusal(person(1), "serveAxon", 9, 9, V4, 1, 4, 1, 0, 0)).toBe("SubnetNotExists(9)");
    expect(await refusal(3, V4, 1, 5)).toBe("InvalidIpType(5)");
    expect(await refusal(3, V4, 0, 4)).toBe("InvalidPort()");
    for (const ip of [0n, 0x7f00_0001n, 0xffff_ffffn, 2n ** 32n])
      expect(await refusal(3, ip, 1, 4)).toBe(`InvalidIpAddress(${ip})`);
    for (const ip of [0n, 1n, 2n ** 128n - 1n]) expect(await refusal(3, ip, 1, 6)).toBe(`InvalidIpAddress(${ip})`);
    const long = await neurons.refusal(person(3), "serveAxonTls", 1, 9, V4, 1, 4, 0, 0, 0, `0x${"00".repeat(66)}`);
    expect(long).toBe("CertificateTooLong(65)");
    await world.setParams(1, { servingRateLimit: 50n });
    await neurons.send(person(3), ...serve);
    expect(await neurons.refusal(person(3), ...serve)).toBe("ServingRateLimitExceeded(49)");
    await world.mine(48);
    expect(await neurons.refusal(person(3), ...serve)).toBe("ServingRateLimitExceeded(1)");
    await world.mine(1);
    expect(await neurons.refusal(person(3), ...serve)).toBe("no refusal");
    await world.setParams(1, {});
  });
});

describe("views", () => {
  const outcome = {
    consensus: 1,
    incentive: 2,
    dividends: 3,
    vtrust: 4,
    stakeWeight: 5,
    emission: 6n,
    permit: true,
    active: true,
  };

  it("one value a call", async () => {
    const { metagraph, peers } = world;
    await peers.send(us, "setOutcome", 1, 2, outcomeOf(outcome));
    await peers.send(us, "setStake", accountOf(person(2)), 12_345n);
    const of = (name: string, uid = 2) => metagraph.read(name, 1, uid);
    expect(await metagraph.read("getUidCount", 1)).toBe(5);
    expect(await metagraph.read("getUidCount", 9)).toBe(0);
    const shares = ["getRank", "getTrust", "getConsensus", "getIncentive", "getDividends", "getVtrust"];
    expect(await Promise.all(shares.map((name) => of(name)))).toEqual([0, 0, 1, 2, 3, 4]);
    expect([await of("getEmission"), await of("getStake")]).toEqual([6n, 12_345n]);
    expect([await of("getValidatorStatus"), await of("getIsActive"), await of("getValidatorStatus", 3)]).toEqual([
      true,
      true,
      false,
    ]);
    expect(await of("getHotkey")).toBe(accountOf(person(2)));
    expect(await of("getColdkey")).toBe(accountOf(person(2)));
    expect(await of("getLastUpdate")).toBe(await world.neurons.read("registeredAt", 1, 2));
    for (const name of [...shares, "getStake", "getHotkey", "getColdkey", "getAxon", "getLastUpdate", "getIsActive"]) {
      await expect(of(name, 5), name).rejects.toThrow();
    }
  });

  it("from an address to its uid", async () => {
    const lookup = (i: number, limit = 5, netuid = 1) => world.lookup.read("uidLookup", netuid, person(i), limit);
    const registeredAt = await world.neurons.read<bigint>("registeredAt", 1, 3);
    expect(await lookup(3)).toEqual([{ uid: 3, block_associated: registeredAt }]);
    expect(await lookup(3, 0)).toEqual([]);
    expect(await lookup(44)).toEqual([]);
    expect(await lookup(3, 5, 9)).toEqual([]);
  });

  it("a whole metagraph in one call", async () => {
    const { extras, neurons, peers } = world;
    await peers.send(us, "setOutcome", 1, 2, outcomeOf(outcome));
    await peers.send(us, "setEpoch", 1, 7n, 20n, true);
    const block = BigInt(await world.block());
    const owner = accountOf(person(0));
    const subnet = {
      ...{ netuid: 1, owner, ownerHotkey: owner, burn: 500_000n, neurons: 5, stake: 11n, pending: 12n },
      ...{ epochIndex: 7n, lastBlock: 20n, dueBlock: 380n, open: true, params: PARAMS },
    };
    const graph = await extras.read<{ blockNumber: bigint; neurons: unknown[]; subnet: unknown }>("getMetagraph", 1);
    expect(graph.blockNumber).toBe(block);
    expect(graph.subnet).toEqual(subnet);
    expect(await extras.read("getSubnet", 1)).toEqual(subnet);
    expect(await extras.read("getSubnets")).toEqual([subnet]);
    expect(graph.neurons.length).toBe(5);
    const registeredAt = await neurons.read("registeredAt", 1, 2);
    expect(graph.neurons[2]).toEqual({
      ...outcome,
      ...{ uid: 2, hotkey: accountOf(person(2)), coldkey: accountOf(person(2)), hotkeyAddress: person(2) },
      ...{ registeredAt, lastUpdate: registeredAt, stake: 12_345n },
    });
    expect(await extras.read("getBonds", 1)).toEqual([0, 1, 2, 3, 4].map((uid) => ({ uid, uids: [uid], values: [7] })));
    await expect(extras.read("getMetagraph", 9)).rejects.toThrow();
  });
});
