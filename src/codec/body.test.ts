/** Bodies: what goes in comes out, to the bit; anything else is a fault. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { must } from "../base/assert.ts";
import { seededRandom } from "../base/random.ts";
import { type BodyLayout, bodyLayout, decodeBody, encodeBody } from "./body.ts";
import { compressor, type SentTensor } from "./feedback.ts";
import { CODEC_DEFAULTS, type CodecParams } from "./params.ts";

/** Pseudo-gradients with rows and columns of very different activity. */
function deltasFor(dims: readonly (readonly number[])[], seed: string): Float32Array[] {
  const random = seededRandom(seed);
  return dims.map((each) => {
    const cols = each.at(-1) ?? 1;
    const length = each.reduce((a, b) => a * b, 1);
    return Float32Array.from({ length }, (_, i) => {
      const hot = (Math.floor(i / cols) % 7 === 0 ? 4 : 1) * (i % 5 === 0 ? 3 : 1);
      return (random.uniform() - 0.5) * hot * 1e-3;
    });
  });
}

function compressed(dims: readonly (readonly number[])[], params: CodecParams, seed = "body"): SentTensor[] {
  const { compress } = compressor(params);
  return deltasFor(dims, seed).map((delta, t) =>
    compress(must(dims[t], "dims"), delta, new Float32Array(delta.length)),
  );
}

const DIMS = [[130, 70], [64], [5, 200], [300], [1, 1], [64, 64]] as const;
const params: CodecParams = { ...CODEC_DEFAULTS };
const layout: BodyLayout = bodyLayout(DIMS, params);
const body = encodeBody(compressed(DIMS, params), layout);

describe("body", () => {
  it("decodes to exactly what was encoded, for any shapes, k and bits, within its limit", () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.integer({ min: 0, max: 90 }), { maxLength: 2 }), { maxLength: 5 }),
        fc.constantFrom<CodecParams["chunkSide"]>(8, 16, 64),
        fc.integer({ min: 1, max: 64 }),
        fc.constantFrom<1 | 2>(1, 2),
        fc.string(),
        (dims, chunkSide, k, bits, seed) => {
          const params = { ...CODEC_DEFAULTS, chunkSide, k, bits };
          const layout = bodyLayout(dims, params);
          const tensors = compressed(dims, params, seed);
          const bytes = encodeBody(tensors, layout);
          expect(bytes.length).toBeLessThanOrEqual(layout.bytesMax);
          expect(decodeBody(bytes, layout)).toEqual(tensors);
        },
      ),
      { numRuns: 150 },
    );
  });

  it("stays within its limit where places, levels and signs are as contrary as they can be", () => {
    const side = 256;
    const random = seededRandom("contrary");
    const values = new Float32Array(side * side);
    // Every block keeps its values in other rows and columns than its neighbours do.
    for (let i = 0; i < values.length; i++) {
      const [row, col] = [Math.floor(i / side), i % side];
      const block = (row >> 6) * 5 + (col >> 6);
      const hot = (row + 11 * block) % 64 >= 56 && (col + 17 * block) % 64 >= 56;
      values[i] = hot ? (random.below(2) - 0.5) * (1 + random.below(100)) : 1e-6;
    }
    const own = bodyLayout([[side, side]], params);
    const tensor = compressor(params).compress([side, side], values, new Float32Array(values.length));
    const bytes = encodeBody([tensor], own);
    expect(bytes.length).toBeLessThanOrEqual(own.bytesMax);
    expect(decodeBody(bytes, own)).toEqual([tensor]);
  });

  it("beats the uniform bound where rows and columns differ", () => {
    const dims = [[512, 512]];
    const own = bodyLayout(dims, params);
    const bytes = encodeBody(compressed(dims, params), own);
    expect((8 * (bytes.length - own.levelBytes)) / own.keptCount).toBeLessThan(7.364 + 2);
  });

  it("faults where bytes are missing, at every length", () => {
    for (let length = 0; length < body.length; length++) {
      expect(["levels missing", "stream truncated"]).toContain(decodeBody(body.subarray(0, length), layout));
    }
  });

  it("faults at bytes too many", () => {
    for (const extra of [0, 1, 255]) {
      expect(decodeBody(Uint8Array.of(...body, extra), layout)).toBe("stream has trailing bytes");
    }
    expect(decodeBody(new Uint8Array(layout.bytesMax + 1), layout)).toBe("body too long");
  });

  it("faults at levels that no encoder writes", () => {
    const withLevels = (low: number, high: number): unknown => {
      const bytes = body.slice();
      new DataView(bytes.buffer).setUint16(0, low, true);
      new DataView(bytes.buffer).setUint16(2, high, true);
      return decodeBody(bytes, layout);
    };
    expect(withLevels(0x7f80, 0x7f80)).toBe("level not finite"); // infinity
    expect(withLevels(0x3f80, 0x7fc0)).toBe("level not finite"); // NaN
    expect(withLevels(0xbf80, 0x3f80)).toBe("level absurd"); // −1
    expect(withLevels(0x8000, 0x3f80)).toBe("level absurd"); // −0
    expect(withLevels(0x3f80, 0x4780 + 1)).toBe("level absurd"); // above 65536
    expect(withLevels(0x3f80, 0x3f7f)).toBe("levels out of order");
    expect(withLevels(0x3f80, 0x4780)).toBeInstanceOf(Array);
  });

  it("has one form only: a changed last byte is no other spelling", () => {
    for (let last = 0; last < 256; last++) {
      const bytes = body.slice();
      if (last === bytes.at(-1)) continue;
      bytes[bytes.length - 1] = last;
      const decoded = decodeBody(bytes, layout);
      if (typeof decoded === "string") continue;
      expect(encodeBody(decoded, layout)).toEqual(bytes);
    }
    const faults = Array.from({ length: 256 }, (_, last) => {
      const bytes = body.slice();
      bytes[bytes.length - 1] = last;
      return decodeBody(bytes, layout);
    });
    expect(faults).toContain("stream not canonical");
  });

  it("gives, for any bytes, a fault or distinct places in range, k of each chunk, that encode to the same bytes", () => {
    let decodedCount = 0;
    const tiny = bodyLayout([[9, 9], [3]], { ...params, chunkSide: 8, k: 3 });
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 24, maxLength: 24 }), (stream) => {
        for (let length = 1; length <= stream.length; length++) {
          const bytes = Uint8Array.of(...new Uint8Array(tiny.levelBytes), ...stream.subarray(0, length));
          const decoded = decodeBody(bytes, tiny);
          if (typeof decoded === "string") continue;
          decodedCount++;
          for (const { indices, grid } of decoded) {
            expect(indices.length).toBe(grid.keptCount);
            indices.forEach((index, j) => {
              expect(index).toBeGreaterThan(j === 0 ? -1 : must(indices[j - 1], "index before"));
              expect(index).toBeLessThan(grid.rows * grid.cols);
            });
          }
          expect(encodeBody(decoded, tiny)).toEqual(bytes);
        }
      }),
      { numRuns: 500 },
    );
    expect(decodedCount).toBeGreaterThan(0);
  });
});
