/** The EVM client with contracts at fresh addresses, as on any EVM chain: subnet, proofs, stake, weights, epoch, rounds, money. */
import { afterAll, expect, it } from "vitest";
import { benchOver, COIN, refused, testHash, testSigner } from "../contract/chain-kit.ts";
import { evmPool } from "../helpers/evm-chain.ts";

const pool = evmPool({ fixed: false });
afterAll(() => pool.close());

it("plays a whole story at addresses of its own", async () => {
  const bench = benchOver(await pool.open({ lockMin: COIN }));
  const { chain, as, fund, before, block, balance } = bench;
  const netuid = await bench.open({ commitReveal: true });
  for (const name of ["cold", "miner"]) await fund(testSigner(name).account, 2000n * COIN);
  expect(await bench.register(netuid, "hot", "cold")).toBe(1);
  expect(await bench.register(netuid, "miner")).toBe(2);
  await as("cold").addStake(netuid, testSigner("hot").account, 1000n * COIN);
  await bench.epoch(netuid);
  const votes = { uids: [2], values: [7] };
  await as("hot").commitWeights(netuid, votes, [1, 2]);
  await bench.epoch(netuid);
  await as("hot").revealWeights(netuid, votes, [1, 2]);
  await bench.epoch(netuid);
  const { neurons } = await chain.metagraph(netuid);
  expect(neurons[2]).toMatchObject({ incentive: 65_535, hotkey: testSigner("miner").account });
  expect(neurons[1]).toMatchObject({ dividends: 65_535, permit: true, hotkeyAddress: testSigner("hot").address });
  const had = await balance("miner");
  await as("miner").claim();
  expect(await balance("miner")).toBeGreaterThan(had);

  const startBlock = (await block()) + 5;
  const phases = { trainBlocks: 5, revealBlocks: 1, voteBlocks: 5 };
  const hashes = { specHash: testHash("spec"), genesisRoot: testHash("genesis") };
  const { runId } = await as("cold").createRun({ netuid, startBlock, ...hashes, ...phases });
  await before(startBlock);
  await as("miner").commitPayload(runId, 0, testHash("payload"));
  await before(startBlock + 6);
  await as("hot").vote(runId, 0, [2], testHash("root"));
  await before(startBlock + 11);
  await as("anyone").decideRound(runId, 0);
  expect(await chain.decision(runId, 0)).toMatchObject({ accepted: [2], stateRoot: testHash("root") });
  await refused(as("anyone").decideRound(runId, 0), "AlreadyDecided");
}, 60_000);
