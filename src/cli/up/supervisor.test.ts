/** The supervisor over real processes: a small program that does what its arguments say. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { LogFields } from "../../base/log/log.ts";
import { afterExit, type Child, NO_PAST, type Past, superviseChild } from "./supervisor.ts";

const LEASH = path.resolve(import.meta.dirname, "../../../dist/cli/shared/leash.js");
/** node fake.mjs <what>: says "ready" and then … */
const FAKE = `
import { endWithParent } from ${JSON.stringify(pathToFileURL(LEASH).href)};
import { existsSync, writeFileSync } from "node:fs";
const [what, file] = process.argv.slice(2);
const say = (event, fields = {}) => process.stdout.write(JSON.stringify({ event, ...fields }) + "\\n");
const stay = () => setInterval(() => {}, 1000);
const endOn = (code) => process.on("SIGINT", () => { say("bye"); process.exit(code); });
const acts = {
  stays() { endOn(130); stay(); say("ready", { uid: 7 }); },
  stubborn() { process.on("SIGINT", () => say("deaf")); stay(); say("ready"); },
  ends() { say("ready"); },
  wrong() { say("error", { code: "config", message: "no such thing", details: "here", remedy: "try that" }); process.exitCode = 2; },
  crashes() { process.stderr.write("first\\nsecond\\n"); process.exitCode = 1; },
  crashesOnce() {
    if (existsSync(file)) return acts.stays();
    writeFileSync(file, "");
    say("ready");
    process.stdout.write("x".repeat(2_000_000) + "\\nnot json\\n[1]\\n");
    process.exitCode = 1;
  },
  leashed() { endWithParent(); endOn(0); stay(); say("ready"); },
};
if (what !== "leashed") {
  process.on("disconnect", () => process.exit()); // no test leaves one behind
  process.channel.unref();
}
acts[what]();
`;

let folder = "";
const told: { name: string; kind: string; fields: LogFields }[] = [];
const PAUSES = { firstMs: 1, maxMs: 2, healthyMs: 60_000, stopMs: 15_000 };

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), "skein-supervisor-"));
  writeFileSync(path.join(folder, "fake.mjs"), FAKE);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function begin(
  what: string,
  options: { stopMs?: number; forever?: boolean } = {},
): Child & { events(kind: string): LogFields[] } {
  const { stopMs = PAUSES.stopMs, forever = false } = options;
  const name = `${what}-${told.length}`;
  const child = superviseChild(
    { name, args: [what, path.join(folder, `${name}.once`)], forever },
    {
      program: [process.execPath, path.join(folder, "fake.mjs")],
      folder,
      onEvent: (from, kind, fields) => told.push({ name: from, kind, fields }),
      pauses: { ...PAUSES, stopMs },
    },
  );
  const events = (kind: string): LogFields[] =>
    told.filter((each) => each.name === name && each.kind === kind).map(({ fields }) => fields);
  return { ...child, events };
}

const statesOf = (child: ReturnType<typeof begin>): unknown[] => child.events("process").map(({ state }) => state);

/** Whether a process is there. */
function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe("a supervised node", () => {
  it("tells what it says, and ends when asked to", async () => {
    const child = begin("stays");
    expect(await child.ready).toEqual({ uid: 7 });
    await child.stop();
    expect(await child.ended).toBe("stopped");
    expect(child.events("bye")).toHaveLength(1);
    expect(statesOf(child)).toEqual(["started", "ended"]);
  });

  it("is killed with all it started where it does not end when asked to", async () => {
    const child = begin("stubborn", { stopMs: 300 });
    await child.ready;
    const pid = Number(child.events("process")[0]?.["pid"]);
    await child.stop();
    expect(await child.ended).toBe("stopped");
    expect(child.events("deaf")).toHaveLength(1);
    expect(isThere(pid)).toBe(false);
  });

  it("may end by itself, unless it is meant to stay", async () => {
    const child = begin("ends");
    await child.ready;
    expect(await child.ended).toBe("done");
    const service = begin("ends", { forever: true });
    await service.ready;
    while (service.events("ready").length < 3) await new Promise((resolve) => setImmediate(resolve));
    await service.stop();
    expect(statesOf(service).slice(0, 4)).toEqual(["started", "down", "started", "down"]);
  });

  it("is started again after a crash, whatever else it wrote", async () => {
    const child = begin("crashesOnce");
    await child.ready;
    while (child.events("ready").length < 2) await new Promise((resolve) => setImmediate(resolve));
    expect(child.events("process")[1]).toMatchObject({ state: "down", code: 1, signal: null, restartMs: 1 });
    await child.stop();
    expect(statesOf(child)).toEqual(["started", "down", "started", "ended"]);
  });

  it("is given up after three wrong settings in a row, with its own words", async () => {
    const child = begin("wrong");
    await expect(child.ended).rejects.toMatchObject({
      code: "config",
      message: `${child.name}: no such thing`,
      details: "here",
      remedy: "try that",
    });
    await expect(child.ready).rejects.toThrow("no such thing");
    expect(statesOf(child)).toEqual(["started", "down", "started", "down", "started", "given up"]);
    await child.stop(); // changes nothing
  });

  it("is given up where it never was ready, with the end of its stderr", async () => {
    const child = begin("crashes");
    await expect(child.ended).rejects.toMatchObject({
      code: "engine",
      details: "second\nfirst\nsecond\nfirst\nsecond",
    });
    expect(statesOf(child).filter((state) => state === "started")).toHaveLength(6);
    expect(readFileSync(path.join(folder, `${child.name}.err`), "utf8")).toBe("first\nsecond\n".repeat(6));
  });

  it("cannot be started where there is no such program", async () => {
    const child = superviseChild(
      { name: "nobody", args: [] },
      { program: [path.join(folder, "nobody")], folder, onEvent: () => undefined, pauses: PAUSES },
    );
    await expect(child.ended).rejects.toMatchObject({ code: "engine", message: "nobody: exit status 1" });
  });

  it("ends by itself when whoever started it is killed", async () => {
    const parent = `
      import { spawn } from "node:child_process";
      const child = spawn(process.execPath, [${JSON.stringify(path.join(folder, "fake.mjs"))}, "leashed"], {
        detached: true, stdio: ["ignore", "inherit", "inherit", "ipc"],
      });
      child.on("exit", () => {});`;
    writeFileSync(path.join(folder, "parent.mjs"), parent);
    const { spawn } = await import("node:child_process");
    const middle = spawn(process.execPath, [path.join(folder, "parent.mjs")], { stdio: ["ignore", "pipe", "inherit"] });
    let out = "";
    const closed = new Promise((resolve) => middle.stdout.once("close", resolve)); // both hold it: closed when both are gone
    await new Promise<void>((resolve) => {
      middle.stdout.setEncoding("utf8").on("data", (text: string) => {
        out += text;
        if (out.includes("ready")) resolve();
      });
    });
    middle.kill("SIGKILL");
    await closed;
    expect(out).toContain('"bye"');
  });
});

describe("what follows from an exit", () => {
  const pauses = { firstMs: 1000, maxMs: 15_000, healthyMs: 60_000 };
  const pausesOf = (exits: readonly { code: number | undefined; ranMs: number }[], past: Past = NO_PAST): unknown[] => {
    let now = past;
    return exits.map((exit) => {
      const next = afterExit(now, exit, pauses);
      now = next.past;
      return next.pauseMs;
    });
  };
  const crash = { code: 1, ranMs: 500 };
  const ready: Past = { ...NO_PAST, everReady: true };

  it("is a pause that doubles, and begins again after a minute of health", () => {
    expect(pausesOf([crash, crash, crash, crash, crash, crash], ready)).toEqual([
      1000, 2000, 4000, 8000, 15_000, 15_000,
    ]);
    expect(pausesOf([crash, crash, { code: undefined, ranMs: 60_000 }, crash], ready)).toEqual([
      1000, 2000, 1000, 2000,
    ]);
  });

  it("is the end after three wrong settings in a row, or six exits before it was ever ready", () => {
    const wrong = { code: 2, ranMs: 500 };
    expect(pausesOf([wrong, wrong, crash, wrong, wrong, wrong], ready)).toEqual([
      1000,
      2000,
      4000,
      8000,
      15_000,
      undefined,
    ]);
    expect(pausesOf(Array(6).fill(crash))).toEqual([1000, 2000, 4000, 8000, 15_000, undefined]);
  });

  it("is never a pause outside its bounds", () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ code: fc.constantFrom(0, 1, 2, 7, undefined), ranMs: fc.nat(100_000) })),
        (exits) => {
          for (const ms of pausesOf(exits, ready)) {
            if (ms !== undefined) expect(ms).toBeGreaterThanOrEqual(1000);
            if (ms !== undefined) expect(ms).toBeLessThanOrEqual(15_000);
          }
        },
      ),
    );
  });
});
