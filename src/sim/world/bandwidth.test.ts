import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { played } from "../../../test/helpers/played.ts";
import { type Timeline, timeline } from "../timeline.ts";
import { bandwidth } from "./bandwidth.ts";

/** When transfers that begin at given times are through. */
async function ends(
  bps: number,
  transfers: readonly { readonly atMs: number; readonly bytes: number }[],
  clock: Timeline = timeline(),
): Promise<number[]> {
  const line = bandwidth(bps, clock);
  const all = transfers.map(async ({ atMs, bytes }) => {
    await clock.sleep(atMs - clock.now());
    expect(await line.transfer(bytes)).toBe(true);
    return clock.now();
  });
  const found = await played(clock, Promise.all(all));
  expect(line.active).toBe(0);
  return found;
}

describe("bandwidth", () => {
  it("takes bits over bits a second", async () => {
    expect(await ends(8000, [{ atMs: 0, bytes: 1000 }])).toEqual([1000]);
    expect(await ends(110e6, [{ atMs: 5, bytes: 110e6 / 8 }])).toEqual([1005]);
  });

  it("takes no time, and no event, where there is no limit and where there are no bytes", async () => {
    const clock = timeline();
    expect(await bandwidth(Number.POSITIVE_INFINITY, clock).transfer(1e12)).toBe(true);
    expect(await bandwidth(1, clock).transfer(0)).toBe(true);
    expect(clock.pending).toBe(0);
  });

  it("is shared evenly by those under way", async () => {
    const both = [
      { atMs: 0, bytes: 1000 },
      { atMs: 0, bytes: 1000 },
    ];
    expect(await ends(8000, both)).toEqual([2000, 2000]);
    const late = [
      { atMs: 0, bytes: 1000 },
      { atMs: 500, bytes: 250 },
    ];
    expect(await ends(8000, late)).toEqual([1250, 1000]); // half each from 500 on: the small one takes 500
  });

  it("begins anew after it was idle", async () => {
    const twice = [
      { atMs: 0, bytes: 1000 },
      { atMs: 1e9, bytes: 1000 },
    ];
    expect(await ends(8000, twice)).toEqual([1000, 1e9 + 1000]);
  });

  it("carries no more than it can, and nothing idles while somebody waits", async () => {
    const transfer = fc.record({ atMs: fc.nat(1000), bytes: fc.integer({ min: 1, max: 5000 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(transfer, { minLength: 1, maxLength: 12 }), async (transfers) => {
        const bps = 16_000;
        const found = await ends(bps, transfers);
        // the whole line as one queue: when it is idle again does not depend on how it is shared
        let idleMs = 0;
        for (const { atMs, bytes } of [...transfers].sort((a, b) => a.atMs - b.atMs))
          idleMs = Math.max(idleMs, atMs) + (8000 * bytes) / bps;
        const last = Math.max(...found);
        expect(last).toBeGreaterThanOrEqual(idleMs - 1e-6);
        expect(last).toBeLessThanOrEqual(idleMs + 1 + transfers.length);
        for (const [i, { atMs, bytes }] of transfers.entries())
          expect(found[i] ?? 0).toBeGreaterThanOrEqual(atMs + (8000 * bytes) / bps - 1e-6);
      }),
      { numRuns: 60 },
    );
  });

  it("lets go of what is given up or stopped: the others get its share", async () => {
    const clock = timeline();
    const line = bandwidth(8000, clock);
    const stop = new AbortController();
    const given = line.transfer(1e6, { deadlineMs: 500 });
    const stopped = line.transfer(1e6, { signal: stop.signal });
    const stays = line.transfer(1000);
    clock.at(1000, () => stop.abort());
    expect(await played(clock, given)).toBe(false);
    expect(clock.now()).toBe(500);
    expect(await played(clock, stopped)).toBe(false);
    expect(clock.now()).toBe(1000);
    expect(await played(clock, stays)).toBe(true);
    expect(clock.now()).toBe(Math.ceil(1000 + 1000 - 500 / 3 - 250));
    expect(await line.transfer(1, { signal: stop.signal })).toBe(false);
  });
});
