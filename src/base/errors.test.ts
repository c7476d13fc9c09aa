import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { messageOf, shown } from "./errors.ts";

describe("shown", () => {
  it("never throws, whatever the value does when turned into text", () => {
    for (const hostile of [
      { toString: null },
      JSON.parse('{"toString":{}}'),
      [Symbol("s")],
      Object.create(null),
      Symbol("s"),
    ]) {
      expect(typeof shown(hostile)).toBe("string");
      expect(typeof messageOf(hostile)).toBe("string");
    }
    fc.assert(fc.property(fc.anything(), (value) => typeof shown(value) === "string"));
  });

  it("says numbers and texts as they are", () => {
    expect([1.5, "x", undefined, null, true, [], {}].map(shown)).toEqual([
      "1.5",
      "x",
      "undefined",
      "null",
      "true",
      "a list",
      "an object",
    ]);
  });
});
