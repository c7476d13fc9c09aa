import { describe, expect, it } from "vitest";
import { warningsOf } from "./validate.ts";

const COIN = 10n ** 9n;

describe("what a validator is warned of", () => {
  it("is nothing where its votes count and others check them", () => {
    expect(warningsOf({ stake: COIN, permit: true, others: 2, due: 5 })).toEqual([]);
  });

  it("is a vote that does not count yet, and when it will", () => {
    const [waits] = warningsOf({ stake: COIN, permit: false, others: 2, due: 5 });
    expect(waits).toContain("from the next epoch on, which is in 5 blocks");
    expect(warningsOf({ stake: COIN, permit: false, others: 2, due: 0 })[0]).toContain("due now");
    expect(warningsOf({ stake: 0n, permit: false, others: 2, due: 5 })).toHaveLength(2);
  });

  it("is standing alone", () => {
    expect(warningsOf({ stake: COIN, permit: true, others: 0, due: 5 })).toEqual([
      expect.stringContaining("the run's only validator"),
    ]);
  });
});
