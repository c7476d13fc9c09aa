import { describe, expect, it } from "vitest";
import { newBlockPace, newFit } from "./fit.ts";

describe("the batch that fits", () => {
  it("is all while nothing is known, then what is done in 70 % of the time, and never less than one", () => {
    const fit = newFit();
    expect(fit.batch(10, 8, 1000)).toBe(8);
    fit.took(4, 40); // 10 ms each
    expect(fit.batch(10, 8, 1000)).toBe(7);
    expect(fit.batch(10, 8, 5000)).toBe(8);
    expect(fit.batch(10, 8, 20)).toBe(1);
    expect(fit.batch(10, 8, 0)).toBe(8); // a clock that stands still knows nothing
  });

  it("takes a slower round at its word, and a faster one by and by", () => {
    const fit = newFit();
    fit.took(40, 400);
    expect(fit.batch(10, 8, 1000)).toBe(7);
    fit.took(40, 800);
    expect(fit.batch(10, 8, 1000)).toBe(3);
    fit.took(40, 400);
    expect(fit.batch(10, 8, 1000)).toBe(4);
    for (let i = 0; i < 8; i++) fit.took(40, 400);
    expect(fit.batch(10, 8, 1000)).toBeGreaterThanOrEqual(6);
  });

  it("expects real rounds to be three times slower than a trial, and forgets the trial after the first", () => {
    const fit = newFit();
    fit.took(1, 10, true);
    expect(fit.batch(10, 8, 1000)).toBe(2);
    fit.took(20, 200);
    expect(fit.batch(10, 8, 1000)).toBe(7);
  });

  it("takes no notice of times that cannot be", () => {
    const fit = newFit();
    fit.took(1, Number.NaN);
    fit.took(0, 0);
    expect(fit.batch(10, 8, 1000)).toBe(8);
  });
});

describe("the pace of blocks", () => {
  it("is known after two, as their mean", () => {
    const pace = newBlockPace();
    pace.saw(10, 1000);
    pace.saw(11, 2000);
    expect(pace.blockMs()).toBeUndefined();
    pace.saw(12, 3500);
    pace.saw(12, 9000); // the same block again says nothing
    expect(pace.blockMs()).toBe(1250);
  });

  it("is not changed by a time in which the chain stood still", () => {
    const pace = newBlockPace();
    let ms = 0;
    for (let block = 0; block < 40; block++) {
      ms += block === 10 ? 600_000 : 6000;
      pace.saw(block, ms);
      if (block > 20) expect(pace.blockMs()).toBe(6000);
    }
    for (let block = 40; block < 400; block++) pace.saw(block, ms + 12_000 * (block - 39)); // and it learns what has changed for good
    expect(pace.blockMs()).toBe(12_000);
  });
});
