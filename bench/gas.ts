/**
 * Gas of what accounts do on chain, in a subnet of 256 uids with the real contracts: the second line of a pair is for who has done it before.
 * Whole epochs: gas-epochs.ts. Run: node build/ts/bench/gas.js (after npm run build:contracts and build:all). Gas is exact, so one run
 * is enough.
 */
import { must } from "../src/base/assert.ts";
import type { Chain, ChainAccount, Receipt, WeightVector } from "../src/chain/chain.ts";
import { connectEvm } from "../src/chain/evm/client.ts";
import { COIN, testHash, testSigner } from "../test/contract/chain-kit.ts";
import { accountOf, addressOf, type Contracts, startContracts } from "../test/helpers/contracts.ts";
import { everyContract, TREASURY } from "../test/helpers/evm-chain.ts";

const UIDS = 256;
const TEMPO = 1000;
const owner = testSigner("owner");
const lines: string[] = [];

async function note(what: string, ...receipts: readonly Promise<Receipt>[]): Promise<void> {
  const gas: string[] = [];
  for (const receipt of receipts) gas.push(Number((await receipt).gas).toLocaleString("en"));
  lines.push(`| ${what} | ${gas.join(" | ")}${" |".repeat(3 - gas.length)}`);
}

/** One after the other, for transactions of which the second depends on the first. */
async function twice(what: string, first: () => Promise<Receipt>, again: () => Promise<Receipt>): Promise<void> {
  const one = await first();
  await note(what, Promise.resolve(one), again());
}

const row = (salt: number): WeightVector => {
  const uids = Array.from({ length: UIDS }, (_, uid) => uid).filter((uid) => uid !== 1);
  return { uids, values: uids.map((uid) => 1 + ((uid * 7919 + salt) % 65_535)) };
};

async function fill({ send }: Contracts, netuid: number, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const filler = addressOf(1000 + i);
    await send(TREASURY.address, "staking", "transfer", accountOf(filler), 10n * COIN);
    await send(filler, "neurons", "burnedRegister", netuid, accountOf(filler));
  }
}

/** Commits of those among `uids` who came by `fill`; returns how many. */
async function commitAll(
  { send, read }: Contracts,
  netuid: number,
  claim: readonly unknown[],
  uids: readonly number[],
) {
  let count = 0;
  for (const uid of uids.filter((each) => each > 2)) {
    const filler = addressOf(1000 + uid - 3);
    if ((await read("neurons", "hotkeyOf", netuid, uid)) !== accountOf(filler)) continue; // pruned since
    await send(filler, "roundBook", "commit", ...claim, uid, testHash(`p${uid}`));
    count++;
  }
  return count;
}

async function main(contracts: Contracts, chain: Chain): Promise<void> {
  const as = (name: string): ChainAccount => chain.as(testSigner(name));
  const treasury = chain.as(TREASURY);
  const names = ["owner", "ann", "bob", "cold"];
  for (const name of names.slice(1)) await treasury.transfer(testSigner(name).account, 20_000n * COIN);
  await twice(
    "transfer",
    () => treasury.transfer(owner.account, 10_000n * COIN),
    () => treasury.transfer(owner.account, 10_000n * COIN),
  );
  const settings = { tempo: TEMPO, weightsSetRateLimit: 0, immunityPeriod: 0, minBurn: 1n, maxBurn: COIN };
  const created = await as("owner").createSubnet(owner, 1000n * COIN, settings);
  const { netuid } = created;
  await note("create a subnet", Promise.resolve(created));
  const receipts = [await as("ann").register(netuid, testSigner("ann"), COIN)];
  receipts.push(await as("cold").register(netuid, testSigner("hot"), COIN));
  await note("register: own hotkey", Promise.resolve(must(receipts[0], "a receipt")));
  await note("register: another hotkey, with its proof", Promise.resolve(must(receipts[1], "a receipt")));
  const ann = testSigner("ann").account;
  await twice(
    "add stake",
    () => as("ann").addStake(netuid, ann, COIN),
    () => as("ann").addStake(netuid, ann, COIN),
  );
  await as("cold").addStake(netuid, testSigner("hot").account, 1000n * COIN);
  await note("remove stake", as("ann").removeStake(netuid, ann, COIN));
  await fill(contracts, netuid, UIDS - 3);
  await epoch(contracts, chain, netuid);
  await note("register and prune", as("bob").register(netuid, testSigner("bob"), COIN));
  await weights(contracts, chain, netuid);
  await rounds(contracts, chain, netuid);
  await note("claim", as("owner").claim());
}

async function epoch({ mine }: Contracts, chain: Chain, netuid: number): Promise<void> {
  const { dueBlock } = (await chain.metagraph(netuid)).subnet.epoch;
  const { block } = await chain.head();
  if (block < dueBlock) await mine(dueBlock - block);
  while (await chain.as(owner).stepEpoch(netuid));
}

async function weights(contracts: Contracts, chain: Chain, netuid: number): Promise<void> {
  const ann = chain.as(testSigner("ann"));
  await twice(
    "commit weights",
    () => ann.commitWeights(netuid, row(1), [1]),
    () => ann.commitWeights(netuid, row(2), [2]),
  );
  await epoch(contracts, chain, netuid);
  const first = await ann.revealWeights(netuid, row(2), [2]);
  await ann.commitWeights(netuid, row(3), [3]);
  await epoch(contracts, chain, netuid);
  await note("reveal 255 weights", Promise.resolve(first), ann.revealWeights(netuid, row(3), [3]));
  await chain.as(owner).setSubnet(netuid, { commitReveal: false });
  const hot = chain.as(testSigner("hot"));
  await twice(
    "set 255 weights",
    () => hot.setWeights(netuid, row(4)),
    () => hot.setWeights(netuid, row(5)),
  );
}

async function rounds(contracts: Contracts, chain: Chain, netuid: number): Promise<void> {
  const { mine } = contracts;
  const [ann, hot] = [chain.as(testSigner("ann")), chain.as(testSigner("hot"))];
  const startBlock = (await chain.head()).block + 2;
  const phases = { trainBlocks: 150, revealBlocks: 1, voteBlocks: 10 };
  const hashes = { specHash: testHash("spec"), genesisRoot: testHash("genesis") };
  const run = ann.createRun({ netuid, startBlock, ...hashes, ...phases });
  await note("create a run", run);
  const { runId } = await run;
  const until = async (block: number): Promise<void> => mine(Math.max(0, block - 1 - (await chain.head()).block));
  const uids = Array.from({ length: 128 }, (_, i) => 2 * i);
  for (const round of [0, 1, 2]) {
    const begin = startBlock + 161 * round;
    if (round > 0) await until(begin + 1);
    const commit = await ann.commitPayload(runId, round, testHash(`a${round}`));
    if (round === 1)
      await note(
        "commit to a payload (once a round)",
        Promise.resolve(commit),
        ann.commitPayload(runId, round, testHash("b")),
      );
    const others = round === 2 ? await commitAll(contracts, netuid, [runId, round], uids) : 0;
    await until(begin + 152);
    const vote = await hot.vote(runId, round, uids, testHash("root"));
    if (round === 1)
      await note("vote on a round (once a round)", Promise.resolve(vote), hot.vote(runId, round, uids, testHash("r")));
    await until(begin + 162);
    const decided = await ann.decideRound(runId, round);
    if (round > 0)
      await note(`decide a round of 256 uids, ${others === 0 ? "none" : others} accepted`, Promise.resolve(decided));
  }
}

const balances = new Map([[TREASURY.account, 1_000_000n * COIN]]);
const contracts = await startContracts(everyContract(), { balances });
const chain = await connectEvm({ rpcUrl: contracts.anvil.url, pollMs: 20 });
await main(contracts, chain);
await chain.close();
await contracts.anvil.stop();
console.log(`| gas | first | again |\n|---|---|---|\n${lines.join("\n")}`);
