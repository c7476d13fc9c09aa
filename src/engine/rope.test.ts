import { expect, test } from "vitest";
import { bytesOf, concatBytes } from "../base/bytes.ts";
import { sha256Hex } from "../base/hash.ts";
import { ropeTable } from "./rope.ts";

// [headDim, theta, position, pair, cos, sin], to 60 digits by mpmath and rounded once.
const EXACT: readonly (readonly [number, number, number, number, number, number])[] = [
  [2, 10000, 131070, 0, -0.9260075570130941, 0.377504972622403],
  [2, 10000, 131071, 0, -0.8179834993879491, -0.5752416837547893],
  [8, 10000, 131071, 1, 0.9303429898443915, 0.36669049789624825],
  [8, 500000, 131071, 1, -0.9951239055546685, 0.09863271563544931],
  [8, 1.5, 98765, 3, 0.04425642719871513, 0.999020204326021],
  [8, 500000, 131069, 2, -0.9999843712674659, -0.005590815755423771],
  [10, 10000, 12, 4, 0.9999713364206546, 0.007571415791640451],
  [10, 1.1, 131071, 1, -0.19919107105986886, -0.9799606712567716],
];

test("far positions agree with 60-digit arithmetic to half a unit of float32's last place", () => {
  for (const [headDim, theta, position, pair, cos, sin] of EXACT) {
    const table = ropeTable(headDim, position + 1, theta);
    const at = (position * headDim) / 2 + pair;
    expect(Math.abs((table.cos[at] as number) - cos)).toBeLessThan(3.1e-8);
    expect(Math.abs((table.sin[at] as number) - sin)).toBeLessThan(3.1e-8);
  }
});

test("neighbouring positions turn each pair by one frequency", () => {
  const { cos, sin } = ropeTable(6, 40, 10000);
  for (let t = 0; t < 40; t++) {
    for (let i = 0; i < 3; i++) {
      const angle = t * 10000 ** ((-2 * i) / 6);
      expect(cos[t * 3 + i]).toBeCloseTo(Math.cos(angle), 7);
      expect(sin[t * 3 + i]).toBeCloseTo(Math.sin(angle), 7);
    }
  }
});

test("the bits of the table never change", () => {
  const { cos, sin } = ropeTable(64, 512, 500000);
  expect(sha256Hex(concatBytes([bytesOf(cos), bytesOf(sin)]))).toBe(
    "d810073d58e10a748fc49f9c428ee0ff3b931be23b5f04afbc9e5af263a5ee4f",
  );
});
