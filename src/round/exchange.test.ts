import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { congruential, contributionOf, randomParams, randomSparse, sparse } from "../../test/helpers/sparse.ts";
import { AssertionError } from "../base/assert.ts";
import { bytesOf, utf8 } from "../base/bytes.ts";
import { toHex } from "../base/hash.ts";
import { seededRandom } from "../base/random.ts";
import type { ParamEntry } from "../engine/shape.ts";
import { AGGREGATION_NAMES, AGGREGATIONS, type Aggregation, type Clip } from "./aggregation.ts";
import { applyTensorReference } from "./apply-reference.ts";
import type { SparseTensor } from "./contribution.ts";
import { type ExchangeSettings, exchange, exchangeThrough, type Offer, type ParamsAccess } from "./exchange.ts";
import { pieceCount, stateRoot, stateTree, verifyPiece } from "./state-root.ts";

interface GoldenCase {
  readonly seed: number;
  readonly tensors: readonly number[];
  readonly rounds: readonly number[];
  readonly density: number;
  readonly rule: "mean-all" | "mean-senders" | "trimmed-mean";
  readonly clip: Clip;
  readonly trimPercent: number;
  readonly outerLr: number;
  readonly roots: readonly string[];
  readonly head: string;
}
const golden = JSON.parse(readFileSync(new URL("../../vectors/apply.json", import.meta.url), "utf8")) as {
  readonly cases: readonly GoldenCase[];
  readonly states: readonly { readonly params: number; readonly root: string; readonly proofs: readonly string[] }[];
};

const seed = utf8("block hash");

function layoutOf(lengths: readonly number[]): ParamEntry[] {
  let offset = 0;
  return lengths.map((length, i) => {
    offset += length;
    return { name: `t${i}`, dims: [length], offset: offset - length, length };
  });
}

/** Offers whose incentives fall, so that they are applied in the order given. */
function offersOf(contributions: readonly (readonly SparseTensor[])[]): Offer[] {
  return contributions.map((tensors, r) => ({
    uid: r,
    incentive: 1000 - r,
    newcomer: false,
    contribution: contributionOf(tensors),
  }));
}

function inMemory(params: Float32Array): ParamsAccess & { writes: number } {
  const access = {
    writes: 0,
    read: (offset: number, length: number) => Promise.resolve(params.slice(offset, offset + length)),
    write: (values: Float32Array, offset: number) => {
      access.writes++;
      params.set(values, offset);
      return Promise.resolve();
    },
  };
  return access;
}

describe("golden vectors of vectors/apply.py", () => {
  it.each(golden.cases)("rounds of case $seed: $rule $trimPercent $clip", async (record) => {
    const uniform = congruential(record.seed);
    const layout = layoutOf(record.tensors);
    const total = record.tensors.reduce((a, b) => a + b, 0);
    let params: Float32Array = Float32Array.from({ length: total }, () => (uniform() - 0.5) * 0.125);
    const streamed = params.slice();
    const { rule, clip, trimPercent, outerLr } = record;
    const aggregation: Aggregation = rule === "trimmed-mean" ? { rule, clip, trimPercent } : { rule, clip };
    const settings: ExchangeSettings = { aggregation, outerLr, cap: 20, newcomerSlots: 0 };
    for (const [round, count] of record.rounds.entries()) {
      const contributions = Array.from({ length: count }, (_, r) =>
        record.tensors.map((length) => {
          const pairs: [number, number][] = [];
          for (let at = 0; at < length; at++) {
            if (uniform() < record.density) pairs.push([at, Math.fround((uniform() - 0.5) * 2 ** ((r % 5) - 7))]);
          }
          return sparse(...pairs);
        }),
      );
      const result = exchange(params, layout, offersOf(contributions), settings, seed);
      params = result.params;
      expect(toHex(result.tree.root())).toBe(record.roots[round]);
      const through = await exchangeThrough(inMemory(streamed), layout, offersOf(contributions), settings, seed);
      expect(toHex(through.tree.root())).toBe(record.roots[round]);
    }
    expect(toHex(bytesOf(params.slice(0, 16)))).toBe(record.head);
    expect(toHex(bytesOf(streamed))).toBe(toHex(bytesOf(params)));
  });

  it.each(golden.states)("state root and proofs of $params params", ({ params: count, root, proofs }) => {
    const bits = new Uint32Array(count).map((_, i) => Math.imul(i, 2654435761) & 0x3fffffff);
    const params = new Float32Array(bits.buffer);
    const tree = stateTree(params);
    expect(toHex(tree.root())).toBe(root);
    expect(Array.from({ length: pieceCount(count) }, (_, i) => toHex(tree.pieceProof(i)))).toEqual(proofs);
    const last = pieceCount(count) - 1;
    expect(verifyPiece(tree.root(), last, bytesOf(params).subarray(last << 20), tree.pieceProof(last))).toBe(true);
  });
});

describe("exchange", () => {
  const layout = layoutOf([300, 1, 77]);
  const random = seededRandom("exchange");
  const params = randomParams(random, 378);
  const contributions = Array.from({ length: 6 }, () => layout.map(({ length }) => randomSparse(random, length, 0.2)));

  it.each(AGGREGATION_NAMES)("is the reference, tensor by tensor, over those who were selected: %s", (name) => {
    const settings = { aggregation: AGGREGATIONS[name], outerLr: 0.9, cap: 4, newcomerSlots: 0 };
    const offers = offersOf(contributions).map((offer) => ({ ...offer, incentive: (offer.uid * 5) % 7 }));
    const before = params.slice();
    const result = exchange(params, layout, offers, settings, seed);
    expect(result.uids).toEqual([4, 1, 5, 2]);
    const expected = layout.flatMap(({ offset, length }, i) => [
      ...applyTensorReference(
        params.slice(offset, offset + length),
        result.uids.map((uid) => contributions[uid]?.[i] as SparseTensor),
        settings,
      ),
    ]);
    expect([...result.params]).toEqual(expected);
    expect(toHex(result.tree.root())).toBe(toHex(stateRoot(result.params)));
    expect(params).toEqual(before);
  });

  it("with nobody leaves the params and writes nothing", async () => {
    const settings = { aggregation: AGGREGATIONS["mean-all"], outerLr: 1, cap: 20, newcomerSlots: 0 };
    const result = exchange(params, layout, [], settings, seed);
    expect(result.uids).toEqual([]);
    expect(result.params).toEqual(params);
    expect(toHex(result.tree.root())).toBe(toHex(stateRoot(params)));
    const access = inMemory(params.slice());
    expect(toHex((await exchangeThrough(access, layout, [], settings, seed)).tree.root())).toBe(
      toHex(stateRoot(params)),
    );
    expect(access.writes).toBe(0);
  });

  it("asks a contribution for one tensor after another, each once", async () => {
    const asked: number[] = [];
    const settings = { aggregation: AGGREGATIONS["clipped-mean-all"], outerLr: 1, cap: 20, newcomerSlots: 0 };
    const contribution = {
      tensor: (index: number) => {
        asked.push(index);
        return sparse();
      },
    };
    await exchangeThrough(
      inMemory(params.slice()),
      layout,
      [{ uid: 1, incentive: 1, newcomer: false, contribution }],
      settings,
      seed,
    );
    expect(asked).toEqual([0, 1, 2]);
  });

  it("refuses a layout that does not cover the params", () => {
    const settings = { aggregation: AGGREGATIONS["mean-all"], outerLr: 1, cap: 20, newcomerSlots: 0 };
    expect(() => exchange(params, layout.slice(0, 2), [], settings, seed)).toThrow(AssertionError);
    expect(() => exchange(params.subarray(0, 377), layout, [], settings, seed)).toThrow(AssertionError);
    expect(() => exchange(params, layout.toReversed(), [], settings, seed)).toThrow(AssertionError);
  });
});
