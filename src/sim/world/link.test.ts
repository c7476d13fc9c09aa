import { describe, expect, it } from "vitest";
import { played, playedUntil } from "../../../test/helpers/played.ts";
import { SkeinError } from "../../base/errors.ts";
import { uploadMs } from "../../store/transfer.ts";
import { streamsOf } from "../streams.ts";
import { type Timeline, timeline } from "../timeline.ts";
import { type Far, type Line, type LineOptions, MESSAGE_BYTES, openLine, Passing } from "./link.ts";
import { CALM, type LineWeather, type Outage } from "./weather.ts";

interface Setting extends Partial<Omit<LineOptions, "weather">> {
  readonly seed?: string;
  readonly line?: Partial<LineWeather>;
  readonly outages?: readonly Outage[];
  readonly healMs?: number;
}

function opened({ seed = "s", line = {}, outages = [], healMs = 1e12, ...rest }: Setting = {}): {
  clock: Timeline;
  line: Line;
} {
  const clock = timeline();
  const weather = { line: { ...CALM.line, ...line }, outages, healMs };
  return { clock, line: openLine({ name: "n1", weather, streams: streamsOf(seed), clock, ...rest }) };
}

const FREE = { upBytes: 0, downBytes: () => 0 };
const ask = <T>(line: Line, work: () => Promise<T>, far: Far = "store"): Promise<T> =>
  line.ask(far, "this", FREE, work);
const outage = (what: Outage["what"], fromMs: number, untilMs: number, nodes?: readonly string[]): Outage => ({
  ...{ what, nodes, fromMs, untilMs },
});

describe("a line", () => {
  it("takes no time and no event in calm weather", async () => {
    const { clock, line } = opened({ healMs: 0 });
    expect(await ask(line, async () => 7)).toBe(7);
    expect([clock.pending, clock.now(), line.waiting]).toEqual([0, 0, 0]);
    expect(line.faults).toEqual({});
  });

  it("takes latency there and back, and bytes over bandwidth", async () => {
    const { clock, line } = opened({ line: { latencyMs: 50, upBps: 8000, downBps: 80_000 } });
    let arrivedMs = 0;
    const sizes = { upBytes: 1000 - MESSAGE_BYTES, downBytes: () => 1000 - MESSAGE_BYTES };
    const work = async (): Promise<void> => {
      arrivedMs = clock.now();
    };
    await played(clock, line.ask("store", "this", sizes, work));
    expect([arrivedMs, clock.now()]).toEqual([1050, 1200]);
    expect([line.upBytes, line.downBytes]).toEqual([1000, 1000]);
  });

  it("has messages overtake each other", async () => {
    const { clock, line } = opened({ line: { latencyMs: 10, jitterMs: 500 } });
    const order: number[] = [];
    const numbers = Array.from({ length: 20 }, (_, i) => i);
    await played(clock, Promise.all(numbers.map((i) => ask(line, async () => void order.push(i)))));
    expect(order).not.toEqual(numbers);
    expect([...order].sort((a, b) => a - b)).toEqual(numbers);
  });

  it("tries again what is lost, and does the work again where the answer was", async () => {
    const { clock, line } = opened({ line: { loss: 0.4 } });
    let done = 0;
    for (let i = 0; i < 100; i++)
      await played(
        clock,
        ask(line, async () => void done++),
      );
    const { "lost request": requests = 0, "lost answer": answers = 0 } = line.faults;
    expect(done).toBe(100 + answers);
    expect(Math.min(requests, answers)).toBeGreaterThan(10);
    const silentMs = 20_000 * (requests + answers);
    expect(clock.now()).toBeGreaterThan(silentMs);
    expect(clock.now()).toBeLessThan(silentMs + 10_000 * (requests + answers));
    expect(line.downBytes).toBe(100 * MESSAGE_BYTES);
    expect(line.upBytes).toBe((100 + requests + answers) * MESSAGE_BYTES);
  });

  it("gives up after production's attempts and silences", async () => {
    const cases = [
      ["store", 6, { code: "store", message: "the shared store does not answer (this)" }],
      ["mirror", 6, { code: "store", message: "the mirror does not answer (this)" }],
      ["chain", 7, { code: "chain", message: "the chain could not be asked (this): no answer within 20000 ms" }],
    ] as const;
    for (const [far, attempts, error] of cases) {
      const { clock, line } = opened({ line: { loss: 1 } });
      const details = `${attempts} attempts; the last one: no answer within 20000 ms`;
      const expected = { name: "SkeinError", remedy: expect.any(String), details, ...error };
      await expect(
        played(
          clock,
          ask(line, async () => 1, far),
        ),
      ).rejects.toMatchObject(expected);
      expect(clock.now()).toBeGreaterThanOrEqual(attempts * 20_000 + 4650);
      expect(clock.now()).toBeLessThanOrEqual(attempts * 20_000 + 9400);
      expect((line.faults["lost request"] ?? 0) + (line.faults["lost answer"] ?? 0)).toBe(attempts);
    }
  });

  it("waits longer for a large upload, and drops one that the line cannot carry", async () => {
    const slow = opened({ line: { upBps: 8 * 1024 } }); // a thirteenth of what production expects
    const upBytes = 1 << 20;
    const work = async (): Promise<number> => 1;
    const asked = slow.line.ask("store", "this", { upBytes, downBytes: () => 0 }, work);
    await expect(played(slow.clock, asked)).rejects.toMatchObject({ code: "store" });
    expect(slow.clock.now()).toBeGreaterThan(6 * (20_000 + uploadMs(upBytes)));
    expect(slow.clock.now()).toBeLessThan(6 * (20_000 + uploadMs(upBytes)) + 10_000);
    expect(slow.line.upBytes).toBe(0);
  });

  it("tells refusals at once, tries what may pass, and lets mistakes through", async () => {
    const { clock, line } = opened({ line: { latencyMs: 5 } });
    let tries = 0;
    const refusing = async (): Promise<never> => {
      tries += 1;
      throw new SkeinError("store", "refused", { remedy: "ask for something else" });
    };
    await expect(played(clock, ask(line, refusing))).rejects.toMatchObject({ message: "refused" });
    expect([tries, clock.now()]).toEqual([1, 10]);
    const passing = async (): Promise<number> => {
      if (tries++ < 4) throw new Passing("not now");
      return tries;
    };
    expect(await played(clock, ask(line, passing))).toBe(5);
    const never = async (): Promise<never> => {
      throw new Passing("not now");
    };
    await expect(played(clock, ask(line, never))).rejects.toMatchObject({
      details: "6 attempts; the last one: not now",
    });
    const broken = async (): Promise<never> => {
      throw new Error("a bug");
    };
    await expect(played(clock, ask(line, broken))).rejects.toThrow("a bug");
  });

  it("brings some requests twice, later, and nobody hears of it", async () => {
    const { clock, line } = opened({ line: { duplicate: 0.5 } });
    const seen: number[] = [];
    for (let i = 0; i < 20; i++)
      expect(
        await played(
          clock,
          ask(line, async () => seen.push(i)),
        ),
      ).toBe(i + 1);
    expect(clock.now()).toBe(0);
    while (clock.step());
    const copies = seen.length - 20;
    expect(copies).toBeGreaterThan(3);
    expect(line.faults).toEqual({ duplicate: copies });
    expect(seen.slice(20)).not.toEqual([...seen.slice(20)].sort((a, b) => a - b));
    expect([clock.now() > 1000, clock.now() <= 600_000]).toEqual([true, true]);
  });
});

describe("an outage", () => {
  it("is borne where it is shorter than the patience, and heard where it is longer", async () => {
    const short = opened({ outages: [outage("store", 0, 3000)] });
    expect(
      await played(
        short.clock,
        ask(short.line, async () => 1),
      ),
    ).toBe(1);
    expect(short.clock.now()).toBeGreaterThanOrEqual(3000);
    const long = opened({ outages: [outage("store", 0, 60_000)] });
    await expect(
      played(
        long.clock,
        ask(long.line, async () => 1),
      ),
    ).rejects.toMatchObject({
      details: "6 attempts; the last one: connection refused",
    });
    expect(long.clock.now()).toBeLessThan(10_000);
    expect(long.line.faults).toEqual({ outage: 6 });
  });

  it("is silent for whom a partition cuts off, and nothing for the others", async () => {
    const cut = opened({ outages: [outage("both", 0, 60_000, ["n1", "n2"])] });
    expect([cut.line.isCut("store"), cut.line.isCut("chain"), cut.line.isCut("mirror")]).toEqual([true, true, true]);
    await expect(
      played(
        cut.clock,
        ask(cut.line, async () => 1),
      ),
    ).rejects.toMatchObject({
      details: "6 attempts; the last one: no connection within 10000 ms",
    });
    expect([cut.line.upBytes, cut.clock.now() > 60_000]).toEqual([0, true]);
    const other = opened({ name: "n3", outages: [outage("both", 0, 60_000, ["n1", "n2"])] });
    expect(await ask(other.line, async () => 1)).toBe(1);
  });

  it("of the store leaves the chain and mirrors alone", async () => {
    const { line } = opened({ outages: [outage("store", 0, 60_000)] });
    expect([line.isCut("store"), line.isCut("chain"), line.isCut("mirror")]).toEqual([true, false, false]);
    expect(await ask(line, async () => 1, "chain")).toBe(1);
    expect(await ask(line, async () => 2, "mirror")).toBe(2);
  });

  it("that comes while a message is on its way swallows it", async () => {
    const { clock, line } = opened({
      line: { latencyMs: 100 },
      outages: [outage("store", 50, 120), outage("store", 20_500, 20_650)],
    });
    let done = 0;
    await played(
      clock,
      ask(line, async () => void done++),
    );
    expect(line.faults["outage"]).toBeGreaterThanOrEqual(1);
    expect(done).toBeGreaterThanOrEqual(1);
    expect(clock.now()).toBeGreaterThan(20_000);
  });

  it("counts from the simulation's beginning", async () => {
    const { line } = opened({ startMs: -5000, outages: [outage("store", 4000, 6000)] });
    expect(line.isCut("store")).toBe(true);
  });
});

describe("healed weather", () => {
  it("has no fault left, and copies that were to come later do not", async () => {
    const healMs = 100_000;
    const { clock, line } = opened({
      line: { latencyMs: 7, loss: 1, duplicate: 1 },
      outages: [outage("both", 0, 1e9)],
      healMs,
    });
    await expect(
      played(
        clock,
        ask(line, async () => 1),
      ),
    ).rejects.toMatchObject({ code: "store" });
    await playedUntil(clock, healMs);
    while (clock.step());
    const before = { ...line.faults };
    for (let i = 0; i < 50; i++)
      await played(
        clock,
        ask(line, async () => 1),
      );
    expect(line.faults).toEqual(before);
    expect(clock.now()).toBe(healMs + 50 * 14);
    expect(clock.pending).toBe(0);
  });
});

describe("a signal", () => {
  it("ends all waiting at once, and nothing more is sent", async () => {
    const stop = new AbortController();
    const { clock, line } = opened({ line: { loss: 1 } });
    let done = 0;
    const work = async (): Promise<void> => void done++;
    clock.at(30_000, () => stop.abort());
    const asked = line.ask("store", "this", FREE, work, stop.signal);
    await expect(played(clock, asked)).rejects.toMatchObject({ code: "interrupted" });
    expect(clock.now()).toBe(30_000);
    const doneBefore = done;
    while (clock.step()) await Promise.resolve();
    expect(done).toBe(doneBefore);
    const again = line.ask("chain", "this", FREE, work, stop.signal);
    await expect(again).rejects.toMatchObject({ code: "interrupted", message: "stopped waiting for the chain" });
    expect([done, line.waiting]).toEqual([doneBefore, 0]);
  });

  it("ends an upload, which never arrives; what was sent does", async () => {
    const stop = new AbortController();
    const { clock, line } = opened({ line: { upBps: 8000, latencyMs: 1000 } });
    const arrived: string[] = [];
    const send = (name: string, upBytes: number): Promise<void> =>
      line.ask("store", name, { upBytes, downBytes: () => 0 }, async () => void arrived.push(name), stop.signal);
    const all = Promise.allSettled([send("small", 0), send("large", 1e6)]);
    clock.at(1000, () => stop.abort());
    expect((await played(clock, all)).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    await playedUntil(clock, 1e6);
    expect(arrived).toEqual(["small"]);
  });
});

describe("chance", () => {
  it("is the same for the same seed, and each fault's own", async () => {
    const story = async (setting: Setting): Promise<string> => {
      const { clock, line } = opened({ line: { latencyMs: 3, jitterMs: 40, loss: 0.2, duplicate: 0.2 }, ...setting });
      const times: number[] = [];
      for (let i = 0; i < 30; i++) {
        await played(
          clock,
          ask(line, async () => void times.push(clock.now())),
        );
      }
      return JSON.stringify([times, line.faults]);
    };
    expect(await story({ seed: "a" })).toBe(await story({ seed: "a" }));
    expect(await story({ seed: "a" })).not.toBe(await story({ seed: "b" }));
    expect(await story({ seed: "a" })).not.toBe(await story({ seed: "a", name: "n2" }));
  });

  it("of duplicates does not shift that of losses", async () => {
    const lost = async (duplicate: number): Promise<readonly (number | undefined)[]> => {
      const { clock, line } = opened({ line: { loss: 0.3, duplicate } });
      for (let i = 0; i < 40; i++)
        await played(
          clock,
          ask(line, async () => 1),
        );
      return [line.faults["lost request"], line.faults["lost answer"]];
    };
    expect(await lost(0)).toEqual(await lost(0.5));
  });
});
