/**
 * The client on a chain that has only what Bittensor's precompiles offer: our own contracts at the same addresses, with Extras and the round
 * book taken away, are compared with what they said before.
 */
import { blake2b } from "@noble/hashes/blake2.js";
import { hexToBytes, toHex } from "viem";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Chain, Hash, Metagraph } from "../../src/chain/chain.ts";
import { connectEvm } from "../../src/chain/evm/client.ts";
import { FIXED_ADDRESSES } from "../../src/chain/evm/deploy.ts";
import { scaleCommitHash } from "../../src/chain/evm/precompiles.ts";
import { COIN, OPEN, refused, testHash, testSigner } from "../contract/chain-kit.ts";
import { type Contracts, startContracts } from "../helpers/contracts.ts";
import { everyContract, TREASURY } from "../helpers/evm-chain.ts";

const account = (name: string): Hash => testSigner(name).account;
const ZERO_HASH = toHex(0n, { size: 32 });

describe("commits to weights as Bittensor hashes them", () => {
  const hotkey = `0x${"11".repeat(32)}` as const;

  it("are blake2b over SCALE: lengths in compact form, numbers with the lowest byte first", () => {
    const written = `${"11".repeat(32)} 0201 0c 010002000300 0c 0a00ffff1400 08 07000900 0500000000000000`;
    const expected = toHex(blake2b(hexToBytes(`0x${written.replaceAll(" ", "")}`), { dkLen: 32 }));
    const weights = { uids: [1, 2, 3], values: [10, 65_535, 20] };
    expect(scaleCommitHash({ hotkey, netuid: 258, weights, salt: [7, 9], versionKey: 5n })).toBe(expected);
  });

  it.each([
    [0, "00"],
    [63, "fc"],
    [64, "0101"],
    [256, "0104"],
    [16_383, "fdff"],
    [16_384, "02000100"],
  ])("write a length of %i as %s", (length, compact) => {
    const written = `${"11".repeat(32)}0100${"0000"}${compact}${"0000".repeat(length)}${"00".repeat(8)}`;
    const expected = toHex(blake2b(hexToBytes(`0x${written}`), { dkLen: 32 }));
    const salt = new Array<number>(length).fill(0);
    expect(scaleCommitHash({ hotkey, netuid: 1, weights: { uids: [], values: [] }, salt, versionKey: 0n })).toBe(
      expected,
    );
  });
});

describe("a chain with precompiles alone", () => {
  let contracts: Contracts;
  let chain: Chain;
  let full: Metagraph;
  let netuid: number;

  beforeAll(async () => {
    const balances = new Map([[TREASURY.account, 1_000_000n * COIN]]);
    contracts = await startContracts(everyContract(), { balances, lockMin: COIN }, { fixed: true });
    const before = await connectEvm({ rpcUrl: contracts.anvil.url, pollMs: 20 });
    const owner = before.as(TREASURY);
    ({ netuid } = await owner.createSubnet(TREASURY, COIN, { ...OPEN, rho: 12, alphaSteepness: 77 }));
    for (const name of ["ann", "bob"]) {
      await owner.transfer(account(name), 1000n * COIN);
      await before.as(testSigner(name)).register(netuid, testSigner(name), 100n * COIN);
    }
    await before.as(testSigner("ann")).addStake(netuid, account("ann"), 100n * COIN);
    await contracts.mine(50);
    while (await owner.stepEpoch(netuid));
    await before.as(testSigner("ann")).setWeights(netuid, { uids: [2], values: [1] });
    await contracts.mine(50);
    while (await owner.stepEpoch(netuid));
    full = await before.metagraph(netuid);
    await before.close();
    for (const role of ["extras", "roundBook"] as const)
      await contracts.rpc("anvil_setCode", FIXED_ADDRESSES[role], "0x");
    chain = await connectEvm({ rpcUrl: contracts.anvil.url, pollMs: 20 });
  }, 60_000);
  afterAll(() => contracts.anvil.stop());

  it("shows the metagraph, but for what nothing there tells", async () => {
    const { neurons, subnet, block } = await chain.metagraph(netuid);
    expect(block).toBe(full.block);
    expect(full.neurons[2]).toMatchObject({ incentive: 65_535, permit: false });
    expect(full.neurons[1]).toMatchObject({ permit: true, active: true, dividends: 65_535 });
    expect(neurons).toEqual(
      full.neurons.map((neuron) => ({ ...neuron, hotkeyAddress: toHex(0n, { size: 20 }), registeredAt: 0 })),
    );
    expect(subnet).toEqual({
      ...full.subnet,
      owner: ZERO_HASH,
      ownerHotkey: ZERO_HASH,
      burn: 0n,
      pending: 0n,
      epoch: { index: 0, lastBlock: 0, dueBlock: 0, open: false },
      params: { ...full.subnet.params, tempo: 360 },
    });
    await refused(chain.metagraph(99), "SubnetNotExists");
  });

  it("takes registrations, stake and weights", async () => {
    const treasury = chain.as(TREASURY);
    const before = await contracts.read<bigint>(
      "staking",
      "getStake",
      account("bob"),
      TREASURY.account,
      BigInt(netuid),
    );
    await treasury.addStake(netuid, account("bob"), 5n * COIN);
    await treasury.moveStake({ netuid, hotkey: account("bob") }, { netuid, hotkey: account("ann") }, 2n * COIN);
    await treasury.removeStake(netuid, account("bob"), COIN);
    const after = await contracts.read<bigint>("staking", "getStake", account("bob"), TREASURY.account, BigInt(netuid));
    expect(after - before).toBe(2n * COIN);
    const cat = testSigner("cat");
    await contracts.send(TREASURY.address, "staking", "transfer", cat.account, 100n * COIN);
    expect((await chain.as(cat).register(netuid, cat, 50n * COIN)).uid).toBe(3);
    await refused(chain.as(cat).register(netuid, cat, 50n * COIN), "HotKeyAlreadyRegisteredInSubNet");
    const voted = await chain.as(testSigner("ann")).setWeights(netuid, { uids: [1, 2], values: [1, 3] });
    expect((await chain.metagraph(netuid)).neurons[1]?.lastUpdate).toBe(voted.block);
    await refused(
      chain.as(testSigner("ann")).setWeights(netuid, { uids: [1, 9], values: [1, 3] }),
      "UidVecContainInvalidOne",
    );
    expect(await treasury.stepEpoch(netuid)).toBeUndefined();
  });

  it("gets commits as it hashes them itself", async () => {
    await contracts.send(TREASURY.address, "subnets", "setCommitRevealWeightsEnabled", netuid, true);
    const ann = testSigner("ann");
    const weights = { uids: [2], values: [9] };
    await chain.as(ann).commitWeights(netuid, weights, [1, 2, 3], 4n);
    const { pending } = await contracts.read<{ pending: { hash: Hash }[] }>("neurons", "votesOf", netuid, 1);
    const hash = scaleCommitHash({ hotkey: ann.account, netuid, weights, salt: [1, 2, 3], versionKey: 4n });
    expect(pending.map((commit) => commit.hash)).toEqual([hash]);
    // our contract hashes in another way
    await refused(chain.as(ann).revealWeights(netuid, weights, [1, 2, 3], 4n), "InvalidRevealCommitHashNotMatch");
  });

  it("says of everything else that it is not there", async () => {
    const me = chain.as(TREASURY);
    const hash = testHash("x");
    const terms = {
      netuid,
      specHash: hash,
      genesisRoot: hash,
      startBlock: 9999,
      trainBlocks: 1,
      revealBlocks: 1,
      voteBlocks: 1,
    };
    const asked = [
      chain.subnets(),
      chain.weights(netuid),
      chain.bonds(netuid),
      chain.funds(account("ann")),
      chain.issuance(),
      chain.subnetCost(),
      chain.run(0),
      chain.commits(0, 0),
      chain.votes(0, 0),
      chain.decision(0, 0),
      me.transfer(account("ann"), 1n),
      me.createSubnet(TREASURY, 1n),
      me.setSubnet(netuid, { rho: 1 }),
      me.setTake(account("ann"), 1),
      me.claim(),
      me.createRun(terms),
      me.upgradeRun(0, 1, hash),
      me.commitPayload(0, 0, hash),
      me.vote(0, 0, [], hash),
      me.decideRound(0, 0),
    ];
    for (const answer of await Promise.allSettled(asked)) {
      expect(answer).toMatchObject({
        reason: { code: "chain", message: expect.stringMatching(/ is not available on this chain$/) },
      });
    }
  });

  it("runs rounds where somebody has put a round book onto it", async () => {
    const { rpc, artifacts, anvil, book } = contracts;
    await rpc("anvil_setCode", book.roundBook, artifacts.get("RoundBook")?.deployedBytecode);
    const withRounds = await connectEvm({ rpcUrl: anvil.url, pollMs: 20 });
    const { block } = await withRounds.head();
    const phases = { trainBlocks: 20, revealBlocks: 1, voteBlocks: 5 };
    const terms = { netuid, specHash: testHash("s"), genesisRoot: testHash("g"), startBlock: block + 2, ...phases };
    const { runId } = await withRounds.as(TREASURY).createRun(terms);
    await contracts.mine(1);
    await withRounds.as(testSigner("bob")).commitPayload(runId, 0, testHash("p"));
    expect(await withRounds.commits(runId, 0)).toMatchObject([
      { uid: 2, hotkey: account("bob"), payloadHash: testHash("p") },
    ]);
    await refused(
      withRounds.as(testSigner("dan")).commitPayload(runId, 0, testHash("p")),
      "HotKeyNotRegisteredInSubNet",
    );
    const goTo = async (target: number): Promise<void> => contracts.mine(target - 1 - (await contracts.block()));
    await goTo(terms.startBlock + 21);
    await withRounds.as(testSigner("ann")).vote(runId, 0, [2], testHash("root"));
    await goTo(terms.startBlock + 26);
    const decided = await withRounds.as(TREASURY).decideRound(runId, 0);
    expect(await withRounds.decision(runId, 0)).toEqual({
      ...{ round: 0, accepted: [2], incentives: [65_535], stateRoot: testHash("root"), block: decided.block },
      seed: await withRounds.blockHash(terms.startBlock + 25),
    });
    await withRounds.close();
  });
});

it("a chain with neither is told from them", async () => {
  const contracts = await startContracts(new Map(), { balances: new Map() }, { fixed: true });
  const connecting = connectEvm({ rpcUrl: contracts.anvil.url });
  await expect(connecting).rejects.toMatchObject({
    code: "chain",
    message: expect.stringContaining("no contract at 0x"),
  });
  await contracts.anvil.stop();
});
