/** The command line as a stranger meets it: the built program, started as a process. test/helpers/build.ts builds it beforehand. */
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const MAIN = path.resolve(import.meta.dirname, "../dist/cli/main.js");
let home = "";

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly err: string;
}

/** Runs a command in the temporary home; `meanwhile` sees the child and each piece of its stdout. */
function skein(args: string, meanwhile: (child: ChildProcess, out: string) => void = () => {}): Promise<Ended> {
  const words = args.match(/"[^"]*"|\S+/g)?.map((word) => word.replaceAll('"', "")) ?? [];
  const child = spawn(process.execPath, [MAIN, ...words], { cwd: home, stdio: ["ignore", "pipe", "pipe"] });
  let [out, err] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text) => {
    out += text;
    meanwhile(child, out);
  });
  child.stderr.setEncoding("utf8").on("data", (text) => {
    err += text;
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code, signal, out, err }));
  });
}

/** The JSON lines of an output; throws where a line is not JSON. */
function events(out: string): Record<string, unknown>[] {
  return out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}

const named = (out: string, event: string): Record<string, unknown>[] =>
  events(out).filter((e) => e["event"] === event);
const sha256 = (file: string): string =>
  createHash("sha256")
    .update(readFileSync(path.join(home, file)))
    .digest("hex");
const TRAIN = "train --data data --preset nano --batch 2 --seq 16 --engine wasm --threads 1";

beforeAll(async () => {
  home = mkdtempSync(path.join(tmpdir(), "skein-cli-"));
  mkdirSync(path.join(home, "texts"));
  for (let i = 0; i < 40; i++) {
    const text = `Story ${i}. The fox number ${i * 7} went to the river and the river went to the sea. `.repeat(
      3 + (i % 5),
    );
    writeFileSync(path.join(home, "texts", `${i}.txt`), text);
  }
  const { code, err } = await skein("data texts --out data --vocab 300 --valid-share 0.2");
  expect(code, err).toBe(0);
}, 60_000);

afterAll(() => rmSync(home, { recursive: true, force: true }));

describe("skein data", () => {
  it("gives the same dataset again, and says what it holds", async () => {
    const again = await skein("data texts --out again --vocab 300 --valid-share 0.2 --json");
    expect(again.code, again.err).toBe(0);
    expect(sha256("again/manifest.json")).toBe(sha256("data/manifest.json"));
    expect(named(again.out, "data")[0]).toMatchObject({
      out: "again",
      documents: 40,
      tokenizer: "bpe",
      vocabSize: 300,
    });
    expect(again.err).toBe("");
  });

  it("takes bytes or a tokenizer as they are, but not both", async () => {
    expect(named((await skein("data texts --out bytes --bytes --json")).out, "data")[0]).toMatchObject({
      tokenizer: "bytes",
    });
    const name = readdirSync(path.join(home, "data")).find((file) => file.startsWith("tokenizer-")) ?? "";
    const same = await skein(`data texts --out same --tokenizer data/${name} --valid-share 0.2 --json`);
    expect(named(same.out, "data")[0]).toMatchObject({ vocabSize: 300 });
    expect((await skein(`data texts --out x --bytes --tokenizer data/${name}`)).code).toBe(2);
  });

  it("ends with 3 where there is no text, or no tokenizer in the tokenizer file", async () => {
    for (const args of [
      "data nowhere --out x",
      "data texts --out x --tokenizer texts/1.txt",
      "train --data nowhere --out x",
    ]) {
      const { code, err } = await skein(args);
      expect(err).toMatch(/^error: .+\n(?:.*\n)*remedy: .+\n$/);
      expect(code, args).toBe(3);
    }
  });
});

describe("skein train", () => {
  it("ends with the same model whether it was stopped, killed, or left alone", async () => {
    const whole = await skein(`${TRAIN} --out whole --steps 12 --json`);
    expect(whole.code, whole.err).toBe(0);
    expect(named(whole.out, "step").map((e) => e["step"])).toEqual(Array.from({ length: 12 }, (_, i) => i + 1));
    expect(named(whole.out, "end")[0]).toMatchObject({ step: 12, stopped: false });

    const flags = `${TRAIN} --out parts --steps 12 --checkpoint-every 1 --json`;
    const at = (step: number, signal: NodeJS.Signals) => {
      let sent = false; // a second one would end it at once
      return (child: ChildProcess, out: string): void => {
        if (sent || !out.includes(`"step":${step},"steps"`)) return;
        sent = child.kill(signal);
      };
    };
    const killed = await skein(flags, at(3, "SIGKILL"));
    expect(killed.signal).toBe("SIGKILL");
    const stopped = await skein(flags, at(6, "SIGINT"));
    expect(stopped.code, stopped.err).toBe(130);
    expect(named(stopped.out, "error")[0]).toMatchObject({ code: "interrupted" });
    const rest = await skein("train --out parts --engine wasm --threads 2 --micro-batch 1 --json");
    expect(rest.code, rest.err).toBe(0);
    expect(named(rest.out, "start")[0]).not.toMatchObject({ step: 0 });
    expect(sha256("parts/step-00000012.safetensors")).toBe(sha256("whole/step-00000012.safetensors"));
  }, 60_000);

  it("shows people the plan, the end, and what comes next", async () => {
    const { code, out, err } = await skein(`${TRAIN} --out shown --steps 5`);
    expect(code, err).toBe(0);
    for (const part of [
      "model   nano",
      "data    data:",
      "plan    5 steps",
      "engine  exact (wasm",
      "memory",
      "folder  shown",
    ]) {
      expect(out).toContain(part);
    }
    expect(out).toMatch(/done: 5 steps.*\n\nNext: skein generate shown/);
    expect(err).toMatch(/100 % {2}step 5\/5 {2}loss \d/);
    const again = await skein("train --out shown");
    expect(again.out).toContain("was done already");
  }, 30_000);

  it("refuses other settings in the same folder with 4, and leaves no trace", async () => {
    await skein(`${TRAIN} --out refused --steps 2`);
    const before = readdirSync(path.join(home, "refused"));
    const { code, err } = await skein(`${TRAIN} --out refused --steps 3 --lr 0.5`);
    expect(code).toBe(4);
    expect(err).toMatch(/other settings: .*schedule\.lr/);
    expect(readdirSync(path.join(home, "refused"))).toEqual(before);
    expect((await skein("train --out refused")).code).toBe(0);
  }, 30_000);

  it("ends with 5 before it begins where memory is short, naming need and have", async () => {
    const { code, out, err } = await skein("train --data data --out huge --preset covenant-72b");
    expect(code).toBe(5);
    expect(out).toBe("");
    expect(err).toMatch(/^error: the model needs [\d.]+ TB of memory, and .* can be had\n/);
    expect(readdirSync(home)).not.toContain("huge");
  });

  it("ends with 6 where training diverges", async () => {
    const { code, err } = await skein(`${TRAIN} --out diverged --steps 200 --lr 100`);
    // A rate of 100 may also end in a large finite loss; it must then end well, never in a wrong state.
    expect([0, 6], err).toContain(code);
    if (code === 6) expect(err).toMatch(/^.*error: .*finite/s);
  }, 60_000);

  it("trains several peers round by round, to a model that generates, and goes on", async () => {
    const flags = `${TRAIN} --steps 5 --peers 2 --inner-steps 3`;
    const roots = new Map<string, unknown>();
    for (const [method, least, most] of [
      ["sparseloco", 50, 1000],
      ["diloco", 1, 1],
      ["adamw", 1 / 3, 1 / 2],
    ] as const) {
      const { code, out, err } = await skein(`${flags} --method ${method} --out ${method} --json`);
      expect(code, err).toBe(0);
      const rounds = named(out, "round");
      expect(rounds.map((e) => [e["round"], e["step"]])).toEqual([
        [1, 3],
        [2, 5],
      ]);
      for (const { loss, validation, bytes, ratio, stateRoot } of rounds) {
        expect(loss).toBeGreaterThan(0);
        expect(validation).toBeGreaterThan(0);
        expect(bytes).toBeGreaterThan(0);
        expect(ratio).toBeGreaterThanOrEqual(least);
        expect(ratio).toBeLessThanOrEqual(most);
        expect(stateRoot).toMatch(/^[0-9a-f]{64}$/);
      }
      const end = named(out, "end")[0];
      expect(end).toMatchObject({ rounds: 2, step: 5, stopped: false, stateRoot: rounds[1]?.["stateRoot"] });
      roots.set(method, end?.["stateRoot"]);
    }
    expect(new Set(roots.values()).size).toBe(3);
    const { code, out, err } = await skein(`${flags.replace("--threads 1", "--threads 2")} --out shared`);
    expect(code, err).toBe(0);
    expect(out).toMatch(/\npeers {3}2 in turn, sparseloco, rounds of 3 steps\n/);
    expect(out).toMatch(
      /\nround 2 {2}loss \d\.\d+ {2}validation \d\.\d+ {2}.* per peer, \d+× smaller than the model\n/,
    );
    expect(out).toContain(`state root ${roots.get("sparseloco")}`);
    expect((await skein("generate shared --tokens 1 --engine wasm")).code).toBe(0);
    expect((await skein("train --out shared")).out).toMatch(/done: 2 rounds, .*; was done already/);
    expect((await skein("train --out shared --outer-lr 2")).err).toMatch(/with other settings or data/);
    expect((await skein("train --out shared --peers 1 --method adamw")).code).toBe(2);
  }, 60_000);

  it("passes over a damaged checkpoint, and ends with 4 where all are", async () => {
    await skein(`${TRAIN} --out damaged --steps 4 --checkpoint-every 2`);
    const [older, newer] = ["step-00000002", "step-00000004"].map((name) =>
      path.join(home, "damaged", `${name}.safetensors`),
    );
    for (const [file, code] of [
      [newer, 0],
      [older, 4],
    ] as const) {
      const bytes = readFileSync(file ?? "");
      bytes[5000] = (bytes[5000] ?? 0) ^ 1;
      writeFileSync(file ?? "", bytes);
      if (code === 4) rmSync(newer ?? "");
      const ended = await skein("generate damaged --tokens 1 --engine wasm");
      expect(ended.code, ended.err).toBe(code);
    }
  }, 30_000);
});

describe("skein generate", () => {
  beforeAll(async () => {
    await skein(`${TRAIN} --out run --steps 3`);
  });

  it("continues a prompt, the same for the same seed", async () => {
    const args = 'generate run --prompt "The fox" --tokens 8 --seed 5 --engine wasm';
    const first = await skein(args);
    expect(first.code, first.err).toBe(0);
    expect(first.out).toMatch(/^The fox./s);
    expect((await skein(args)).out).toBe(first.out);
    const json = await skein(`${args} --json`);
    expect(`The fox${named(json.out, "generated")[0]?.["text"]}\n`).toBe(first.out);
    expect((await skein(args.replace("generate run", "generate run/step-00000003.safetensors"))).out).toBe(first.out);
  }, 30_000);

  it("ends with 4 where there is no model", async () => {
    expect((await skein("generate nowhere")).code).toBe(4);
    expect((await skein("generate texts")).code).toBe(4);
  });
});

describe("skein doctor", () => {
  it("says what works, what is measured and what fits", async () => {
    const { code, out, err } = await skein("doctor --quick --json --engine wasm --threads 1");
    expect(code, err).toBe(0);
    expect(named(out, "machine")[0]?.["cores"]).toBeGreaterThan(0);
    expect(named(out, "engine").map((e) => e["name"])).toEqual(["native", "wasm", "reference"]);
    const presets = named(out, "preset");
    expect(presets[0]).toMatchObject({ name: "nano", fits: true, measured: true });
    expect(presets[0]?.["tokensPerSecond"]).toBeGreaterThan(10);
    expect(presets.at(-1)).toMatchObject({ name: "covenant-72b", fits: false, tokensPerSecond: null });
    expect(named(out, "largest")).toHaveLength(1);
  }, 60_000);
});

describe("the command line", () => {
  it("ends with 2 and names the help where it is used wrongly", async () => {
    for (const args of [
      "",
      "nope",
      "train --nope",
      "train --steps 0",
      "train --lr x",
      "generate --top-p 0",
      "data",
      "train --preset x",
      "train --method adamw",
      "train --peers 2 --method adamw --outer-lr 1",
      "train --peers 2 --method diloco --k 32",
      "train --bits 1",
      "up --adversary outage",
      "why somebody",
      "why 1",
    ]) {
      const { code, err } = await skein(args);
      expect(code, args).toBe(2);
      expect(err, args).toMatch(/error: .+\nremedy: .+\n$/s);
    }
    const json = await skein("train --nope --json");
    expect(events(json.out)).toEqual([
      {
        event: "error",
        code: "usage",
        message: "unknown option '--nope'",
        remedy: "see `skein train --help`",
        exitCode: 2,
      },
    ]);
  }, 30_000);

  it("has the options it had", async () => {
    for (const verb of ["", "up", "doctor", "data", "train", "generate", "init", "why", "simulate"]) {
      const { code, out } = await skein(`${verb} --help`);
      expect(code).toBe(0);
      expect(out).toContain("Examples:");
      expect(out).toContain("Exit codes:");
      expect(out).toMatchSnapshot(`skein ${verb} --help`);
    }
    expect((await skein("--version")).out).toMatch(/^\d+\.\d+\.\d+\n$/);
  }, 30_000);
});
