import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SkeinError } from "../base/errors.ts";
import { seededRandom } from "../base/random.ts";
import { lettersOf } from "./bpe/alphabet.ts";
import { SPLIT_PATTERN, trainBpe } from "./bpe-train.ts";
import { byteTokenizer, loadTokenizer } from "./tokenizer.ts";

/** The merges of a tokenizer, as strings. */
function mergesOf(json: string): string[] {
  return (JSON.parse(json) as { model: { merges: [string, string][] } }).model.merges.map((pair) => pair.join(" "));
}

/** Training with nothing clever about it: count every pair anew before every merge. */
function naiveMerges(documents: string[], vocabSize: number): string[] {
  const counts = new Map<string, number>();
  const pattern = new RegExp(
    SPLIT_PATTERN.replaceAll("\\s", "\\p{White_Space}").replaceAll("\\S", "\\P{White_Space}"),
    "gu",
  );
  for (const text of documents) for (const w of text.match(pattern) ?? []) counts.set(w, (counts.get(w) ?? 0) + 1);
  const words = [...counts].map(([word, count]) => ({ ids: [...new TextEncoder().encode(word)], count }));
  const letters = Array.from({ length: 256 }, (_, b) => lettersOf(Uint8Array.of(b)));
  letters.push("");
  const merges: string[] = [];
  const made = new Map<string, number>();
  while (letters.length < vocabSize) {
    const pairs = new Map<number, number>();
    for (const { ids, count } of words) {
      for (let i = 0; i + 1 < ids.length; i++) {
        const key = (ids[i] as number) * 65536 + (ids[i + 1] as number);
        pairs.set(key, (pairs.get(key) ?? 0) + count);
      }
    }
    const best = [...pairs].sort(([a, x], [b, y]) => y - x || a - b)[0];
    if (best === undefined || best[1] < 2) break;
    const [a, b] = [Math.floor(best[0] / 65536), best[0] % 65536];
    const name = `${letters[a]} ${letters[b]}`;
    const text = `${letters[a]}${letters[b]}`;
    let id = made.get(name) ?? letters.indexOf(text);
    if (id < 0) id = letters.push(text) - 1;
    if (!made.has(name)) merges.push(name);
    made.set(name, id);
    for (const word of words) {
      const out: number[] = [];
      for (let i = 0; i < word.ids.length; i++) {
        if (word.ids[i] === a && word.ids[i + 1] === b) {
          out.push(id);
          i++;
        } else out.push(word.ids[i] as number);
      }
      word.ids = out;
    }
  }
  return merges;
}

function prose(seed: string, words: number): string {
  const random = seededRandom(seed);
  const stems = [
    "thread",
    "skein",
    "wind",
    "weave",
    "spin",
    "loom",
    "ab",
    "abab",
    "aaa",
    "aaaa",
    "banana",
    "é",
    "糸",
    "12",
    "345",
  ];
  return Array.from(
    { length: words },
    () => `${stems[random.below(stems.length)]}${["", "s", "ing", "ed"][random.below(4)]}`,
  ).join(" ");
}

describe("trainBpe", () => {
  it("finds the merges that counting anew finds", async () => {
    for (const seed of ["a", "b", "c"]) {
      const documents = [prose(seed, 400), prose(`${seed}2`, 100)];
      const trained = await trainBpe(documents, { vocabSize: 420 });
      expect(mergesOf(trained.toJson())).toEqual(naiveMerges(documents, 420));
    }
  });

  it("finds them for texts of few letters, where pairs overlap and tokens have two spellings", async () => {
    const texts = fc.array(fc.string({ unit: fc.constantFrom("a", "b", "ab", "ba", " "), maxLength: 60 }), {
      minLength: 1,
      maxLength: 4,
    });
    await fc.assert(
      fc.asyncProperty(texts, async (documents) => {
        fc.pre(documents.some((text) => text.length > 0));
        const trained = await trainBpe(documents, { vocabSize: 300 });
        expect(mergesOf(trained.toJson())).toEqual(naiveMerges(documents, 300));
      }),
      { numRuns: 200 },
    );
  });

  it("numbers bytes, end-of-text and merges as promised, and stops where pairs run out", async () => {
    const trained = await trainBpe(["abab abab xyz"], { vocabSize: 1000 });
    expect(trained.endOfText).toBe(256);
    expect(trained.vocabSize).toBeLessThan(264);
    expect([...trained.encode("q")]).toEqual([113]);
    expect(trained.encode("abab").length).toBe(1);
    expect(trained.encode("xyz").length).toBe(3); // each pair occurs once
  });

  it("gives the same file again, from any iterable, and a file that loads", async () => {
    const text = prose("same", 500);
    const one = await trainBpe([text], { vocabSize: 400 });
    async function* stream(): AsyncGenerator<string> {
      yield text;
    }
    const two = await trainBpe(stream(), { vocabSize: 400 });
    expect(two.toJson()).toBe(one.toJson());
    const loaded = await loadTokenizer(one.toJson());
    expect([...loaded.encode(text)]).toEqual([...one.encode(text)]);
    expect(loaded.kind).toBe("bpe");
    expect(one.encode(text).length).toBeLessThan(byteTokenizer().encode(text).length / 2);
  });

  it("looks at no more than the sample, and reports progress", async () => {
    let pulled = 0;
    function* endless(): Generator<string> {
      for (;;) {
        pulled++;
        yield "the same thread again ";
      }
    }
    const phases: string[] = [];
    await trainBpe(endless(), {
      vocabSize: 300,
      sampleBytesMax: 1000,
      onProgress: ({ phase, done, total }) => {
        expect(done).toBeLessThanOrEqual(total);
        phases.push(phase);
      },
    });
    expect(pulled).toBe(46);
    expect(phases).toContain("count");
    expect(phases.at(-1)).toBe("merge");
  });

  it("copes with one huge pre-token", async () => {
    const trained = await trainBpe(["a".repeat(300_000)], { vocabSize: 300 });
    expect(trained.encode("a".repeat(1024)).length).toBeLessThanOrEqual(8);
  });

  it("refuses what cannot be", async () => {
    await expect(trainBpe(["x"], { vocabSize: 256 })).rejects.toThrow(/vocabSize must be/);
    await expect(trainBpe([], { vocabSize: 300 })).rejects.toThrow(SkeinError);
    await expect(trainBpe(["", ""], { vocabSize: 300 })).rejects.toThrow(/no text/);
    await expect(trainBpe(["x"], { vocabSize: 300, signal: AbortSignal.abort() })).rejects.toThrow(/stopped/);
  });
});
