/**
 * Stateful fuzzing of the real contracts: many accounts do random things, mostly lawful, some not (contracts/test/Stage.sol), while blocks
 * pass. After every transaction: rao are conserved to 2^-64, pools are solvent, uids and hotkeys belong to each other one to one; and the
 * issuance is exactly what a loop over single blocks mints, less what was burned, over the first halving and back.
 *
 * SKEIN_CHAIN_CALLS sets the number of operations (the long check takes 100,000), SKEIN_CHAIN_SEED another course of events.
 */
import { decodeEventLog } from "viem";
import { afterAll, beforeAll, expect, it } from "vitest";
import { must } from "../../src/base/assert.ts";
import { type Random, seededRandom } from "../../src/base/random.ts";
import type { Hash } from "../../src/chain/chain.ts";
import {
  accountOf,
  addressOf,
  COIN,
  type Contracts,
  compiled,
  type RawLog,
  startContracts,
  type Target,
} from "../helpers/contracts.ts";
import type { Sums } from "../helpers/money.ts";

const CALLS = Number(process.env["SKEIN_CHAIN_CALLS"] ?? 2000);
const SEED = process.env["SKEIN_CHAIN_SEED"] ?? "1";
const PUPPETS = 18;
const BATCH = 40;
const KINDS = 18;
const MAX = 21_000_000_000_000_000n;
/** The supply begins just above this; what subnets cost takes it below, and the blocks bring it back. */
const HALVING = MAX / 2n;

const bank = addressOf(9999);
let chain: Contracts;
let stage: Target;
let auditor: Target;
let people: readonly Hash[];

beforeAll(async () => {
  const product = ["Staking", "Subnets", "Neurons", "Epochs", "EpochPages", "AddressMapping"];
  const artifacts = compiled(product, { Stage: ["Stage"], Auditor: ["Auditor"] });
  chain = await startContracts(artifacts, {
    balances: new Map([[accountOf(bank), HALVING + 100n * COIN]]),
    lockMin: 20n * COIN,
    lockInterval: 200n,
  });
  stage = await chain.place(must(artifacts.get("Stage"), "Stage"));
  auditor = await chain.place(must(artifacts.get("Auditor"), "Auditor"));
  await chain.send(bank, stage, "setUp", chain.book, PUPPETS);
  people = await chain.read<readonly Hash[]>(stage, "everybody");
  for (const person of people) await chain.send(bank, "staking", "transfer", person, 20_000n * COIN);
}, 120_000);
afterAll(() => chain.anvil.stop());

async function audit(): Promise<Sums> {
  const subnets = await chain.read<number>("subnets", "subnetCount");
  await chain.read(stage, "check");
  return chain.read<Sums>(auditor, "audit", chain.book.staking, [...people, accountOf(bank)], people, subnets);
}

/** Rao that the next block mints. */
function minted(issuance: bigint): bigint {
  let rao = 1_000_000_000n;
  for (let left = MAX - issuance; left * 2n <= MAX && rao > 0n; left *= 2n) rao /= 2n;
  return rao;
}

/** Rao that a transaction burned, as its events tell. */
function burned(logs: readonly RawLog[]): bigint {
  const { abi } = must(chain.artifacts.get("Staking"), "Staking");
  const ours = logs.filter(({ address }) => address === chain.book.staking);
  return ours
    .map(({ topics, data }) => decodeEventLog({ abi, topics, data }) as { eventName?: string; args?: unknown })
    .map(({ eventName, args }) => {
      const { rao, burned: left } = args as { rao: bigint; burned: bigint };
      return eventName === "Burned" ? rao : eventName === "EpochPaid" ? left : 0n;
    })
    .reduce((sum, rao) => sum + rao, 0n);
}

/** An operation as Stage reads it: kind, who, other, netuid, seed. */
function operation(random: Random): bigint {
  const below = (n: number): bigint => BigInt(Math.floor(random.uniform() * n));
  const seed = (below(2 ** 32) << 32n) | below(2 ** 32);
  return below(KINDS) | (below(PUPPETS) << 8n) | (below(PUPPETS) << 16n) | (below(7) << 24n) | (seed << 40n);
}

/** Lets blocks pass, which mint what they must; returns the sums after them. */
async function pass(blocks: number, before: Sums): Promise<Sums> {
  const { stake } = await chain.read<{ stake: bigint }>("staking", "ledger");
  await chain.mine(blocks);
  let expected = before.issuance;
  for (let i = 0; i < blocks && stake > 0n; i++) expected += minted(expected);
  const after = await audit();
  expect(after.issuance).toBe(expected);
  return after;
}

it(
  `keeps all promises through ${CALLS} operations`,
  async () => {
    const random = seededRandom(`invariants/${SEED}`);
    let gas = 0;
    let sums = await audit();
    let halvings = 0;
    let last = sums.issuance;
    for (let done = 0; done < CALLS; done += BATCH) {
      const words = Array.from({ length: BATCH }, () => operation(random));
      const { stake } = await chain.read<{ stake: bigint }>("staking", "ledger");
      const mined = await chain.send(bank, stage, "act", words);
      gas += mined.gas;
      const before = await audit();
      expect(before.issuance).toBe(last + (stake > 0n ? minted(last) : 0n) - burned(mined.logs));
      sums = await pass(1 + Math.floor(random.uniform() ** 3 * 40), before);
      if (minted(before.issuance) !== minted(last) || minted(before.issuance) !== minted(sums.issuance)) halvings++;
      last = sums.issuance;
    }
    const [all, good] = await chain.read<[readonly bigint[], readonly bigint[]]>(stage, "tally");
    const rows = all.map((tried, kind) => `${kind}: ${good[kind]} of ${tried}`);
    console.info(`${CALLS} operations, ${Math.round(gas / CALLS)} gas each; accepted by kind: ${rows.join(", ")}`);
    console.info(`block ${await chain.block()}, halvings ${halvings}`, sums);
    expect(halvings).toBeGreaterThan(0);
    expect(all.reduce((sum, n) => sum + n)).toBe(BigInt(Math.ceil(CALLS / BATCH) * BATCH));
    for (const [kind, n] of good.entries()) {
      if (kind === KINDS - 1) expect(n, "trespasses").toBe(0n);
      else expect(n, `accepted operations of kind ${kind}`).toBeGreaterThan(0n);
    }
  },
  Math.max(60_000, CALLS * 30),
);
