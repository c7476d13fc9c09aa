/** `skein init` as a user types it: the built program, started as a process. */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseManifest } from "../../src/data/shards/manifest.ts";
import { readSpecText, specHash } from "../../src/run/parse.ts";
import { makeSpec } from "../../src/run/presets.ts";
import type { RunSpec } from "../../src/run/spec.ts";

const MAIN = path.resolve(import.meta.dirname, "../../dist/cli/main.js");
const home = mkdtempSync(path.join(tmpdir(), "skein-init-"));

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function skein(...args: readonly string[]): Promise<Ended> {
  const child = spawn(process.execPath, [MAIN, ...args], { cwd: home, stdio: ["ignore", "pipe", "pipe"] });
  let [out, err] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text) => {
    out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text) => {
    err += text;
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, out, err }));
  });
}

const textOf = (file: string): string => readFileSync(path.join(home, file), "utf8");
const specOf = (file: string): RunSpec => readSpecText(textOf(file));

beforeAll(async () => {
  mkdirSync(path.join(home, "texts"));
  for (let i = 0; i < 40; i++) {
    const text = `Story ${i}. The fox number ${i * 7} went to the river and the river went to the sea. `.repeat(36);
    writeFileSync(path.join(home, "texts", `${i}.txt`), text);
  }
  for (const out of ["data", ".skein/data-2048"]) {
    const { code, err } = await skein("data", "texts", "--out", out, "--bytes", "--valid-share", "0.2");
    expect(code, err).toBe(0);
  }
}, 60_000);

afterAll(() => rmSync(home, { recursive: true, force: true }));

describe("skein init", { timeout: 60_000 }, () => {
  it("writes the run that preset, data, name and seed make, with comments", async () => {
    const { code, out, err } = await skein(
      "init",
      "--preset",
      "tiny",
      "--data",
      "data",
      "--seed",
      "7",
      "--name",
      "First // run",
    );
    expect(code, err).toBe(0);
    const manifest = parseManifest(readFileSync(path.join(home, "data/manifest.json")));
    const spec = specOf("run.json");
    expect(spec).toEqual(makeSpec({ preset: "tiny", name: "First // run", seed: "7", manifest }));
    expect(textOf("run.json")).toContain("// payloads applied in a round");
    expect(out).toContain("run     First // run, from tiny with seed 7: run.json\n");
    expect(out).toMatch(/\nmodel {3}[\d.]+k params \(vocabulary 257, width 8, 2 layers\)\n/);
    expect(out).toMatch(/\ndata {4}data: [\d.]+k tokens to train on\n/);
    expect(out).toMatch(/\nrounds {2}10 of 4 steps with 2 × 32 tokens\n/);
    expect(out).toMatch(
      /\nround {3}8 blocks: 4 to train, 2 to reveal, 2 to vote; 8 s at 1 s a block, 1 min 20 s for all/,
    );
    expect(out).toMatch(/\ntokens {2}256 a round and peer, 2\.05k where all 8 uids are taken\n/);
    expect(out).toMatch(/\npayload about \d+ bytes a round and peer, \d+ bytes at most; \d+× smaller than the model\n/);
    expect(out).toContain(`\nhash    ${specHash(spec)}\n`);
    expect(out).toMatch(/\n\nLook run\.json over, then: skein launch run\.json\n$/);
  });

  it("writes over nothing but what it is told to", async () => {
    const args = ["init", "mine.json", "--preset", "tiny", "--data", "data"];
    expect((await skein(...args)).code).toBe(0);
    const first = textOf("mine.json");
    const again = await skein(...args);
    expect(again.code, again.out + again.err).toBe(2);
    expect(again.err).toMatch(/^error: mine\.json is there already\nremedy: .*--force\n$/);
    expect(textOf("mine.json")).toBe(first);
    expect((await skein(...args, "--force")).code).toBe(0);
    expect(specOf("mine.json").seed).not.toBe(readSpecText(first).seed); // drawn anew
    expect(specOf("mine.json").seed).toMatch(/^[0-9a-f]{16}$/);
  });

  it("takes the default corpus and the laptop's preset, with as many uids as the text serves", async () => {
    const { code, out, err } = await skein("init", "default.json", "--seed", "1");
    expect(code, err).toBe(0);
    expect(out).toContain("run     laptop, from laptop with seed 1: default.json\n");
    expect(out).toContain("data    .skein/data-2048: ");
    expect(err).toContain("The text is enough for 2 uids with data of their own; laptop has 16.\n");
    expect(specOf("default.json")).toMatchObject({ uids: 2, outer: { cap: 2, newcomerSlots: 2 }, score: { peers: 2 } });
  });

  it("tells machines what it made", async () => {
    const { code, out, err } = await skein(
      "init",
      "json.json",
      "--preset",
      "tiny",
      "--data",
      "data",
      "--seed",
      "1",
      "--json",
    );
    expect(code, err).toBe(0);
    const events = out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    const spec = specOf("json.json");
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({
      ...{ event: "run", file: "json.json", name: "tiny", preset: "tiny", seed: "1", data: "data" },
      ...{ specHash: specHash(spec), genesisRoot: spec.genesisRoot, manifestSha256: spec.data.manifest },
      ...{ uids: 8, rounds: 10, roundBlocks: 8, roundSeconds: 8, roundTokens: 256 },
    });
    expect(events[0].payloadBytes).toBeLessThan(events[0].payloadBytesMax);
  });

  it("says what is wrong, and leaves no file", async () => {
    for (const [args, code, message] of [
      [["--preset", "huge"], 2, /no run preset "huge"/],
      [["--preset", "tiny", "--data", "nowhere"], 3, /no dataset in nowhere/],
      [["--preset", "tiny", "--data", "data", "--name", ""], 2, /name must be 1 to 64 visible characters/],
      [["--preset", "tiny", "--data", "data", "--seed", "a\nb"], 2, /seed must be/],
      [["--preset", "2m", "--data", "data"], 3, /too little text/],
    ] as const) {
      const outcome = await skein("init", "wrong.json", ...args);
      expect(outcome.err).toMatch(message);
      expect(outcome.err).toMatch(/remedy: /);
      expect(outcome.code).toBe(code);
      expect(() => textOf("wrong.json")).toThrow(/ENOENT/);
    }
  });
});
