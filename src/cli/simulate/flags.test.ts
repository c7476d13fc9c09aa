import { describe, expect, it } from "vitest";
import { SkeinError } from "../../base/errors.ts";
import { attackersOf, delayOf, linkOf, seedsOf, sweepOf } from "./flags.ts";
import { openPlan, planOf } from "./plan.ts";
import { planFacts } from "./view.ts";

describe("options of skein simulate", () => {
  it("reads lines, seeds and delays", () => {
    expect(linkOf("110/500")).toEqual({ upMbps: 110, downMbps: 500 });
    expect(linkOf("0.5/2.5")).toEqual({ upMbps: 0.5, downMbps: 2.5 });
    for (const text of ["110", "0/1", "a/b", "1/2/3", "/1", "1/Infinity"])
      expect(() => linkOf(text), text).toThrow("It must be");
    expect(seedsOf("7")).toEqual({ first: 7, last: 7 });
    expect(seedsOf("1-1000")).toEqual({ first: 1, last: 1000 });
    for (const text of ["", "2-1", "-1", "1-", "1-2-3", "0-1000000", "1.5"])
      expect(() => seedsOf(text), text).toThrow("It must be");
    expect([delayOf("0"), delayOf("1")]).toEqual([0, 1]);
    expect(() => delayOf("2")).toThrow("It must be 0 or 1");
  });

  it("reads attackers, and refuses what no trainer can be", () => {
    expect(attackersOf("copycat, sign-flip:3").map(({ adversary, count }) => [adversary.name, count])).toEqual([
      ["copycat", 1],
      ["sign-flip", 3],
    ]);
    for (const text of ["", "nobody", "copycat:0", "copycat:x", "copycat:65", "copycat:1:2", "outage"]) {
      expect(() => attackersOf(text), text).toThrow(SkeinError);
    }
  });

  it("reads sweeps of one setting", () => {
    const { name, values } = sweepOf("link=110/500, 20/100");
    expect(name).toBe("link");
    expect(values.map(({ text }) => text)).toEqual(["110/500", "20/100"]);
    expect(values[1]?.changes).toEqual({ link: { upMbps: 20, downMbps: 100 } });
    expect(sweepOf("inner-steps=15,30").values[0]?.changes).toEqual({ innerSteps: 15 });
    for (const text of ["link", "color=1", "peers=", "peers=0", "delay=2"])
      expect(() => sweepOf(text), text).toThrow("It must be");
  });
});

describe("plans", () => {
  it("come from presets, with what options change", async () => {
    const laptop = planOf(await openPlan("laptop"));
    expect(laptop).toMatchObject({ peers: 8, validators: 2, roundTokens: 20_480, computeS: 6, blockS: 1 });
    expect(laptop.phases).toEqual({ trainBlocks: 10, revealBlocks: 2, voteBlocks: 4 });
    const changed = planOf(await openPlan("laptop"), {
      peers: 3,
      latency: 5,
      ratio: 100,
      delay: 1,
      block: 2,
      innerSteps: 40,
    });
    expect(changed).toMatchObject({ peers: 3, blockS: 2, roundTokens: 40_960, computeS: 12, outer: { delay: 1 } });
    expect(changed.payloadBytes).toBe(Math.ceil((4 * changed.params) / 100));
    expect(changed.line).toEqual({ upMbps: 20, downMbps: 100, latencyMs: 5 });
    const crowded = planOf(await openPlan("tiny"), { peers: 64 });
    expect(planFacts(crowded).join()).toContain("more than its 8 uids");
    expect(planFacts(laptop).join()).not.toContain("more than");
    await expect(openPlan("nowhere.json")).rejects.toThrow("no plan and no file");
  });

  it("lay Covenant-72B's round out for the line, with longer blocks where there would be too many", async () => {
    const base = await openPlan("covenant-72b");
    expect(planOf(base).blockS).toBe(12);
    const slow = planOf(base, { link: { upMbps: 20, downMbps: 100 } });
    const { trainBlocks, revealBlocks, voteBlocks } = slow.phases;
    expect(slow.blockS).toBe(48);
    expect(trainBlocks + revealBlocks + voteBlocks).toBeLessThanOrEqual(255);
  });
});
