import { describe, expect, it } from "vitest";
import { manualClock } from "../../base/clock.ts";
import { hotkeysOf } from "./hotkeys.ts";

describe("the list of hotkeys", () => {
  it("is read again when it is old, and for newcomers at most once a second", async () => {
    const clock = manualClock();
    const registered = new Set(["a"]);
    let reads = 0;
    const hotkeys = hotkeysOf(
      async () => {
        reads++;
        return new Set(registered);
      },
      clock,
      10_000,
    );
    expect(await Promise.all(["a", "a", "b"].map((each) => hotkeys.has(each)))).toEqual([true, true, false]);
    expect(reads).toBe(1);
    registered.add("b").delete("a");
    clock.advance(999);
    expect([await hotkeys.has("b"), await hotkeys.has("a"), reads]).toEqual([false, true, 1]);
    clock.advance(1);
    expect([await hotkeys.has("b"), await hotkeys.has("a"), reads]).toEqual([true, false, 2]);
    clock.advance(10_000);
    expect([await hotkeys.has("b"), reads]).toEqual([true, 2]);
    clock.advance(1);
    expect([await hotkeys.has("b"), reads]).toEqual([true, 3]);
  });

  it("serves on while the chain is away, for some minutes", async () => {
    const clock = manualClock();
    let isAway = true;
    let reads = 0;
    const hotkeys = hotkeysOf(
      async () => {
        reads++;
        if (isAway) throw new Error("away");
        return new Set(["a"]);
      },
      clock,
      10_000,
    );
    await expect(hotkeys.has("a")).rejects.toThrow("away");
    await expect(hotkeys.has("a")).rejects.toThrow("away");
    expect(reads).toBe(1);
    isAway = false;
    clock.advance(1000);
    expect(await hotkeys.has("a")).toBe(true);
    isAway = true;
    clock.advance(600_000);
    expect([await hotkeys.has("a"), await hotkeys.has("b")]).toEqual([true, false]);
    clock.advance(1001);
    await expect(hotkeys.has("a")).rejects.toThrow("away");
  });
});
