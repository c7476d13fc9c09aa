/**
 * The reference against numbers that subtensor's own tests state (vectors/yuma.json and below), and against its own laws.
 */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { epochOf, randomEpoch, rowOf } from "../../../test/helpers/epochs.ts";
import { epoch } from "./epoch.ts";
import { ONE } from "./fixed.ts";
import type { EpochInput, EpochOutput } from "./types.ts";

type Pairs = readonly (readonly [number, number])[];
interface Votes {
  readonly weights: Readonly<Record<string, Pairs>>;
  readonly bonds: readonly (readonly number[])[];
  readonly dividends: readonly number[];
}
interface Exact {
  readonly incentive: readonly number[];
  readonly dividends: readonly number[];
  readonly consensus: readonly number[];
  readonly vtrust: readonly number[];
}
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
    readonly epochs: readonly (Votes & {
      readonly emission: readonly number[];
      readonly incentive: readonly number[];
      readonly exact: Exact;
      readonly u16: Exact;
      readonly serverEmission: readonly number[];
      readonly validatorEmission: readonly number[];
    })[];
  };
  readonly yuma3: {
    readonly kappa: number;
    readonly bondsPenalty: number;
    readonly bondsMovingAverage: number;
    readonly alphaLow: number;
    readonly alphaHigh: number;
    readonly alphaSteepness: number;
    readonly maxValidators: number;
    readonly voters: number;
    readonly scenarios: readonly {
      readonly name: string;
      readonly stake: readonly number[];
      readonly liquidAlpha: boolean;
      readonly columns: readonly number[];
      readonly epochs: readonly Votes[];
    }[];
  };
}
const vectors = JSON.parse(readFileSync(new URL("../../../vectors/yuma.json", import.meta.url), "utf8")) as Vectors;

/** The epochs of a scenario one after the other, from `start`; rows hold until they are set again. */
function* replay(start: EpochInput, epochs: readonly Votes[]): Generator<EpochOutput> {
  let input = start;
  const weights = new Map(start.weights);
  for (const { weights: set } of epochs) {
    for (const [uid, pairs] of Object.entries(set)) weights.set(Number(uid), rowOf(pairs));
    const output = epoch({ ...input, weights });
    yield output;
    const { block, lastUpdate } = input;
    const updates = lastUpdate.map((updated) => updated + 1);
    input = { ...input, block: block + 1, lastEpochBlock: block, lastUpdate: updates, bonds: output.bonds };
  }
}

/** Bonds of uids 0 … rows − 1 in `columns`, 0 where there are none. */
function dense(output: EpochOutput, rows: number, columns: readonly number[]): number[][] {
  return Array.from({ length: rows }, (_, uid) => {
    const row = output.bonds.get(uid) ?? { uids: [], values: [] };
    return columns.map((column) => row.values[row.uids.indexOf(column)] ?? 0);
  });
}

describe("subtensor's test_bonds", () => {
  const { stake, epochs, emission, voters, columns, ...params } = vectors.testBonds;
  const start = epochOf({ stake, emission: BigInt(emission), params: { ...params, yuma3: false } });
  const outputs = [...replay(start, epochs)];

  it.each(epochs.map((expected, e) => ({ e, expected })))("epoch $e, to the bit", ({ e, expected }) => {
    const output = outputs[e] as EpochOutput;
    expect(output.emission.map(Number)).toEqual(expected.emission);
    expect(output.serverEmission.map(Number)).toEqual(expected.serverEmission);
    expect(output.validatorEmission.map(Number)).toEqual(expected.validatorEmission);
    expect(dense(output, voters, columns)).toEqual(expected.bonds);
    for (const name of ["incentive", "dividends", "consensus", "vtrust"] as const) {
      expect(output.exact[name].map(Number), name).toEqual(expected.exact[name]);
      expect(output[name], name).toEqual(expected.u16[name]);
    }
    for (const name of ["incentive", "dividends"] as const) {
      for (const [uid, decimals] of expected[name].entries()) {
        expect(Math.abs(Number(output.exact[name][uid]) / Number(ONE) - decimals)).toBeLessThan(1e-9);
      }
    }
  });
});

describe("subtensor's yuma_3 scenarios", () => {
  const { scenarios, voters, ...params } = vectors.yuma3;

  it.each(scenarios)("$name", ({ stake, liquidAlpha, columns, epochs }) => {
    const start = epochOf({ stake, params: { ...params, liquidAlpha } });
    for (const [e, output] of [...replay(start, epochs)].entries()) {
      const expected = epochs[e] as Votes;
      for (const [i, row] of dense(output, voters, columns).entries()) {
        for (const [k, bond] of row.entries()) {
          expect(Math.abs(bond / 65_535 - (expected.bonds[i]?.[k] ?? 0)), `epoch ${e}, bond ${i} ${k}`).toBeLessThan(
            1e-3,
          );
        }
      }
      for (const [uid, share] of expected.dividends.entries()) {
        expect(Math.abs((output.dividends[uid] ?? 0) / 65_535 - share), `epoch ${e}, uid ${uid}`).toBeLessThan(1e-3);
      }
    }
  });
});

/** Rows in which each of `voters` votes for each of `uids` alike. */
const alike = (voters: readonly number[], uids: readonly number[]): EpochInput["weights"] =>
  new Map(voters.map((voter) => [voter, rowOf(uids.map((uid) => [uid, 65_535]))]));
const upTo = (n: number, from = 0): number[] => Array.from({ length: n - from }, (_, k) => from + k);
const yuma2 = { yuma3: false } as const;

describe("expectations of other tests of subtensor", () => {
  it("test_1_graph: a lone self-weight counts for nothing", () => {
    const output = epoch(epochOf({ stake: [1_000_000_000], weights: alike([0], [0]), params: yuma2 }));
    expect(output).toMatchObject({ consensus: [0], incentive: [0], dividends: [0], emission: [1_000_000_000n] });
  });

  it("test_10_graph: ten self-weights share by stake", () => {
    const weights = new Map(upTo(10).map((uid) => [uid, rowOf([[uid, 65_535]])]));
    const output = epoch(epochOf({ stake: upTo(10).map(() => 1), weights, params: yuma2 }));
    expect(output.emission).toEqual(upTo(10).map(() => 99_999_999n));
  });

  it.each(["in a block", "interleaved"])("test_512_graph: 64 validators %s", (order) => {
    const isVoter = (uid: number): boolean => (order === "in a block" ? uid < 64 : uid % 8 === 0);
    const [voters, servers] = [upTo(512).filter(isVoter), upTo(512).filter((uid) => !isVoter(uid))];
    const stake = upTo(512).map((uid) => (isVoter(uid) ? 328_125_000_000_000 : 0));
    const permit = upTo(512).map(isVoter);
    const start = epochOf({ stake, permit, weights: alike(voters, servers), params: yuma2 });
    const output = [
      ...replay(
        start,
        [{}, {}, {}].map(() => ({ weights: {}, bonds: [], dividends: [] })),
      ),
    ].at(-1);
    const row = { uids: servers, values: servers.map(() => 65_535) };
    expect(output?.consensus).toEqual(upTo(512).map((uid) => (isVoter(uid) ? 0 : 146)));
    expect(output?.incentive).toEqual(upTo(512).map((uid) => (isVoter(uid) ? 0 : 146)));
    expect(output?.dividends).toEqual(upTo(512).map((uid) => (isVoter(uid) ? 1023 : 0)));
    expect(output?.emission).toEqual(upTo(512).map((uid) => (isVoter(uid) ? 7_812_500n : 1_116_071n)));
    expect(output?.bonds).toEqual(new Map(voters.map((uid) => [uid, row])));
  });

  it("test_active_stake: who falls silent loses its say, then its bonds", () => {
    const first = { stake: [1, 1, 1, 1], weights: alike([0, 1], [2, 3]), params: { ...yuma2, tempo: 1 } };
    const before = epoch(epochOf({ ...first, block: 1, lastEpochBlock: 0, lastUpdate: [1, 1, 0, 0] }));
    expect(before.dividends).toEqual([32_767, 32_767, 0, 0]);
    expect(before.emission).toEqual([250_000_000n, 250_000_000n, 250_000_000n, 250_000_000n]);
    const params = { ...yuma2, tempo: 360, activityCutoffFactor: 13_889 };
    const later = { ...first, params, lastEpochBlock: 1, bonds: before.bonds };
    const silent = epoch(epochOf({ ...later, block: 5002, lastUpdate: [5002, 1, 0, 0] }));
    expect(silent.active).toEqual([true, false, false, false]);
    expect(silent.dividends).toEqual([36_044, 29_490, 0, 0]);
    expect(silent.emission).toEqual([274_999_999n, 224_999_999n, 250_000_000n, 250_000_000n]);
    expect(dense(silent, 2, [2, 3])).toEqual([
      [65_535, 65_535],
      [53_619, 53_619],
    ]);
    const back = { ...later, block: 5003, lastUpdate: [5002, 5002, 0, 0], bonds: silent.bonds };
    const spoken = epoch(epochOf(back));
    expect(spoken.dividends).toEqual([35_716, 29_818, 0, 0]);
    expect(spoken.emission).toEqual([272_501_132n, 227_498_866n, 250_000_000n, 250_000_000n]);
    expect(dense(spoken, 2, [2, 3])).toEqual([
      [65_535, 65_535],
      [54_712, 54_712],
    ]);
  });

  it("test_outdated_weights: votes for a uid's former holder do not count", () => {
    const row = rowOf([
      [2, 65_535],
      [3, 32_768],
    ]);
    const self = (uid: number) => rowOf([[uid, 65_535]]);
    const weights = new Map([
      [0, row],
      [1, row],
      [2, self(2)],
      [3, self(3)],
    ]);
    const first = { stake: [1, 1, 1, 1], weights, params: { ...yuma2, tempo: 1 } };
    const before = epoch(epochOf({ ...first, block: 1, lastEpochBlock: 0, lastUpdate: [1, 1, 1, 1] }));
    expect(before.emission).toEqual([250_000_000n, 250_000_000n, 333_331_637n, 166_668_361n]);
    const moved = { stake: [1, 1, 1, 0], permit: [true, true, true, false], registeredAt: [0, 0, 0, 1] };
    const times = { block: 2, lastEpochBlock: 0, lastUpdate: [2, 1, 1, 1] };
    const output = epoch(epochOf({ ...first, ...moved, ...times, bonds: before.bonds }));
    expect(output.consensus).toEqual([0, 0, 43_689, 0]);
    expect(output.dividends).toEqual([32_767, 32_767, 0, 0]);
    expect(output.emission).toEqual([250_000_000n, 250_000_000n, 500_000_000n, 0n]);
  });

  it("test_zero_weights: without votes that count, all goes by stake", () => {
    const billion = [1_000_000_000n, 0n];
    expect(epoch(epochOf({ stake: [1, 0], params: yuma2 })).emission).toEqual(billion);
    expect(epoch(epochOf({ stake: [1, 0], weights: alike([1], [1]), params: yuma2 })).emission).toEqual(billion);
    const outdated = { stake: [1, 0], weights: alike([0], [1]), registeredAt: [0, 9], params: yuma2 };
    expect(epoch(epochOf(outdated)).emission).toEqual(billion);
    const fresh = { ...outdated, lastUpdate: [10, 9] };
    expect(epoch(epochOf(fresh)).emission).toEqual([500_000_000n, 500_000_000n]);
  });

  it("test_can_set_self_weight_as_subnet_owner", () => {
    const input = { stake: [5_000_000_000_000, 0], permit: [true, false], weights: alike([0], [0, 1]) };
    const { serverEmission } = epoch(epochOf({ ...input, ownerUid: 0 }));
    expect(serverEmission).toEqual([250_000_000n, 250_000_000n]);
    expect(epoch(epochOf(input)).serverEmission).toEqual([0n, 500_000_000n]);
  });

  it("a uid registered after the validator's commit gets nothing of it", () => {
    const input = { stake: [100, 1, 1], weights: alike([0], [1, 2]), registeredAt: [0, 3, 7], oldestCommit: [5, 0, 0] };
    const open = epoch(epochOf(input));
    expect(open.incentive).toEqual([0, 65_535, 0]);
    const none = epoch(epochOf({ ...input, oldestCommit: [0, 0, 0] }));
    expect(none.incentive).toEqual([0, 32_767, 32_767]);
  });

  it("test_deregistered_miner_bonds: bonds in a uid's former holder are forgotten", () => {
    const bonds = new Map([
      [
        0,
        rowOf([
          [2, 65_535],
          [3, 65_535],
        ]),
      ],
    ]);
    const input = { stake: [1, 1, 0, 0], bonds, weights: alike([1], [2, 3]), params: yuma2 };
    const output = (registered: number) =>
      epoch(epochOf({ ...input, registeredAt: [0, 0, 0, registered], lastUpdate: [11, 11, 11, 11] }));
    expect(dense(output(8), 2, [2, 3])[0]?.[1]).toBeGreaterThan(0); // the last epoch was at block 8
    expect(dense(output(9), 2, [2, 3])[0]?.[1]).toBe(0);
  });
});

describe("laws", () => {
  const size = { maxUids: 24, maxValidators: 8 };
  const seeds = upTo(300);
  const total = (values: readonly bigint[]): bigint => values.reduce((a, b) => a + b, 0n);

  it("shares are shares, and no more is paid than there is", () => {
    for (const seed of seeds) {
      const input = randomEpoch(seed, size);
      const { exact, ...output } = epoch(input);
      for (const shares of [exact.stake, exact.activeStake, exact.incentive, exact.dividends]) {
        expect(total(shares)).toBeLessThanOrEqual(ONE);
      }
      for (const vtrust of exact.vtrust) expect(vtrust).toBeLessThanOrEqual(ONE);
      expect(total([...output.serverEmission, ...output.validatorEmission])).toBeLessThanOrEqual(input.emission);
      const others = output.permit.filter((permit, uid) => permit && uid !== input.ownerUid).length;
      expect(others).toBeLessThanOrEqual(input.params.maxValidators);
      for (const { values } of output.bonds.values()) expect(Math.max(...values)).toBeLessThanOrEqual(65_535);
      for (const uid of output.bonds.keys()) expect(output.permit[uid]).toBe(true);
    }
  });

  it("only shares of stake matter, not amounts", () => {
    for (const seed of seeds) {
      const input = { ...randomEpoch(seed, size) };
      const params = { ...input.params, stakeThreshold: 0n };
      const scaled = { ...input, params, stake: input.stake.map((rao) => rao * 7n) };
      expect(epoch(scaled)).toEqual(epoch({ ...input, params }));
    }
  });

  it("uids may be renumbered where there are no ties", () => {
    for (const seed of seeds) {
      const input = randomEpoch(seed, size);
      const n = input.stake.length;
      const reversed = (uid: number): number => n - 1 - uid;
      const [plain, mirrored] = [epoch(input), epoch(mirror(input))];
      expect(mirrored.exact.consensus.toReversed()).toEqual(plain.exact.consensus);
      expect(mirrored.incentive.toReversed()).toEqual(plain.incentive);
      expect(mirrored.exact.dividends.toReversed()).toEqual(plain.exact.dividends);
      expect(mirrored.emission.toReversed()).toEqual(plain.emission);
      const tied = new Set(plain.exact.stake).size < n;
      if (!tied) {
        expect(mirrored.permit.toReversed()).toEqual(plain.permit);
        expect(new Set(mirrored.bonds.keys())).toEqual(new Set([...plain.bonds.keys()].map(reversed)));
      }
    }
  });

  it("no shape throws", () => {
    expect(epoch(epochOf({ stake: [] })).emission).toEqual([]);
    expect(epoch(epochOf({ stake: [0, 0, 0] })).emission).toEqual([0n, 0n, 0n]);
    expect(epoch(epochOf({ stake: [0, 0], weights: alike([0, 1], [0, 1]) })).incentive).toEqual([0, 0]);
    expect(epoch(epochOf({ stake: [5, 0], permit: [false, false] })).emission).toEqual([1_000_000_000n, 0n]);
    const lone = epoch(epochOf({ stake: [5, 0, 0], weights: alike([0], [1, 2]) }));
    expect(lone.exact.activeStake).toEqual([ONE, 0n, 0n]);
    expect(lone.exact.consensus).toEqual([0n, ONE / 2n, ONE / 2n]);
    expect(lone.dividends).toEqual([65_535, 0, 0]);
  });
});

/** The same subnet with its uids in reverse. */
function mirror(input: EpochInput): EpochInput {
  const reversed = (uid: number): number => input.stake.length - 1 - uid;
  const rows = (of: EpochInput["bonds"]): EpochInput["bonds"] =>
    new Map(
      [...of].map(([uid, { uids, values }]) => [
        reversed(uid),
        { uids: uids.map(reversed).toReversed(), values: values.toReversed() },
      ]),
    );
  return {
    ...input,
    ownerUid: input.ownerUid === undefined ? undefined : reversed(input.ownerUid),
    stake: input.stake.toReversed(),
    lastUpdate: input.lastUpdate.toReversed(),
    registeredAt: input.registeredAt.toReversed(),
    oldestCommit: input.oldestCommit.toReversed(),
    permit: input.permit.toReversed(),
    weights: rows(input.weights),
    bonds: rows(input.bonds),
  };
}
