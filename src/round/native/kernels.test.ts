/** Every kernel of the means against the slow reference: WebAssembly always, the native library where it was built. */
import { existsSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { randomParams, randomSparse, sparse } from "../../../test/helpers/sparse.ts";
import { AssertionError } from "../../base/assert.ts";
import { bytesOf } from "../../base/bytes.ts";
import { CONTRIBUTIONS_MAX } from "../../base/limits.ts";
import { type Random, seededRandom } from "../../base/random.ts";
import { AGGREGATION_NAMES, AGGREGATIONS } from "../aggregation.ts";
import { applyTensor } from "../apply.ts";
import { applyTensorReference } from "../apply-reference.ts";
import { type SparseTensor, squaredNorm } from "../contribution.ts";
import { type MeansKernel, wasmMeans } from "../means.ts";
import { buildNativeMeans } from "./build.node.ts";
import { bestMeans, loadNativeMeans, nativeMeansPath } from "./native.node.ts";

const path = nativeMeansPath();
if (!existsSync(path)) buildNativeMeans();
const kernels: [string, MeansKernel | undefined][] = [
  ["wasm", wasmMeans],
  ["native", existsSync(path) ? loadNativeMeans(path) : undefined],
];

/** Random values of which there are four, with their codes; arrays begin anywhere in their buffers. */
function randomCoded(random: Random, length: number, density: number): SparseTensor {
  const { indices, values } = randomSparse(random, length, density);
  const book = values.length < 4 ? new Float32Array([1, 2, -1, -2]) : values.slice(0, 4);
  const codes = new Uint8Array(indices.length + 3).subarray(3).map(() => random.below(4));
  const shifted = new Int32Array(indices.length + 1).subarray(1);
  shifted.set(indices);
  return { indices: shifted, values: Float32Array.from(codes, (c) => book[c] as number), coded: { codes, book } };
}

describe.each(kernels)("kernel of the means: %s", (_, found) => {
  const kernel = found ?? wasmMeans;
  const test = it.skipIf(!found);
  const same = (
    params: Float32Array,
    contributions: SparseTensor[],
    settings: Parameters<typeof applyTensor>[2],
  ): void => {
    const out = new Float32Array(params.length + 1).subarray(1);
    out.set(params);
    applyTensor(out, contributions, settings, kernel);
    expect(Buffer.compare(bytesOf(out), bytesOf(applyTensorReference(params, contributions, settings)))).toBe(0);
  };

  test("gives the reference's bits from values, from codes, and from a mixture", () => {
    fc.assert(
      fc.property(
        fc.nat(2 ** 31),
        fc.integer({ min: 1, max: 5000 }),
        fc.array(fc.constantFrom(0, 0.02, 0.3, 1), { maxLength: 21 }),
        fc.constantFrom(...AGGREGATION_NAMES),
        fc.constantFrom("values", "codes", "both"),
        (seed, length, densities, name, from) => {
          const random = seededRandom(seed);
          const contributions = densities.map((density) => {
            const coded = from === "codes" || (from === "both" && random.below(2) === 0);
            return (coded ? randomCoded : randomSparse)(random, length, density);
          });
          same(randomParams(random, length), contributions, { aggregation: AGGREGATIONS[name], outerLr: 0.7 });
        },
      ),
      { numRuns: 150 },
    );
  });

  test.each(AGGREGATION_NAMES)("gives the reference's bits across its borders: %s", (name) => {
    const random = seededRandom(`kernels ${name}`);
    const settings = { aggregation: AGGREGATIONS[name], outerLr: 0.65 };
    for (const [length, count, density] of [
      [2047, 20, 0.05],
      [2048, 20, 0.05],
      [2049, 20, 0.05],
      [105_000, 20, 0.003],
      [262_145, 3, 0.002],
      [4097, CONTRIBUTIONS_MAX, 0.002],
    ] as const) {
      const contributions = Array.from({ length: count }, () => randomCoded(random, length, density));
      same(randomParams(random, length), contributions, settings);
    }
  });

  test("sums squares in order, of any lengths", () => {
    const random = seededRandom("norms");
    for (const count of [0, 1, 3, 4, 7, 20]) {
      for (const draw of [randomSparse, randomCoded]) {
        const contributions = Array.from({ length: count }, () => draw(random, 300, random.uniform()));
        const expected = contributions.map(({ values }) => squaredNorm(values));
        expect([...kernel.squaredNorms(contributions)]).toEqual(expected);
      }
    }
  });

  test("says no to what breaks the rules, and is sound afterwards", () => {
    const settings = { aggregation: AGGREGATIONS["mean-senders"], outerLr: 1 };
    const book = Float32Array.of(1, 2, -1, -2);
    const coded = (...at: number[]): SparseTensor => {
      const codes = new Uint8Array(at.length);
      return { indices: Int32Array.from(at), values: new Float32Array(at.length).fill(1), coded: { codes, book } };
    };
    for (const bad of [
      coded(3000),
      coded(-1),
      coded(5, 5),
      coded(9, 4),
      coded(2 ** 31 - 1, -(2 ** 31)),
      sparse([3000, 1]),
      sparse([2, Number.NaN]),
      sparse([2, Number.POSITIVE_INFINITY]),
      { indices: new Int32Array(2), values: new Float32Array(1) },
      {
        ...coded(1),
        values: new Float32Array([Number.NaN]),
        coded: { codes: new Uint8Array(1), book: book.map(() => Number.NaN) },
      },
    ]) {
      expect(() => applyTensor(new Float32Array(3000), [coded(7), bad], settings, kernel)).toThrow(AssertionError);
      same(new Float32Array(3000), [coded(0, 7, 2999), coded(7)], settings);
    }
  });
});

describe("the native build", () => {
  it("is made where there is a compiler, else says why not; what is best is what there is", () => {
    const outcome = buildNativeMeans();
    if ("path" in outcome) expect(outcome.path).toBe(path);
    else expect(outcome.reason).toMatch(/compiler|Windows/);
    expect(bestMeans().name).toBe("path" in outcome ? "native" : "wasm");
  });
});
