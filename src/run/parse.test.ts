import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { mutated } from "../../test/helpers/payload-fuzz.ts";
import { anySpec, TOY_SPEC } from "../../test/helpers/run-specs.ts";
import { equalBytes, fromUtf8, utf8 } from "../base/bytes.ts";
import { SkeinError } from "../base/errors.ts";
import { SPEC_BYTES_MAX } from "../base/limits.ts";
import { seededRandom } from "../base/random.ts";
import { commentedSpec } from "./commented.ts";
import { parseSpec, parseSpecBytes, readSpecText, specBytes, specHash } from "./parse.ts";
import { roundsOf, slotsOf } from "./rules.ts";
import type { RunSpec } from "./spec.ts";

/** What `call` throws; fails where it throws nothing or anything but a SkeinError("config") with message and remedy. */
function refused(call: () => unknown): SkeinError {
  try {
    call();
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(SkeinError);
    const error = thrown as SkeinError;
    expect(error.code).toBe("config");
    expect(error.message).toMatch(/^run spec/);
    expect(error.remedy).toBeTruthy();
    return error;
  }
  throw new Error("it was taken");
}

/** A copy of the toy spec with another value at `path`; undefined takes the field away. */
function toyWith(path: string, value: unknown): unknown {
  const copy = JSON.parse(JSON.stringify(TOY_SPEC));
  const names = path.split(".");
  const last = names.pop() ?? "";
  const holder = names.reduce((object, name) => object[name], copy);
  if (value === undefined) delete holder[last];
  else holder[last] = value;
  return copy;
}

/** Paths of all fields, objects included. */
function pathsOf(value: unknown, path = ""): string[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, field]) => {
    const at = path === "" ? name : `${path}.${name}`;
    return [at, ...pathsOf(field, at)];
  });
}

describe("a spec", () => {
  it("is the same after writing and reading, in canonical bytes and in comments", () => {
    fc.assert(
      fc.property(anySpec, (spec) => {
        expect(parseSpec(spec)).toEqual(spec);
        const bytes = specBytes(spec);
        expect(parseSpecBytes(bytes)).toEqual(spec);
        expect(specBytes(parseSpecBytes(bytes))).toEqual(bytes);
        expect(readSpecText(commentedSpec(spec))).toEqual(spec);
        expect(specHash(readSpecText(commentedSpec(spec)))).toBe(specHash(spec));
      }),
      { numRuns: 100 },
    );
  }, 30_000);

  it("has these bytes (the hash by sha256sum)", () => {
    expect(fromUtf8(specBytes(TOY_SPEC))).toBe(
      '{"audit":{"perMille":100,"spans":2,"tolerance":0},"checkpointEvery":2,"codec":{"beta":0.95,"bits":2,"chunkSide":64,"k":64},"data":{"manifest":"' +
        `${"b".repeat(64)}","tokenizer":"${"c".repeat(64)}"},"genesisRoot":"${"a".repeat(64)}",` +
        '"inner":{"adamw":{"beta1":0.9,"beta2":0.95,"clipNorm":1,"eps":1e-8,"weightDecay":0.1},"batch":2,' +
        '"resetMoments":false,"schedule":{"annealSteps":0,"floorLr":0.0008,"kind":"cosine","lr":0.008,"steps":30,"warmupSteps":3},"seqLen":16,"steps":4},' +
        '"model":{"dim":8,"ffnDim":12,"headDim":4,"heads":2,"kvHeads":1,"layers":2,"normEps":0.00001,"ropeTheta":10000,"tied":false,"vocabSize":13},' +
        '"name":"toy","outer":{"aggregation":{"clip":"median-norm","rule":"mean-all"},"cap":6,"delay":1,"lr":1,"newcomerSlots":2},' +
        '"protocol":1,"score":{"peers":8,"sequences":2,"unassigned":4,"validationSequences":8},"seed":"1",' +
        '"timing":{"revealBlocks":2,"trainBlocks":4,"voteBlocks":3},"uids":8}',
    );
    expect(specHash(TOY_SPEC)).toBe("35ac9403eca49291225958d30b8cb85aa4ced70b32e950baa23b2efa43a01bd6");
  });

  it("has another hash for every other value", () => {
    const hashes = new Set([specHash(TOY_SPEC)]);
    const others: readonly (readonly [string, unknown])[] = [
      ["name", "toys"],
      ["seed", "2"],
      ["model.tied", true],
      ["inner.schedule.lr", 0.0081],
      ["outer.delay", 0],
      ["timing.voteBlocks", 4],
    ];
    for (const [path, value] of others) hashes.add(specHash(parseSpec(toyWith(path, value))));
    expect(hashes.size).toBe(1 + others.length);
  });
});

/** For each field values that it cannot have. */
const WRONG: Readonly<Record<string, readonly unknown[]>> = {
  protocol: [0, 2, "1", null],
  name: ["", " x", "x\n", "x".repeat(65), "a\u202eb", "\u200b", "\ud800", 1, null],
  model: [null, [], "x", 1],
  "model.vocabSize": [0, 1.5, "13", 2 ** 21],
  "model.dim": [0, -1, 2 ** 18],
  "model.layers": [0, 1025, null],
  "model.heads": [0, 3.5, 1e9],
  "model.kvHeads": [0, {}],
  "model.headDim": [3, 0, 131_074],
  "model.ffnDim": [0, []],
  "model.ropeTheta": [1, 1e13, "1"],
  "model.normEps": [0, 1, -1],
  "model.tied": [0, "true"],
  seed: ["", "x".repeat(257), 1, "a\u0000"],
  genesisRoot: ["", "A".repeat(64), "a".repeat(63), `0x${"a".repeat(64)}`, 1],
  data: [null, "x", [1]],
  "data.manifest": ["b".repeat(65), null],
  "data.tokenizer": ["g".repeat(64), {}],
  uids: [0, 257, 1.5, "8", -0],
  inner: [null, 7],
  "inner.steps": [0, 1e9 + 1, 0.5],
  "inner.batch": [0, 1e6 + 1],
  "inner.seqLen": [0, 131_073],
  "inner.adamw": [null, []],
  "inner.adamw.beta1": [1, -0.1, "0.9"],
  "inner.adamw.beta2": [1, 2, null],
  "inner.adamw.eps": [0, 1],
  "inner.adamw.weightDecay": [-1, 1001],
  "inner.adamw.clipNorm": [0, 1e10, "off"],
  "inner.resetMoments": [0, "false", null],
  "inner.schedule": [null, "cosine"],
  "inner.schedule.kind": ["linear", 1, null],
  "inner.schedule.lr": [0, 101, "1", -1],
  "inner.schedule.warmupSteps": [-1, 1.5, 31],
  "inner.schedule.steps": [0, 2e9],
  "inner.schedule.floorLr": [-1, 0.009, null],
  "inner.schedule.annealSteps": [-1, "0"],
  codec: [null, 1],
  "codec.chunkSide": [7, 63, 512, "64"],
  "codec.k": [0, 4097, 1.5],
  "codec.bits": [0, 3, "2"],
  "codec.beta": [-0.1, 1.1, null],
  outer: [null, []],
  "outer.lr": [0, 1001, null],
  "outer.aggregation": [null, "mean-all"],
  "outer.aggregation.rule": ["mean", 0, "toString"],
  "outer.aggregation.clip": ["median", null],
  "outer.cap": [0, 9, 1.5],
  "outer.newcomerSlots": [-1, 7],
  "outer.delay": [2, -1, true],
  timing: [null, 5],
  "timing.trainBlocks": [0, 100_001],
  "timing.revealBlocks": [0, "2"],
  "timing.voteBlocks": [0, 1.5],
  checkpointEvery: [0, 1.5, 1e10],
  score: [null, 1],
  "score.sequences": [0, 9, 4097],
  "score.unassigned": [0, 0.5, 4097],
  "score.peers": [0, 9],
  "score.validationSequences": [0, 65_537],
  audit: [null, 1],
  "audit.spans": [0, 5, 1.5],
  "audit.perMille": [-1, 1001, 0.5],
  "audit.tolerance": [-0.1, 1, "0"],
};

describe("parseSpec", () => {
  it("names the path of every field that is wrong, missing or unknown", () => {
    expect(Object.keys(WRONG).sort()).toEqual(pathsOf(TOY_SPEC).sort());
    for (const [path, values] of Object.entries(WRONG)) {
      for (const value of [...values, undefined]) {
        const { message } = refused(() => parseSpec(toyWith(path, value)));
        expect(message, `${path} = ${JSON.stringify(value)}`).toMatch(
          new RegExp(`^run spec: ${path.replaceAll(".", "\\.")} .`),
        );
      }
    }
    for (const holder of [
      "",
      ...pathsOf(TOY_SPEC).filter((path) => Object.keys(WRONG).some((p) => p.startsWith(`${path}.`))),
    ]) {
      for (const name of ["extra", "constructor", "toString"]) {
        const { message } = refused(() => parseSpec(toyWith(holder === "" ? name : `${holder}.${name}`, 1)));
        expect(message).toMatch(
          holder === "" ? /^run spec: "/ : new RegExp(`^run spec: ${holder.replaceAll(".", "\\.")}[ .:]`),
        );
        expect(message).toContain(name);
      }
    }
  });

  it("says what was found, what is allowed, and what to do", () => {
    expect(refused(() => parseSpec(toyWith("outer.cap", 9)))).toMatchObject({
      message: "run spec: outer.cap must be a whole number from 1 to 8, not 9",
      remedy: "correct outer.cap",
    });
    expect(refused(() => parseSpec(toyWith("codec.chunkSide", 63))).message).toBe(
      "run spec: codec.chunkSide must be a power of two from 8 to 256, not 63",
    );
    expect(refused(() => parseSpec(toyWith("inner.schedule.lr", 101))).message).toBe(
      "run spec: inner.schedule.lr must lie in (0, 100], not 101",
    );
    expect(refused(() => parseSpec(toyWith("timing.votesBlocks", 9)))).toMatchObject({
      message: 'run spec: timing."votesBlocks" is no field that this version knows',
      remedy: "take it away; the fields of timing are trainBlocks, revealBlocks, voteBlocks",
    });
    expect(refused(() => parseSpec(toyWith("uids", undefined)))).toMatchObject({
      message: "run spec: uids is missing",
      remedy: "add uids",
    });
    expect(refused(() => parseSpec(toyWith("protocol", 2))).remedy).toMatch(/version of skein/);
    expect(refused(() => parseSpec(toyWith("name", `\u202e${"x".repeat(1000)}`))).message.length).toBeLessThan(150);
    expect(refused(() => parseSpec(toyWith("name", "\u202eevil"))).message).not.toContain("\u202e");
  });

  it("refuses what no field shows alone", () => {
    const changed = (changes: Readonly<Record<string, unknown>>): unknown =>
      Object.entries(changes).reduce<unknown>((spec, [path, value]) => {
        const copy = JSON.parse(JSON.stringify(spec));
        const names = path.split(".");
        const last = names.pop() ?? "";
        names.reduce((object, name) => object[name], copy)[last] = value;
        return copy;
      }, TOY_SPEC);
    const cases: readonly (readonly [Readonly<Record<string, unknown>>, RegExp])[] = [
      [{ "timing.trainBlocks": 251 }, /timing makes rounds of 256 blocks; at most 85 .* last 256/],
      [{ "inner.steps": 1e9, "inner.batch": 1e6, "inner.schedule.steps": 1e9 }, /inner\.steps .* at most 2\^48/],
      [{ uids: 16, "inner.schedule.steps": 1e9, "inner.batch": 1e6 }, /inner\.schedule\.steps makes 250000000 rounds/],
      [
        {
          uids: 1,
          "inner.steps": 1e7,
          "inner.batch": 1e6,
          "inner.seqLen": 131_072,
          "outer.cap": 1,
          "outer.newcomerSlots": 0,
          "score.peers": 1,
        },
        /inner\.seqLen makes 1310720000000000000 tokens/,
      ],
      [{ "model.heads": 65_536, "model.headDim": 4 }, /model\.heads times headDim/],
      [{ "model.dim": 131_072, "model.ffnDim": 131_072, "model.layers": 1024 }, /model has \d+ params; at most/],
      [
        { "model.dim": 65_536, "model.ffnDim": 65_536, "model.layers": 20, "codec.k": 4096 },
        /codec\.k allows payloads of \d+ bytes/,
      ],
      [{ "score.sequences": 9 }, /score\.sequences must be at most inner\.steps · inner\.batch = 8/],
      [{ uids: 5 }, /(?:score\.peers|outer\.cap) must be a whole number from 1 to 5/],
      [{ "model.kvHeads": 2, "model.heads": 3 }, /model\.heads \(3\) must be a multiple of kvHeads/],
      [{ "inner.schedule.kind": "constant" }, /inner\.schedule\."floorLr" is no field/],
      [{ "outer.aggregation.rule": "trimmed-mean" }, /outer\.aggregation\.trimPercent is missing/],
    ];
    for (const [changes, message] of cases) expect(refused(() => parseSpec(changed(changes))).message).toMatch(message);
    expect(parseSpec(changed({ "timing.trainBlocks": 80 })).timing.trainBlocks).toBe(80);
    const alone = { "outer.delay": 0, "audit.perMille": 0 }; // looks back upon no other round
    expect(parseSpec(changed({ ...alone, "timing.trainBlocks": 250 })).timing.trainBlocks).toBe(250);
  });

  it("takes −0 for 0", () => {
    const spec = parseSpec(toyWith("inner.schedule.floorLr", -0));
    expect(Object.is((spec.inner.schedule as { floorLr: number }).floorLr, 0)).toBe(true);
    expect(parseSpecBytes(specBytes(spec))).toEqual(spec);
  });
});

describe("a stranger's spec", () => {
  it("is a spec or a SkeinError, whatever the bytes: 10,000 mutations", () => {
    const random = seededRandom("run spec");
    const [bytes, text] = [specBytes(TOY_SPEC), utf8(commentedSpec(TOY_SPEC))];
    const seen = { taken: 0, refused: 0 };
    for (let n = 0; n < 10_000; n++) {
      const asText = n % 5 === 0;
      const changed = mutated(asText ? text : bytes, random);
      let spec: RunSpec;
      try {
        spec = asText ? readSpecText(fromUtf8(changed)) : parseSpecBytes(changed);
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(SkeinError);
        seen.refused++;
        continue;
      }
      seen.taken++;
      if (!asText) expect(equalBytes(specBytes(spec), changed)).toBe(true);
      expect(slotsOf(spec) * roundsOf(spec)).toBeLessThanOrEqual(Number.MAX_SAFE_INTEGER);
    }
    expect(seen.taken).toBeGreaterThan(100);
    expect(seen.refused).toBeGreaterThan(1000);
  }, 60_000);

  it("is a spec or a SkeinError, whatever stands in a field", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...pathsOf(TOY_SPEC)),
        fc.oneof(fc.jsonValue(), fc.double(), fc.maxSafeInteger()),
        (path, value) => {
          try {
            const spec = parseSpec(toyWith(path, value));
            expect(parseSpecBytes(specBytes(spec))).toEqual(spec);
          } catch (thrown) {
            expect(thrown).toBeInstanceOf(SkeinError);
          }
        },
      ),
      { numRuns: 1000 },
    );
  }, 30_000);

  it("is refused in any form but the canonical one", () => {
    const text = fromUtf8(specBytes(TOY_SPEC));
    const forms = [
      ` ${text}`,
      `${text}\n`,
      `\ufeff${text}`,
      JSON.stringify(TOY_SPEC),
      text.replace('"uids":8', '"uids":8.0'),
      text.replace('"uids":8', '"uids":8,"uids":8'),
      text.replace('"lr":0.008', '"lr":8e-3'),
      text.replace('"toy"', '"\\u0074oy"'),
      text.replace('"annealSteps":0', '"annealSteps":-0'),
    ];
    for (const form of forms) {
      expect(form).not.toBe(text);
      expect(refused(() => parseSpecBytes(utf8(form))).message, form).toMatch(/canonical|JSON/);
    }
    expect(readSpecText(`// mine\n${text.replace('"lr":0.008', '"lr":8e-3 // half\n')}`)).toEqual(TOY_SPEC);
  });

  it("has no prototype, no depth and no size that hurts", () => {
    const text = fromUtf8(specBytes(TOY_SPEC));
    const inside = (field: string): string => text.replace('"codec":{', `"codec":{${field},`);
    for (const field of ['"__proto__":{"k":1}', '"constructor":{"prototype":{"k":1}}', '"hasOwnProperty":1']) {
      expect(refused(() => parseSpecBytes(utf8(inside(field)))).message).toContain(
        "is no field that this version knows",
      );
      expect(refused(() => readSpecText(inside(field))).message).toContain("is no field that this version knows");
    }
    const inherited: unknown = Object.create(TOY_SPEC as object);
    expect(refused(() => parseSpec(inherited)).message).toContain("is missing");
    expect(refused(() => parseSpec(JSON.parse(`{"__proto__":${text}}`))).message).toContain("__proto__");
    expect(({} as Record<string, unknown>)["k"]).toBeUndefined();
    const deep = "[".repeat(30_000) + "]".repeat(30_000);
    for (const bad of [deep, text.replace('"toy"', deep), `${'{"a":'.repeat(10_000)}1${"}".repeat(10_000)}`]) {
      refused(() => parseSpecBytes(utf8(bad)));
      refused(() => readSpecText(bad));
    }
    for (const bad of [" ".repeat(SPEC_BYTES_MAX + 1), "x".repeat(5_000_000)]) {
      expect(refused(() => parseSpecBytes(utf8(bad))).message).toMatch(/at most 65536/);
      expect(refused(() => readSpecText(bad)).message).toMatch(/at most 65536/);
    }
    refused(() => parseSpecBytes(new Uint8Array()));
    refused(() => parseSpecBytes(Uint8Array.of(0xff, 0xfe)));
    for (const value of [null, undefined, 1, "x", [], () => 1, Symbol("x"), new Map()]) refused(() => parseSpec(value));
  });
});
