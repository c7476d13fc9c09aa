import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { arraySource, LETTERS, TOY_SHAPE, toyTokens } from "../../test/helpers/toy.ts";
import { seededRandom } from "../base/random.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import { openReference } from "../engine/reference/reference.ts";
import { initParams } from "../model/init.ts";
import { generate, textStream } from "./generate.ts";
import { checkSampling, type SampleOptions, sampleToken } from "./sample.ts";
import { spacedIndices, validationLoss } from "./validation.ts";

/** Bytes as tokens, 256 as the separator. */
const bytes: Tokenizer = {
  kind: "bytes",
  vocabSize: 257,
  endOfText: 256,
  encode: (text) => Int32Array.from(new TextEncoder().encode(text)),
  decode: (tokens) => new TextDecoder().decode(Uint8Array.from(tokens)),
  toJson: () => "{}",
};

async function toyEngine(microBatch = 3): ReturnType<typeof openReference> {
  const engine = await openReference({ shape: TOY_SHAPE, seqLen: 8, microBatch });
  await engine.write(
    "params",
    initParams(TOY_SHAPE, 1).map((x) => (x === 1 ? 1 : x * 20)),
  );
  return engine;
}

describe("validationLoss", () => {
  it("is the mean over the evenly spaced subset, however rows are grouped", async () => {
    const source = arraySource(toyTokens(200, 1));
    const engine = await toyEngine();
    const result = await validationLoss(engine, source, { sequences: 7, length: 8 });
    expect(result).toMatchObject({ sequences: 7, tokens: 56 });
    let total = 0;
    for (const i of [0, 3, 6, 10, 13, 17, 20]) {
      const row = await engine.losses({ tokens: await source.sequence(i, 8), rows: 1, length: 8 });
      total += row[0] as number;
    }
    expect(result.loss).toBe(total / 7);
    expect(await validationLoss(await toyEngine(1), source, { sequences: 7, length: 8 })).toEqual(result);
  });

  it("takes all there is where less is there, and says so where that is nothing", async () => {
    const engine = await toyEngine();
    const small = arraySource(toyTokens(20, 1));
    expect(await validationLoss(engine, small, { sequences: 100, length: 8 })).toMatchObject({ sequences: 2 });
    const none = arraySource(toyTokens(5, 1));
    await expect(validationLoss(engine, none, { sequences: 1, length: 8 })).rejects.toMatchObject({
      code: "data",
      remedy: expect.any(String),
    });
  });

  it("spaces indices over the whole range without repeating any", () => {
    fc.assert(
      fc.property(fc.nat(1e9), fc.integer({ min: 1, max: 200 }), (available, wanted) => {
        const indices = spacedIndices(available, wanted);
        expect(indices).toHaveLength(Math.min(available, wanted));
        for (const [i, index] of indices.entries()) {
          expect(index).toBeGreaterThan(indices[i - 1] ?? -1);
          expect(index).toBeLessThan(available);
        }
      }),
    );
  });
});

describe("sampleToken", () => {
  const share = (logits: number[], options: SampleOptions): number[] => {
    const random = seededRandom("share");
    const counts = logits.map(() => 0);
    for (let i = 0; i < 20_000; i++) {
      const token = sampleToken(Float32Array.from(logits), checkSampling(options), random);
      counts[token] = (counts[token] as number) + 1 / 20_000;
    }
    return counts;
  };
  const close = (actual: number[], expected: number[]): void => {
    for (const [i, p] of expected.entries()) {
      expect(Math.abs((actual[i] as number) - p)).toBeLessThan(p === 0 ? 1e-12 : 0.015);
    }
  };
  const logits = [0.5, 0.3, 0.15, 0.05].map(Math.log);

  it("draws from the distribution, sharpened, cut to k, cut to p", () => {
    close(share(logits, { temperature: 1, topK: 0, topP: 1 }), [0.5, 0.3, 0.15, 0.05]);
    const squares = [0.25, 0.09, 0.0225, 0.0025];
    close(
      share(logits, { temperature: 0.5, topK: 0 }),
      squares.map((x) => x / 0.365),
    );
    close(share(logits, { temperature: 1, topK: 2 }), [0.625, 0.375, 0, 0]);
    close(share(logits, { temperature: 1, topK: 0, topP: 0.6 }), [0.625, 0.375, 0, 0]);
    close(share(logits, { temperature: 1, topK: 0, topP: 0.01 }), [1, 0, 0, 0]);
    close(share(logits, { temperature: 1, topK: 100 }), [0.5, 0.3, 0.15, 0.05]);
    close(share([1, 3, 3, 2], { temperature: 0 }), [0, 1, 0, 0]);
    close(share([-1e30, 1e30, 0, 0], { temperature: 1 }), [0, 1, 0, 0]);
  });

  it("refuses settings that mean nothing, and predictions that are no numbers", () => {
    for (const bad of [
      { temperature: -1 },
      { temperature: Number.NaN },
      { topK: 1.5 },
      { topK: -1 },
      { topP: 0 },
      { topP: 2 },
    ]) {
      expect(() => checkSampling(bad)).toThrow(expect.objectContaining({ code: "config" }));
    }
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => sampleToken(Float32Array.of(1, value), checkSampling({}), seededRandom(1))).toThrow(
        expect.objectContaining({ code: "diverged" }),
      );
    }
  });
});

describe("textStream", () => {
  const streamed = (tokens: Iterable<number>): string[] => {
    const parts: string[] = [];
    const stream = textStream(bytes, (text) => parts.push(text));
    for (const token of tokens) stream.push(token);
    stream.end();
    return parts;
  };

  it("hands on whole characters as soon as they are whole", () => {
    expect(streamed(new TextEncoder().encode("aé€😀b"))).toEqual(["a", "é", "€", "😀", "b"]);
    expect(streamed([0xff, 0xf0, 0x9f, 0x98, 0x80])).toEqual(["\ufffd😀"]);
    expect(streamed([0x61, 0xe2, 0x82])).toEqual(["a", "\ufffd"]);
    expect(streamed([])).toEqual([]);
  });

  it("gives in pieces what decoding at once gives, for valid text and for any bytes", () => {
    const text = fc.string({ unit: "grapheme" }).map((s) => new TextEncoder().encode(s));
    const noise = fc.array(fc.constantFrom(0x61, 0x80, 0xc3, 0xa9, 0xe2, 0x82, 0xac, 0xf0, 0x9f, 0x98, 0xff));
    fc.assert(
      fc.property(fc.oneof(text, fc.uint8Array(), noise), (tokens) => {
        const parts = streamed(tokens);
        expect(parts.join("")).toBe(bytes.decode(tokens));
        for (const part of parts) expect(new TextDecoder().decode(new TextEncoder().encode(part))).toBe(part);
      }),
      { numRuns: 1000 },
    );
  });
});

describe("generate", () => {
  it("is a function of model, prompt and seed, and streams what it returns", async () => {
    const engine = await toyEngine();
    const parts: string[] = [];
    const options = { maxTokens: 30, temperature: 1, seed: 5 };
    const first = await generate(engine, LETTERS, "abc", { ...options, onText: (text) => parts.push(text) });
    expect(parts.join("")).toBe(first.text);
    expect(parts.length).toBe(first.tokens);
    expect(await generate(engine, LETTERS, "abc", options)).toEqual(first);
    expect((await generate(engine, LETTERS, "abc", { ...options, seed: 6 })).text).not.toBe(first.text);
  });

  it("slides its window: only the last seqLen tokens matter", async () => {
    const engine = await toyEngine();
    const options = { maxTokens: 20, temperature: 0 };
    const long = await generate(engine, LETTERS, "bbbbbbbbabcdefgh", options);
    expect(await generate(engine, LETTERS, "abcdefgh", options)).toEqual(long);
  });

  it("ends at the end of the document, at maxTokens, and on request", async () => {
    const engine = await toyEngine();
    const seen: number[] = [];
    const script = [0, 1, LETTERS.endOfText, 2];
    const scripted = {
      ...engine,
      logits: async (tokens: Int32Array) => {
        seen.push(tokens.length);
        return new Float32Array(TOY_SHAPE.vocabSize).fill(-10).with(script[seen.length - 1] as number, 10);
      },
    };
    const options = { maxTokens: 9, temperature: 0 };
    expect(await generate(scripted, LETTERS, "", options)).toEqual({ text: "ab", tokens: 2, reason: "end" });
    expect(seen).toEqual([1, 2, 3]); // an empty prompt is the separator
    seen.length = 0;
    expect(await generate(scripted, LETTERS, "a", { ...options, maxTokens: 1 })).toMatchObject({ reason: "length" });
    const signal = AbortSignal.abort();
    expect(await generate(scripted, LETTERS, "a", { ...options, signal })).toEqual({
      text: "",
      tokens: 0,
      reason: "stopped",
    });
  });
});
