import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SkeinError } from "../base/errors.ts";
import { seededRandom } from "../base/random.ts";
import { trainBpe } from "./bpe-train.ts";
import { byteTokenizer, loadTokenizer, type Tokenizer } from "./tokenizer.ts";

interface Variant {
  name: string;
  changes: Record<string, unknown>;
  model: Record<string, unknown>;
  ids: number[][];
  plain: Record<string, number[]>;
  decodedOtherwise: Record<string, string>;
}

const vectorText = (name: string): string => readFileSync(new URL(`../../vectors/${name}`, import.meta.url), "utf8");
const ownJson = vectorText("tokenizer-own.json");
const own = JSON.parse(ownJson) as { model: Record<string, unknown> };
const golden = JSON.parse(vectorText("tokenizer.json")) as { texts: string[]; variants: Variant[] };

function variantJson({ changes, model }: Variant): string {
  return JSON.stringify({ ...own, ...changes, model: { ...own.model, ...model } });
}

/** What the npm package makes of the same file. */
interface Peer {
  encode(text: string, options: { add_special_tokens: boolean }): { ids: number[] };
  decode(ids: number[], options: { skip_special_tokens: boolean; clean_up_tokenization_spaces: boolean }): string;
}
async function peer(json: string): Promise<Peer> {
  const module = (await import("@huggingface/tokenizers")) as unknown as {
    Tokenizer: new (a: object, b: object) => Peer;
  };
  return new module.Tokenizer(JSON.parse(json) as object, {});
}

async function expectDataError(promise: Promise<unknown>, message: RegExp): Promise<void> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(SkeinError);
  expect((error as SkeinError).code).toBe("data");
  expect((error as SkeinError).message).toMatch(message);
}

/** Text out of pieces that tokenizers stumble over. */
const awkward = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        " ",
        "  ",
        "\n",
        "\r\n",
        "\t",
        "'s",
        "'LL",
        "the",
        " thread",
        "12",
        "345",
        "é",
        "e\u0301",
        "🧵",
        "👩‍👩‍👧‍👦",
      ),
      fc.constantFrom(
        "\u0085",
        "\u00a0",
        "\u2028",
        "\ufeff",
        "<|endoftext|>",
        "<|",
        "|>",
        "\u017f",
        "\u212a",
        "²",
        "Ж",
        "糸",
      ),
      fc.string({ unit: "binary", maxLength: 8 }),
    ),
    { maxLength: 30 },
  )
  .map((parts) => parts.join(""));

describe("byteTokenizer", () => {
  it("is UTF-8, with 256 for the end of a text", () => {
    const tokenizer = byteTokenizer();
    expect(tokenizer.kind).toBe("bytes");
    expect(tokenizer.vocabSize).toBe(257);
    expect(tokenizer.endOfText).toBe(256);
    expect([...tokenizer.encode("hé🧵")]).toEqual([...new TextEncoder().encode("hé🧵")]);
    expect([...tokenizer.encode("a<|endoftext|>b")]).toEqual([97, 256, 98]);
    expect(tokenizer.encode("a<|endoftext|>b", { plain: true }).length).toBe(15);
    expect(tokenizer.decode([104, 195, 169, 256])).toBe("hé<|endoftext|>");
    expect(tokenizer.encode("").length).toBe(0);
    expect(tokenizer.decode([])).toBe("");
  });

  it("survives its own file", async () => {
    const again = await loadTokenizer(byteTokenizer().toJson());
    expect(again.kind).toBe("bytes");
    expect(again.toJson()).toBe(byteTokenizer().toJson());
    const other = await peer(byteTokenizer().toJson());
    const options = { add_special_tokens: false };
    expect([...again.encode("für 糸 <|endoftext|>")]).toEqual(other.encode("für 糸 <|endoftext|>", options).ids);
  });

  it("turns ids and bytes that mean nothing into U+FFFD", () => {
    expect(byteTokenizer().decode([0xc3, 97, -1, 9999, 1.5])).toBe("\ufffda\ufffd\ufffd\ufffd");
  });
});

describe("golden vectors of the Python package", () => {
  it.each(golden.variants.map((variant) => [variant.name, variant] as const))("%s", async (_, variant) => {
    const tokenizer = await loadTokenizer(variantJson(variant));
    expect(tokenizer.kind).toBe("bpe");
    for (const [i, text] of golden.texts.entries()) {
      const ids = [...tokenizer.encode(text)];
      expect(ids, `text ${i}: ${JSON.stringify(text)}`).toEqual(variant.ids[i]);
      expect([...tokenizer.encode(text, { plain: true })], `text ${i}, plain`).toEqual(
        variant.plain[i] ?? variant.ids[i],
      );
      expect(tokenizer.decode(ids), `text ${i}, back`).toBe(variant.decodedOtherwise[i] ?? text);
    }
  });
});

describe("against @huggingface/tokenizers", () => {
  const variant = (name: string): string => variantJson(golden.variants.find((v) => v.name === name) as Variant);
  it.each(["own", "gpt2", "llama3"])("%s: same ids, same text, on random text", async (name) => {
    const json = variant(name);
    const [ours, theirs] = [await loadTokenizer(json), await peer(json)];
    fc.assert(
      fc.property(awkward, (text) => {
        // Known departures of the package from the original, where ours follows the original (see the golden vectors): its
        // case folding is ASCII only, and its ByteLevel pattern has JavaScript's white space instead of Unicode's.
        fc.pre(name !== "llama3" || !/[\u017f\u212a]/.test(text));
        fc.pre(name !== "gpt2" || !/[\u0085\ufeff]/.test(text));
        const ids = [...ours.encode(text)];
        expect(ids).toEqual(theirs.encode(text, { add_special_tokens: false }).ids);
        const plain = { skip_special_tokens: false, clean_up_tokenization_spaces: false };
        if (ids.length > 0) expect(ours.decode(ids)).toBe(theirs.decode(ids, plain));
      }),
      { numRuns: 300 },
    );
  });

  it("same ids where surrogates stand alone", async () => {
    const [ours, theirs] = [await loadTokenizer(ownJson), await peer(ownJson)];
    for (const text of ["\ud800", "a\udc00b", "\ud83e \uddf5", "x\ud83e"]) {
      expect([...ours.encode(text)]).toEqual(theirs.encode(text, { add_special_tokens: false }).ids);
      expect(ours.decode(ours.encode(text))).toBe(text.replace(/\p{Surrogate}/gu, "\ufffd"));
    }
  });
});

describe("round trip", () => {
  const tokenizers = async (): Promise<Tokenizer[]> => [byteTokenizer(), await loadTokenizer(ownJson)];
  it("decode(encode(text)) is text, plain or not, and every id is in range", async () => {
    for (const tokenizer of await tokenizers()) {
      fc.assert(
        fc.property(awkward, fc.boolean(), (raw, plain) => {
          const text = raw.replace(/\p{Surrogate}/gu, "\ufffd");
          const ids = tokenizer.encode(text, { plain });
          expect(tokenizer.decode(ids)).toBe(text);
          expect(ids.every((id) => id >= 0 && id < tokenizer.vocabSize)).toBe(true);
          if (plain) expect(ids.includes(tokenizer.endOfText)).toBe(false);
        }),
        { numRuns: 300 },
      );
    }
  });

  it("decode takes any ids", async () => {
    const tokenizer = await loadTokenizer(ownJson);
    fc.assert(fc.property(fc.array(fc.integer()), (ids) => typeof tokenizer.decode(ids) === "string"));
  });

  it("a megabyte without a space takes no more than seconds", async () => {
    const tokenizer = await loadTokenizer(ownJson);
    const text = "threadthe".repeat(50_000) + " ".repeat(500_000);
    expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
  }, 10_000);
});

describe("malformed and hostile files", () => {
  const bent = (change: (file: Record<string, never>) => void): string => {
    const file = structuredClone(own) as unknown as Record<string, never>;
    change(file);
    return JSON.stringify(file);
  };
  type Open = {
    model: { vocab: Record<string, unknown>; merges: unknown[]; type: string };
    added_tokens: object[];
    pre_tokenizer: unknown;
  };
  const cases: [string, string, RegExp][] = [
    ["no JSON", "{", /not JSON/],
    ["an array", "[]", /no JSON object/],
    ["no model", "{}", /no model/],
    ["an id out of range", bent((f) => Object.assign((f as unknown as Open).model.vocab, { zz: 1e9 })), /no id in/],
    ["a fractional id", bent((f) => Object.assign((f as unknown as Open).model.vocab, { zz: 1.5 })), /no id in/],
    [
      "two tokens with one id",
      bent((f) => Object.assign((f as unknown as Open).model.vocab, { zz: 65 })),
      /share the id 65/,
    ],
    ["a merge of three", bent((f) => (f as unknown as Open).model.merges.push("a b c")), /no pair/],
    ["a merge of numbers", bent((f) => (f as unknown as Open).model.merges.push([1, 2])), /no pair of strings/],
    [
      "a merge that makes nothing known",
      bent((f) => (f as unknown as Open).model.merges.push(["q", "q"])),
      /not in the vocabulary/,
    ],
    ["an added token without content", bent((f) => (f as unknown as Open).added_tokens.push({ id: 3 })), /no content/],
    [
      "single_word",
      bent((f) => (f as unknown as Open).added_tokens.push({ id: 999, content: "x", single_word: true })),
      /single_word/,
    ],
    [
      "an unknown model",
      bent((f) => Object.assign((f as unknown as Open).model, { type: "Magic" })),
      /the model Magic is not supported/,
    ],
    ["an unknown pre-tokenizer", bent((f) => Object.assign(f, { pre_tokenizer: { type: "Magic" } })), /Magic/],
    [
      "a merging split",
      bent((f) =>
        Object.assign(f, { pre_tokenizer: { type: "Split", pattern: { String: "x" }, behavior: "MergedWithNext" } }),
      ),
      /MergedWithNext is not supported/,
    ],
    [
      "a pattern of exponential time",
      bent((f) =>
        Object.assign(f, {
          pre_tokenizer: {
            type: "Sequence",
            pretokenizers: [
              { type: "Split", pattern: { Regex: "(a+)+$" }, behavior: "Isolated" },
              { type: "ByteLevel", use_regex: false },
            ],
          },
        }),
      ),
      /repeat inside a repeat/,
    ],
  ];
  it.each(cases)("%s", async (_, json, message) => {
    await expectDataError(loadTokenizer(json), message);
  });

  it("names the missing separator", async () => {
    const json = bent((f) => {
      Object.assign(f, { added_tokens: [] });
      delete (f as unknown as Open).model.vocab["<|endoftext|>"];
    });
    await expectDataError(loadTokenizer(json), /no end-of-text token/);
    expect((await loadTokenizer(json, { endOfText: "Ġthe" })).endOfText).toBe(
      (own.model["vocab"] as Record<string, number>)["Ġthe"],
    );
  });

  it("any damage to a file gives a tokenizer or SkeinError, nothing else", async () => {
    const random = seededRandom("damage");
    for (let run = 0; run < 300; run++) {
      let json = ownJson;
      for (let k = 0; k <= random.below(3); k++) {
        const at = random.below(json.length);
        const insert = ["", "0", '"', "{", "null,", "[]", "\\u0000", "-1", "1e99", '"Ġ":'][random.below(10)] as string;
        json = json.slice(0, at) + insert + json.slice(at + random.below(20));
      }
      try {
        const tokenizer = await loadTokenizer(json);
        tokenizer.decode(tokenizer.encode("the thread's 12 threads"));
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(SkeinError);
      }
    }
  });

  it("any JSON in any place gives a tokenizer or SkeinError", async () => {
    const places = ["normalizer", "pre_tokenizer", "decoder", "added_tokens", "model"] as const;
    const types = [
      "ByteLevel",
      "Split",
      "Sequence",
      "Replace",
      "Metaspace",
      "BPE",
      "Unigram",
      "WordPiece",
      "Digits",
      "NFC",
    ];
    const node = fc.letrec((tie) => ({
      node: fc.oneof(
        { depthSize: "small" },
        fc.jsonValue({ maxDepth: 2 }),
        fc.record({
          type: fc.constantFrom(...types),
          pretokenizers: fc.array(tie("node"), { maxLength: 3 }),
          normalizers: fc.array(tie("node"), { maxLength: 3 }),
          pattern: fc.record({ Regex: fc.string() }),
          behavior: fc.constantFrom("Isolated", "Removed"),
          vocab: fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constant(own.model["vocab"])),
          merges: fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constant([])),
          unk_id: fc.nat(3),
        }),
      ),
    })).node;
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...places), node, async (place, value) => {
        try {
          const tokenizer = await loadTokenizer(JSON.stringify({ ...own, [place]: value }));
          tokenizer.decode(tokenizer.encode("the thread's 12 threads"));
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(SkeinError);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe("tokenizers that are not byte-level BPE", () => {
  const bytes = Array.from({ length: 256 }, (_, b) => `<0x${b.toString(16).toUpperCase().padStart(2, "0")}>`);
  const pieces = ["<eos>", "▁", "t", "h", "e", "th", "▁th", "▁the", ...bytes];
  const gemmaLike = {
    added_tokens: [{ id: 0, content: "<eos>", special: true }],
    normalizer: { type: "Replace", pattern: { String: " " }, content: "▁" },
    pre_tokenizer: { type: "Split", pattern: { String: " " }, behavior: "MergedWithPrevious", invert: false },
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: "▁" }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
      ],
    },
    model: {
      type: "BPE",
      byte_fallback: true,
      unk_token: null,
      vocab: Object.fromEntries(pieces.map((piece, id) => [piece, id])),
      merges: ["t h", "▁ th", "▁th e"],
    },
  };

  it("SentencePiece-like BPE with byte_fallback", async () => {
    const tokenizer = await loadTokenizer(JSON.stringify(gemmaLike));
    expect(tokenizer.kind).toBe("other");
    expect(tokenizer.vocabSize).toBe(pieces.length);
    expect(tokenizer.endOfText).toBe(0);
    expect([...tokenizer.encode(" the é<eos>")]).toEqual([7, 1, 8 + 0xc3, 8 + 0xa9, 0]);
    expect(tokenizer.encode("<eos>", { plain: true }).includes(0)).toBe(false);
    expect(tokenizer.decode(tokenizer.encode(" the thé"))).toBe(" the thé");
    expect(tokenizer.decode([])).toBe("");
  });

  it("Unigram", async () => {
    const vocab = [
      ["<unk>", 0],
      ["</s>", 0],
      ["▁the", -1],
      ["▁", -2],
      ["t", -3],
      ["h", -3],
      ["e", -3],
    ];
    const json = JSON.stringify({
      added_tokens: [{ id: 1, content: "</s>", special: true }],
      pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "always" },
      decoder: { type: "Metaspace", replacement: "▁", prepend_scheme: "always" },
      model: { type: "Unigram", unk_id: 0, vocab },
    });
    const tokenizer = await loadTokenizer(json);
    expect([...tokenizer.encode("the he")]).toEqual([2, 3, 5, 6]);
    expect(tokenizer.decode(tokenizer.encode("the he"))).toBe("the he");
  });

  it("drops what has no token and no fallback, as the original does", async () => {
    const json = JSON.stringify({ ...gemmaLike, model: { ...gemmaLike.model, byte_fallback: false } });
    const tokenizer = await loadTokenizer(json);
    expect([...tokenizer.encode(" the Ж")]).toEqual([7, 1]);
  });
});

describe("training gives the golden tokenizer", () => {
  it("character for character", async () => {
    const trained = await trainBpe([vectorText("tokenizer-text.txt")], { vocabSize: 600 });
    expect(trained.toJson()).toBe(ownJson);
  });
});
