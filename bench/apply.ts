/**
 * Speed of the outer step (aggregate and apply) and of the state root against PyTorch, on the same numbers in one run, one thread
 * each: configurations S (≈ 7M params) and M (≈ 34M), 20 contributions with 64 of every 4096 values, drawn independently (the
 * hardest case: no two peers share more elements than chance has it). Work begins with what the entropy decoder leaves, int32 indices
 * and a byte for each value ("from codes"), or with indices and float32 values; it ends with the new params. Ours runs before and
 * after PyTorch's and the better counts. Inputs go through files in a temporary folder; PyTorch's new params come back and are
 * compared with ours.
 * The fewest milliseconds of all repetitions count on either side: other work on the machine only adds.
 *
 *   npm run build:all && node build/ts/src/round/native/build.node.js
 *   PYTHON=python3 node build/ts/bench/apply.js [S|M …] [--contributions 20] [--repeat 7] [--rules mean-all,mean-senders]
 *
 * Prints Markdown rows for bench/RESULTS.md: times, and the least that memory allows: the bytes that must be read and written at
 * least, at the rate at which PyTorch multiplies the params by a number in place.
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
import type { Coded, SparseTensor } from "../src/round/contribution.ts";
import { type MeansKernel, wasmMeans } from "../src/round/means.ts";
import { bestMeans } from "../src/round/native/native.node.ts";
import { stateRoot } from "../src/round/state-root.ts";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    contributions: { type: "string", default: "20" },
    repeat: { type: "string", default: "7" },
    rules: { type: "string", default: AGGREGATION_NAMES.join() },
  },
});
const RULES = AGGREGATION_NAMES.filter((name) => options.rules.split(",").includes(name));
const CONFIGS = { S: PRESETS["7m"].shape, M: PRESETS["34m"].shape } as const;
type ConfigName = keyof typeof CONFIGS;
const OUTER_LR = 0.65;
const CHUNK = 4096;
const KEPT = 64;

/** All that a round gets: params, and for each tensor the contributions. */
interface Inputs {
  readonly layout: readonly ParamEntry[];
  readonly params: Float32Array;
  readonly sparse: readonly (readonly (SparseTensor & { readonly coded: Coded })[])[];
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
      const codes = Uint8Array.from(indices, () => random.below(4));
      const low = 0.001 + 0.001 * random.uniform();
      const book = Float32Array.of(low, 1.6 * low, -low, -1.6 * low);
      return { indices, values: valuesOf({ codes, book }), coded: { codes, book } };
    }),
  );
  const values = sparse.flat().reduce((sum, { indices }) => sum + indices.length, 0);
  return { layout, params, sparse, values };
}

/** Writes what PyTorch reads: params; then tensor by tensor, contribution by contribution, indices, codes and books. */
function store(folder: string, { layout, params, sparse }: Inputs): void {
  const lengths = layout.map(({ length }) => length);
  const counts = sparse.map((tensors) => tensors.map(({ indices }) => indices.length));
  writeFileSync(join(folder, "inputs.json"), JSON.stringify({ lengths, counts, outerLr: OUTER_LR, rules: RULES }));
  writeFileSync(join(folder, "params.bin"), bytesOf(params));
  writeFileSync(join(folder, "indices.bin"), Buffer.concat(sparse.flat().map(({ indices }) => bytesOf(indices))));
  writeFileSync(join(folder, "codes.bin"), Buffer.concat(sparse.flat().map(({ coded }) => coded.codes)));
  writeFileSync(join(folder, "books.bin"), Buffer.concat(sparse.flat().map(({ coded }) => bytesOf(coded.book))));
}

/** Where the work begins: at values, or at codes. */
type From = "values" | "codes";

function applyAll(
  { layout, sparse }: Inputs,
  params: Float32Array,
  name: AggregationName,
  from: From,
  kernel: MeansKernel,
): void {
  const settings = { aggregation: AGGREGATIONS[name], outerLr: OUTER_LR };
  layout.forEach(({ offset, length }, i) => {
    const contributions = (sparse[i] ?? []).map(({ indices, values, coded }) =>
      from === "values" ? { indices, values } : lazily(indices, coded),
    );
    applyTensor(params.subarray(offset, offset + length), contributions, settings, kernel);
  });
}

function valuesOf({ codes, book }: Coded): Float32Array {
  const values = new Float32Array(codes.length);
  for (let j = 0; j < codes.length; j++) values[j] = book[codes[j] as number] as number;
  return values;
}

/** As payload.ts gives it: values are made from the codes where somebody asks for them. */
function lazily(indices: Int32Array, coded: Coded): SparseTensor {
  let values: Float32Array | undefined;
  return {
    indices,
    coded,
    get values() {
      values ??= valuesOf(coded);
      return values;
    },
  };
}

/** Fewest milliseconds of `work` in `repeat` runs after one that warms up. */
function leastMs(repeat: number, work: () => void): number {
  const times: number[] = [];
  for (let i = 0; i <= repeat; i++) {
    const start = performance.now();
    work();
    if (i > 0) times.push(performance.now() - start);
  }
  return Math.min(...times);
}

type Times = Readonly<Record<string, number>>;

/** Kernels of the means to time: the best that this machine has, and WebAssembly. */
const KERNELS: readonly MeansKernel[] = bestMeans() === wasmMeans ? [wasmMeans] : [bestMeans(), wasmMeans];

/** Name of a row, as torch_apply.py has it. */
const rowOf = (name: AggregationName, from: From): string => (from === "codes" ? `${name} from codes` : name);

function ours(inputs: Inputs, repeat: number): Times {
  const scratch = inputs.params.slice();
  const times: Record<string, number> = {};
  for (const kernel of KERNELS) {
    for (const name of RULES) {
      for (const from of ["values", "codes"] as const)
        times[`${kernel.name} ${rowOf(name, from)}`] = leastMs(repeat, () =>
          applyAll(inputs, scratch, name, from, kernel),
        );
    }
  }
  times["state-root"] = leastMs(repeat, () => {
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
  applyAll(inputs, our, name, "codes", bestMeans());
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
    const least = (key: string): number => Math.min(before[key] ?? Number.NaN, after[key] ?? Number.NaN);
    const inPlace = torch.times["in place"] ?? Number.NaN;
    const byteRate = (8 * inputs.params.length) / inPlace; // bytes read or written in a ms
    for (const name of RULES) {
      for (const from of ["values", "codes"] as const) {
        const row = rowOf(name, from);
        const their = torch.times[row] ?? Number.NaN;
        const bytes = 8 * inputs.params.length + (from === "values" ? 8 : 5) * inputs.values;
        const each = KERNELS.map((kernel) => {
          const our = least(`${kernel.name} ${row}`);
          return `${our.toFixed(1)} | ${(inputs.values / our / 1e3).toFixed(0)} | ${(their / our).toFixed(2)}`;
        });
        console.log(
          `| ${config} | ${name} | ${from} | ${each.join(" | ")} | ${their.toFixed(1)} | ${torch.how[row]} | ` +
            `${(bytes / byteRate).toFixed(1)} | ${difference(folder, inputs, name).toExponential(1)} |`,
        );
      }
    }
    const [our, their] = [least("state-root"), torch.times["state-root"] ?? Number.NaN];
    console.log(
      `${config}: state root ${our.toFixed(1)} ms, hashlib ${their.toFixed(1)} ms, × ${(their / our).toFixed(2)}`,
    );
    console.log(
      `${config}: multiplying the params in place ${inPlace.toFixed(2)} ms, ${(byteRate / 1e6).toFixed(1)} GB/s`,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

console.log(`machine: ${cpus()[0]?.model}, ${cpus().length} cores, Node ${process.version}, one thread`);
const columns = KERNELS.map(({ name }) => `${name}: ms | Mvalues/s | × PyTorch`);
console.log(`| config | rule | from | ${columns.join(" | ")} | PyTorch ms | its way | least ms | largest difference |`);
console.log(`${"|---".repeat(7 + 3 * KERNELS.length)}|`);
for (const config of positionals.length > 0 ? positionals : ["S", "M"]) {
  compare(config as ConfigName, Number(options.contributions), Number(options.repeat));
}
