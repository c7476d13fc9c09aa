import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { congruential } from "../../test/helpers/sparse.ts";
import { AssertionError } from "../base/assert.ts";
import { bytesOf } from "../base/bytes.ts";
import { SkeinError } from "../base/errors.ts";
import { toHex } from "../base/hash.ts";
import { AVERAGING, DILOCO, meanOf, type OuterSgd, type OuterState, outerStep, pseudoGradient } from "./outer.ts";

interface GoldenCase extends OuterSgd {
  readonly seed: number;
  readonly length: number;
  readonly steps: number;
  readonly after: readonly string[];
}
const golden = JSON.parse(readFileSync(new URL("../../vectors/outer.json", import.meta.url), "utf8")) as {
  readonly cases: readonly GoldenCase[];
};

describe("outerStep", () => {
  it.each(golden.cases)("has PyTorch's bits: lr $lr, momentum $momentum, nesterov $nesterov", (record) => {
    const uniform = congruential(record.seed);
    let params: Float32Array = Float32Array.from({ length: record.length }, () => uniform() - 0.5);
    let state: OuterState = {};
    for (const after of record.after) {
      const gradient = Float32Array.from({ length: record.length }, () => (uniform() - 0.5) / 8);
      ({ params, state } = outerStep(params, gradient, state, record));
      expect(toHex(bytesOf(params))).toBe(after);
    }
    expect(state.momentum?.length).toBe(record.momentum === 0 ? undefined : record.length);
  });

  it("has the values worked out by hand", () => {
    const settings = { lr: 1, momentum: 0.5, nesterov: true };
    const first = outerStep(new Float32Array([10]), new Float32Array([4]), {}, settings);
    expect([...first.params]).toEqual([10 - (4 + 2)]);
    const second = outerStep(first.params, new Float32Array([2]), first.state, settings);
    expect([...(second.state.momentum ?? [])]).toEqual([4]); // 0.5 · 4 + 2
    expect([...second.params]).toEqual([4 - (2 + 2)]);
  });

  it("changes nothing in place", () => {
    const [params, gradient] = [new Float32Array([1, 2]), new Float32Array([3, 4])];
    const state = { momentum: new Float32Array([5, 6]) };
    const next = outerStep(params, gradient, state, DILOCO);
    expect([...params, ...gradient, ...state.momentum]).toEqual([1, 2, 3, 4, 5, 6]);
    outerStep(params, gradient, {}, DILOCO).state.momentum?.fill(0);
    expect([...gradient]).toEqual([3, 4]);
    expect(next.params.buffer).not.toBe(params.buffer);
  });

  it("averages params where it is told to", () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.integer({ min: -64, max: 64 }), { minLength: 3, maxLength: 3 }), {
          minLength: 1,
          maxLength: 8,
        }),
        (rows) => {
          const start = new Float32Array([1, -2, 3]);
          const ends = rows.map((row) => Float32Array.from(row));
          const { params, state } = outerStep(
            start,
            meanOf(ends.map((end) => pseudoGradient(start, end))),
            {},
            AVERAGING,
          );
          expect(state).toEqual({});
          params.forEach((value, i) => {
            expect(value).toBeCloseTo(rows.reduce((sum, row) => sum + (row[i] as number), 0) / rows.length, 4);
          });
        },
      ),
    );
  });

  it("works on parts of the params as on the whole", () => {
    const params = new Float32Array([1, 2, 3, 4, 5]);
    const gradient = new Float32Array([0.1, -0.2, 0.3, -0.4, 0.5]);
    let whole = outerStep(params, gradient, {}, DILOCO);
    whole = outerStep(whole.params, gradient, whole.state, DILOCO);
    const parts = [0, 2].flatMap((from) => {
      const to = from === 0 ? 2 : 5;
      const part = outerStep(params.subarray(from, to), gradient.subarray(from, to), {}, DILOCO);
      return [...outerStep(part.params, gradient.subarray(from, to), part.state, DILOCO).params];
    });
    expect(parts).toEqual([...whole.params]);
  });

  it("refuses settings and lengths that do not fit", () => {
    const one = new Float32Array(1);
    for (const settings of [
      { ...DILOCO, lr: 0 },
      { ...DILOCO, lr: Number.NaN },
      { ...DILOCO, momentum: 1 },
      { ...DILOCO, momentum: -0.1 },
      { ...DILOCO, momentum: 0 },
      { ...DILOCO, nesterov: "yes" as unknown as boolean },
    ]) {
      expect(() => outerStep(one, one, {}, settings)).toThrow(SkeinError);
    }
    expect(() => outerStep(one, new Float32Array(2), {}, DILOCO)).toThrow(AssertionError);
    expect(() => outerStep(one, one, { momentum: new Float32Array(2) }, DILOCO)).toThrow(AssertionError);
    expect(() => pseudoGradient(one, new Float32Array(2))).toThrow(AssertionError);
  });
});

describe("meanOf", () => {
  it("sums in float64 and rounds once", () => {
    const vectors = [2 ** 24, 1, 1, 2].map((v) => new Float32Array([v]));
    expect([...meanOf(vectors)]).toEqual([2 ** 22 + 1]); // float32 sums would lose the ones
    expect(() => meanOf([])).toThrow(AssertionError);
    expect(() => meanOf([new Float32Array(1), new Float32Array(2)])).toThrow(AssertionError);
  });
});
