/**
 * Speed and memory of a training step against PyTorch, on the same machine in one run: configurations S (≈ 7M params) and M (≈ 34M),
 * 1 and 2 threads, native and WASM builds of the exact engine, PyTorch eager and compiled, plain and with every setting that
 * helps it (bench/torch_step.py). Each measurement is a process of its own; ours run before and after PyTorch's and the better
 * counts, so that drift of the machine favours nobody.
 *
 *   npm run build:all
 *   PYTHON=python3 node build/ts/bench/step.js [S|M …] [--threads 1,2] [--seconds 15]
 *
 * Prints Markdown rows for bench/RESULTS.md. Tokens/s is the median over steps; memory is the process's peak resident set (VmHWM).
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type EngineName, openEngine } from "../src/engine/open.node.ts";
import { initTensors } from "../src/model/init.ts";
import { PRESETS } from "../src/model/presets.ts";

const CONFIGS = { S: PRESETS["7m"], M: PRESETS["34m"] } as const;
type ConfigName = keyof typeof CONFIGS;

interface Measurement {
  readonly tokensPerSecond: number;
  readonly peakMb: number;
  readonly detail: string;
}

function peakMb(): number {
  const line = /VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"));
  return Math.round(Number(line?.[1] ?? 0) / 1024);
}

/** One engine in this process: prints a JSON line. */
async function measureHere(engine: EngineName, config: ConfigName, threads: number, seconds: number): Promise<void> {
  const { shape, seqLen, batch } = CONFIGS[config];
  const opened = await openEngine({ engine, shape, seqLen, microBatch: batch, threads });
  for (const { entry, start, values } of initTensors(shape, "bench"))
    await opened.write("params", values, entry.offset + start);
  const tokens = new Int32Array(batch * (seqLen + 1)).map((_, i) => (i * i * 7 + i * 3) % shape.vocabSize);
  const times: number[] = [];
  const until = performance.now() + seconds * 1000;
  for (let step = 0; step < 4 || performance.now() < until; step++) {
    const start = performance.now();
    await opened.trainStep({ tokens, rows: batch, length: seqLen }, { lr: 1e-3 });
    if (step > 0) times.push(performance.now() - start); // the first step also touches the memory
  }
  times.sort((a, b) => a - b);
  const median = times[times.length >> 1] ?? Number.NaN;
  const found: Measurement = {
    tokensPerSecond: (batch * seqLen * 1000) / median,
    peakMb: peakMb(),
    detail: opened.backend,
  };
  console.log(JSON.stringify(found));
  await opened.close();
}

function ours(engine: EngineName, config: ConfigName, threads: number, seconds: number): Measurement {
  const args = [fileURLToPath(import.meta.url), "--one", `${engine},${config},${threads},${seconds}`];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: "utf8" })) as Measurement;
}

function theirs(config: ConfigName, threads: number, seconds: number, ...options: string[]): Measurement {
  const script = resolve(fileURLToPath(import.meta.url), "../../../../bench/torch_step.py");
  const args = [script, config, "--threads", String(threads), "--seconds", String(seconds), ...options];
  const env = { ...process.env };
  delete env["OPENBLAS_CORETYPE"]; // may name the wrong core and halve the reference
  const out = execFileSync(process.env["PYTHON"] ?? "python3", args, {
    encoding: "utf8",
    env,
    stdio: ["ignore", "pipe", "ignore"],
  });
  const found = JSON.parse(out.trim().split("\n").at(-1) ?? "{}") as Record<string, number | string>;
  const detail = `torch ${found["torch"]} ${found["mode"]}; import alone ${found["importRssMb"]} MB`;
  return { tokensPerSecond: Number(found["tokensPerSecondMedian"]), peakMb: Number(found["peakRssMb"]), detail };
}

function better(a: Measurement, b: Measurement): Measurement {
  return a.tokensPerSecond >= b.tokensPerSecond ? a : b;
}

function compare(config: ConfigName, threads: number, seconds: number): void {
  const native = ours("native", config, threads, seconds);
  const wasm = ours("wasm", config, threads, seconds);
  const rows: [string, Measurement][] = [];
  rows.push(["PyTorch eager, as installed", theirs(config, threads, seconds, "--mode", "eager", "--plain")]);
  rows.push(["PyTorch compiled, as installed", theirs(config, threads, seconds, "--mode", "compile", "--plain")]);
  rows.push(["PyTorch best (compiled, huge pages, MKL told it is on Intel)", theirs(config, threads, seconds)]);
  rows.push(["Skein native", better(native, ours("native", config, threads, seconds))]);
  rows.push(["Skein WASM", better(wasm, ours("wasm", config, threads, seconds))]);
  const [eager, compiled, best] = rows.map(([, m]) => m.tokensPerSecond) as [number, number, number];
  for (const [name, m] of rows) {
    const ratios = [eager, compiled, best].map((x) => (m.tokensPerSecond / x).toFixed(2)).join(" / ");
    console.log(
      `| ${config} | ${threads} | ${name} | ${m.tokensPerSecond.toFixed(0)} | ${ratios} | ${m.peakMb} | ${m.detail} |`,
    );
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    one: { type: "string" },
    threads: { type: "string", default: "1,2" },
    seconds: { type: "string", default: "15" },
  },
});
if (values.one) {
  const [engine, config, threads, seconds] = values.one.split(",");
  await measureHere(engine as EngineName, config as ConfigName, Number(threads), Number(seconds));
} else {
  console.log(`machine: ${cpus()[0]?.model}, ${cpus().length} cores, Node ${process.version}`);
  console.log(
    "| config | threads | engine | tokens/s | × PyTorch eager / compiled / best | peak MB | detail |\n|---|---|---|---|---|---|---|",
  );
  for (const config of positionals.length > 0 ? positionals : ["S", "M"]) {
    for (const threads of values.threads.split(","))
      compare(config as ConfigName, Number(threads), Number(values.seconds));
  }
}
