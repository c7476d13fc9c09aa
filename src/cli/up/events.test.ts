import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { lengthIn, numberIn, textIn } from "../../base/log/log.ts";
import { lineReader, parseEvent, parseTold } from "./events.ts";

function linesOf(pieces: readonly string[], charsMax: number): string[] {
  const lines: string[] = [];
  const read = lineReader((line) => lines.push(line), charsMax);
  for (const piece of pieces) read(piece);
  return lines;
}

describe("lines", () => {
  it("are the same however the text is cut into pieces", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 20 })), fc.array(fc.nat(30)), (parts, cuts) => {
        const text = parts.map((part) => `${part}\n`).join("");
        const pieces: string[] = [];
        let rest = text;
        for (const cut of cuts) {
          pieces.push(rest.slice(0, cut));
          rest = rest.slice(cut);
        }
        expect(linesOf([...pieces, rest], 12)).toEqual(linesOf([text], 12));
        expect(linesOf([text], 12)).toEqual(text.split("\n").filter((line) => line.length <= 12 && line.trim() !== ""));
      }),
    );
  });

  it("that are too long are left out, and nothing of them is kept", () => {
    expect(linesOf(["12345", "6789", "0", "\nab\n", "123456\n", "12345\n", "no end"], 5)).toEqual(["ab", "12345"]);
  });
});

describe("an event", () => {
  it("is an object with its kind; everything else is none", () => {
    expect(parseEvent('{"event":"vote","round":3}')).toEqual({ kind: "vote", fields: { round: 3 } });
    for (const line of ["", "{", "null", "3", "[]", '"event"', "{}", '{"event":3}', '{"event":""}']) {
      expect(parseEvent(line), line).toBeUndefined();
    }
  });

  it("is read or refused, never thrown at", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (line) => {
        const event = parseEvent(line);
        if (event !== undefined) expect(typeof event.kind).toBe("string");
        parseTold(line);
      }),
    );
  });

  it("of the history has node and time", () => {
    const line = '{"timeMs":5,"event":"commit","node":"trainer-1","round":2}';
    expect(parseTold(line)).toEqual({ node: "trainer-1", kind: "commit", fields: { round: 2 }, timeMs: 5 });
    expect(parseTold('{"event":"commit","round":2}')).toBeUndefined();
  });

  it("gives fields of the type that is asked for, or nothing", () => {
    const fields = { n: 1, t: "a", l: [1, 2], nothing: null };
    expect([numberIn(fields, "n"), numberIn(fields, "t"), numberIn(fields, "none")]).toEqual([1, undefined, undefined]);
    expect([textIn(fields, "t"), textIn(fields, "nothing")]).toEqual(["a", undefined]);
    expect([lengthIn(fields, "l"), lengthIn(fields, "t")]).toEqual([2, 0]);
  });
});
