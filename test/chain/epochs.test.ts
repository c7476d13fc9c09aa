import { readFileSync } from "node:fs";
import { BaseError, type Hex, toFunctionSelector } from "viem";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Random } from "../../src/base/random.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { WeightVector } from "../../src/chain/chain.ts";
import { epoch } from "../../src/chain/yuma/epoch.ts";
import type { EpochOutput } from "../../src/chain/yuma/types.ts";
import { type Anvil, startAnvil } from "../helpers/anvil.ts";
import { measureEpochs, type Subnet, subnetOf } from "../helpers/epoch-gas.ts";
import { EpochLab, type Play, type Played, packMedians, raoLeft } from "../helpers/epoch-lab.ts";
import { epochSequence } from "../helpers/epoch-sequences.ts";
import { type EpochSize, epochOf, randomEpoch, rowOf } from "../helpers/epochs.ts";

/** Random epochs to try; `npm run test:chain` asks for 10,000. As many again come in sequences. */
const EPOCHS = Number(process.env["SKEIN_EPOCHS"] ?? 200);
const SEQUENCE = 5;
const OWNER_CUTS = [0, 11_796, 65_535, 1];
const GAS_PAGE_MAX = 16_777_216;

let anvil: Anvil;
let lab: EpochLab;
beforeAll(async () => {
  anvil = await startAnvil();
  lab = await EpochLab.open(anvil);
});
afterAll(() => anvil.stop());

/** An epoch with what the reference makes of it. */
interface Pair {
  readonly play: Play;
  readonly expected: EpochOutput;
}

/** The reference's outcome in the terms of the contract's. */
function expectedOf({ play, expected }: Pair): Played {
  const { exact: _, serverEmission, validatorEmission, ...rest } = expected;
  const { input, ownerCut = 0 } = play;
  const owner = input.ownerUid ?? -1;
  return {
    ...rest,
    paidServer: serverEmission.map((rao, uid) => (uid === owner ? 0n : rao)),
    paidValidator: validatorEmission,
    paidOwner: input.emission - raoLeft(input.emission, ownerCut),
    burned: serverEmission[owner] ?? 0n,
  };
}

function pairOf(play: Omit<Play, "medians">, random: Random): Pair {
  const { input, ownerCut = 0 } = play;
  const expected = epoch({ ...input, emission: raoLeft(input.emission, ownerCut) });
  const medians = random.below(2) === 0 ? packMedians(expected.exact.consensus) : [];
  return { play: { ...play, medians }, expected };
}

function pagesOf(random: Random): number[] {
  const sizes = [[16], [0], [32, 16, 1000], [48], [100_000], [1 + random.below(160), 1 + random.below(480)]];
  return sizes[random.below(sizes.length)] ?? [16];
}

function randomPair(seed: string, netuid: number, size: EpochSize): Pair {
  const random = seededRandom(seed);
  const input = randomEpoch(seed, size);
  const ownerCut = OWNER_CUTS[random.below(4)] ?? 0;
  return pairOf({ netuid, input, first: true, pages: pagesOf(random), ownerCut }, random);
}

function sequencePairs(seed: string, netuid: number, size: EpochSize): Pair[] {
  const random = seededRandom(seed);
  return epochSequence(seed, SEQUENCE, size).map(({ input, cleared }, k) =>
    pairOf({ netuid, input, first: k === 0, cleared, pages: pagesOf(random) }, random),
  );
}

async function check(pairs: readonly Pair[]): Promise<void> {
  const played = await lab.play(pairs.map(({ play }) => play));
  for (const [k, pair] of pairs.entries()) {
    expect(played[k], `epoch ${k}, netuid ${pair.play.netuid}`).toEqual(expectedOf(pair));
  }
}

/** Sizes such that most epochs are small and some as large as they get. */
function sizeOf(k: number): EpochSize {
  if (k % 100 === 99) return { maxUids: 256, maxValidators: 64 };
  if (k % 10 === 9) return { maxUids: 100, maxValidators: 30 };
  return { maxUids: 40, maxValidators: 16 };
}

/** The data of the revert that a promise ends with. */
async function revertOf(promise: Promise<unknown>): Promise<Hex | undefined> {
  try {
    await promise;
  } catch (thrown) {
    if (!(thrown instanceof BaseError)) throw thrown;
    const cause = thrown.walk((one) => typeof (one as { data?: unknown }).data === "string");
    if (!cause) throw thrown;
    return (cause as { data?: Hex }).data;
  }
  return undefined;
}

describe("the contract and the reference agree on", () => {
  it(`${EPOCHS} random epochs, whatever came before`, async () => {
    const batch = 25;
    for (let from = 0; from < EPOCHS; from += batch) {
      const count = Math.min(batch, EPOCHS - from);
      await check(Array.from({ length: count }, (_, k) => randomPair(`single ${from + k}`, k + 1, sizeOf(from + k))));
    }
  }, 1e7);

  it(`${EPOCHS} epochs that follow each other, with new holders in between`, async () => {
    for (let k = 0; k * SEQUENCE < EPOCHS; k++) await check(sequencePairs(`follow ${k}`, 1, sizeOf(k)));
  }, 1e7);

  it.each([
    ["nobody has stake", epochOf({ stake: [0, 0, 0] })],
    [
      "nobody has a permit",
      epochOf({ stake: [1, 2], permit: [false, false], weights: new Map([[0, rowOf([[1, 9]])]]) }),
    ],
    ["one uid", epochOf({ stake: [5], ownerUid: 0, weights: new Map([[0, rowOf([[0, 7]])]]) })],
    [
      "one uid that votes for itself without being the owner",
      epochOf({ stake: [5], weights: new Map([[0, rowOf([[0, 7]])]]) }),
    ],
    ["one validator has all stake", epochOf({ stake: [5, 0, 0], weights: new Map([[0, rowOf([[1, 65_535]])]]) })],
    [
      "one validator has all stake, Yuma 2",
      epochOf({ stake: [5, 0, 0], weights: new Map([[0, rowOf([[1, 65_535]])]]), params: { yuma3: false } }),
    ],
    [
      "all columns are newcomers",
      epochOf({ stake: [5, 6], registeredAt: [9, 9], weights: new Map([[0, rowOf([[1, 7]])]]) }),
    ],
    [
      "the owner votes for itself",
      epochOf({
        stake: [5, 6],
        ownerUid: 0,
        weights: new Map(
          [0, 1].map((uid) => [
            uid,
            rowOf([
              [0, 3],
              [1, 7],
            ]),
          ]),
        ),
      }),
    ],
  ])("an epoch in which %s", async (_, input) => {
    const random = seededRandom("by hand");
    await check([pairOf({ netuid: 1, input, first: true, pages: [16] }, random)]);
  });

  it("every number that subtensor's test_bonds states", async () => {
    const { testBonds } = JSON.parse(
      readFileSync(new URL("../../vectors/yuma.json", import.meta.url), "utf8"),
    ) as Vectors;
    const { stake, emission, kappa, bondsPenalty, bondsMovingAverage, maxValidators, voters, columns, epochs } =
      testBonds;
    const params = { kappa, bondsPenalty, bondsMovingAverage, maxValidators, yuma3: false };
    const start = epochOf({ stake, emission: BigInt(emission), params });
    const weights = new Map<number, WeightVector>();
    const plays = epochs.map(({ weights: set }, k): Play => {
      for (const [uid, pairs] of Object.entries(set)) weights.set(Number(uid), rowOf(pairs));
      const input = {
        ...start,
        block: start.block + k,
        lastEpochBlock: start.lastEpochBlock + k,
        lastUpdate: start.lastUpdate.map((at) => at + k),
        weights: new Map(weights),
      };
      return { netuid: 1, input, first: k === 0, pages: [16] };
    });
    for (const [k, played] of (await lab.play(plays)).entries()) {
      const expected = epochs[k];
      expect(played.emission.map(Number), `epoch ${k}`).toEqual(expected?.emission);
      expect(played.paidServer.map(Number)).toEqual(expected?.serverEmission);
      expect(played.paidValidator.map(Number)).toEqual(expected?.validatorEmission);
      for (const name of ["incentive", "dividends", "consensus", "vtrust"] as const) {
        expect(played[name], name).toEqual(expected?.u16[name]);
      }
      const rows = Array.from({ length: voters }, (_, uid) => {
        const { uids, values } = played.bonds.get(uid) ?? { uids: [], values: [] };
        return columns.map((column) => values[uids.indexOf(column)] ?? 0);
      });
      expect(rows).toEqual(expected?.bonds);
    }
  });
});

/** What of vectors/yuma.json is played here. */
interface Vectors {
  readonly testBonds: {
    readonly stake: readonly number[];
    readonly kappa: number;
    readonly bondsPenalty: number;
    readonly bondsMovingAverage: number;
    readonly maxValidators: number;
    readonly emission: number;
    readonly voters: number;
    readonly columns: readonly number[];
    readonly epochs: readonly {
      readonly weights: Readonly<Record<string, readonly (readonly [number, number])[]>>;
      readonly bonds: readonly (readonly number[])[];
      readonly emission: readonly number[];
      readonly serverEmission: readonly number[];
      readonly validatorEmission: readonly number[];
      readonly u16: Readonly<Record<"incentive" | "dividends" | "consensus" | "vtrust", readonly number[]>>;
    }[];
  };
}

describe("medians that a caller supplies", () => {
  it("are refused where a single one is off by one", async () => {
    let refused = 0;
    for (let k = 0; k < 40; k++) {
      const random = seededRandom(`tampered ${k}`);
      const input = randomEpoch(`tampered ${k}`, { maxUids: 40, maxValidators: 16 });
      const { exact } = epoch(input);
      if (exact.activeStake.every((share) => share === 0n)) continue;
      const words = packMedians(exact.consensus);
      const w = random.below(words.length);
      const lane = 1n << BigInt(64 * random.below(4));
      const right = words[w] ?? 0n;
      const down = (right / lane) % (1n << 64n) === 0n || random.below(2) === 0 ? right + lane : right - lane;
      const wrong = words.with(w, random.below(8) === 0 ? right | (lane << 63n) : down);
      const data = await revertOf(lab.play([{ netuid: 1, input, first: true, pages: [16], medians: wrong }]));
      expect(data?.slice(0, 10), `epoch ${k}`).toBe(toFunctionSelector("WrongMedian(uint256)"));
      refused++;
    }
    expect(refused).toBeGreaterThan(20);
  });

  it("are refused where there are too few or too many", async () => {
    const input = epochOf({ stake: [1, 2, 0], weights: new Map([[0, rowOf([[2, 1]])]]) });
    for (const medians of [[0n], [0n, 0n, 0n, 0n, 0n]]) {
      const data = await revertOf(lab.play([{ netuid: 1, input, first: true, pages: [16], medians }]));
      expect(data?.slice(0, 10)).toBe(toFunctionSelector("MedianCount(uint256)"));
    }
  });
});

describe("an epoch that anybody pushes", () => {
  let subnet: Subnet;
  beforeAll(async () => {
    subnet = await subnetOf(anvil, { validators: 4, uids: 40, params: {} });
  });
  const refusal = async (functionName: string, args: readonly unknown[]): Promise<string | undefined> =>
    (await revertOf(subnet.simulate(functionName, args)))?.slice(0, 10);

  it("waits until it is due, and freezes its inputs until it is done", async () => {
    expect(await subnet.read("frozen")).toBe(false);
    expect(await refusal("step", [1, 16])).toBe(toFunctionSelector("EpochNotDue(uint16,uint256)"));
    await subnet.untilDue();
    expect(await subnet.read("frozen")).toBe(true);
    await subnet.push("step", [1, 0]);
    expect(await subnet.read("frozen")).toBe(true);
    expect(await subnet.read("progress")).toMatchObject([1, 0, 40, expect.any(BigInt)]);
    await subnet.push("step", [1, 0]);
    expect(await subnet.read("progress")).toMatchObject([1, 16, 40, expect.any(BigInt)]);
    await subnet.push("step", [1, 2n ** 255n]);
    expect(await subnet.read("progress")).toMatchObject([0, 0, 40, expect.any(BigInt)]);
    expect([await subnet.read("frozen"), await subnet.read("epochIndex")]).toEqual([false, 2n]);
    expect(await refusal("step", [1, 16])).toBe(toFunctionSelector("EpochNotDue(uint16,uint256)"));
  });

  it("takes medians only in the consensus stage", async () => {
    expect(await refusal("stepWithMedians", [1, Array(12).fill(0n)])).toBe(
      toFunctionSelector("NotInConsensus(uint16)"),
    );
    expect(await refusal("medians", [1])).toBe(toFunctionSelector("NotInConsensus(uint16)"));
  });

  it("cannot be begun again by the ledger that it pays through", async () => {
    const thief = await subnetOf(anvil, { validators: 4, uids: 20, params: {}, staking: "test/EpochReentrantStub" });
    await thief.untilDue();
    const data = await revertOf(thief.simulate("step", [1, 1_000_000]));
    expect(data?.slice(0, 10)).toBe(toFunctionSelector("ReentrancyGuardReentrantCall()"));
  });

  it("lets nobody but the neurons' contract clear, and nobody initialize twice", async () => {
    expect(await refusal("clear", [1, 0])).toBe(toFunctionSelector("OnlyNeurons()"));
    const address = "0x0000000000000000000000000000000000000001";
    const peers = { staking: address, subnets: address, neurons: address, epochs: address };
    expect(await refusal("initialize", [peers, address])).toBe(toFunctionSelector("AlreadyInitialized()"));
  });
});

it("an epoch of 64 validators x 256 uids stays below the gas that a transaction may use, and a steady one below 25M", async () => {
  const size = { validators: 64, uids: 256 };
  const [first] = await measureEpochs(anvil, { ...size, epochs: 1, medians: 64, columns: 64 });
  const [, steady] = await measureEpochs(anvil, { ...size, epochs: 2, medians: 192, columns: 320 });
  expect(first?.largest).toBeLessThan(GAS_PAGE_MAX);
  expect(steady?.largest).toBeLessThan(GAS_PAGE_MAX);
  expect(steady?.total).toBeLessThan(25_000_000);
}, 60_000);
