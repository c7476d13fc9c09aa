/**
 * RoundBook.sol on anvil, over a metagraph that says what it is told: phases, permissions, the count against the pure one of
 * src/chain/rounds.ts, events that suffice to recompute a decision, and gas.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import type { Abi, Address, Hex } from "viem";
import { encodeAbiParameters, encodeDeployData, keccak256, parseEventLogs } from "viem";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { seededRandom } from "../../src/base/random.ts";
import type { CastVote, Seat } from "../../src/chain/rounds.ts";
import { ballotsOf, bitmapOf, roundStart, tally, uidsOf } from "../../src/chain/rounds.ts";
import type { Anvil, AnvilClient } from "../helpers/anvil.ts";
import { startAnvil } from "../helpers/anvil.ts";

const root = path.resolve(import.meta.dirname, "../..");
const NETUID = 1;
const ZERO: Hex = `0x${"0".repeat(64)}`;
const hash = (n: number): Hex => `0x${n.toString(16).padStart(64, "0")}`;
/** What AddressMappingStub answers. */
const accountOf = (address: Address): Hex =>
  keccak256(encodeAbiParameters([{ type: "string" }, { type: "address" }], ["evm:", address]));

interface Artifact {
  readonly abi: Abi;
  readonly bytecode: Hex;
  readonly deployedBytecode: Hex;
}
const artifact = (name: string): Artifact => JSON.parse(readFileSync(path.join(root, "build/contracts", name), "utf8"));

let anvil: Anvil;
let owner: AnvilClient;
let peers: readonly AnvilClient[];
let abi: Abi;
let book: Address;
let metagraph: Address;
let metagraphAbi: Abi;

async function deploy(name: string, args: readonly unknown[] = []): Promise<Address> {
  const { abi: deployed, bytecode } = artifact(name);
  const data = encodeDeployData({ abi: deployed, bytecode, args });
  const sent = await owner.sendTransaction({ data, gas: 30_000_000n });
  return (await owner.waitForTransactionReceipt({ hash: sent })).contractAddress as Address;
}

beforeAll(async () => {
  const compiler = path.join(root, "scripts/contracts.mjs");
  execFileSync(process.execPath, [compiler, "--quiet", "--only", "RoundBook,RoundBookStubs"], { stdio: "inherit" });
  anvil = await startAnvil();
  owner = anvil.newAccount();
  peers = Array.from({ length: 6 }, () => anvil.newAccount());
  ({ abi } = artifact("RoundBook.json"));
  ({ abi: metagraphAbi } = artifact("test/MetagraphStub.json"));
  metagraph = await deploy("test/MetagraphStub.json");
  book = await deploy("RoundBook.json", [metagraph, await deploy("test/AddressMappingStub.json")]);
}, 60_000);
afterAll(() => anvil?.stop());

const block = async (): Promise<number> => Number(await owner.getBlockNumber());
/** Lets blocks pass so that the next transaction is in `number`, or later if that is past. */
const goTo = async (number: number): Promise<void> => {
  const missing = number - 1 - (await block());
  if (missing > 0) await owner.mine({ blocks: missing });
};

/** Sends a call as `who`; returns the receipt's gas and logs. Throws what the contract reverts with. */
async function send(who: AnvilClient, name: string, ...args: readonly unknown[]) {
  await owner.simulateContract({
    address: book,
    abi,
    functionName: name,
    args,
    account: who.account.address,
    blockTag: "pending",
  });
  const sent = await who.writeContract({ address: book, abi, functionName: name, args, gas: 30_000_000n });
  const receipt = await owner.waitForTransactionReceipt({ hash: sent });
  expect(receipt.status).toBe("success");
  const logs = parseEventLogs({ abi, logs: receipt.logs }) as unknown as readonly {
    readonly eventName: string;
    readonly args: Record<string, unknown>;
  }[];
  return { gas: Number(receipt.gasUsed), logs };
}
const read = (name: string, ...args: readonly unknown[]): Promise<unknown> =>
  owner.readContract({ address: book, abi, functionName: name, args });
const stub = async (name: string, ...args: readonly unknown[]): Promise<void> => {
  const sent = await owner.writeContract({
    address: metagraph,
    abi: metagraphAbi,
    functionName: name,
    args,
    gas: 30_000_000n,
  });
  await owner.waitForTransactionReceipt({ hash: sent });
};
const seat = (uid: number, stake: bigint, permit = true): Seat & { readonly incentive: number } => ({
  hotkey: accountOf(peer(uid).account.address),
  stake,
  permit,
  incentive: 1000 + uid,
});
const peer = (uid: number): AnvilClient => peers[uid] as AnvilClient;

const TIMES = { trainBlocks: 20, revealBlocks: 2, voteBlocks: 70 };
/** A run that begins a few blocks from now; round r's phases by name. */
async function newRun() {
  const startBlock = (await block()) + 5;
  const terms = [NETUID, hash(1), hash(2), startBlock, TIMES.trainBlocks, TIMES.revealBlocks, TIMES.voteBlocks];
  const { logs } = await send(owner, "createRun", ...terms);
  const runId = logs[0]?.args["runId"] as bigint;
  const timing = { startBlock, ...TIMES };
  return {
    runId,
    startBlock,
    train: (round: number): Promise<void> => goTo(roundStart(timing, round)),
    reveal: (round: number): Promise<void> => goTo(roundStart(timing, round, "reveal")),
    vote: (round: number): Promise<void> => goTo(roundStart(timing, round, "vote")),
    end: (round: number): Promise<void> => goTo(roundStart(timing, round + 1)),
    /** What decides chance in a round that is decided in time. */
    seed: async (round: number): Promise<Hex> =>
      (await owner.getBlock({ blockNumber: BigInt(roundStart(timing, round + 1) - 1) })).hash as Hex,
  };
}

interface Decision {
  readonly decidedAt: bigint;
  readonly accepted: bigint;
  readonly stateRoot: Hex;
  readonly seed: Hex;
  readonly incentives: readonly number[];
}
const decisionOf = async (runId: bigint, round: number): Promise<Decision> =>
  (await read("decisionOf", runId, round)) as Decision;

describe("a run", () => {
  it("is registered with its terms, and upgraded for rounds to come by its owner only", async () => {
    await stub("set", [seat(0, 1n)]);
    await expect(send(owner, "createRun", 7, hash(1), hash(2), 1_000_000, 1, 1, 1)).rejects.toThrow("SubnetNotExists");
    await expect(send(owner, "createRun", NETUID, ZERO, hash(2), 1_000_000, 1, 1, 1)).rejects.toThrow("EmptyHash");
    await expect(send(owner, "createRun", NETUID, hash(1), hash(2), 1_000_000, 1, 0, 1)).rejects.toThrow("EmptyPhase");
    await expect(send(owner, "createRun", NETUID, hash(1), hash(2), 1, 1, 1, 1)).rejects.toThrow("StartInThePast");
    await expect(read("runOf", 999)).rejects.toThrow("RunNotExists");

    const { runId, startBlock, train } = await newRun();
    await expect(send(peer(0), "upgradeRun", runId, 3, hash(9))).rejects.toThrow("NotRunOwner");
    await send(owner, "upgradeRun", runId, 0, hash(11)); // it has not begun
    await send(owner, "upgradeRun", runId, 3, hash(30));
    await send(owner, "upgradeRun", runId, 5, hash(50));
    await train(2);
    await expect(send(owner, "upgradeRun", runId, 2, hash(9))).rejects.toThrow("RoundHasBegun");
    const { logs } = await send(owner, "upgradeRun", runId, 4, hash(40));
    expect(logs).toMatchObject([{ eventName: "SpecUpgraded", args: { runId, fromRound: 4n, specHash: hash(40) } }]);
    const [clock, account, genesisRoot, specs] = (await read("runOf", runId)) as readonly unknown[];
    expect(clock).toMatchObject({ netuid: NETUID, startBlock: BigInt(startBlock), ...TIMES });
    expect([account, genesisRoot]).toEqual([accountOf(owner.account.address), hash(2)]);
    expect(specs).toEqual([
      { fromRound: 0n, specHash: hash(11) },
      { fromRound: 3n, specHash: hash(30) },
      { fromRound: 4n, specHash: hash(40) },
    ]);
  });
});

describe("commits", () => {
  it("come from the uid's hotkey while the round's training lasts; the last one counts", async () => {
    await stub("set", [seat(0, 1n), seat(1, 1n, false)]);
    const { runId, train, reveal } = await newRun();
    await expect(send(peer(0), "commit", runId, 0, 0, hash(3))).rejects.toThrow("RoundNotBegun");
    await train(0);
    await expect(send(peer(0), "commit", runId, 1, 0, hash(3))).rejects.toThrow("RoundNotBegun");
    await expect(send(peer(0), "commit", runId, 0, 1, hash(3))).rejects.toThrow("HotKeyNotRegisteredInSubNet");
    await expect(send(peer(0), "commit", runId, 0, 256, hash(3))).rejects.toThrow("HotKeyNotRegisteredInSubNet");
    await expect(send(owner, "commit", runId, 0, 2, hash(3))).rejects.toThrow("HotKeyNotRegisteredInSubNet");
    await expect(send(peer(0), "commit", runId, 0, 0, ZERO)).rejects.toThrow("EmptyHash");
    const first = await send(peer(0), "commit", runId, 0, 0, keccak256(hash(3)));
    const again = await send(peer(0), "commit", runId, 0, 0, hash(4));
    await send(peer(1), "commit", runId, 0, 1, hash(5));
    const { hotkey } = seat(0, 0n);
    const args = { runId, round: 0n, uid: 0, hotkey, payloadHash: hash(4) };
    expect(again.logs).toMatchObject([{ eventName: "Committed", args }]);
    const commits = (await read("commitsOf", runId, 0)) as readonly Hex[];
    expect(commits.slice(0, 3)).toEqual([hash(4), hash(5), ZERO]);
    await reveal(0);
    await expect(send(peer(0), "commit", runId, 0, 0, hash(3))).rejects.toThrow("CommitsClosed");
    console.log(`gas of commits: a round's first of a uid ${first.gas}, a second ${again.gas}`);
    expect(first.gas).toBeLessThan(63_000);
    expect(again.gas).toBeLessThan(46_000);
  });
});

describe("votes", () => {
  it("come from permitted validators in the round's last phase; the last one counts", async () => {
    await stub("set", [seat(0, 60n), seat(1, 40n, false)]);
    const { runId, train, reveal, vote, end, seed } = await newRun();
    await train(0);
    await send(peer(1), "commit", runId, 0, 1, hash(5));
    await reveal(0);
    await expect(send(peer(0), "vote", runId, 0, 0, 2n, hash(6))).rejects.toThrow("VotesNotOpen");
    await vote(0);
    await expect(send(peer(1), "vote", runId, 0, 1, 2n, hash(6))).rejects.toThrow("NeuronNoValidatorPermit");
    await expect(send(peer(1), "vote", runId, 0, 0, 2n, hash(6))).rejects.toThrow("HotKeyNotRegisteredInSubNet");
    await expect(send(peer(1), "decide", runId, 0)).rejects.toThrow("VotesStillOpen");
    await send(peer(0), "vote", runId, 0, 0, 0n, hash(6));
    await send(peer(0), "vote", runId, 0, 0, 2n, hash(7));
    expect(await read("votesOf", runId, 0)).toEqual([{ uid: 0n, power: 60n, bitmap: 2n, stateRoot: hash(7) }]);
    expect(await read("votesOf", runId, 1)).toEqual([]);
    expect(await decisionOf(runId, 0)).toMatchObject({ decidedAt: 0n });
    await end(0);
    await expect(send(peer(0), "vote", runId, 0, 0, 0n, hash(6))).rejects.toThrow("VotesClosed");
    const { logs } = await send(peer(1), "decide", runId, 0);
    const outcome = { accepted: 2n, stateRoot: hash(7), seed: await seed(0), incentives: [1001] };
    const args = { runId, round: 0n, ...outcome, total: 60n, voters: [0], powers: [60n] };
    expect(logs).toMatchObject([{ eventName: "RoundDecided", args }]);
    expect(await decisionOf(runId, 0)).toEqual({ decidedAt: BigInt(await block()), ...outcome });
    await expect(send(peer(1), "decide", runId, 0)).rejects.toThrow("AlreadyDecided");
  });

  it("of a round that nobody decided are counted before the next round's replace them", async () => {
    await stub("set", [seat(0, 60n), seat(1, 40n)]);
    const { runId, train, vote, end } = await newRun();
    await train(0);
    await send(peer(1), "commit", runId, 0, 1, hash(5));
    await vote(0);
    await send(peer(0), "vote", runId, 0, 0, 2n, hash(7));
    await vote(2); // nobody did anything in round 1
    const { logs } = await send(peer(0), "vote", runId, 2, 0, 1n, hash(8));
    expect(logs.map(({ eventName }) => eventName)).toEqual(["RoundDecided", "Voted"]);
    expect(await decisionOf(runId, 0)).toMatchObject({ accepted: 2n, stateRoot: hash(7) });
    expect(await read("votesOf", runId, 0)).toEqual([]);
    await send(owner, "decide", runId, 1);
    expect(await decisionOf(runId, 1)).toMatchObject({ accepted: 0n, stateRoot: ZERO });
    await end(2);
    await send(owner, "decide", runId, 2); // uid 0 committed nothing
    expect(await decisionOf(runId, 2)).toMatchObject({ accepted: 0n, stateRoot: hash(8) });
  });

  it("do not gain by stake that moves on to another validator", async () => {
    await stub("set", [seat(0, 40n), seat(1, 0n), seat(2, 60n)]);
    const { runId, train, vote, end } = await newRun();
    await train(0);
    await send(peer(1), "commit", runId, 0, 1, hash(5));
    await vote(0);
    await send(peer(0), "vote", runId, 0, 0, 2n, hash(7));
    await stub("setStake", 0, 0n);
    await stub("setStake", 1, 40n);
    await send(peer(1), "vote", runId, 0, 1, 2n, hash(7));
    await end(0);
    const { logs } = await send(owner, "decide", runId, 0);
    expect(logs[0]?.args).toMatchObject({ accepted: 0n, total: 100n, powers: [0n, 40n] });
  });

  it("cost what they may", async () => {
    await stub("set", [seat(0, 60n), seat(1, 40n)]);
    const { runId, train, vote, end } = await newRun();
    const gas: number[] = [];
    for (const round of [0, 1]) {
      await train(round);
      await send(peer(0), "commit", runId, round, 0, keccak256(hash(round)));
      await vote(round);
      for (const uid of [0, 1]) {
        gas.push((await send(peer(uid), "vote", runId, round, uid, 3n + BigInt(round), keccak256(hash(round)))).gas);
      }
      await end(round);
      await send(owner, "decide", runId, round);
    }
    console.log(`gas of votes: a validator's first in a run ${gas[1]}, then ${gas[3]}`);
    expect(gas[1]).toBeLessThan(115_000);
    expect(gas[3]).toBeLessThan(65_000);
  });

  it("of 64 validators on 256 uids are counted within a block, however they differ", async () => {
    const random = seededRandom("full house");
    const validators = Array.from({ length: 64 }, () => anvil.newAccount());
    const seats = validators.map(({ account }, uid) => ({
      ...{ hotkey: accountOf(account.address), stake: 10n, permit: true, incentive: uid },
    }));
    const empty = { stake: 0n, permit: false, incentive: 0 };
    await stub("set", [...seats, ...Array.from({ length: 192 }, (_, k) => ({ ...empty, hotkey: hash(k + 1000) }))]);
    const { runId, vote, end } = await newRun();
    const drawn = (): bigint =>
      Array.from({ length: 8 }, () => BigInt(random.uint32())).reduce((a, b) => (a << 32n) | b);
    const gas: number[] = [];
    for (const [round, bitmap] of [() => 2n ** 256n - 1n, drawn].entries()) {
      await vote(round);
      const calls = validators.map((who, uid) => {
        const args = [runId, round, uid, bitmap(), hash(7)];
        return who.writeContract({ address: book, abi, functionName: "vote", args, gas: 1_000_000n });
      });
      for (const sent of calls) await owner.waitForTransactionReceipt({ hash: await sent });
      await end(round);
      const { gas: spent, logs } = await send(owner, "decide", runId, round);
      expect(logs[0]?.args).toMatchObject({ total: 640n, stateRoot: hash(7), powers: seats.map(() => 10n) });
      gas.push(spent);
    }
    console.log(`gas of deciding with 64 votes and 256 uids: all alike ${gas[0]}, all different ${gas[1]}`);
    for (const spent of gas) expect(spent).toBeLessThan(16_777_216);
  }, 60_000);
});

describe("the count", () => {
  it("is the pure one's, for random rounds", async () => {
    const random = seededRandom("round book");
    const uids = peers.map((_, uid) => uid);
    const stake = (): bigint => BigInt(random.below(4)) * 10n + BigInt(random.below(2));
    for (let trial = 0; trial < 12; trial++) {
      const before = uids.map((uid) => seat(uid, stake(), true));
      await stub("set", before);
      const { runId, train, vote, end, seed } = await newRun();
      const committed = uids.filter(() => random.below(3) > 0);
      await train(0);
      for (const uid of committed) await send(peer(uid), "commit", runId, 0, uid, hash(100 + uid));
      await vote(0);
      const votes: CastVote[] = [];
      for (const uid of uids.filter(() => random.below(6) > 0)) {
        const bitmap = random.below(3) === 0 ? BigInt(random.below(64)) : bitmapOf(committed);
        const stateRoot = [ZERO, hash(7), hash(7), hash(8)][random.below(4)] as Hex;
        await send(peer(uid), "vote", runId, 0, uid, bitmap, stateRoot);
        votes.push({ uid, hotkey: before[uid]?.hotkey as Hex, stake: before[uid]?.stake as bigint, bitmap, stateRoot });
      }
      const after = before.map((was, uid) => ({
        hotkey: random.below(8) > 0 ? was.hotkey : hash(uid + 500),
        stake: random.below(3) > 0 ? was.stake : stake(),
        permit: random.below(6) > 0,
        incentive: random.below(65_536),
      }));
      await stub("set", after);
      await end(0);
      const { logs } = await send(owner, "decide", runId, 0);
      const { ballots, total } = ballotsOf(votes, after);
      const expected = tally(ballots, total, committed);
      const { accepted, stateRoot, incentives, seed: said } = await decisionOf(runId, 0);
      expect({ accepted: uidsOf(accepted), stateRoot: stateRoot === ZERO ? undefined : stateRoot }).toEqual(expected);
      expect(incentives).toEqual(expected.accepted.map((uid) => after[uid]?.incentive));
      expect(said).toBe(await seed(0));
      const counted = { total, voters: ballots.map(({ uid }) => uid), powers: ballots.map(({ power }) => power) };
      expect(logs[0]?.args).toMatchObject({ ...counted, incentives, seed: said });
    }
  }, 60_000);
});

describe("a decision", () => {
  /** Decides round 0 of a run of `count` uids with one validator, uid 0, who accepts all that have committed: those of `accept`. */
  const decided = async (count: number, accept: (uid: number) => boolean, meanwhile = async () => {}) => {
    const incentives = Array.from({ length: count }, (_, uid) => 65_535 - 7 * uid);
    const hotkey = accountOf(owner.account.address); // holds all the uids
    await stub(
      "set",
      incentives.map((incentive, uid) => ({ hotkey, stake: uid === 0 ? 10n : 0n, permit: uid === 0, incentive })),
    );
    const startBlock = (await block()) + 2;
    const { logs } = await send(owner, "createRun", NETUID, hash(1), hash(2), startBlock, count + 5, 1, 5);
    const runId = logs[0]?.args["runId"] as bigint;
    const timing = { startBlock, trainBlocks: count + 5, revealBlocks: 1, voteBlocks: 5 };
    await goTo(startBlock);
    const uids = incentives.map((_, uid) => uid).filter(accept);
    for (const uid of uids) await send(owner, "commit", runId, 0, uid, hash(uid + 1));
    await goTo(roundStart(timing, 0, "vote"));
    await send(owner, "vote", runId, 0, 0, bitmapOf(uids), hash(7));
    await goTo(roundStart(timing, 1));
    await meanwhile();
    const { gas } = await send(owner, "decide", runId, 0);
    return { gas, decision: await decisionOf(runId, 0), expected: uids.map((uid) => incentives[uid]) };
  };

  it("keeps the incentive of each accepted uid, in order, sixteen to a word", async () => {
    const chosen: readonly ((uid: number) => boolean)[] = [
      () => false,
      (uid) => uid === 39,
      (uid) => uid > 23,
      (uid) => uid % 5 !== 0,
      () => true,
    ];
    const gas: number[] = [];
    for (const accept of chosen) {
      const { gas: spent, decision, expected } = await decided(40, accept);
      expect(decision.incentives).toEqual(expected);
      gas.push(spent);
      // words: uids, how many incentives, and these; reading one from the stub is about 4,300
      const words = expected.length === 0 ? 0 : 2 + Math.ceil(expected.length / 16);
      expect(spent).toBeLessThanOrEqual((gas[0] ?? 0) + 12_000 + 22_100 * words + 4500 * expected.length);
    }
    console.log(`gas of deciding with 40 uids, of which 0, 1, 16, 32 and 40 are accepted: ${gas.join(", ")}`);
  }, 60_000);

  it("takes a uid that the subnet has no more for a newcomer", async () => {
    const hotkey = accountOf(owner.account.address);
    const left = [0, 1].map((uid) => ({ ...seat(0, 10n, uid === 0), hotkey }));
    const { decision } = await decided(
      3,
      (uid) => uid > 0,
      () => stub("set", left),
    );
    expect(decision).toMatchObject({ accepted: 6n, incentives: [1000, 0] });
  });

  it("falls back on the newest hash where the round's last block is forgotten", async () => {
    const hashOf = async (number: number): Promise<Hex> =>
      (await owner.getBlock({ blockNumber: BigInt(number) })).hash as Hex;
    await stub("set", [seat(0, 1n)]);
    const terms = { trainBlocks: 1, revealBlocks: 1, voteBlocks: 1 };
    const startBlock = (await block()) + 2;
    const { logs } = await send(owner, "createRun", NETUID, hash(1), hash(2), startBlock, 1, 1, 1);
    const runId = logs[0]?.args["runId"] as bigint;
    const last = (round: number): number => roundStart({ startBlock, ...terms }, round + 1) - 1;
    const [inTime, late] = [await hashAt(last(0)), last(1) + 257];
    await goTo(last(0) + 256);
    await send(owner, "decide", runId, 0);
    expect(await decisionOf(runId, 0)).toMatchObject({ decidedAt: BigInt(last(0) + 256), seed: inTime });
    await goTo(late);
    await send(owner, "decide", runId, 1);
    expect(await decisionOf(runId, 1)).toMatchObject({ decidedAt: BigInt(late), seed: await hashOf(late - 1) });

    async function hashAt(number: number): Promise<Hex> {
      await goTo(number + 1);
      return hashOf(number);
    }
  });
});

describe("code without its constructor", () => {
  it("reads the precompiles' addresses", async () => {
    await stub("set", [seat(0, 60n)]);
    const code = async (address: Address): Promise<Hex> => (await owner.getCode({ address })) as Hex;
    const at: Address = "0x0000000000000000000000000000000000000e91";
    await owner.setCode({ address: at, bytecode: artifact("RoundBook.json").deployedBytecode });
    await owner.setCode({ address: "0x0000000000000000000000000000000000000802", bytecode: await code(metagraph) });
    const mapping = artifact("test/AddressMappingStub.json").deployedBytecode;
    await owner.setCode({ address: "0x000000000000000000000000000000000000080c", bytecode: mapping });
    const call = { abi, account: owner.account.address, functionName: "createRun" } as const;
    const args = [NETUID, hash(1), hash(2), 1_000_000, 1, 1, 1];
    await expect(owner.simulateContract({ ...call, address: at, args })).rejects.toThrow("SubnetNotExists"); // an empty stub
    const seats = [seat(0, 60n)];
    const set = {
      address: "0x0000000000000000000000000000000000000802",
      abi: metagraphAbi,
      functionName: "set",
      args: [seats],
    } as const;
    await owner.waitForTransactionReceipt({ hash: await owner.writeContract({ ...set, gas: 30_000_000n }) });
    expect((await owner.simulateContract({ ...call, address: at, args })).result).toBe(0n);
  });
});
