import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { mutated } from "../../test/helpers/payload-fuzz.ts";
import { utf8 } from "../base/bytes.ts";
import { SkeinError } from "../base/errors.ts";
import { seededRandom } from "../base/random.ts";
import { FIXED_ADDRESSES } from "../chain/evm/deploy.ts";
import { type JoinLink, linkOf, parseInfo, parseLink, type RunInfo } from "./link.ts";

const HASH = "0123456789abcdef".repeat(4);

/** What `call` throws; fails where that is no SkeinError with this code and a remedy. */
function refused(call: () => unknown, code: string): string {
  try {
    call();
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(SkeinError);
    expect(thrown).toMatchObject({ code, remedy: expect.stringMatching(/./) });
    return (thrown as SkeinError).message;
  }
  throw new Error("it was taken");
}

describe("a join link", () => {
  it("is read back from what linkOf writes", () => {
    const hash = fc.string({ unit: fc.constantFrom(..."0123456789abcdef"), minLength: 64, maxLength: 64 });
    const part = fc.string({ unit: fc.constantFrom(..."abcr019-_"), minLength: 1, maxLength: 5 });
    const authority = fc.constantFrom("example.org", "10.0.0.7:8080", "[::1]:99", "localhost:1");
    const base = fc
      .tuple(fc.constantFrom("http", "https"), authority, fc.array(part, { maxLength: 3 }))
      .map(([scheme, at, parts]) => [`${scheme}://${at}`, ...parts].join("/"));
    fc.assert(
      fc.property(base, hash, (at, specHash) => {
        expect(parseLink(linkOf(at, specHash))).toEqual({ base: at, specHash });
        expect(parseLink(` ${linkOf(`${at}/`, specHash)}/\n`)).toEqual({ base: at, specHash });
      }),
    );
  });

  it("may have a path in front, capitals in its hash, and what browsers put behind it", () => {
    expect(parseLink(`https://Example.org/skein/r/${HASH.toUpperCase()}`)).toEqual({
      base: "https://example.org/skein",
      specHash: HASH,
    });
    expect(parseLink(`http://10.0.0.7:8080/r/0x${HASH}?from=mail#top`)).toEqual({
      base: "http://10.0.0.7:8080",
      specHash: HASH,
    });
    expect(parseLink(`http://[::1]:80/r/r/${HASH}`)).toEqual({ base: "http://[::1]/r", specHash: HASH });
  });

  it("says which part of another text is wrong", () => {
    const cases: readonly (readonly [string, RegExp])[] = [
      ["", /it is empty/],
      ["hello", /"hello" is no address/],
      [`localhost:8080/r/${HASH}`, /does not begin with http:\/\//],
      [`example.org/r/${HASH}`, /does not begin with http:\/\//],
      [`ftp://example.org/r/${HASH}`, /begins with "ftp:" instead of http/],
      [`javascript:alert(1)//r/${HASH}`, /instead of http/],
      [`http://me:secret@example.org/r/${HASH}`, /name or password/],
      ["http://example.org/", /no \/r\/ followed by the run's hash/],
      [`http://example.org/${HASH}`, /no \/r\/ followed/],
      [`http://example.org/r/${HASH}/info`, /no \/r\/ followed/],
      ["http://example.org/r/", /nothing follows its \/r\//],
      ["http://example.org/r", /nothing follows its \/r\//],
      [`http://example.org/r/${HASH.slice(1)}`, /63 digits instead of 64; was it cut off/],
      [`http://example.org/r/${HASH}0`, /65 digits instead of 64; does something else/],
      [`http://example.org/r/${HASH.slice(1)}g`, /is no hash/],
      [`http://example.org/r/${HASH}.`, /is no hash/],
      [`http://example.org/${"r/".repeat(2000)}`, /characters/],
    ];
    for (const [text, message] of cases) {
      const said = refused(() => parseLink(text), "usage");
      expect(said, text).toMatch(message);
      expect(said.length).toBeLessThan(200);
    }
  });

  it("is a link or a usage error, whatever was pasted", () => {
    const parts = fc.constantFrom(
      "http://",
      "https:",
      "//",
      "x",
      "/",
      "/r/",
      "r",
      ":80",
      "@",
      "?",
      "#",
      "..",
      "%2f",
      "\u202e",
      HASH,
    );
    const near = fc.array(parts, { maxLength: 3 }).map((more) => ["http://x", "/r/", ...more]);
    let taken = 0;
    fc.assert(
      fc.property(
        fc.oneof(near, fc.array(parts, { maxLength: 7 }), fc.array(fc.string(), { maxLength: 2 })),
        (pieces) => {
          let link: JoinLink;
          try {
            link = parseLink(pieces.join(""));
          } catch (thrown) {
            expect(thrown).toMatchObject({ name: "SkeinError", code: "usage", remedy: expect.stringMatching(/./) });
            return;
          }
          taken++;
          expect(parseLink(linkOf(link.base, link.specHash))).toEqual(link);
        },
      ),
      { numRuns: 10_000 },
    );
    for (let n = 0; n < 100; n++) expect(parseLink(`http://x${"/r".repeat(n)}/r/${HASH}`).specHash).toBe(HASH);
    expect(taken).toBeGreaterThan(5);
  });
});

const INFO: RunInfo = {
  protocol: 1,
  specHash: HASH,
  runId: 3,
  chainId: 31_337,
  netuid: 1,
  contracts: FIXED_ADDRESSES,
  faucet: true,
};

describe("a gateway's answer", () => {
  it("is read back, with contracts and without, whatever else it says", () => {
    expect(parseInfo(utf8(JSON.stringify(INFO)))).toEqual(INFO);
    expect(parseInfo(utf8(JSON.stringify({ ...INFO, contracts: null, faucet: false })))).toEqual({
      ...INFO,
      contracts: null,
      faucet: false,
    });
    expect(parseInfo(utf8(JSON.stringify({ ...INFO, more: [1] })))).toEqual(INFO);
  });

  it("is refused where a field is missing or nonsense", () => {
    const bad: readonly (readonly [string, readonly unknown[]])[] = [
      ["protocol", [2, "1", null]],
      ["specHash", ["", HASH.slice(1), `0x${HASH}`, HASH.toUpperCase(), 1]],
      ["runId", [-1, 1.5, "3", 2 ** 53, null]],
      ["chainId", [-1, Number.NaN, {}]],
      ["netuid", [-1, 65_536, "1"]],
      ["contracts", [0, [], "x", {}, { ...FIXED_ADDRESSES, roundBook: "0x12" }, { ...FIXED_ADDRESSES, epochs: 1 }]],
      ["faucet", [0, "true", null]],
    ];
    expect(bad.map(([name]) => name)).toEqual(Object.keys(INFO));
    for (const [name, values] of bad) {
      for (const value of [...values, undefined]) {
        expect(refused(() => parseInfo(utf8(JSON.stringify({ ...INFO, [name]: value }))), "config")).toContain(name);
      }
    }
    for (const text of ["", "[]", "null", "x", '{"__proto__":{}}', "[".repeat(10_000)])
      refused(() => parseInfo(utf8(text)), "config");
    expect(refused(() => parseInfo(new Uint8Array(1 << 20)), "config")).toMatch(/more than 16384 bytes/);
  });

  it("is an answer or a SkeinError, whatever the bytes", () => {
    const random = seededRandom("info");
    let taken = 0;
    for (let n = 0; n < 3000; n++) {
      const bytes = mutated(utf8(JSON.stringify(INFO)), random);
      try {
        const info = parseInfo(bytes);
        expect(parseInfo(utf8(JSON.stringify(info)))).toEqual(info);
        taken++;
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(SkeinError);
      }
    }
    expect(taken).toBeGreaterThan(10);
  }, 30_000);
});
