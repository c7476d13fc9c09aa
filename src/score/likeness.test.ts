/** Likeness: one for the same, little for what has nothing in common, and hard to hide; clusters keep their first. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { must } from "../base/assert.ts";
import { type Random, seededRandom } from "../base/random.ts";
import { compressor, type SentTensor } from "../codec/feedback.ts";
import { COPY_LIKENESS, type CopyOf, copybook, copyLikeness, type Imprint, imprintOf, likeness } from "./likeness.ts";

const CODEC = { chunkSide: 8, k: 8, bits: 2, beta: 0.95 } as const;
const DIMS = [[24, 16], [40], [16, 32], [7]];

/** What the codec sends of random pseudo-gradients. */
function sent(random: Random, dims: readonly (readonly number[])[] = DIMS): SentTensor[] {
  const { compress } = compressor(CODEC);
  return dims.map((each) => {
    const length = each.reduce((a, b) => a * b, 1);
    const delta = Float32Array.from({ length }, () => random.uniform() - 0.5);
    return compress(each, delta, new Float32Array(length));
  });
}

const imprint = (tensors: readonly SentTensor[], seed = "later", wanted?: number): Imprint =>
  imprintOf(tensors, seed, wanted);
const one = sent(seededRandom(1));
const other = sent(seededRandom(2));

describe("likeness", () => {
  it("is one for the same, minus one for its opposite, little for what has nothing in common", () => {
    const opposite = one.map((tensor) => ({ ...tensor, codes: tensor.codes.map((code) => code ^ 2) }));
    expect(likeness(imprint(one), imprint(one))).toBe(1);
    expect(likeness(imprint(one), imprint(opposite))).toBe(-1);
    expect(Math.abs(likeness(imprint(one), imprint(other)))).toBeLessThan(0.15);
  });

  it("is symmetric, within ±1, and the cosine where there is one tensor", () => {
    const property = fc.property(fc.nat(1000), fc.nat(1000), (a, b) => {
      const dims = [[16, 24]];
      const [first, second] = [sent(seededRandom(a), dims), sent(seededRandom(`${b}`), dims)];
      const found = likeness(imprint(first), imprint(second));
      expect(found).toBe(likeness(imprint(second), imprint(first)));
      expect(found).toBeCloseTo(cosine(must(first[0], "one"), must(second[0], "one")), 5);
    });
    fc.assert(property, { numRuns: 50 });
  });

  it("does not fall where one tensor is blown up, and falls by a tensor's share where one is replaced", () => {
    const blown = one.map((tensor, t) => (t === 1 ? { ...tensor, levels: [500, 1000] as const } : tensor));
    expect(likeness(imprint(one), imprint(blown))).toBeGreaterThan(0.99); // levels change, places and signs do not
    const replaced = one.map((tensor, t) => (t === 0 ? must(other[0], "a tensor") : tensor));
    const [kept, all] = [must(one[0], "a tensor").indices.length, one.reduce((n, t) => n + t.indices.length, 0)];
    expect(Math.abs(likeness(imprint(one), imprint(replaced)) - (1 - kept / all))).toBeLessThan(0.08);
  });

  it("finds copies with a tenth of their signs turned or a tenth of their values moved", () => {
    const random = seededRandom(3);
    const turned = one.map((tensor) => ({
      ...tensor,
      codes: tensor.codes.map((code) => (random.below(10) === 0 ? code ^ 2 : code)),
    }));
    const moved = one.map((tensor, t) => {
      const from = must(other[t], "a tensor");
      const indices = tensor.indices.map((at, j) => (random.below(10) === 0 ? (from.indices[j] as number) : at));
      const order = [...indices.keys()].sort((a, b) => (indices[a] as number) - (indices[b] as number));
      return {
        ...tensor,
        indices: Int32Array.from(order, (j) => indices[j] as number),
        codes: Uint8Array.from(order, (j) => tensor.codes[j] as number),
      };
    });
    for (const copy of [turned, moved]) expect(likeness(imprint(one), imprint(copy))).toBeGreaterThan(COPY_LIKENESS);
  });

  it("of a sample is near that of the whole, and another seed draws another sample", () => {
    const dims = [[128, 128], [400], [64, 256]];
    const [a, b] = [sent(seededRandom(5), dims), sent(seededRandom(6), dims)];
    const half = a.map((tensor, t) => (t === 2 ? must(b[t], "a tensor") : tensor));
    const whole = likeness(imprint(a), imprint(half));
    for (const seed of ["s", "t", "u"]) {
      const [x, y] = [imprint(a, seed, 1000), imprint(half, seed, 1000)];
      expect(Math.abs(x.places.length - 1000)).toBeLessThan(120);
      expect(Math.abs(likeness(x, y) - whole)).toBeLessThan(0.05);
    }
    expect(imprint(a, "s", 1000).places).not.toEqual(imprint(a, "t", 1000).places);
    expect(imprint(a, "s", 1000)).toEqual(imprint(a, "s", 1000));
  });

  it("of nothing is nothing", () => {
    const zero = one.map((tensor) => ({ ...tensor, levels: [0, 0] as const }));
    expect(likeness(imprint(zero), imprint(zero))).toBe(0);
    expect(likeness(imprint(zero), imprint(one))).toBe(0);
    expect(likeness(imprint([]), imprint([]))).toBe(0);
  });
});

function cosine(a: SentTensor, b: SentTensor): number {
  const sentValue = ({ levels, codes }: SentTensor, j: number): number =>
    ((codes[j] as number) & 2 ? -1 : 1) * (levels[(codes[j] as number) & 1] as number);
  const dense = new Map(Array.from(a.indices, (at, j) => [at, sentValue(a, j)]));
  let product = 0;
  b.indices.forEach((at, j) => {
    product += (dense.get(at) ?? 0) * sentValue(b, j);
  });
  const norm = (x: SentTensor): number => Math.hypot(...Array.from(x.indices, (_, j) => sentValue(x, j)));
  return product / norm(a) / norm(b);
}

it("asks for more where there is little to compare", () => {
  expect([0, 1, 50].map(copyLikeness)).toEqual([0.9, 0.9, 0.9]);
  expect(copyLikeness(340)).toBeCloseTo(0.6627, 4);
  expect(copyLikeness(16_384)).toBeLessThan(COPY_LIKENESS + 0.025);
});

describe("a copybook", () => {
  /** Unit vectors in a plane: the likeness of two is the cosine of the angle between them. */
  const at = (degrees: number): Imprint => ({
    places: Float64Array.of(0, 1),
    values: Float32Array.of(Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)),
  });
  const found = (
    payloads: readonly (readonly [uid: number, round: number, degrees: number])[],
    order: readonly number[],
    round = 7,
  ): [number, CopyOf][] => {
    const book = copybook(() => 0.8); // angles up to 36 degrees
    for (const [uid, of, degrees] of payloads)
      book.add({ uid, round: of, account: `0x${uid}`, applied: uid % 2 === 1, imprint: at(degrees) });
    return [...book.copies(round, order)].sort(([a], [b]) => a - b);
  };
  const names = (...args: Parameters<typeof found>): [number, string][] =>
    found(...args).map(([uid, { uid: of, round }]) => [uid, `${of} of ${round}`]);

  it("keeps the first of a cluster, by claim and not by arrival", () => {
    const payloads = [[1, 7, 0] as const, [2, 7, 10] as const, [3, 7, 5] as const, [4, 7, 90] as const];
    expect(names(payloads, [2, 3, 1, 4])).toEqual([
      [1, "3 of 7"],
      [3, "2 of 7"],
    ]);
    expect(names([...payloads].reverse(), [2, 3, 1, 4])).toEqual(names(payloads, [2, 3, 1, 4]));
    expect(found(payloads, [1, 2, 3, 4])[0]).toEqual([2, { uid: 1, round: 7, likeness: 0.984808 }]);
  });

  it("follows a chain of copies, each a little further from the first", () => {
    const chain = [0, 30, 60, 90].map((degrees, uid) => [uid, 7, degrees] as const);
    expect(names(chain, [0, 1, 2, 3])).toEqual([
      [1, "0 of 7"],
      [2, "1 of 7"],
      [3, "2 of 7"],
    ]);
  });

  it("finds what was sent in the round before, by anybody, oneself among them", () => {
    const payloads = [[1, 6, 0] as const, [2, 6, 90] as const, [1, 7, 3] as const, [3, 7, 95] as const];
    expect(names(payloads, [3, 1])).toEqual([
      [1, "1 of 6"],
      [3, "2 of 6"],
    ]);
  });

  it("lets one send again what moved nothing, but not what others sent", () => {
    const unapplied = [2, 6, 0] as const;
    expect(names([unapplied, [2, 7, 1]], [2])).toEqual([]);
    expect(names([unapplied, [4, 7, 1]], [4])).toEqual([[4, "2 of 6"]]);
  });

  it("has no use for those who have no claim: they frame nobody", () => {
    const payloads = [[1, 7, 0] as const, [2, 7, 1] as const];
    expect(names(payloads, [2])).toEqual([]);
    expect(names(payloads, [])).toEqual([]);
  });

  it("gives the same whatever the order of arrival", () => {
    const property = fc.property(
      fc.array(fc.tuple(fc.nat(9), fc.constantFrom(6, 7), fc.nat(180)), { maxLength: 12 }),
      fc.infiniteStream(fc.nat()),
      (drawn, keys) => {
        const payloads = [...new Map(drawn.map((each) => [`${each[0]} ${each[1]}`, each])).values()];
        const order = payloads.flatMap(([uid, round]) => (round === 7 ? [uid] : []));
        const shuffled = payloads.map((each) => [keys.next().value as number, each] as const);
        shuffled.sort(([a], [b]) => a - b);
        const again = shuffled.map(([, each]) => each);
        expect(found(again, order)).toEqual(found(payloads, order));
        const [first] = order;
        if (first !== undefined)
          for (const [uid, { round }] of found(payloads, order)) expect(uid !== first || round === 6).toBe(true);
      },
    );
    fc.assert(property, { numRuns: 200 });
  });
});
