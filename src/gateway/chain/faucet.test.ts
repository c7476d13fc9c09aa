import * as fs from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { manualClock } from "../../base/clock.ts";
import { SkeinError } from "../../base/errors.ts";
import { memoryLog } from "../../base/log/log.ts";
import { type Faucet, type FaucetOptions, openFaucet } from "./faucet.node.ts";
import { faucetBook } from "./faucet.ts";

const account = (n: number): string => `0x${n.toString(16).padStart(64, "0")}`;
const RULES = { raoMax: 100n, perHour: 3, budgetRao: 1000n };
const HOUR = 3600_000;

describe("a faucet's book", () => {
  it("comes back from its lines, decision for decision", () => {
    const event = fc.record({
      n: fc.nat(8),
      what: fc.constantFrom("paid", "undone", "open"),
      rao: fc.bigInt(0n, 100n),
      afterMs: fc.nat(HOUR),
    });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 40 }), (events) => {
        const lines: string[] = [];
        const book = faucetBook([], RULES);
        let nowMs = 0;
        for (const { n, what, rao, afterMs } of events) {
          nowMs += afterMs;
          if (book.judge(account(n), nowMs).kind !== "go") continue;
          lines.push(book.begin(account(n), nowMs));
          if (what === "paid") lines.push(book.paid(account(n), rao, nowMs));
          if (what === "undone") lines.push(book.undone(account(n)));
        }
        const text = lines.map((line) => line.slice(0, -1));
        for (let cut = 0; cut <= text.length; cut++) faucetBook(text.slice(0, cut), RULES); // a kill at any moment
        const again = faucetBook(text, RULES);
        for (let n = 0; n < 9; n++) {
          const [one, other] = [book.judge(account(n), nowMs + HOUR), again.judge(account(n), nowMs + HOUR)];
          expect(other).toEqual(one);
        }
      }),
    );
  });

  it("gives no account twice, no more than the budget, no more than so many an hour", () => {
    const event = fc.record({ n: fc.nat(30), rao: fc.bigInt(0n, 100n), afterMs: fc.nat(HOUR / 2), lost: fc.boolean() });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (events) => {
        const book = faucetBook([], RULES);
        const given = new Map<string, bigint>();
        const times: number[] = [];
        let nowMs = 0;
        for (const { n, rao, afterMs, lost } of events) {
          nowMs += afterMs;
          const verdict = book.judge(account(n), nowMs);
          if (verdict.kind !== "go") {
            if (verdict.kind === "refuse") expect(verdict.refusal.remedy).toBeTruthy();
            continue;
          }
          expect(given.has(account(n))).toBe(false);
          given.set(account(n), rao);
          times.push(nowMs);
          book.begin(account(n), nowMs);
          if (!lost) book.paid(account(n), rao, 7);
        }
        expect([...given.values()].reduce((sum, rao) => sum + rao, 0n)).toBeLessThanOrEqual(RULES.budgetRao);
        for (const time of times)
          expect(times.filter((t) => t > time - HOUR && t <= time).length).toBeLessThanOrEqual(3);
      }),
    );
  });

  it("says when to come back", () => {
    const book = faucetBook([], RULES);
    for (let n = 0; n < 3; n++) book.begin(account(n), 1000 * n);
    expect(book.judge(account(9), 5000)).toMatchObject({
      kind: "refuse",
      refusal: { status: 429, retryAfterSeconds: 3595, remedy: "try again in 60 min" },
    });
    expect(book.judge(account(9), HOUR)).toEqual({ kind: "go" });
    expect(book.judge(account(1), HOUR)).toEqual({ kind: "open" });
  });

  it("does not open where a line is not one that it wrote there", () => {
    const begun = JSON.stringify({ account: account(1), state: "begun", rao: "5", timeMs: 0 });
    const paid = JSON.stringify({ account: account(1), state: "paid", rao: "5", block: 1 });
    for (const lines of [
      [paid],
      [begun, begun],
      [""],
      ["{}"],
      ["null"],
      [begun.replace("begun", "gone")],
      [begun.replace('"5"', "5")],
      ["[1]"],
    ]) {
      expect(() => faucetBook(lines, RULES), lines.join()).toThrow(SkeinError);
    }
    expect(() => faucetBook([begun, paid, "x"], RULES)).toThrow("line 3");
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.string(), fc.json(), fc.constantFrom(begun, paid))), (lines) => {
        try {
          faucetBook(lines, RULES);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(SkeinError);
        }
      }),
    );
  });
});

describe("an open faucet", () => {
  let folder = "";
  let serial = 0;
  beforeAll(async () => {
    folder = await fs.mkdtemp(path.join(tmpdir(), "skein-faucet-"));
  });
  afterAll(() => fs.rm(folder, { recursive: true, force: true }));

  const open = async (
    given: Partial<FaucetOptions> = {},
  ): Promise<{ faucet: Faucet; file: string; sent: string[] }> => {
    const file = given.file ?? path.join(folder, `made/${serial++}.jsonl`);
    const sent: string[] = [];
    const grant = async (to: string): Promise<{ rao: bigint; block: number }> => {
      sent.push(to);
      return { rao: 60n, block: sent.length };
    };
    const faucet = await openFaucet(
      { ...RULES, perClientHour: 100, file, grant, ...given },
      manualClock(1e6),
      memoryLog(),
    );
    return { faucet, file, sent };
  };

  it("gives once, says the same again, also after a restart", async () => {
    const { faucet, file, sent } = await open();
    const given = await Promise.all([
      faucet.ask(account(1), "a"),
      faucet.ask(account(1), "b"),
      faucet.ask(account(2), "a"),
    ]);
    expect(given).toMatchObject([
      { rao: 60n, block: 1 },
      { rao: 60n, block: 1 },
      { rao: 60n, block: 2 },
    ]);
    expect(await faucet.ask(account(1), "a")).toMatchObject({ rao: 60n, block: 1 });
    await faucet.close();
    const again = await open({ file });
    expect(await again.faucet.ask(account(2), "z")).toMatchObject({ rao: 60n, block: 2 });
    expect([sent, again.sent]).toEqual([[account(1), account(2)], []]);
    await again.faucet.close();
  });

  it("has written the grant down before it is sent, and never sends what may have been sent", async () => {
    const seen: string[] = [];
    const file = path.join(folder, `${serial++}.jsonl`);
    const killed = await open({
      file,
      grant: async () => {
        seen.push(await fs.readFile(file, "utf8"));
        throw new Error("killed"); // as far as the book can tell
      },
    });
    expect(await killed.faucet.ask(account(1), "a")).toMatchObject({ status: 409 });
    expect(await killed.faucet.ask(account(1), "a")).toMatchObject({ status: 409 });
    expect(seen).toEqual([`{"account":"${account(1)}","state":"begun","rao":"100","timeMs":1000000}\n`]);
    await killed.faucet.close();
    for (const [settled, answer, count] of [
      [undefined, { status: 409 }, 0],
      [async () => undefined, { status: 409 }, 0],
      [async () => ({ rao: 42n, block: 9 }), { rao: 42n, block: 9 }, 0],
    ] as const) {
      const { faucet, sent } = await open({ file, ...(settled ? { settled } : {}) });
      expect(await faucet.ask(account(1), "a")).toMatchObject(answer);
      expect(sent).toHaveLength(count);
      await faucet.close();
    }
    const later = await open({ file }); // what was settled stays so
    expect(await later.faucet.ask(account(1), "a")).toMatchObject({ rao: 42n, block: 9 });
    await later.faucet.close();
  });

  it("gives again where it is certain that nothing was given", async () => {
    let fails = true;
    const { faucet, file } = await open({
      grant: async () => {
        if (fails) throw new Error("no chain");
        return { rao: 60n, block: 3 };
      },
      settled: async () => "nothing",
    });
    expect(await faucet.ask(account(1), "a")).toMatchObject({ status: 409 });
    fails = false;
    expect(await faucet.ask(account(1), "a")).toMatchObject({ rao: 60n, block: 3 });
    await faucet.close();
    expect((await fs.readFile(file, "utf8")).split("\n").map((line) => /"state":"(\w+)"/.exec(line)?.[1])).toEqual([
      "begun",
      "undone",
      "begun",
      "paid",
      undefined,
    ]);
  });

  it("forgets a line that was being written when the process died: nothing had been sent", async () => {
    const file = path.join(folder, `${serial++}.jsonl`);
    const whole = `{"account":"${account(1)}","state":"begun","rao":"5","timeMs":0}\n`;
    await fs.writeFile(file, whole + whole.slice(0, 40));
    const { faucet } = await open({ file });
    expect(await faucet.ask(account(2), "a")).toMatchObject({ rao: 60n });
    await faucet.close();
    expect((await fs.readFile(file, "utf8")).startsWith(`${whole}{"account":"${account(2)}"`)).toBe(true);
    await fs.appendFile(file, "damage\n");
    await expect(open({ file })).rejects.toMatchObject({ code: "store", details: file, remedy: expect.any(String) });
  });

  it("sends nothing where somebody else writes its book", async () => {
    const first = await open();
    const second = await open({ file: first.file });
    await first.faucet.ask(account(1), "a");
    await expect(second.faucet.ask(account(2), "a")).rejects.toMatchObject({
      message: "somebody else writes the faucet's book",
    });
    await expect(second.faucet.ask(account(3), "a")).rejects.toMatchObject({ code: "store" });
    expect(second.sent).toEqual([]);
    await first.faucet.close();
    await second.faucet.close();
  });

  it("bounds what one client gets, and keeps to its budget", async () => {
    const { faucet, sent } = await open({ perClientHour: 1, perHour: 100, budgetRao: 190n });
    expect(await faucet.ask(account(1), "a")).toMatchObject({ rao: 60n });
    expect(await faucet.ask(account(2), "a")).toMatchObject({ status: 429, retryAfterSeconds: 3600 });
    expect(await faucet.ask(account(2), "b")).toMatchObject({ rao: 60n });
    expect(await faucet.ask(account(3), "c")).toMatchObject({ status: 403, error: "the faucet is empty" });
    expect(sent).toHaveLength(2);
    await faucet.close();
  });

  it("says what to do where its book cannot be opened", async () => {
    await expect(open({ file: folder })).rejects.toMatchObject({ code: "store", remedy: expect.any(String) });
  });
});
