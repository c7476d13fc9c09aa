/** Decisions come back, at the length information theory allows, and the end has one form. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SkeinError } from "../base/errors.ts";
import { seededRandom } from "../base/random.ts";
import { rangeDecoder, rangeEncoder } from "./rangecoder.ts";

type Decision = readonly [p16: number, bit: number];

function encoded(decisions: readonly Decision[]): Uint8Array {
  const coder = rangeEncoder(1 << 20);
  for (const [p16, bit] of decisions) coder.code(p16, bit);
  return coder.finish();
}

/** A number as its base-256 digits, computed with exact integers: what the encoder's carries must amount to. */
function encodedSlowly(decisions: readonly Decision[]): Uint8Array {
  let [low, range, digits] = [0n, 2n ** 32n - 1n, 1];
  for (const [p16, bit] of decisions) {
    const bound = (range >> 16n) * BigInt(p16);
    if (bit === 0) low += bound;
    range = bit === 1 ? bound : range - bound;
    for (; range < 2n ** 24n; range *= 256n, low *= 256n) digits++;
  }
  const value = (low + 2n ** 24n - 1n) >> 24n;
  return Uint8Array.from({ length: digits }, (_, i) => Number((value >> BigInt(8 * (digits - 1 - i))) & 255n));
}

const decision = fc.tuple(
  fc.oneof(fc.integer({ min: 1, max: 65535 }), fc.constantFrom(1, 24, 32768, 65512, 65535)),
  fc.integer({ min: 0, max: 1 }),
);

describe("range coder", () => {
  it("writes the digits of the exact number, and reads the decisions back", () => {
    fc.assert(
      fc.property(fc.array(decision, { maxLength: 200 }), (decisions) => {
        const bytes = encoded(decisions);
        expect(bytes).toEqual(encodedSlowly(decisions));
        const decoder = rangeDecoder(bytes);
        expect(decisions.map(([p16]) => decoder.code(p16, 0))).toEqual(decisions.map(([, bit]) => bit));
        expect(decoder.end()).toBe("ok");
        expect(decoder.exhausted()).toBe(false);
      }),
      { numRuns: 500 },
    );
  });

  it("carries through long runs of 0xFF", () => {
    // Always taking the far side of nearly nothing keeps low just under a carry.
    const decisions: Decision[] = Array.from({ length: 400 }, (_, i) => [i === 399 ? 65535 : 1, 0]);
    expect(encoded(decisions)).toEqual(encodedSlowly(decisions));
    const random = seededRandom("carry");
    const many: Decision[] = Array.from({ length: 20_000 }, () => [
      1 + random.below(20),
      random.below(3000) === 0 ? 1 : 0,
    ]);
    expect(encoded(many)).toEqual(encodedSlowly(many));
  });

  it("takes little more than the information", () => {
    const random = seededRandom("entropy");
    let bits = 0;
    const decisions: Decision[] = Array.from({ length: 200_000 }, () => {
      const p16 = 1024;
      const bit = random.below(65536) < p16 ? 1 : 0;
      bits -= Math.log2(bit === 1 ? p16 / 65536 : 1 - p16 / 65536);
      return [p16, bit];
    });
    expect(encoded(decisions).length * 8).toBeLessThan(bits * 1.002);
  });

  it("tells a message that ends early, late, or in another form", () => {
    const decisions: Decision[] = Array.from({ length: 50 }, (_, i) => [9000, i % 3 === 0 ? 1 : 0]);
    const bytes = encoded(decisions);
    const endOf = (changed: Uint8Array): string => {
      const decoder = rangeDecoder(changed);
      for (const [p16] of decisions) decoder.code(p16, 0);
      return decoder.end();
    };
    expect(endOf(bytes)).toBe("ok");
    expect(endOf(bytes.subarray(0, -1))).toBe("truncated");
    expect(endOf(Uint8Array.of(...bytes, 0))).toBe("trailing");
    expect(rangeDecoder(Uint8Array.of(255)).end()).toBe("not canonical"); // nothing is said in the byte 0 only
    expect(rangeDecoder(Uint8Array.of(255, 255, 255, 255)).end()).not.toBe("ok");
    expect(rangeDecoder(Uint8Array.of(0)).end()).toBe("ok");
  });

  it("refuses to write more than it may", () => {
    const coder = rangeEncoder(4);
    for (let i = 0; i < 100; i++) coder.code(32768, i % 2);
    expect(() => coder.finish()).toThrow(SkeinError);
  });
});
