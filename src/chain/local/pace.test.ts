import { describe, expect, it } from "vitest";
import { nextTimestamp, waitMs } from "./pace.ts";

describe("the pace of blocks", () => {
  it("keeps the beat, however late within a block the clock wakes it", () => {
    for (const nowMs of [1_012_000, 1_012_300, 1_023_999]) expect(nextTimestamp(12, 1000, nowMs)).toBe(1012);
    expect([waitMs(12, 1000, 1_000_250), waitMs(12, 1000, 1_012_000), waitMs(12, 1000, 1_015_000)]).toEqual([
      11_750, 0, 0,
    ]);
  });

  it("takes the clock's time after a pause, once", () => {
    expect(nextTimestamp(12, 1000, 1_024_000)).toBe(1024);
    expect(nextTimestamp(12, 1000, 9_000_900)).toBe(9000);
    expect(nextTimestamp(12, 9000, 9_001_000)).toBe(9012);
  });

  it("goes on when the clock is set back", () => {
    expect(waitMs(12, 1000, 0)).toBe(12_000);
    expect(nextTimestamp(12, 1000, 0)).toBe(1012);
    expect(nextTimestamp("manual", 1000, 0)).toBe(1000);
    expect(nextTimestamp(0, 1000, 2_500_700)).toBe(2500);
  });

  it("has no beat below a second", () => {
    expect([waitMs(0.05, 1000, 0), nextTimestamp(0.05, 1000, 1_000_900), nextTimestamp(0.05, 1000, 1_001_000)]).toEqual(
      [50, 1000, 1001],
    );
  });
});
