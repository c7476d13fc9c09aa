import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fromUtf8, utf8 } from "../../base/bytes.ts";
import { SkeinError } from "../../base/errors.ts";
import { sha256Hex } from "../../base/hash.ts";
import { memoryStore } from "../../store/memory.ts";
import { buildDataset } from "../build.ts";
import { byteTokenizer } from "../tokenizer.ts";
import { canonicalJson, isCanonicalValue } from "./canonical.ts";
import { encodeManifest, type Manifest, parseManifest, piecesKey } from "./manifest.ts";
import { encodePieces, parsePieces, sidecarBytes } from "./pieces.ts";
import { decodeTokens, encodeTokens, shardName, tokenArray } from "./tokens.ts";

async function example(): Promise<Manifest> {
  const documents = ["one", "two", "three", "four"].map((text) => ({ name: text, text: text.repeat(9) }));
  return buildDataset({ documents, tokenizer: byteTokenizer(), shardTokens: 40, pieceBytes: 32 }, memoryStore());
}

function expectDataError(work: () => unknown, message = /./): void {
  let error: unknown;
  try {
    work();
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(SkeinError);
  expect((error as SkeinError).code).toBe("data");
  expect((error as SkeinError).message).toMatch(message);
}

describe("canonical JSON", () => {
  it("has one form for a value, whatever the order of its keys, and parses back", () => {
    const value = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 3 },
        fc.maxSafeInteger().map((n) => n + 0 || 0),
        fc.boolean(),
        fc.constant(null),
        fc.string({ unit: "grapheme" }),
        fc.array(tie("value"), { maxLength: 4 }),
        fc.dictionary(fc.string({ unit: "grapheme" }), tie("value"), { maxKeys: 4 }),
      ),
    })).value;
    fc.assert(
      fc.property(value, (raw) => {
        fc.pre(isCanonicalValue(raw));
        const text = canonicalJson(raw as never);
        expect(canonicalJson(JSON.parse(text) as never)).toBe(text);
        expect(JSON.parse(text)).toEqual(raw);
        const reversed = (v: unknown): unknown =>
          v === null || typeof v !== "object"
            ? v
            : Array.isArray(v)
              ? v.map(reversed)
              : Object.fromEntries(
                  Object.entries(v)
                    .reverse()
                    .map(([k, x]) => [k, reversed(x)]),
                );
        expect(canonicalJson(reversed(raw) as never)).toBe(text);
      }),
    );
  });

  it("sorts keys by code units and has no form for fractions, lone surrogates or depths", () => {
    expect(canonicalJson({ b: 1, a: [null, true, "é\n"], "\u{1f9f5}": 0, "\uffff": 0 })).toBe(
      '{"a":[null,true,"é\\n"],"b":1,"🧵":0,"\uffff":0}',
    );
    for (const bad of [1.5, -0, Number.NaN, 2 ** 53, "\ud800", undefined, { "\udc00": 1 }])
      expect(isCanonicalValue(bad)).toBe(false);
    let deep: unknown = 1;
    for (let i = 0; i < 40; i++) deep = [deep];
    expect(isCanonicalValue(deep)).toBe(false);
  });

  it("has a form for every finite number where that is asked for (RFC 8785, appendix B), and for nothing else more", () => {
    const numbers = [
      Number("333333333.33333329"),
      1e30,
      4.5,
      2e-3,
      1e-27,
      9007199254740994,
      5e-324,
      1e21,
      999999999999999900000,
      -1.5,
    ];
    expect(canonicalJson(numbers, "finite")).toBe(
      "[333333333.3333333,1e+30,4.5,0.002,1e-27,9007199254740994,5e-324,1e+21,999999999999999900000,-1.5]",
    );
    for (const bad of [-0, Number.NaN, Number.POSITIVE_INFINITY, "\ud800", undefined, { "\udc00": 1.5 }, [[-0]]])
      expect(isCanonicalValue(bad, "finite")).toBe(false);
    expect(isCanonicalValue([[1.5]])).toBe(false);
    expect(isCanonicalValue([[1.5]], "finite")).toBe(true);
  });
});

describe("parseManifest", () => {
  it("reads back what was written, and its bytes are pinned", async () => {
    const manifest = await example();
    expect(parseManifest(encodeManifest(manifest))).toEqual(manifest);
    expect(sha256Hex(encodeManifest(manifest))).toBe(
      "5c9d8f76637ce6274abd3d1f1fcb1fd715228a63cb4742f624d9dcc2a81ed2a0",
    );
  });

  it("refuses every other way to write the same", async () => {
    const text = fromUtf8(encodeManifest(await example()));
    for (const other of [
      ` ${text}`,
      `${text}\n`,
      text.replace('"empty":0', '"empty":0.0'),
      text.replace('"version":1', '"version":1,"version":1'),
    ]) {
      expect(other).not.toBe(text);
      expectDataError(() => parseManifest(utf8(other)));
    }
    expectDataError(
      () => parseManifest(utf8(JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(text)).reverse())))),
      /canonical/,
    );
    expectDataError(() => parseManifest(new Uint8Array([0xef, 0xbb, 0xbf, ...utf8(text)])));
    expectDataError(() => parseManifest(Uint8Array.of(0xff)));
    expectDataError(() => parseManifest(new Uint8Array((16 << 20) + 1)), /larger/);
  });

  it.each<[string, RegExp, (m: never) => void]>([
    ["another version", /version/, (m: { version: number }) => (m.version = 2)],
    ["an unknown field", /must have the fields/, (m: object) => Object.assign(m, { extra: 1 })],
    ["a missing field", /must have the fields/, (m: { dtype?: string }) => delete m.dtype],
    [
      "a path for a name",
      /must be named/,
      (m: Manifest) => Object.assign(m.splits.train.shards[0] as object, { name: "../../etc/passwd" }),
    ],
    ["a wrong sum", /but its shards have/, (m: Manifest) => Object.assign(m.splits.train, { tokens: 7 })],
    ["a negative count", /whole number/, (m: Manifest) => Object.assign(m.source, { bytes: -1 })],
    [
      "an empty shard",
      /whole number/,
      (m: Manifest) => Object.assign(m.splits.train.shards[0] as object, { tokens: 0 }),
    ],
    ["a short hash", /hex/, (m: Manifest) => Object.assign(m.tokenizer, { sha256: "abc" })],
    [
      "too many pieces",
      /pieces/,
      (m: Manifest) => {
        Object.assign(m.splits.train.shards[0] as object, { tokens: 1 << 30 });
        Object.assign(m.splits.train, { tokens: m.splits.train.shards.reduce((sum, { tokens }) => sum + tokens, 0) });
      },
    ],
    ["a narrow dtype", /narrow/, (m: Manifest) => Object.assign(m.tokenizer, { vocabSize: 70_000 })],
    ["an end of text outside", /endOfText/, (m: Manifest) => Object.assign(m.tokenizer, { endOfText: 257 })],
    ["a tokenizer elsewhere", /named/, (m: Manifest) => Object.assign(m.tokenizer, { name: "x.json" })],
    ["pieces of 6 bytes", /multiple of 4/, (m: Manifest) => Object.assign(m, { pieceBytes: 6 })],
    ["shards that are no list", /no list/, (m: Manifest) => Object.assign(m.splits.valid, { shards: {} })],
    ["null for a split", /no object/, (m: Manifest) => Object.assign(m.splits, { valid: null })],
  ] as [string, RegExp, (m: never) => void][])("refuses %s", async (_, message, change) => {
    const manifest = structuredClone(await example());
    change(manifest as never);
    expectDataError(() => parseManifest(utf8(canonicalJson(manifest as never))), message);
  });

  it("never accepts damaged bytes as the same dataset, never fails otherwise", async () => {
    const bytes = encodeManifest(await example());
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.uint8Array({ maxLength: 4 }), fc.nat(3), (at, insert, drop) => {
        const bent = new Uint8Array([...bytes.subarray(0, at), ...insert, ...bytes.subarray(at + drop)]);
        try {
          expect(sha256Hex(encodeManifest(parseManifest(bent)))).toBe(sha256Hex(bent));
        } catch (thrown) {
          if (!(thrown instanceof SkeinError)) throw thrown;
        }
      }),
      { numRuns: 500 },
    );
    fc.assert(
      fc.property(fc.jsonValue(), (value) => expectDataError(() => parseManifest(utf8(JSON.stringify(value))))),
    );
  });
});

describe("piece lists", () => {
  it("hold the hash of each piece", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 300 }),
        fc.integer({ min: 1, max: 100 }),
        (shard, pieceBytes) => {
          const sidecar = encodePieces(shard, pieceBytes);
          expect(sidecar.length).toBe(sidecarBytes(shard.length, pieceBytes));
          const hashes = parsePieces(sidecar, shard.length, pieceBytes);
          for (let i = 0; i * pieceBytes < shard.length; i++) {
            const piece = shard.subarray(i * pieceBytes, (i + 1) * pieceBytes);
            expect(sha256Hex(piece)).toBe(Buffer.from(hashes.subarray(i * 32, i * 32 + 32)).toString("hex"));
          }
        },
      ),
    );
  });

  it("are laid out as documented", () => {
    const sidecar = encodePieces(Uint8Array.of(1, 2, 3, 4, 5), 4);
    expect([...sidecar.subarray(0, 16)]).toEqual([0x53, 0x4b, 0x50, 0x43, 1, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0]);
    expect(sidecar.length).toBe(80);
  });

  it("are refused where the header or length is off", () => {
    const good = encodePieces(new Uint8Array(100), 32);
    for (const at of [0, 3, 4, 8, 11, 12, 15]) {
      const bent = good.slice();
      bent[at] = (bent[at] as number) + 1;
      expectDataError(() => parsePieces(bent, 100, 32));
    }
    expectDataError(() => parsePieces(good.subarray(1), 100, 32));
    expectDataError(() => parsePieces(good, 200, 32));
    fc.assert(fc.property(fc.uint8Array(), (bytes) => expectDataError(() => parsePieces(bytes, 100, 32))));
  });

  it("take their name from the shard", () => {
    const shard = { name: shardName("train", 7, "a".repeat(64), "bin"), sha256: "", tokens: 1, piecesSha256: "" };
    expect(shard.name).toBe("train-00007-aaaaaaaaaaaaaaaa.bin");
    expect(piecesKey(shard)).toBe("train-00007-aaaaaaaaaaaaaaaa.pieces");
  });
});

describe("shard bytes", () => {
  it("are little-endian tokens and come back", () => {
    for (const type of ["uint16", "uint32"] as const) {
      const max = type === "uint16" ? 0xffff : 0xfffff;
      fc.assert(
        fc.property(fc.array(fc.nat(max)), (list) => {
          const tokens = tokenArray(type, list.length);
          tokens.set(list);
          const bytes = encodeTokens(tokens);
          expect(bytes.length).toBe(list.length * (type === "uint16" ? 2 : 4));
          if (list.length > 0) expect(bytes[0]).toBe((list[0] as number) & 0xff);
          expect([...decodeTokens(bytes, type, max + 1)]).toEqual(list);
        }),
      );
    }
  });

  it("are refused where a token is not in the vocabulary or half a token is left", () => {
    expectDataError(() => decodeTokens(Uint8Array.of(5, 0, 9, 0), "uint16", 9), /token 9 at 1/);
    expectDataError(() => decodeTokens(Uint8Array.of(0, 0, 0, 1), "uint32", 65_536), /16777216/);
    expectDataError(() => decodeTokens(Uint8Array.of(5, 0, 9), "uint16", 99), /whole number/);
    fc.assert(
      fc.property(
        fc.uint8Array(),
        fc.constantFrom("uint16", "uint32"),
        fc.integer({ min: 1, max: 2 ** 20 }),
        (bytes, type, vocab) => {
          try {
            expect([...decodeTokens(bytes, type as "uint16", vocab)].every((token) => token < vocab)).toBe(true);
          } catch (thrown) {
            expect(thrown).toBeInstanceOf(SkeinError);
          }
        },
      ),
    );
  });
});
