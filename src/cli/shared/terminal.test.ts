import { describe, expect, it } from "vitest";
import { AssertionError } from "../../base/assert.ts";
import { manualClock } from "../../base/clock.ts";
import { SkeinError } from "../../base/errors.ts";
import { EXIT_CODES, reportOf, tell } from "./errors.ts";
import { bar, bytes, count, duration, figures, openTerminal, short, type Terminal, table } from "./terminal.ts";

function open(given: { json?: boolean; tty?: boolean; env?: Record<string, string>; columns?: number }): {
  terminal: Terminal;
  clock: ReturnType<typeof manualClock>;
  out: string[];
  err: string[];
} {
  const out: string[] = [];
  const err: string[] = [];
  const sink = (to: string[]) => ({
    write: (text: string) => to.push(text),
    isTTY: given.tty ?? false,
    columns: given.columns ?? 80,
  });
  const clock = manualClock();
  const terminal = openTerminal({
    json: given.json ?? false,
    stdout: sink(out),
    stderr: sink(err),
    env: given.env ?? {},
    clock,
  });
  return { terminal, clock, out, err };
}

describe("the terminal", () => {
  it("rewrites one line on a terminal, and takes it away before a result", () => {
    const { terminal, clock, out, err } = open({ tty: true, columns: 10 });
    terminal.status("a long status line");
    terminal.status("too soon");
    clock.advance(100);
    terminal.status("next");
    terminal.line("result");
    expect(err).toEqual(["\r\u001b[Ka long s…", "\r\u001b[Knext", "\r\u001b[K"]);
    expect(out).toEqual(["result\n"]);
  });

  it("writes plain lines now and then where it cannot rewrite", () => {
    for (const given of [{ tty: false }, { tty: true, env: { NO_COLOR: "1" } }, { tty: true, env: { TERM: "dumb" } }]) {
      const { terminal, clock, err } = open(given);
      for (let i = 0; i < 25; i++) {
        terminal.status(`at ${i}`);
        clock.advance(1000);
      }
      terminal.status("end", true);
      expect(err).toEqual(["at 0\n", "at 10\n", "at 20\n", "end\n"]);
    }
  });

  it("speaks only JSON lines under --json", () => {
    const { terminal, out, err } = open({ json: true, tty: true });
    terminal.line("text");
    terminal.stream("text");
    terminal.status("text", true);
    terminal.note("text");
    terminal.event("done", { steps: 3 });
    expect(out).toEqual(['{"event":"done","steps":3}\n']);
    expect(err).toEqual([]);
  });
});

describe("numbers for people", () => {
  it("are short and exact enough", () => {
    expect([0, 999, 1000, 1234567].map(count)).toEqual(["0", "999", "1,000", "1,234,567"]);
    expect([7, 999.9, 1234, 6_912_000, 72_747_327_488].map(short)).toEqual(["7", "1k", "1.23k", "6.91M", "72.7B"]);
    expect([12, 999_999, 1.53e9].map(bytes)).toEqual(["12 bytes", "1 MB", "1.53 GB"]);
    expect([0.5, 10.04, 123.4].map(figures)).toEqual(["0.5", "10", "123"]);
    expect([0, 45e3, 192e3, 7500e3, 100 * 3600e3, 1e12].map(duration)).toEqual([
      "0 s",
      "45 s",
      "3 min 12 s",
      "2 h 05 min",
      "4 d 4 h",
      "32 years",
    ]);
    expect(duration(Number.NaN)).toBe("unknown");
    expect([bar(0, 4), bar(0.5, 4), bar(2, 4)]).toEqual(["░░░░", "██░░", "████"]);
    expect(
      table(
        [
          ["a", "n"],
          ["long", "12"],
        ],
        [1],
      ),
    ).toEqual(["a      n", "long  12"]);
  });
});

describe("errors", () => {
  it("have an exit code each, and say message, details and remedy", () => {
    const error = new SkeinError("memory", "too big", { details: "needs 3\nhas 2", remedy: "take less" });
    const { terminal, out } = open({ json: true });
    const err: string[] = [];
    tell(reportOf(error), terminal, { write: (text) => err.push(text) });
    expect(err.join("")).toBe("error: too big\n  needs 3\n  has 2\nremedy: take less\n");
    expect(JSON.parse(out[0] ?? "")).toEqual({
      event: "error",
      code: "memory",
      message: "too big",
      details: "needs 3\nhas 2",
      remedy: "take less",
      exitCode: 5,
    });
    expect(EXIT_CODES).toMatchInlineSnapshot(`
      {
        "chain": 7,
        "checkpoint": 4,
        "config": 2,
        "data": 3,
        "diverged": 6,
        "engine": 1,
        "interrupted": 130,
        "memory": 5,
        "store": 1,
        "usage": 2,
      }
    `);
  });

  it("are told apart from our own mistakes", () => {
    expect(reportOf(new AssertionError("x"))).toMatchObject({ code: "bug", exitCode: 1 });
    expect(reportOf("thrown text")).toMatchObject({ code: "unexpected", message: "thrown text", exitCode: 1 });
  });
});
