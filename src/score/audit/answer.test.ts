import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { mutated } from "../../../test/helpers/payload-fuzz.ts";
import { equalBytes, fromUtf8, utf8 } from "../../base/bytes.ts";
import { seededRandom } from "../../base/random.ts";
import { PIECE_PARAMS } from "../../round/state-root.ts";
import {
  type Answer,
  answerBytesMax,
  answeredLeaves,
  answeredVectors,
  decodeAnswer,
  encodeAnswer,
  isAnswerFault,
} from "./answer.ts";

const form = { spans: 5, paramCount: 2 * PIECE_PARAMS + 1 };
const hex = (length: number) =>
  fc.string({ unit: fc.constantFrom(..."0123456789abcdef"), minLength: length, maxLength: length });
const proof = fc.record({ data: fc.uint8Array({ maxLength: 104 }), path: fc.uint8Array({ maxLength: 224 }) });

/** Any answer in the right form. */
const anyAnswer: fc.Arbitrary<Answer> = fc
  .record({
    ...{ specHash: hex(64), round: fc.nat(), uid: fc.nat(255), part: fc.integer({ min: 0, max: 5 }) },
    leaves: fc.array(proof, { minLength: 4, maxLength: 4 }),
    previous: fc.option(
      fc.record({ data: fc.uint8Array({ maxLength: 104 }), path: fc.uint8Array({ maxLength: 224 }), leaf: fc.nat(20) }),
    ),
    vectors: fc.array(fc.option(fc.array(hex(64), { minLength: 3, maxLength: 3 })), { maxLength: 6 }),
  })
  .map((answer) => ({ ...answer, leaves: answer.leaves.slice(0, answeredLeaves(answer.part, 5).length) }));

describe("an answer", () => {
  it("is the same after writing and reading, and never longer than may be", () => {
    fc.assert(
      fc.property(anyAnswer, (answer) => {
        const bytes = encodeAnswer(answer);
        expect(bytes.length).toBeLessThanOrEqual(answerBytesMax(form));
        expect(decodeAnswer(bytes, form)).toEqual(answer);
      }),
    );
  });

  it("has room for the longest", () => {
    const full = { data: new Uint8Array(104), path: new Uint8Array(224) };
    const pieces = Array.from({ length: 3 }, () => "a".repeat(64));
    const longest: Answer = {
      ...{ specHash: "a".repeat(64), round: Number.MAX_SAFE_INTEGER, uid: 65_535, part: 5 },
      leaves: [full, full, full, full],
      previous: { ...full, leaf: 67 },
      vectors: Array.from({ length: 6 }, () => pieces),
    };
    const bytes = encodeAnswer(longest);
    expect(bytes.length).toBeLessThanOrEqual(answerBytesMax(form));
    expect(isAnswerFault(decodeAnswer(bytes, form))).toBe(false);
  });

  it("has these parts", () => {
    expect(answeredLeaves(0, 5)).toEqual([0, 1, 2]);
    expect(answeredLeaves(4, 5)).toEqual([0, 5, 6]);
    expect(answeredLeaves(5, 5)).toEqual([0, 6, 7, 8]);
    expect(answeredVectors(0, 5, "exact")).toEqual(["m", "v"]);
    expect(answeredVectors(3, 5, "exact")).toEqual(["params", "m", "v"]);
    expect(answeredVectors(3, 5, "tolerant")).toHaveLength(6);
    expect(answeredVectors(5, 5, "tolerant")).toEqual(["params", "residual"]);
  });
});

describe("a stranger's answer", () => {
  const sample = fc.sample(anyAnswer, { numRuns: 20, seed: 1 }).map(encodeAnswer);

  it("is an answer or a fault, whatever the bytes: 10,000 mutations", () => {
    const random = seededRandom("answers");
    const seen = new Map<string, number>();
    for (let n = 0; n < 10_000; n++) {
      const bytes = mutated(sample[n % sample.length] as Uint8Array, random);
      const result = decodeAnswer(bytes, form);
      const what = isAnswerFault(result) ? result.fault : "taken";
      seen.set(what, (seen.get(what) ?? 0) + 1);
      if (!isAnswerFault(result)) expect(equalBytes(encodeAnswer(result), bytes)).toBe(true);
    }
    for (const what of ["taken", "not JSON", "another format", "wrong fields"])
      expect(seen.get(what), what).toBeGreaterThan(0);
  });

  it("is a fault, whatever the JSON", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (json) => {
        expect(isAnswerFault(decodeAnswer(utf8(JSON.stringify(json)), form))).toBe(true);
      }),
    );
    const field = fc.constantFrom(
      "format",
      "version",
      "specHash",
      "round",
      "uid",
      "part",
      "leaves",
      "previous",
      "vectors",
    );
    fc.assert(
      fc.property(field, fc.jsonValue(), (name, value) => {
        const json = { ...(JSON.parse(fromUtf8(sample[0] as Uint8Array)) as object), [name]: value };
        const result = decodeAnswer(utf8(JSON.stringify(json)), form);
        if (!isAnswerFault(result)) expect(isAnswerFault(decodeAnswer(encodeAnswer(result), form))).toBe(false);
      }),
      { numRuns: 500 },
    );
  });

  it("is refused where it is too long, in another form, or names another number of things", () => {
    const text = fromUtf8(sample[0] as Uint8Array);
    const faultOf = (bytes: Uint8Array): string => {
      const result = decodeAnswer(bytes, form);
      return isAnswerFault(result) ? result.fault : "taken";
    };
    expect(faultOf(utf8(`${text}${" ".repeat(answerBytesMax(form))}`))).toBe("too long");
    expect(faultOf(utf8(`${text} `))).toBe("not canonical");
    expect(faultOf(utf8(text.replace('"skein answer"', '"skein"')))).toBe("another format");
    const other = (change: object): string => faultOf(utf8(JSON.stringify({ ...JSON.parse(text), ...change })));
    expect(other({ part: 6 })).toBe("wrong fields");
    expect(other({ leaves: [] })).not.toBe("not JSON");
    expect(other({ vectors: [["a".repeat(64)]] })).toBe("wrong fields");
    expect(other({ vectors: Array.from({ length: 7 }, () => null) })).toBe("wrong fields");
    expect(other({ previous: { data: "00", path: "0", leaf: 1 } })).toBe("wrong fields");
  });
});
