/**
 * Speed of encoding and decoding a pseudo-gradient against PyTorch: the same tensors, one thread each, in one run, one after the other in
 * turns; the best of all turns counts. Ours is counted whole, with the entropy coding that theirs does not do.
 *
 *   npm run build:all
 *   node build/ts/bench/codec-size.js --dump FOLDER                       (real pseudo-gradients; without: drawn ones)
 *   PYTHON=python3 node build/ts/bench/codec-speed.js [--inputs FOLDER] [--preset 7m] [--repeat 15] [--bits 2] [--no-torch] [--cpu]
 *
 * With --cpu both sides count the processor time their process takes and not the time that passes: for machines that others use too.
 * Prints Markdown rows for bench/RESULTS.md, then the peak memory of encoding.
 */
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { assert, must } from "../src/base/assert.ts";
import { bytesOf } from "../src/base/bytes.ts";
import { seededRandom } from "../src/base/random.ts";
import { bodyEncoder, bodyLayout, decodeBody, encodeBody } from "../src/codec/body.ts";
import { compressor, type SentTensor, valuesOf } from "../src/codec/feedback.ts";
import { CODEC_DEFAULTS, type CodecParams } from "../src/codec/params.ts";
import { type ParamEntry, paramLayout } from "../src/engine/shape.ts";
import { PRESETS, type PresetName } from "../src/model/presets.ts";

const TASKS = ["encode", "select", "code", "decode", "decode-dense", "feedback", "copy"] as const;
type Task = (typeof TASKS)[number];
const WHAT: Readonly<Record<Task, string>> = {
  encode: "encode: all",
  select: "– error feedback, top-k, quantize",
  code: "– entropy-code (theirs: pack)",
  decode: "decode to indices and values",
  "decode-dense": "decode, scatter into dense",
  feedback: "(only a = β·e + Δ)",
  copy: "(copy of 256 MiB)",
};
const COPY_VALUES = 1 << 26;

const { values: args } = parseArgs({
  options: {
    inputs: { type: "string" },
    preset: { type: "string", default: "7m" },
    repeat: { type: "string", default: "15" },
    bits: { type: "string", default: "2" },
    "no-torch": { type: "boolean", default: false },
    memory: { type: "boolean", default: false },
    cpu: { type: "boolean", default: false },
  },
});
const params: CodecParams = { ...CODEC_DEFAULTS, bits: args.bits === "1" ? 1 : 2 };
const tensors: readonly ParamEntry[] = paramLayout(PRESETS[args.preset as PresetName].shape);
const layout = bodyLayout(
  tensors.map(({ dims }) => dims),
  params,
);
const paramCount = tensors.reduce((sum, { length }) => sum + length, 0);

interface Inputs {
  readonly delta: Float32Array;
  readonly residual: Float32Array;
}

/** Values whose size differs by row, by column and at random, about as those of training do. */
function drawn(): Inputs {
  const random = seededRandom("codec-speed");
  const normal = (): number => random.uniform() + random.uniform() + random.uniform() + random.uniform() - 2;
  const draw = (): Float32Array => {
    const all = new Float32Array(paramCount);
    for (const { dims, offset, length } of tensors) {
      const cols = dims.at(-1) ?? 1;
      const rowScale = Float64Array.from({ length: length / cols }, () => 2 ** (2 * normal()));
      const colScale = Float64Array.from({ length: cols }, () => 2 ** (2 * normal()));
      for (let i = 0; i < length; i++) {
        const scale = (rowScale[Math.floor(i / cols)] as number) * (colScale[i % cols] as number);
        all[offset + i] = 1e-4 * normal() * scale * (random.below(16) === 0 ? 4 : 1);
      }
    }
    return all;
  };
  return { delta: draw(), residual: draw() };
}

function load(folder: string): Inputs {
  const read = (name: string): Float32Array => {
    const all = new Float32Array(Uint8Array.from(readFileSync(join(folder, name))).buffer);
    assert(all.length === paramCount, `${name} has the preset's length`);
    return all;
  };
  return { delta: read("delta.bin"), residual: read("residual.bin") };
}

/** Milliseconds, of the clock or of this process. */
function now(): number {
  const { user, system } = process.cpuUsage();
  return args.cpu ? (user + system) / 1000 : performance.now();
}

/** Our side: each task once on fresh error feedback, in milliseconds. */
function ours({ delta, residual: start }: Inputs): { time(task: Task): number; kept: Int32Array; bytes: number } {
  const residual = start.slice();
  const dense = start.slice();
  const { compress } = compressor(params);
  const part = (all: Float32Array, t: ParamEntry): Float32Array => all.subarray(t.offset, t.offset + t.length);
  const select = (): SentTensor[] => tensors.map((t) => compress(t.dims, part(delta, t), part(residual, t)));
  const sent = select();
  const body = encodeBody(sent, layout);
  const decoded = (): SentTensor[] => decodeBody(body, layout) as SentTensor[];
  const copies = { from: new Float32Array(COPY_VALUES).fill(1), to: new Float32Array(COPY_VALUES).fill(1) };
  const tasks: Readonly<Record<Task, () => void>> = {
    encode() {
      const encoder = bodyEncoder(layout);
      for (const t of tensors) encoder.add(compress(t.dims, part(delta, t), part(residual, t)));
      encoder.finish();
    },
    select,
    code: () => encodeBody(sent, layout),
    decode: () => decoded().map(valuesOf),
    "decode-dense"() {
      for (const [t, tensor] of decoded().entries()) {
        const into = part(dense, must(tensors[t], "tensor")).fill(0);
        const values = valuesOf(tensor);
        for (let j = 0; j < values.length; j++) into[tensor.indices[j] as number] = values[j] as number;
      }
    },
    feedback() {
      const beta = Math.fround(params.beta);
      for (let i = 0; i < residual.length; i++) {
        residual[i] = Math.fround(beta * (residual[i] as number)) + (delta[i] as number);
      }
    },
    copy: () => copies.to.set(copies.from),
  };
  const kept = Int32Array.from(
    tensors.flatMap(({ offset }, t) => Array.from(sent[t]?.indices ?? [], (i) => offset + i)),
  );
  return {
    time(task) {
      residual.set(start);
      const began = now();
      tasks[task]();
      return now() - began;
    },
    kept,
    bytes: body.length,
  };
}

/** Their side: a process that does one task for each line. */
interface Torch {
  readonly hello: { readonly torch: string; readonly bytes: number };
  time(task: Task): Promise<number>;
  readonly child: ChildProcessWithoutNullStreams;
}

async function torch(folder: string): Promise<Torch> {
  const script = resolve(fileURLToPath(import.meta.url), "../../../../bench/torch_codec.py");
  const child = spawn(process.env["PYTHON"] ?? "python3", [script, folder, ...(args.cpu ? ["--cpu"] : [])]);
  child.stderr.pipe(process.stderr);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async (): Promise<unknown> => JSON.parse((await lines.next()).value as string);
  const hello = (await answer()) as Torch["hello"];
  return {
    hello,
    child,
    async time(task) {
      child.stdin.write(`${task}\n`);
      return ((await answer()) as { ms: number }).ms;
    },
  };
}

/** Writes what PyTorch reads. */
function store(folder: string, { delta, residual }: Inputs): void {
  const { chunkSide, k, beta } = params;
  writeFileSync(join(folder, "inputs.json"), JSON.stringify({ chunkSide, k, beta, dims: tensors.map((t) => t.dims) }));
  writeFileSync(join(folder, "delta.bin"), bytesOf(delta));
  writeFileSync(join(folder, "residual.bin"), bytesOf(residual));
}

type Best = Record<Task, number>;
const noTimes = (): Best => Object.fromEntries(TASKS.map((task) => [task, Number.POSITIVE_INFINITY])) as Best;

async function compare(inputs: Inputs, folder: string, repeat: number): Promise<void> {
  store(folder, inputs);
  const we = ours(inputs);
  const they = args["no-torch"] ? undefined : await torch(folder);
  const [our, their] = [noTimes(), noTimes()];
  for (let turn = 0; turn < repeat; turn++) {
    for (const task of TASKS) {
      our[task] = Math.min(our[task], we.time(task));
      if (they) their[task] = Math.min(their[task], await they.time(task));
    }
  }
  they?.child.kill();
  const mbPerSecond = (task: Task): number => (4 * (task === "copy" ? COPY_VALUES : paramCount)) / our[task] / 1e3;
  console.log(`| work | ms | MB/s of float32 | M kept values/s | PyTorch ms | × PyTorch |\n|---|---|---|---|---|---|`);
  for (const task of TASKS) {
    const kept = task === "copy" || task === "feedback" ? "" : (layout.keptCount / our[task] / 1e3).toFixed(2);
    const cells = [WHAT[task], our[task].toFixed(2), mbPerSecond(task).toFixed(0), kept, their[task].toFixed(2)];
    console.log(`| ${[...cells, (their[task] / our[task]).toFixed(2)].join(" | ")} |`);
  }
  const gigabytes = (8 * COPY_VALUES) / Math.min(our.copy, their.copy) / 1e6;
  const least = { encode: (12 * paramCount) / gigabytes / 1e6, "decode-dense": (4 * paramCount) / gigabytes / 1e6 };
  console.log(
    `\nmemory moves ${gigabytes.toFixed(1)} GB/s; encoding must read Δ and e and write e: ${least.encode.toFixed(2)} ms at least, ` +
      `ours takes ${(our.encode / least.encode).toFixed(1)} times that; a dense result must be written: ` +
      `${least["decode-dense"].toFixed(2)} ms, ours ${(our["decode-dense"] / least["decode-dense"]).toFixed(1)} times`,
  );
  if (they) {
    console.log(`payload: ours ${we.bytes} bytes, theirs ${they.hello.bytes}; PyTorch ${they.hello.torch}`);
    const bytes = readFileSync(join(folder, "kept.bin"));
    const theirKept = new Set(new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4));
    const common = we.kept.reduce((sum, i) => sum + (theirKept.has(i) ? 1 : 0), 0);
    console.log(`both keep ${common} of ${we.kept.length} (theirs ${theirKept.size}) values`);
  }
}

/** In a process of its own: what encoding takes above the params' Δ and error feedback, as multiples of the model. */
function memory({ delta, residual }: Inputs): void {
  const { compress } = compressor(params);
  const before = { rss: process.memoryUsage().rss, buffers: process.memoryUsage().arrayBuffers };
  const peak = { rss: before.rss, buffers: before.buffers };
  const look = (): void => {
    const now = process.memoryUsage();
    peak.rss = Math.max(peak.rss, now.rss);
    peak.buffers = Math.max(peak.buffers, now.arrayBuffers);
  };
  const encoder = bodyEncoder(layout);
  for (const { dims, offset, length } of tensors) {
    encoder.add(compress(dims, delta.subarray(offset, offset + length), residual.subarray(offset, offset + length)));
    look();
  }
  encoder.finish();
  look();
  const times = (bytes: number): string => (bytes / (4 * paramCount)).toFixed(3);
  console.log(
    `encoding ${args.preset} (${((4 * paramCount) / 1e6).toFixed(0)} MB) takes, above Δ and error feedback: ` +
      `${times(peak.buffers - before.buffers)} × the model in buffers, ${times(peak.rss - before.rss)} × in resident memory`,
  );
}

const inputs = args.inputs === undefined ? drawn() : load(args.inputs);
if (args.memory) {
  memory(inputs);
} else {
  const folder = mkdtempSync(join(tmpdir(), "skein-bench-"));
  try {
    console.log(
      `machine: ${cpus()[0]?.model}, ${cpus().length} cores, Node ${process.version}, one thread, ${args.cpu ? "processor" : "wall"} time; ${args.preset}, ${paramCount} params, ` +
        `${layout.keptCount} kept, ${params.bits} bits; ${args.inputs === undefined ? "drawn" : "real"} pseudo-gradients\n`,
    );
    await compare(inputs, folder, Number(args.repeat));
    const again = [fileURLToPath(import.meta.url), "--memory", "--preset", args.preset, "--bits", args.bits];
    const from = args.inputs === undefined ? [] : ["--inputs", args.inputs];
    process.stdout.write(execFileSync(process.execPath, [...again, ...from]));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
