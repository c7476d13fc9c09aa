import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { utf8 } from "../base/bytes.ts";
import { SkeinError } from "../base/errors.ts";
import type { Document } from "./document.ts";
import { documentsOf, jsonlDocuments, type Skip, type SourceOptions, textDocuments } from "./sources.ts";

async function all(documents: AsyncIterable<Document>): Promise<Document[]> {
  const out: Document[] = [];
  for await (const document of documents) out.push(document);
  return out;
}

/** The bytes in chunks of `size`. */
function* chunked(bytes: Uint8Array, size: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

describe("textDocuments", () => {
  it("gives a text as one document, whatever the chunks", async () => {
    const text = "# Title\n\nçà et là 🧵\n";
    for (let size = 1; size < 12; size++) {
      expect(await all(textDocuments("a.md", chunked(utf8(text), size)))).toEqual([{ name: "a.md", text }]);
    }
    expect(await all(textDocuments("bom.txt", [utf8("\ufefftext")]))).toEqual([{ name: "bom.txt", text: "text" }]);
    expect(await all(textDocuments("a", [utf8("x")], { split: "valid" }))).toEqual([
      { name: "a", text: "x", split: "valid" },
    ]);
    expect(await all(textDocuments("none", []))).toEqual([]);
    expect(await all(textDocuments("blank", [utf8(" \n ")]))).toEqual([]);
  });

  it("cuts long texts at blank lines, lines, words, in that order of liking, and loses nothing", async () => {
    const cut = async (text: string, max: number): Promise<string[]> =>
      (await all(textDocuments("t", chunked(utf8(text), 7), { documentCharsMax: max }))).map((d) => d.text);
    expect(await cut("aaaa\nbb\n\ncc dd", 12)).toEqual(["aaaa\nbb\n\n", "cc dd"]);
    expect(await cut("aaaa bbbb\ncc dd", 12)).toEqual(["aaaa bbbb\n", "cc dd"]);
    expect(await cut("aaaaa bbbbbbbb", 10)).toEqual(["aaaaa ", "bbbbbbbb"]);
    expect(await cut("a".repeat(25), 10)).toEqual(["a".repeat(10), "a".repeat(10), "a".repeat(5)]);
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: "binary", maxLength: 300 }),
        fc.integer({ min: 2, max: 50 }),
        async (raw, max) => {
          const text = `x${raw.replace(/[\0\ufffd\ufeff\ufffe]/g, "")}`;
          const parts = await all(textDocuments("t", chunked(utf8(text), 5), { documentCharsMax: max }));
          expect(parts.every((part) => part.text.length <= max && !/\p{Surrogate}/u.test(part.text))).toBe(true);
          const kept = parts.map((part) => part.text).join("");
          expect(kept.replace(/\s/g, "")).toBe(text.replace(/\s/g, "")); // parts of white space alone are left out
        },
      ),
    );
    const names = (await all(textDocuments("t", [utf8("ab cd ef gh")], { documentCharsMax: 4 }))).map((d) => d.name);
    expect(names).toEqual(["t#1", "t#2", "t#3", "t#4"]);
  });

  it("skips binary files and other encodings, bears a few bad bytes, reads UTF-16", async () => {
    const skips: Skip[] = [];
    const options: SourceOptions = { onSkip: (skip) => skips.push(skip) };
    expect(await all(textDocuments("b", [utf8("text"), Uint8Array.of(65, 0, 66)], options))).toEqual([]);
    const latin1 = Uint8Array.from({ length: 200 }, (_, i) => (i % 3 === 0 ? 0xe9 : 97));
    expect(await all(textDocuments("l", [latin1], options))).toEqual([]);
    expect(skips).toEqual([
      { name: "b", reason: "binary" },
      { name: "l", reason: "encoding", detail: "not UTF-8" },
    ]);
    const slightlyBad = new Uint8Array([...utf8("good text ".repeat(30)), 0xff, ...utf8(" more")]);
    expect((await all(textDocuments("s", [slightlyBad], options)))[0]?.text).toContain("\ufffd more");
    expect(await all(textDocuments("w", [Uint8Array.of(0xff, 0xfe, 104, 0, 233, 0)], options))).toEqual([
      { name: "w", text: "hé" },
    ]);
    expect(await all(textDocuments("w", [Uint8Array.of(0xfe, 0xff, 0, 104)], options))).toEqual([
      { name: "w", text: "h" },
    ]);
  });

  it("takes any bytes", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom("a.txt", "a.jsonl"),
        fc.array(fc.uint8Array({ maxLength: 50 })),
        async (name, chunks) => {
          for (const { text } of await all(documentsOf(name, chunks, { documentCharsMax: 16 })))
            expect(text.length).toBeLessThanOrEqual(16);
        },
      ),
    );
  });
});

describe("jsonlDocuments", () => {
  const lines = (...values: unknown[]): Uint8Array =>
    utf8(values.map((v) => (typeof v === "string" ? v : JSON.stringify(v))).join("\n"));

  it("reads a line as a document, whatever the chunks", async () => {
    const bytes = lines({ text: "one é🧵" }, "", { text: "two\nlines", id: 7 }, { text: "" }, "\r", { text: "three" });
    for (let size = 1; size < 12; size++) {
      expect(await all(jsonlDocuments("a.jsonl", chunked(bytes, size)))).toEqual([
        { name: "a.jsonl:1", text: "one é🧵" },
        { name: "a.jsonl:3", text: "two\nlines" },
        { name: "a.jsonl:6", text: "three" },
      ]);
    }
    expect(await all(jsonlDocuments("a", [lines({ body: "x" })], { field: "body" }))).toEqual([
      { name: "a:1", text: "x" },
    ]);
    const long = await all(jsonlDocuments("a", [lines({ text: "aa bb cc" })], { documentCharsMax: 4 }));
    expect(long.map(({ name, text }) => [name, text])).toEqual([
      ["a:1#1", "aa "],
      ["a:1#2", "bb "],
      ["a:1#3", "cc"],
    ]);
  });

  it("reports unusable lines by number, up to a limit", async () => {
    const skips: Skip[] = [];
    const bytes = lines("{", "[1]", "null", { other: 1 }, { text: 5 }, '{"__proto__":{"text":"x"}}', { text: "good" });
    const options: SourceOptions = { onSkip: (skip) => skips.push(skip) };
    expect((await all(jsonlDocuments("a", [bytes], options))).map((d) => d.text)).toEqual(["good"]);
    expect(skips.map(({ line }) => line)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(skips[0]?.detail).toBe("not JSON");
    expect(skips[3]?.detail).toMatch(/"text"/);
    const failing = all(jsonlDocuments("a", [bytes], { badLinesMax: 3 }));
    await expect(failing).rejects.toThrow(SkeinError);
    await expect(failing).rejects.toThrow(/4 unusable lines, the last is line 4/);
    await expect(all(jsonlDocuments("a", [bytes], { badLinesMax: 6 }))).resolves.toHaveLength(1);
  });

  it("is what documentsOf takes for .jsonl and .ndjson", async () => {
    const bytes = lines({ text: "x" });
    for (const [name, text] of [
      ["a.jsonl", "x"],
      ["a.NDJSON", "x"],
      ["a.json", '{"text":"x"}'],
      ["a.md", '{"text":"x"}'],
    ] as const) {
      expect((await all(documentsOf(name, [bytes])))[0]?.text).toBe(text);
    }
  });
});
