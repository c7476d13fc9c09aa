/** Manifests of shared checkpoints: one form, bounded, and a fault for everything else. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fromUtf8, utf8 } from "../../base/bytes.ts";
import { SHARED_MANIFEST_BYTES_MAX, SHARED_PIECES_MAX } from "../../base/limits.ts";
import { PIECE_PARAMS, pieceCount } from "../../round/state-root.ts";
import {
  decodeSharedManifest,
  encodeSharedManifest,
  isManifestFault,
  SHARED_MANIFEST_START,
  type SharedManifest,
} from "./manifest.ts";

const hash = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString("hex"));
const manifests: fc.Arbitrary<SharedManifest> = fc.integer({ min: 1, max: 5 * PIECE_PARAMS }).chain((paramCount) => {
  const [minLength, maxLength] = [pieceCount(paramCount), pieceCount(paramCount)];
  return fc.record({
    specHash: hash,
    round: fc.maxSafeNat(),
    stateRoot: hash,
    paramCount: fc.constant(paramCount),
    pieces: fc.array(hash, { minLength, maxLength }),
  });
});
const EXAMPLE: SharedManifest = {
  specHash: "ab".repeat(32),
  round: 40,
  stateRoot: "cd".repeat(32),
  paramCount: PIECE_PARAMS + 7,
  pieces: ["01".repeat(32), "02".repeat(32)],
};

describe("a manifest", () => {
  it("has this form", () => {
    const text = fromUtf8(encodeSharedManifest(EXAMPLE));
    expect(text).toBe(
      `{"format":"skein shared checkpoint","paramCount":262151,"pieces":["${"01".repeat(32)}","${"02".repeat(32)}"],` +
        `"round":40,"specHash":"${"ab".repeat(32)}","stateRoot":"${"cd".repeat(32)}","version":1}`,
    );
    expect(text.startsWith(fromUtf8(SHARED_MANIFEST_START))).toBe(true);
  });

  it("is read back as it was", () => {
    fc.assert(
      fc.property(manifests, (manifest) => {
        expect(decodeSharedManifest(encodeSharedManifest(manifest))).toEqual(manifest);
      }),
    );
  });

  it("fits its limit with the most pieces", () => {
    const paramCount = SHARED_PIECES_MAX * PIECE_PARAMS;
    const pieces = new Array<string>(SHARED_PIECES_MAX).fill("ef".repeat(32));
    const bytes = encodeSharedManifest({ ...EXAMPLE, round: Number.MAX_SAFE_INTEGER, paramCount, pieces });
    expect(bytes.length).toBeLessThanOrEqual(SHARED_MANIFEST_BYTES_MAX);
    expect(decodeSharedManifest(bytes)).toMatchObject({ paramCount });
  });
});

describe("a stranger's manifest", () => {
  const isFault = (bytes: Uint8Array): boolean => isManifestFault(decodeSharedManifest(bytes));

  it("of any bytes is a fault, never an exception", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), isFault));
    fc.assert(fc.property(fc.json(), (json) => isFault(utf8(json))));
    expect(decodeSharedManifest(new Uint8Array(SHARED_MANIFEST_BYTES_MAX + 1))).toEqual({ fault: "too long" });
    expect(decodeSharedManifest(utf8("[".repeat(1 << 20)))).toEqual({ fault: "not JSON" });
    expect(decodeSharedManifest(utf8("null"))).toEqual({ fault: "not JSON" });
    expect(decodeSharedManifest(utf8("[]"))).toEqual({ fault: "another format" });
  });

  it("with any fields of any kind is a fault or a manifest", () => {
    const odd = fc.oneof(fc.jsonValue(), fc.constantFrom(0, -1, 1.5, 2 ** 53, 1e300, "", "0".repeat(64)));
    const field = fc.constantFrom("format", "version", "specHash", "round", "stateRoot", "paramCount", "pieces", "x");
    fc.assert(
      fc.property(fc.dictionary(field, odd, { minKeys: 1 }), (changes) => {
        const json = { ...JSON.parse(fromUtf8(encodeSharedManifest(EXAMPLE))), ...changes };
        const bytes = utf8(
          JSON.stringify(Object.fromEntries(Object.entries(json).sort(([a], [b]) => (a < b ? -1 : 1)))),
        );
        const decoded = decodeSharedManifest(bytes);
        if (!isManifestFault(decoded)) expect(encodeSharedManifest(decoded)).toEqual(bytes);
      }),
      { numRuns: 1000 },
    );
  });

  it("is a fault or the very bytes after any edit", () => {
    const bytes = encodeSharedManifest(EXAMPLE);
    const edit = fc.tuple(fc.nat(bytes.length - 1), fc.nat(3), fc.uint8Array({ maxLength: 4 }));
    fc.assert(
      fc.property(edit, ([at, cut, put]) => {
        const edited = Uint8Array.from([...bytes.subarray(0, at), ...put, ...bytes.subarray(at + cut)]);
        const decoded = decodeSharedManifest(edited);
        if (!isManifestFault(decoded)) expect(encodeSharedManifest(decoded)).toEqual(edited);
      }),
      { numRuns: 2000 },
    );
  });

  it("is a fault in any other spelling, or where its numbers do not fit", () => {
    const text = fromUtf8(encodeSharedManifest(EXAMPLE));
    const changes: [string, string, string][] = [
      ["shared", "other", "another format"],
      ['"version":1', '"version":2', "another version"],
      ['"version":1', '"version":"1"', "another version"],
      ['"round":40', '"round":-40', "wrong fields"],
      ['"round":40', '"round":-0', "wrong fields"],
      ['"round":40', '"round":9007199254740992', "wrong fields"],
      ['"round":40', '"round":4e1', "not canonical"],
      ["262151", "262144", "wrong fields"],
      ["262151", "0", "wrong fields"],
      ["262151", "1e300", "wrong fields"],
      ["262151", "17179869185", "wrong fields"],
      ["262151", "262152.0", "not canonical"],
      ["0101", "01AB", "wrong fields"],
      ["0101", "01", "wrong fields"],
      [`"${"02".repeat(32)}"`, "[]", "wrong fields"],
      [`,"${"02".repeat(32)}"`, "", "wrong fields"],
      ['"pieces":[', '"pieces":{"0":[', "not JSON"],
      ["{", " {", "not canonical"],
      ['"round":40', '"round":40,"round":40', "not canonical"],
      ['"round":40', '"more":1,"round":40', "not canonical"],
      ['"round":40', '"__proto__":{"polluted":1},"round":40', "not canonical"],
    ];
    for (const [from, to, fault] of changes) {
      expect(text, from).toContain(from);
      expect(decodeSharedManifest(utf8(text.replace(from, to))), `${from} → ${to}`).toEqual({ fault });
    }
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  });
});
