import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SkeinError } from "../base/errors.ts";
import { readJson } from "./json.ts";

/** What readJson throws for `text`. */
function refused(text: string): SkeinError {
  try {
    readJson(text);
  } catch (thrown) {
    if (thrown instanceof SkeinError) return thrown;
    throw thrown;
  }
  throw new Error(`${text} was taken`);
}

describe("readJson", () => {
  it("reads what JSON.parse reads, to the same value", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 8 }), fc.constantFrom(0, 2, "\t"), (value, indent) => {
        const text = JSON.stringify(value, undefined, indent);
        expect(readJson(text)).toEqual(JSON.parse(text));
      }),
      { numRuns: 500 },
    );
  });

  it("takes and refuses what JSON.parse does, field names that stand twice aside", () => {
    let taken = 0;
    const pieces = fc.constantFrom(
      ...'{}[]:,"\\ \n',
      "1",
      "-",
      "0",
      "1.5",
      "e3",
      "true",
      "nul",
      "null",
      '"a"',
      '"\\u00',
      "\t",
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => {
        const text = parts.join("");
        let expected: unknown;
        try {
          expected = JSON.parse(text);
        } catch {
          expect(refused(text).code).toBe("config");
          return;
        }
        taken++;
        try {
          expect(readJson(text)).toEqual(expected);
        } catch (thrown) {
          expect((thrown as Error).message).toMatch(/stands there twice/);
        }
      }),
      { numRuns: 5000 },
    );
    expect(taken).toBeGreaterThan(50);
  });

  it("passes over comments, but not within texts", () => {
    const text = '\ufeff// head\n{ "a": 1, // one, "b": 2\n//\n"url": "http://x//y" // end\n}\n// the end';
    expect(readJson(text)).toEqual({ a: 1, url: "http://x//y" });
    expect(readJson("12// twelve")).toBe(12);
  });

  it("names the line and what is wrong with it", () => {
    const cases: readonly (readonly [string, number, RegExp])[] = [
      ['{\n "a": 1\n "b": 2\n}', 3, /a comma or } is missing before "/],
      ['{\n "a": 1,\n}', 3, /a comma stands before }/],
      ["[1, 2,]", 1, /a comma stands before ]/],
      ["{ a: 1 }", 1, /a name in double quotes is missing before a/],
      ["{\n\n'a': 1 }", 3, /a name in double quotes is missing before '/],
      ['{ "a" 1 }', 1, /a : is missing before 1/],
      ['{ "a": 1, // x\n "a": 2 }', 2, /"a" stands there twice/],
      ['{ "a": 1_000 }', 1, /1_000 is no value/],
      ['{ "a": .5 }', 1, /\.5 is no value/],
      ['{ "a": 1e999 }', 1, /1e999 is no value/],
      ['{ "a": NaN }', 1, /NaN is no value/],
      ['{ "a": /* x */ 1 }', 1, /\/ is no value/],
      ['{ "a": "x\n" }', 1, /a text begins and does not end on this line/],
      ['{ "a": "\\x" }', 1, /is no text that JSON allows/],
      ['{ "a": "\\', 1, /does not end on this line/],
      ['{ "a": 1', 1, /a comma or } is missing before the end/],
      ["", 1, /the text ends too early/],
      ["{} {}", 1, /\{ after the end/],
      [`${"[".repeat(100)}`, 1, /more than 16 levels/],
    ];
    for (const [text, line, message] of cases) {
      const error = refused(text);
      expect(error.message, text).toMatch(message);
      expect(error.message, text).toContain(`run spec, line ${line}: `);
      expect(error.remedy, text).toBeTruthy();
    }
  });

  it("makes plain fields of names that JavaScript gives a meaning", () => {
    const value = readJson('{"__proto__": {"x": 1}, "constructor": 2, "toString": null}') as object;
    expect(Object.keys(value)).toEqual(["__proto__", "constructor", "toString"]);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(({} as Record<string, unknown>)["x"]).toBeUndefined();
  });

  it("ends soon on texts made to be slow", () => {
    for (const text of [
      `"${"\\\\".repeat(30_000)}`,
      "/".repeat(60_000),
      `${"[".repeat(30_000)}`,
      "1".repeat(60_000),
      "// x\n".repeat(12_000),
    ])
      expect(refused(text)).toBeInstanceOf(SkeinError);
    expect(readJson(`"${"a".repeat(60_000)}"`)).toHaveLength(60_000);
  });
});
