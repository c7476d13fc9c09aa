import { describe, expect, it } from "vitest";
import { finding, hashOf, reportOn } from "../../../test/helpers/reports.ts";
import { encodeReport, type Report } from "../../score/report.ts";
import { blobKey } from "../../store/blobs.ts";
import { memoryStore } from "../../store/memory.ts";
import type { Store } from "../../store/store.ts";
import { trailOf } from "./trail.ts";

const RUN = "cd".repeat(32);
const ACCOUNT = `0x${"11".repeat(32)}`;

/** Reports of which each names the one before, oldest first, whatever their rounds; the newest is returned. */
async function chained(store: Store, rounds: readonly number[], changed: (i: number) => Partial<Report> = () => ({})) {
  let previous: Report | undefined;
  for (const [i, round] of rounds.entries()) {
    const fresh = reportOn({ specHash: RUN, round, accounts: [ACCOUNT], findings: [finding(0, ACCOUNT)] });
    const report = { ...fresh, previous: previous === undefined ? null : hashOf(previous), ...changed(i) };
    await store.put(blobKey(hashOf(report)), encodeReport(report));
    previous = report;
  }
  return { report: previous as Report };
}

const roundsIn = ({ reports }: { readonly reports: readonly Report[] }): number[] => reports.map(({ round }) => round);

describe("trailOf", () => {
  it("follows reports back as far as is asked", async () => {
    const store = memoryStore();
    const newest = await chained(store, [0, 1, 4, 5, 6]);
    const short = await trailOf(store, newest, { round: 5, beyond: 1 });
    expect([short.end, roundsIn(short)]).toEqual(["enough", [6, 5, 4]]);
    const whole = await trailOf(store, newest, { round: 0, beyond: 9 });
    expect([whole.end, roundsIn(whole)]).toEqual(["first", [6, 5, 4, 1, 0]]);
  });

  it("is lost where the report before is of no earlier round", async () => {
    for (const rounds of [
      [7, 5, 6],
      [5, 5, 6],
    ]) {
      const store = memoryStore();
      const trail = await trailOf(store, await chained(store, rounds), { round: 0, beyond: 9 });
      expect([trail.end, roundsIn(trail)]).toEqual(["lost", [6, 5]]);
    }
  });

  it("is lost where the report before is another run's", async () => {
    const store = memoryStore();
    const newest = await chained(store, [4, 5, 6], (i) => (i === 0 ? { specHash: "ef".repeat(32) } : {}));
    const trail = await trailOf(store, newest, { round: 0, beyond: 9 });
    expect([trail.end, roundsIn(trail)]).toEqual(["lost", [6, 5]]);
  });

  it("holds so many bytes of an endless chain, and one report more at most", async () => {
    const store = memoryStore();
    const rounds = Array.from({ length: 100 }, (_, i) => i);
    const newest = await chained(store, rounds);
    const bytesMax = 10 * encodeReport(newest.report).length;
    const { end, reports } = await trailOf(store, newest, { round: 0, beyond: 9, bytesMax });
    const held = reports.reduce((sum, report) => sum + encodeReport(report).length, 0);
    expect(end).toBe("enough");
    expect(held).toBeGreaterThanOrEqual(bytesMax);
    expect(held).toBeLessThan(1.2 * bytesMax);
  });
});
