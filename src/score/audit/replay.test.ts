/** Audits without a network: honest rounds pass, every forgery fails at the part where it was made, and nonsense is no answer. */
import { beforeAll, describe, expect, it } from "vitest";
import {
  type AuditedRound,
  answerTo,
  challengedFor,
  committed,
  sealed,
  termsOf,
  workedRound,
} from "../../../test/helpers/audited.ts";
import { TOY_SPEC } from "../../../test/helpers/run-specs.ts";
import { toyTokens } from "../../../test/helpers/toy.ts";
import { must } from "../../base/assert.ts";
import type { Batch, Engine } from "../../engine/engine.ts";
import { openExactWasm } from "../../engine/exact/wasm.ts";
import { openReference } from "../../engine/reference/reference.ts";
import { initParams } from "../../model/init.ts";
import type { RunSpec } from "../../run/spec.ts";
import type { Answer, VectorRole } from "./answer.ts";
import { type AuditTerms, claimIn, followedRound, isVerdict, originFault, type Verdict } from "./claim.ts";
import { leafProof } from "./commitment.ts";
import { relativeError, replayed } from "./replay.ts";

const spec: RunSpec = {
  ...TOY_SPEC,
  inner: { ...TOY_SPEC.inner, steps: 4, schedule: { kind: "constant", lr: 0.01, warmupSteps: 1, steps: 40 } },
  codec: { ...TOY_SPEC.codec, chunkSide: 8, k: 16 },
};
const [exact, tolerant] = [termsOf(spec), { ...termsOf(spec), tolerance: 0.02 }];
const reset = { ...exact, resetMoments: true };
const tokens = toyTokens(4000, 5);
const { batch: rows, seqLen: length } = spec.inner;

/** The data of a step of a round; other ones for another `salt`. */
function batchAt(round: number, salt = 0): (step: number) => Promise<Batch> {
  return async (step) => {
    const at = (round * 10 + step + 7 * salt) * rows * (length + 1);
    return { tokens: tokens.slice(at, at + rows * (length + 1)), rows, length };
  };
}

let engine: Engine; // judges
let other: Engine; // computes other bits
const base = initParams(spec.model, "1");
let first: AuditedRound;
let second: AuditedRound;

beforeAll(async () => {
  const options = { shape: spec.model, seqLen: length, microBatch: rows };
  engine = await openReference(options);
  other = await openExactWasm({ ...options, threads: 1 });
  first = await workedRound(engine, exact, { round: 0, base }, batchAt(0));
  second = await workedRound(
    engine,
    exact,
    { round: 2, base: initParams(spec.model, "2"), previous: first },
    batchAt(2),
  );
});

interface Forgery {
  readonly answer?: (answer: Answer) => Answer;
  readonly vectors?: (vectors: Map<VectorRole, Float32Array>) => void;
  readonly body?: Uint8Array;
  readonly followed?: Uint8Array;
  readonly engine?: Engine;
  readonly signal?: AbortSignal;
}

/** Audits a part of a round as a validator does. */
async function audited(made: AuditedRound, part: number, terms: AuditTerms, forged: Forgery = {}) {
  const challenged = { ...challengedFor(made, part), ...(forged.body && { body: forged.body }) };
  const honest = answerTo(made, part, terms);
  const answer = forged.answer?.(honest.answer) ?? honest.answer;
  const vectors = new Map(honest.vectors);
  forged.vectors?.(vectors);
  const claim = claimIn(answer, challenged, terms);
  if (isVerdict(claim)) return claim;
  const before = followedRound(claim, part, terms);
  const followed = before === undefined ? undefined : challengedFor(must(made.previous, "a round before"), 0).header;
  const fault = originFault(claim, part, answer, forged.followed ?? followed?.workCommitment, terms);
  if (fault) return fault;
  const replay = { engine: forged.engine ?? engine, terms, base: made.base, vectors, batchAt: batchAt(made.round) };
  return replayed(claim, challenged, { ...replay, ...(forged.signal && { signal: forged.signal }) });
}

const PASSED: Verdict = { verdict: "passed", reason: null };
const all = async (made: AuditedRound, terms: AuditTerms): Promise<unknown[]> => {
  const verdicts: unknown[] = [];
  for (const part of [0, 1, 2]) verdicts.push(await audited(made, part, terms));
  return verdicts;
};
const said = (verdict: Verdict | undefined): string => `${verdict?.verdict}: ${verdict?.reason}`;

describe("honest work", () => {
  it("passes in all parts, in the first round and in those that go on from one", async () => {
    expect(await all(first, exact)).toEqual([PASSED, PASSED, PASSED]);
    expect(await all(second, exact)).toEqual([PASSED, PASSED, PASSED]);
  });

  it("passes where moments are fresh in every round", async () => {
    const one = await workedRound(engine, reset, { round: 0, base }, batchAt(0));
    const two = await workedRound(engine, reset, { round: 1, base, previous: one }, batchAt(1));
    expect(await all(two, reset)).toEqual([PASSED, PASSED, PASSED]);
  });

  it("passes on an engine that computes other bits, within the tolerance, and only there", async () => {
    const made = await workedRound(other, tolerant, { round: 0, base, kind: "tolerant" }, batchAt(0));
    const next = await workedRound(other, tolerant, { round: 1, base, kind: "tolerant", previous: made }, batchAt(1));
    expect(await all(made, tolerant)).toEqual([PASSED, PASSED, PASSED]);
    expect(await all(next, tolerant)).toEqual([PASSED, PASSED, PASSED]);
    expect(said(await audited(made, 0, exact))).toBe("refuted: work that cannot be replayed exactly");
    const boast = await workedRound(other, exact, { round: 0, base, kind: "reference" }, batchAt(0));
    expect(said(await audited(boast, 0, exact))).toBe("refuted: the steps lead elsewhere");
  });

  it("has no verdict where time is over, or where the judge cannot compute the same bits", async () => {
    expect(await audited(first, 1, exact, { signal: AbortSignal.abort() })).toBeUndefined();
    const loose = { ...engine, deterministic: false };
    expect(await audited(first, 1, exact, { engine: loose })).toBeUndefined();
    expect(await audited(first, 2, exact, { engine: loose })).toEqual(PASSED);
    const precise = await workedRound(other, exact, { round: 0, base }, batchAt(0));
    expect(await audited(precise, 1, exact)).toBeUndefined();
    expect(await audited(precise, 1, exact, { engine: other })).toEqual(PASSED);
    expect(said(await audited(first, 1, exact, { engine: other }))).toBe(
      "refuted: work that cannot be replayed exactly",
    );
  });
});

/** The first round with other states from a border on, sealed as if they were true. */
const forgedFrom = (at: number, change: (state: AuditedRound["borders"][number]) => AuditedRound["borders"][number]) =>
  sealed(exact, { ...first, borders: first.borders.map((state, i) => (i >= at ? change(state) : state)) });

describe("a forger who commits to what it pretends", () => {
  it("is refuted at the span with other steps, data, moments or counts", async () => {
    const lazy = forgedFrom(2, (state) => ({ ...state, ...must(first.borders[1], "a border") }));
    expect((await all(lazy, exact)).map((each) => said(each as Verdict))).toEqual([
      "passed: null",
      "refuted: the steps lead elsewhere",
      "passed: null",
    ]);
    const elsewhere = await workedRound(engine, exact, { round: 0, base }, batchAt(0, 1));
    expect(said(await audited(elsewhere, 0, exact))).toBe("refuted: the steps lead elsewhere");
    const counted = forgedFrom(2, (state) => ({ ...state, steps: state.steps + 1 }));
    expect(said(await audited(counted, 1, exact))).toBe("refuted: the steps lead elsewhere");
    const moments = forgedFrom(2, (state) => ({ ...state, v: state.v.map((x) => x * 2) }));
    expect(said(await audited(moments, 1, exact))).toBe("refuted: the steps lead elsewhere");
  });

  it("is refuted where it began with other params, moments or error feedback than it had", async () => {
    const richer = sealed(exact, {
      ...first,
      borders: [{ ...must(first.borders[0], "0"), params: first.base.map((x) => x / 2) }, ...first.borders.slice(1)],
    });
    expect(said(await audited(richer, 0, exact))).toBe("refuted: began from other params");
    const from = must(second.borders[0], "0");
    const own = sealed(exact, {
      ...second,
      borders: [{ ...from, m: from.m.map((x) => 2 * x) }, ...second.borders.slice(1)],
    });
    expect(said(await audited(own, 0, exact))).toBe("refuted: moments other than left before");
    const orphan = sealed(exact, { ...second, previous: undefined });
    expect(said(await audited(orphan, 0, exact))).toBe("refuted: moments from nowhere");
    expect(said(await audited(orphan, 2, exact))).toBe("refuted: error feedback from nowhere");
    expect(said(await audited(second, 0, reset))).toBe("refuted: moments from nowhere");
    const other = sealed(exact, { ...second, before: second.before.map((x) => x + 1e-6) });
    expect(said(await audited(other, 2, exact))).toBe("refuted: error feedback other than left before");
    const later = sealed(exact, { ...second, previous: { ...first, round: 2 } });
    expect(said(await audited(later, 1, exact))).toBe("refuted: goes on from a later round");
  });

  it("is refuted where its payload is not what its work compresses to", async () => {
    expect(said(await audited(first, 2, exact, { body: second.body }))).toBe(
      "refuted: the work compresses to another payload",
    );
    const kept = { ...first, leaves: first.leaves.map((leaf, i) => (i === 5 ? new Uint8Array(32) : leaf)) };
    expect(said(await audited(kept, 2, exact))).toBe("refuted: another error feedback is left");
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, 3e38]) {
      const end = must(first.borders[2], "2");
      const params = end.params.map((x, i) => (i % 3 === 0 ? bad : x));
      const absurd = committed({ ...first, borders: [...first.borders.slice(0, 2), { ...end, params }] });
      expect(said(await audited(absurd, 2, exact))).toBe("refuted: the work cannot be compressed");
    }
  });

  it("is refuted where a leaf is none", async () => {
    for (const index of [0, 1, 2, 3, 4, 5]) {
      const broken = { ...first, leaves: first.leaves.map((leaf, i) => (i === index ? leaf.subarray(1) : leaf)) };
      const part = index < 3 ? 0 : index === 3 ? 1 : 2;
      expect(said(await audited(broken, part, exact))).toMatch(/^refuted: no (?:start was|states were) committed to/);
    }
  });
});

describe("an answer that proves nothing", () => {
  const cases: readonly (readonly [string, number, Forgery, RegExp])[] = [
    ["is about another round", 0, { answer: (answer) => ({ ...answer, round: 9 }) }, /something else/],
    ["is about another part", 0, { answer: (answer) => ({ ...answer, part: 1 }) }, /something else/],
    ["is about another run", 0, { answer: (answer) => ({ ...answer, specHash: "0".repeat(64) }) }, /something else/],
    ["lacks leaves", 0, { answer: (answer) => ({ ...answer, leaves: answer.leaves.slice(1) }) }, /leaves are missing/],
    ["has other leaves", 0, { answer: (answer) => ({ ...answer, leaves: [...answer.leaves].reverse() }) }, /not those/],
    ["lacks vectors", 0, { answer: (answer) => ({ ...answer, vectors: [] }) }, /vectors are missing/],
    ["lacks what came before", 0, { answer: (answer) => ({ ...answer, previous: null }) }, /earlier leaf is missing/],
    [
      "shows another leaf of it",
      0,
      { answer: (answer) => ({ ...answer, previous: shown(2) }) },
      /earlier leaf is missing/,
    ],
    ["shows what was not before", 0, { followed: new Uint8Array(32) }, /earlier leaf is not proven/],
    ["lacks a vector", 1, { vectors: (vectors) => void vectors.delete("m") }, /vectors are not those/],
    [
      "has another vector",
      1,
      { vectors: (vectors) => void vectors.set("m", new Float32Array(5)) },
      /vectors are not those/,
    ],
    [
      "has another number in one",
      1,
      { vectors: (vectors) => void must(vectors.get("v"), "v").fill(1, 7, 8) },
      /vectors are not those/,
    ],
  ];
  const shown = (leaf: number) => ({ leaf, ...leafProof(first.leaves, leaf) });

  it.each(cases)("%s", async (_, part, forged, reason) => {
    const copy = { ...second, borders: second.borders.map((state) => ({ ...state, v: state.v.slice() })) };
    const verdict = await audited(copy, part, exact, forged);
    expect(verdict).toMatchObject({ verdict: "unanswered", reason: expect.stringMatching(reason) });
    expect(must(verdict, "a verdict").reason).toMatch(/^[a-z][a-z0-9 -]{0,63}$/);
  });
});

describe("the cheapest forgers on a tolerant engine", () => {
  it("are far beyond the tolerance", async () => {
    const made = await workedRound(other, tolerant, { round: 0, base, kind: "tolerant" }, batchAt(0));
    const [start, end] = [must(made.borders[1], "1"), must(made.borders[2], "2")];
    const forge = (state: typeof end) => sealed(tolerant, { ...made, borders: [...made.borders.slice(0, 2), state] });
    const stand = forge({ ...start, steps: end.steps });
    const half = forge({ ...end, params: end.params.map((x, i) => (x + (start.params[i] as number)) / 2) });
    const inflated = forge({ ...end, m: end.m.map((x) => 1.1 * x) });
    const flatter = forge({ ...end, v: end.v.map((x) => 0.9 * x) });
    for (const forged of [stand, half, inflated, flatter])
      expect(said(await audited(forged, 1, tolerant))).toBe("refuted: the steps lead too far from there");
    expect(said(await audited(forge({ ...end, steps: 9 }), 1, tolerant))).toBe("refuted: other steps were counted");
    const none = { ...end, params: end.params.map(() => Number.NaN) };
    const nan = committed({ ...made, borders: [...made.borders.slice(0, 2), none] });
    expect((await audited(nan, 1, tolerant))?.verdict).toBe("refuted");
  });
});

describe("relativeError", () => {
  it("is the distance from the replay over the way that it went", () => {
    const of = (claimed: number[], again: number[], start: number[]): number =>
      relativeError(
        ...([claimed, again, start].map((x) => Float32Array.from(x)) as [Float32Array, Float32Array, Float32Array]),
      );
    expect(of([1, 1], [1, 1], [1, 1])).toBe(0);
    expect(of([0, 0], [3, 4], [0, 0])).toBe(1);
    expect(of([3, 4.5], [3, 4], [0, 0])).toBeCloseTo(0.1);
    expect(of([1, 0], [0, 0], [0, 0])).toBe(Number.POSITIVE_INFINITY);
    expect(of([Number.NaN], [1], [0])).toBeNaN();
  });
});
