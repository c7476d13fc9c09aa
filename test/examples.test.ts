/** Every program in examples/ runs and says what it promises. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { byteTokenizer, folderStore, initParams, openReference, PRESETS, saveCheckpoint } from "../src/node.ts";

const FOLDER = path.resolve(import.meta.dirname, "../examples");

/** Runs an example with arguments; returns what it wrote. */
async function run(file: string, ...args: string[]): Promise<string> {
  let said = "";
  vi.spyOn(console, "log").mockImplementation((...parts: unknown[]) => {
    said += `${parts.join(" ")}\n`;
  });
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    said += String(text);
    return true;
  });
  vi.stubGlobal("process", Object.assign(Object.create(process), { argv: ["node", file, ...args] }));
  vi.resetModules();
  await import(path.join(FOLDER, file));
  return said;
}

/** A run folder with an untrained model in it. */
async function untrainedRun(folder: string): Promise<void> {
  const tokenizer = byteTokenizer();
  const shape = { ...PRESETS.nano.shape, vocabSize: tokenizer.vocabSize, dim: 16, layers: 1, headDim: 4, ffnDim: 16 };
  const engine = await openReference({ shape, seqLen: 16, microBatch: 1 });
  await engine.write("params", initParams(shape, 1));
  const store = folderStore(folder);
  await store.put("tokenizer.json", new TextEncoder().encode(tokenizer.toJson()));
  await saveCheckpoint(store, engine, { step: 1, tokensSeen: 16, seed: "1", dataHash: "", config: "{}" });
  await engine.close();
}

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

describe("examples", () => {
  it("are all tested here", () => {
    expect(readdirSync(FOLDER).sort()).toEqual(["custom-loop.ts", "generate.ts", "prepare-data.ts", "train-tiny.ts"]);
  });

  it("custom-loop.ts learns its rule", async () => {
    expect(await run("custom-loop.ts")).toMatch(/step 40: loss .*after a 1 comes a 1\n$/s);
  }, 30_000);

  it("prepare-data.ts makes a dataset of these documents", async () => {
    expect(await run("prepare-data.ts")).toMatch(/^\d{4,} tokens from \d+ documents\n".+"\n$/s);
  }, 30_000);

  it("train-tiny.ts trains and writes", async () => {
    const said = await run("train-tiny.ts");
    expect(said).toMatch(/60 steps, loss [0-3]\.\d+; checkpoints: step-00000060\.safetensors\n".+"\n$/s);
  }, 30_000);

  it("generate.ts continues a prompt, or says where to get a model", async () => {
    const folder = mkdtempSync(path.join(tmpdir(), "skein-example-"));
    expect(await run("generate.ts", folder)).toMatch(/holds no run/);
    await untrainedRun(folder);
    const said = await run("generate.ts", folder, "once");
    expect(said).toMatch(/^once/);
    expect(said.length).toBeGreaterThan(20);
    rmSync(folder, { recursive: true });
  }, 30_000);
});
