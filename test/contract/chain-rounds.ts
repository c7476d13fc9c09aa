/** The chain's contract suite, part three: runs, commits, votes and decisions. */
import { describe, expect, it } from "vitest";
import type { Hash, RunTerms } from "../../src/chain/chain.ts";
import type { WithChain } from "./chain.ts";
import { type Bench, COIN, refused, testHash, testSigner } from "./chain-kit.ts";

const account = (name: string): Hash => testSigner(name).account;
const NULL_HASH: Hash = `0x${"0".repeat(64)}`;

/** Registers this part. */
export function runsAndRounds(withChain: WithChain): void {
  describe("runs", () => runs(withChain));
  describe("rounds", () => rounds(withChain));
  describe("selection among what a round accepted", () => selection(withChain));
}

const TERMS: Omit<RunTerms, "netuid" | "startBlock"> = {
  specHash: testHash("spec"),
  genesisRoot: testHash("genesis"),
  trainBlocks: 10,
  revealBlocks: 5,
  voteBlocks: 10,
};

/** A subnet with validators of 49, 31 and 20 parts of the stake (uids 1 to 3) and miners m1 and m2 (uids 4 and 5), all permitted. */
async function jury(bench: Bench): Promise<number> {
  const netuid = await bench.open({ tempo: 60 });
  for (const name of ["v1", "v2", "v3", "m1", "m2"]) {
    await bench.fund(account(name), 6000n * COIN);
    await bench.register(netuid, name);
  }
  const stakes = { v1: 4900n * COIN, v2: 3100n * COIN, v3: 2000n * COIN };
  for (const [name, rao] of Object.entries(stakes)) await bench.as(name).addStake(netuid, account(name), rao);
  await bench.epoch(netuid);
  await bench.as("owner").setSubnet(netuid, { tempo: 5000 });
  return netuid;
}

async function jurysRun(bench: Bench): Promise<{ runId: number; start: number; netuid: number }> {
  const netuid = await jury(bench);
  const start = (await bench.block()) + 10;
  const { runId } = await bench.as("ann").createRun({ ...TERMS, netuid, startBlock: start });
  return { runId, start, netuid };
}

function runs(withChain: WithChain): void {
  it("are registered by anybody, with terms that make sense", () =>
    withChain(async ({ chain, as, open, block }) => {
      const netuid = await open();
      const terms = { ...TERMS, netuid, startBlock: (await block()) + 100 };
      const first = await as("ann").createRun(terms);
      const second = await as("bob").createRun({ ...terms, specHash: testHash("other") });
      expect(second.runId).toBe(first.runId + 1);
      expect(await chain.run(first.runId)).toEqual({
        ...terms,
        runId: first.runId,
        owner: account("ann"),
        specs: [{ fromRound: 0, specHash: TERMS.specHash }],
      });
      await refused(chain.run(99), "RunNotExists");
      await refused(as("ann").createRun({ ...terms, netuid: 9 }), "SubnetNotExists");
      await refused(as("ann").createRun({ ...terms, voteBlocks: 0 }), "EmptyPhase");
      await refused(as("ann").createRun({ ...terms, specHash: NULL_HASH }), "EmptyHash");
      await refused(as("ann").createRun({ ...terms, startBlock: await block() }), "StartInThePast");
    }));

  it("change their spec at a round that has not begun, by their owner", () =>
    withChain(async (bench) => {
      const { chain, as, before } = bench;
      const { runId, start } = await jurysRun(bench);
      const [b, c, d] = [testHash("b"), testHash("c"), testHash("d")];
      await as("ann").upgradeRun(runId, 3, b);
      await as("ann").upgradeRun(runId, 7, c);
      expect((await chain.run(runId)).specs).toEqual([
        { fromRound: 0, specHash: TERMS.specHash },
        { fromRound: 3, specHash: b },
        { fromRound: 7, specHash: c },
      ]);
      await as("ann").upgradeRun(runId, 5, d); // takes back what was announced for later
      expect((await chain.run(runId)).specs.map(({ fromRound }) => fromRound)).toEqual([0, 3, 5]);
      await as("ann").upgradeRun(runId, 5, c);
      expect((await chain.run(runId)).specs.at(-1)).toEqual({ fromRound: 5, specHash: c });
      await refused(as("bob").upgradeRun(runId, 9, b), "NotRunOwner");
      await refused(as("ann").upgradeRun(runId, 9, NULL_HASH), "EmptyHash");
      await before(start + 25);
      await refused(as("ann").upgradeRun(runId, 1, b), "RoundHasBegun");
      await as("ann").upgradeRun(runId, 2, b);
      expect((await chain.run(runId)).specs).toEqual([
        { fromRound: 0, specHash: TERMS.specHash },
        { fromRound: 2, specHash: b },
      ]);
      expect((await chain.run(runId)).specHash).toBe(TERMS.specHash);
    }));
}

function rounds(withChain: WithChain): void {
  it("take commits in their first blocks, the last of each uid", () =>
    withChain(async (bench) => {
      const { chain, as, before } = bench;
      const { runId, start } = await jurysRun(bench);
      await before(start - 1);
      const early = await refused(as("m1").commitPayload(runId, 0, testHash("p")), "RoundNotBegun");
      expect(early).toMatchObject({ details: "RoundNotBegun(1)" });
      await before(start);
      const [first, second, other] = [testHash("first"), testHash("second"), testHash("other")];
      await as("m1").commitPayload(runId, 0, first);
      const { block } = await as("m2").commitPayload(runId, 0, other);
      const again = await as("m1").commitPayload(runId, 0, second);
      const same = await as("m1").commitPayload(runId, 0, second);
      expect(same.block).toBeGreaterThan(again.block);
      expect(await chain.commits(runId, 0)).toEqual([
        { uid: 4, hotkey: account("m1"), payloadHash: second, block: same.block },
        { uid: 5, hotkey: account("m2"), payloadHash: other, block },
      ]);
      expect(await chain.commits(runId, 1)).toEqual([]);
      await refused(as("m1").commitPayload(runId, 1, first), "RoundNotBegun");
      await refused(as("m1").commitPayload(runId, 0, NULL_HASH), "EmptyHash");
      await refused(as("ann").commitPayload(runId, 0, first), "HotKeyNotRegisteredInSubNet");
      await refused(as("m1").commitPayload(runId + 1, 0, first), "RunNotExists");
      await before(start + 9);
      await as("v1").commitPayload(runId, 0, first); // validators may train as well
      await refused(as("m2").commitPayload(runId, 0, first), "CommitsClosed");
      expect(await chain.commits(runId, 0)).toHaveLength(3);
      await before(start + 25);
      await as("m1").commitPayload(runId, 1, first);
      expect((await chain.commits(runId, 1)).map(({ uid }) => uid)).toEqual([4]);
    }));

  it("take votes of permitted validators in their last blocks, the last of each", () =>
    withChain(async (bench) => {
      const { chain, as, before } = bench;
      const { runId, start } = await jurysRun(bench);
      await before(start + 14);
      const root = testHash("root");
      expect(await refused(as("v1").vote(runId, 0, [4], root), "VotesNotOpen")).toMatchObject({
        details: "VotesNotOpen(1)",
      });
      await before(start + 15);
      await as("v1").vote(runId, 0, [4], root);
      await as("v1").vote(runId, 0, [5, 4], root);
      await as("v3").vote(runId, 0, [], NULL_HASH);
      expect(await chain.votes(runId, 0)).toEqual([
        { uid: 1, uids: [4, 5], stateRoot: root },
        { uid: 3, uids: [], stateRoot: NULL_HASH },
      ]);
      await refused(as("m1").vote(runId, 0, [4], root), "NeuronNoValidatorPermit");
      await refused(as("ann").vote(runId, 0, [4], root), "HotKeyNotRegisteredInSubNet");
      await refused(as("v1").vote(runId, 1, [4], root), "VotesNotOpen");
      await before(start + 24);
      await as("v2").vote(runId, 0, [255], root);
      await refused(as("v2").vote(runId, 0, [4], root), "VotesClosed");
      expect((await chain.votes(runId, 0)).map(({ uid }) => uid)).toEqual([1, 2, 3]);
    }));

  it("accept what more than half of the permitted stake backs", () =>
    withChain(async (bench) => {
      const { chain, as, before } = bench;
      const { runId, start } = await jurysRun(bench);
      await before(start);
      for (const name of ["m1", "m2", "v3"]) await as(name).commitPayload(runId, 0, testHash(name));
      await before(start + 15);
      await as("v1").vote(runId, 0, [4, 3, 0], testHash("root")); // uid 0 has committed to nothing
      await as("v2").vote(runId, 0, [4, 5, 0], testHash("lie"));
      await as("v3").vote(runId, 0, [5, 0], testHash("root"));
      await refused(as("anyone").decideRound(runId, 0), "VotesStillOpen");
      expect(await chain.decision(runId, 0)).toBeUndefined();
      await before(start + 25);
      const { block } = await as("anyone").decideRound(runId, 0);
      const seed = await chain.blockHash(start + 24);
      const decision = { round: 0, accepted: [4, 5], incentives: [0, 0], seed, stateRoot: testHash("root"), block };
      expect(await chain.decision(runId, 0)).toEqual(decision);
      await refused(as("anyone").decideRound(runId, 0), "AlreadyDecided");
      expect(await chain.decision(runId, 0)).toEqual(decision);
      expect(await chain.votes(runId, 0)).toHaveLength(3);
    }));

  it("are null rounds where half is not more than half, where nobody votes, and where nobody has committed", () =>
    withChain(async (bench) => {
      const { chain, as, before } = bench;
      const { runId, start, netuid } = await jurysRun(bench);
      await as("v1").addStake(netuid, account("v1"), await stakeGap(bench, netuid));
      await before(start);
      await as("m1").commitPayload(runId, 0, testHash("p"));
      await before(start + 15);
      await as("v1").vote(runId, 0, [4], testHash("root")); // exactly half now
      await before(start + 25);
      await as("m1").commitPayload(runId, 1, testHash("p"));
      await as("anyone").decideRound(runId, 0);
      expect(await chain.decision(runId, 0)).toMatchObject({ accepted: [], incentives: [], stateRoot: undefined });
      await before(start + 50);
      await as("anyone").decideRound(runId, 1); // nobody has voted
      expect(await chain.decision(runId, 1)).toMatchObject({ round: 1, accepted: [], stateRoot: undefined });
      await before(start + 65);
      for (const name of ["v1", "v2", "v3"]) await as(name).vote(runId, 2, [4, 5], testHash("root"));
      await before(start + 75);
      await as("anyone").decideRound(runId, 2); // nobody has committed
      expect(await chain.decision(runId, 2)).toMatchObject({ accepted: [], stateRoot: testHash("root") });
      expect(await chain.decision(runId, 3)).toBeUndefined();
    }));

  it("count stake that moves from voter to voter once", () =>
    withChain(async (bench) => {
      const { chain, as, before } = bench;
      const { runId, start, netuid } = await jurysRun(bench);
      await before(start);
      await as("m1").commitPayload(runId, 0, testHash("p"));
      await before(start + 15);
      await as("v2").vote(runId, 0, [4], testHash("root"));
      await as("v2").moveStake({ netuid, hotkey: account("v2") }, { netuid, hotkey: account("owner") }, 2900n * COIN);
      await as("owner").vote(runId, 0, [4], testHash("root"));
      await before(start + 25);
      await as("anyone").decideRound(runId, 0);
      expect(await chain.decision(runId, 0)).toMatchObject({ accepted: [], stateRoot: undefined });
    }));

  it("are decided before the next one is voted on, if nobody has cared to", () =>
    withChain(async (bench) => {
      const { chain, as, before } = bench;
      const { runId, start } = await jurysRun(bench);
      await before(start);
      await as("m1").commitPayload(runId, 0, testHash("p"));
      await before(start + 15);
      for (const name of ["v1", "v2"]) await as(name).vote(runId, 0, [4], testHash("zero"));
      await before(start + 40);
      const { block } = await as("v1").vote(runId, 1, [], testHash("one"));
      const seed = await chain.blockHash(start + 24);
      const decided = { round: 0, accepted: [4], incentives: [0], seed, stateRoot: testHash("zero"), block };
      expect(await chain.decision(runId, 0)).toEqual(decided);
      expect((await chain.votes(runId, 1)).map(({ uid }) => uid)).toEqual([1]);
      expect((await chain.votes(runId, 0)).map(({ uid }) => uid)).toEqual([1, 2]); // for whoever recomputes the decision
      await refused(as("anyone").decideRound(runId, 0), "AlreadyDecided");
    }));
}

function selection(withChain: WithChain): void {
  it("is seeded by the round's last block while its hash is known, and by the newest one afterwards", () =>
    withChain(async (bench) => {
      const { chain, as, before } = bench;
      const { runId, start } = await jurysRun(bench);
      await before(start + 60);
      const [zero, one] = [await chain.blockHash(start + 24), await chain.blockHash(start + 49)];
      await before(start + 24 + 256);
      await as("anyone").decideRound(runId, 0); // the last block in which it is known
      expect(await chain.decision(runId, 0)).toMatchObject({ seed: zero, block: start + 24 + 256 });
      await before(start + 49 + 257);
      await as("anyone").decideRound(runId, 1);
      const late = await chain.decision(runId, 1);
      expect(late).toMatchObject({ seed: await chain.blockHash(start + 49 + 256), block: start + 49 + 257 });
      expect(late?.seed).not.toBe(one);
    }));

  it("goes by incentives as they were at the decision, whatever comes later", () =>
    withChain(async (bench) => {
      const { chain, as, before } = bench;
      const netuid = await jury(bench);
      const votes = async (m1: number, m2: number): Promise<void> => {
        const values = { uids: [4, 5], values: [m1, m2] };
        for (const name of ["v1", "v2", "v3"]) await as(name).setWeights(netuid, values);
        await as("owner").setSubnet(netuid, { tempo: 40 });
        await bench.epoch(netuid);
        await as("owner").setSubnet(netuid, { tempo: 5000, maxUids: 6, minNonImmuneUids: 1 });
      };
      const incentive = async (uid: number): Promise<number> => (await bench.neuron(netuid, uid)).incentive;
      await votes(3, 1);
      const start = (await bench.block()) + 5;
      const { runId } = await as("ann").createRun({ ...TERMS, netuid, startBlock: start });
      for (const round of [0, 1]) {
        await before(start + 25 * round);
        for (const name of ["v1", "m1", "m2"]) await as(name).commitPayload(runId, round, testHash(name));
        await before(start + 25 * round + 15);
        for (const name of ["v1", "v2"]) await as(name).vote(runId, round, [1, 4, 5], testHash("root"));
      }
      expect([await incentive(4), await incentive(5)]).toEqual([49_151, 16_383]);
      const then = { accepted: [1, 4, 5], incentives: [0, 49_151, 16_383] };
      expect(await chain.decision(runId, 0)).toMatchObject(then); // by the first vote on round 1
      await votes(999, 1);
      const small = await incentive(5);
      expect(small).toBeGreaterThan(0);
      expect(await chain.decision(runId, 0)).toMatchObject(then);
      // m2 earns least of all: its uid goes to a newcomer, who has earned nothing
      await bench.fund(account("m3"), 1000n * COIN);
      expect(await bench.register(netuid, "m3")).toBe(5);
      await as("anyone").decideRound(runId, 1);
      const now = { accepted: [1, 4, 5], incentives: [0, await incentive(4), 0] };
      expect(now.incentives[1]).toBeGreaterThan(60_000);
      expect(await chain.decision(runId, 1)).toMatchObject(now);
    }));
}

/** Rao that v1 must stake so that v1 has exactly half. */
async function stakeGap({ chain }: Bench, netuid: number): Promise<bigint> {
  const { neurons } = await chain.metagraph(netuid);
  const stake = (uid: number): bigint => neurons[uid]?.stake ?? 0n;
  return stake(0) + stake(2) + stake(3) - stake(1);
}
