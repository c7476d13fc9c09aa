import { describe, expect, it } from "vitest";
import { keyOf, toyNetwork } from "../../../test/helpers/network.ts";
import { manualClock } from "../../base/clock.ts";
import { SkeinError } from "../../base/errors.ts";
import { memoryLog } from "../../base/log/log.ts";
import { openTerminal, type Terminal } from "../shared/terminal.ts";
import { earningsTeller, persevere, watched } from "./watch.ts";

function voice(): Terminal & { readonly said: string[] } {
  const said: string[] = [];
  const sink = { write: (text: string) => said.push(text.trimEnd()) };
  return Object.assign(openTerminal({ json: false, stdout: sink, stderr: sink, env: {} }), { said });
}

const away = (): SkeinError => new SkeinError("store", "the gateway does not answer");

describe("persevering", () => {
  const options = (progress: () => number = () => 0) => {
    const clock = manualClock();
    const endurance = { clock, attempts: 4, pauseMs: 1000, pauseMsMax: 3000 };
    return { clock, terminal: voice(), log: memoryLog(), progress, endurance };
  };

  it("begins anew while the network is away, with growing pauses, and gives up in the end", async () => {
    const given = options();
    let calls = 0;
    const work = async (): Promise<string> => {
      calls++;
      if (calls <= 3) throw away();
      return "done";
    };
    expect(await persevere(work, given)).toBe("done");
    expect(given.clock.monotonic()).toBe(1000 + 2000 + 3000);
    expect(given.log.events.map(({ kind }) => kind)).toEqual(["away", "away", "away"]);
    calls = -9;
    await expect(persevere(work, given)).rejects.toThrow("does not answer");
    expect(calls).toBe(-5);
  });

  it("counts anew after progress", async () => {
    let rounds = 0;
    const given = options(() => rounds);
    const work = async (): Promise<string> => {
      rounds++;
      if (rounds <= 20) throw away();
      return "done";
    };
    expect(await persevere(work, given)).toBe("done");
    expect(given.clock.monotonic()).toBe(20 * 1000);
  });

  it("bears neither what this machine must mend nor a bug", async () => {
    const full = Object.assign(new Error("ENOSPC"), { code: "ENOSPC" });
    for (const thrown of [
      new SkeinError("store", "cannot write", { cause: full }),
      new SkeinError("data", "a damaged shard"),
      new SkeinError("chain", "refused", { details: "SomeError()" }),
      new SkeinError("diverged", "not finite"),
      new TypeError("a bug"),
    ]) {
      let calls = 0;
      const work = (): Promise<never> => {
        calls++;
        return Promise.reject(thrown);
      };
      await expect(persevere(work, options())).rejects.toBe(thrown);
      expect(calls).toBe(1);
    }
  });

  it("waits for a dataset whose store is away, and stops when told to", async () => {
    const stop = new AbortController();
    let calls = 0;
    const work = async (): Promise<never> => {
      calls++;
      if (calls === 2) stop.abort();
      throw new SkeinError("data", "a piece is missing");
    };
    const given = { ...options(), dataAway: () => true, signal: stop.signal };
    await expect(persevere(work, given)).rejects.toMatchObject({ code: "interrupted" });
    expect(calls).toBe(2);
  });
});

describe("watching a chain", () => {
  it("remembers the newest block that anybody was told of", async () => {
    const { twin } = await toyNetwork();
    const first = await twin.head();
    const { chain, newest } = watched(twin, first);
    twin.mine(3);
    expect(newest()).toEqual(first);
    const head = await chain.head();
    expect(newest()).toEqual(head);
    expect(head.block).toBe(first.block + 3);
    const waiting = chain.waitForBlock(head.block + 1);
    twin.mine();
    await waiting;
    expect(newest().block).toBe(head.block + 1);
  });

  it("tells what was earned, once an epoch", async () => {
    const { twin, runId } = await toyNetwork({ tempo: 20 });
    const { netuid } = await twin.run(runId);
    const [terminal, log] = [voice(), memoryLog()];
    const owner = keyOf("owner");
    const tell = earningsTeller(twin, netuid, owner.account, terminal, log);
    const told = async (): Promise<number> => {
      tell();
      tell(); // at the same time: counts as one
      for (let i = 0; i < 5; i++) await new Promise<void>((resolve) => setImmediate(resolve));
      return log.events.length;
    };
    expect(await told()).toBe(0);
    twin.mine(21);
    const step = twin.as(owner).stepEpoch(netuid);
    twin.mine();
    await step;
    expect(await told()).toBe(1);
    expect(await told()).toBe(1);
    const { earned } = await twin.funds(owner.account);
    expect(earned).toBeGreaterThan(0n);
    expect(log.events[0]).toMatchObject({ kind: "earned", fields: { earned: String(earned) } });
    expect(terminal.said[0]).toMatch(/^epoch 2 {5}earned [\d.,]+ coins, not yet claimed; [\d.,]+ are free$/);
  });
});
