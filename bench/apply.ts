/**
 * Speed of the outer step (aggregate and apply) and of the state root against PyTorch, on the same numbers in one run, one thread
 * each: configurations S (≈ 7M params) and M (≈ 34M), 20 contributions with 64 of every 4096 values, drawn independently (the
 * hardest case: no two peers share more elements than chance has it). Ours runs before and after PyTorch's and the better counts.
 * Inputs go through files in a temporary folder; PyTorch's new params come back and are compared with ours.
 *
 *   npm run build:all
 *   PYTHON=python3 node build/ts/bench/apply.js [S|M …] [--contributions 20] [--repeat 7]
 *
 * Prints Markdown rows for bench/RESULTS.md: median time, values received per second, bytes of params per second.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { bytesOf } from "../src/base/bytes.ts";
import { seededRandom } from "../src/base/random.ts";
import { type ParamEntry, paramLayout } from "../src/engine/shape.ts";
import { PRESETS } from "../src/model/presets.ts";
import { AGGREGATION_NAMES, AGGREGATIONS, type AggregationName } from "../src/round/aggregation.ts";
import { applyTensor } from "../src/round/apply.ts";
import type { SparseTensor } from "../src/round/contribution.ts";
import { stateRoot } from "../src/round/state-root.ts";

const CONFIGS = { S: PRESETS["7m"].shape, M: PRESETS["34m"].shape } as const;
type ConfigName = keyof typeof CONFIGS;
const OUTER_LR = 0.65;
const CHUNK = 4096;
const KEPT = 64;

/** All that a round gets: params, and for each tensor the contributions. */
interface Inputs {
  readonly layout: readonly ParamEntry[];
  readonly params: Float32Array;
  readonly sparse: readonly (readonly SparseTensor[])[];
  readonly values: number;
}

function draw(config: ConfigName, contributions: number): Inputs {
  const random = seededRandom(`bench apply ${config}`);
  const layout = paramLayout(CONFIGS[config]);
  const last = layout.at(-1);
  const params = new Float32Array((last?.offset ?? 0) + (last?.length ?? 0)).map(() => random.uniform() - 0.5);
  const sparse = layout.map(({ length }) =>
    Array.from({ length: contributions }, () => {
      const indices = new Int32Array(Math.floor(length / CHUNK) * KEPT + Math.min(KEPT, length % CHUNK));
      let at = 0;
      for (let start = 0; start < length; start += CHUNK) {
        const size = Math.min(CHUNK, length - start);
        const kept = new Set<number>();
        while (kept.size < Math.min(KEPT, size)) kept.add(start + random.below(size));
        indices.set(
          [...kept].sort((a, b) => a - b),
          at,
        );
        at += kept.size;
      }
      return { indices, values: new Float32Array(indices.length).map(() => (random.uniform() - 0.5) * 0.01) };
    }),
  );
  const values = sparse.flat().reduce((sum, { indices }) => sum + indices.length, 0);
  return { layout, params, sparse, values };
}

/** Writes what PyTorch reads: params; then tensor by tensor, contribution by contribution, indices and values. */
function store(folder: string, { layout, params, sparse }: Inputs): void {
  const lengths = layout.map(({ length }) => length);
  const counts = sparse.map((tensors) => tensors.map(({ indices }) => indices.length));
  writeFileSync(join(folder, "inputs.json"), JSON.stringify({ lengths, counts, outerLr: OUTER_LR }));
  writeFileSync(join(folder, "params.bin"), bytesOf(params));
  writeFileSync(join(folder, "indices.bin"), Buffer.concat(sparse.flat().map(({ indices }) => bytesOf(indices))));
  writeFileSync(join(folder, "values.bin"), Buffer.concat(sparse.flat().map(({ values }) => bytesOf(values))));
}

function applyAll({ layout, sparse }: Inputs, params: Float32Array, name: AggregationName): void {
  const settings = { aggregation: AGGREGATIONS[name], outerLr: OUTER_LR };
  layout.forEach(({ offset, length }, i) => {
    applyTensor(params.subarray(offset, offset + length), sparse[i] ?? [], settings);
  });
}

/** Median milliseconds of `work` over `repeat` runs after one that warms up. */
function medianMs(repeat: number, work: () => void): number {
  const times: number[] = [];
  for (let i = 0; i <= repeat; i++) {
    const start = performance.now();
    work();
    if (i > 0) times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[times.length >> 1] ?? Number.NaN;
}

type Times = Readonly<Record<string, number>>;

function ours(inputs: Inputs, repeat: number): Times {
  const scratch = inputs.params.slice();
  const times: Record<string, number> = {};
  for (const name of AGGREGATION_NAMES) times[name] = medianMs(repeat, () => applyAll(inputs, scratch, name));
  times["state-root"] = medianMs(repeat, () => {
    stateRoot(inputs.params);
  });
  return times;
}

function theirs(
  folder: string,
  repeat: number,
): { times: Times; torch: string; how: Readonly<Record<string, string>> } {
  const script = resolve(fileURLToPath(import.meta.url), "../../../../bench/torch_apply.py");
  const args = [script, folder, "--repeat", String(repeat)];
  const out = execFileSync(process.env["PYTHON"] ?? "python3", args, { encoding: "utf8" });
  return JSON.parse(out.trim().split("\n").at(-1) ?? "{}");
}

/** Largest difference between PyTorch's new params and ours. */
function difference(folder: string, inputs: Inputs, name: AggregationName): number {
  const bytes = readFileSync(join(folder, `${name}.bin`));
  const their = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const our = inputs.params.slice();
  applyAll(inputs, our, name);
  return our.reduce((most, value, i) => Math.max(most, Math.abs(value - (their[i] as number))), 0);
}

function compare(config: ConfigName, contributions: number, repeat: number): void {
  const folder = mkdtempSync(join(tmpdir(), "skein-bench-"));
  try {
    const inputs = draw(config, contributions);
    store(folder, inputs);
    const before = ours(inputs, repeat);
    const torch = theirs(folder, repeat);
    const after = ours(inputs, repeat);
    for (const name of [...AGGREGATION_NAMES, "state-root"]) {
      const [our, their] = [
        Math.min(before[name] ?? Number.NaN, after[name] ?? Number.NaN),
        torch.times[name] ?? Number.NaN,
      ];
      const valuesPerSecond = name === "state-root" ? "" : (inputs.values / our / 1e3).toFixed(0);
      const megabytes = (4 * inputs.params.length) / our / 1e3;
      const most = name === "state-root" ? "" : difference(folder, inputs, name as AggregationName).toExponential(1);
      console.log(
        `| ${config} | ${name} | ${our.toFixed(1)} | ${valuesPerSecond} | ${megabytes.toFixed(0)} | ${their.toFixed(1)} | ` +
          `${(their / our).toFixed(2)} | ${most} | ${torch.how[name] ?? ""} |`,
      );
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { contributions: { type: "string", default: "20" }, repeat: { type: "string", default: "7" } },
});
console.log(`machine: ${cpus()[0]?.model}, ${cpus().length} cores, Node ${process.version}, one thread`);
console.log(
  "| config | work | ms | Mvalues/s | MB/s of params | PyTorch ms | × PyTorch | largest difference | PyTorch's way |",
);
console.log("|---|---|---|---|---|---|---|---|---|");
for (const config of positionals.length > 0 ? positionals : ["S", "M"]) {
  compare(config as ConfigName, Number(values.contributions), Number(values.repeat));
}
