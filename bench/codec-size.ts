/**
 * What payloads of real pseudo-gradients weigh. Trains a model with the exact engine on real text, then plays some rounds of SparseLoCo
 * with a few peers: H inner steps each from common params, compression with error feedback, mean over peers, outer step. The
 * payloads of the last rounds are measured and set against the bounds.
 *
 *   npm run build:all
 *   node build/ts/bench/codec-size.js [--preset 7m] [--warmup 60] [--rounds 4] [--steps 20] [--peers 2] [--k 64] [--bits 2] [--beta 0.95] [--dump folder]
 *
 * Text: books of the folder SKEIN_SHARED names (default ../shared), where they are; else the default corpus.
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { must } from "../src/base/assert.ts";
import { bytesOf } from "../src/base/bytes.ts";
import { bodyLayout, decodeBody, encodeBody } from "../src/codec/body.ts";
import { compressor, type SentTensor, valuesOf } from "../src/codec/feedback.ts";
import { CODEC_DEFAULTS, type CodecParams } from "../src/codec/params.ts";
import { trainBpe } from "../src/data/bpe-train.ts";
import { defaultCorpus } from "../src/data/default-corpus.node.ts";
import type { Document } from "../src/data/document.ts";
import { fileDocuments } from "../src/data/files.node.ts";
import type { Engine } from "../src/engine/engine.ts";
import { openEngine } from "../src/engine/open.node.ts";
import { paramLayout } from "../src/engine/shape.ts";
import { initParams } from "../src/model/init.ts";
import { PRESETS, type PresetName } from "../src/model/presets.ts";

const ROOT = resolve(fileURLToPath(import.meta.url), "../../../..");
const SAMPLE_BYTES = 3_000_000;

const { values: args } = parseArgs({
  options: {
    preset: { type: "string", default: "7m" },
    warmup: { type: "string", default: "60" },
    rounds: { type: "string", default: "4" },
    steps: { type: "string", default: "20" },
    peers: { type: "string", default: "2" },
    k: { type: "string", default: "64" },
    bits: { type: "string", default: "2" },
    beta: { type: "string", default: "0.95" },
    dump: { type: "string" },
  },
});

/** Some megabytes of text as tokens. */
async function corpusTokens(vocabSize: number): Promise<Int32Array> {
  const books = resolve(process.env["SKEIN_SHARED"] ?? `${ROOT}/../shared`, "data/books/train");
  const documents = existsSync(books) ? fileDocuments([books]) : (await defaultCorpus()).documents;
  const texts: Document[] = [];
  let bytes = 0;
  for await (const document of documents) {
    if (bytes > SAMPLE_BYTES) break;
    texts.push(document);
    bytes += document.text.length;
  }
  const tokenizer = await trainBpe(
    texts.map(({ text }) => text),
    { vocabSize },
  );
  const parts = texts.map(({ text }) => tokenizer.encode(text));
  const all = new Int32Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** `steps` inner steps of one peer. */
async function train(
  engine: Engine,
  tokens: Int32Array,
  rows: number,
  first: number,
  steps: number,
  lr: number,
): Promise<number> {
  const length = engine.options.seqLen;
  let loss = 0;
  for (let step = 0; step < steps; step++) {
    const batch = new Int32Array(rows * (length + 1));
    for (let row = 0; row < rows; row++) {
      const start = ((first + step * rows + row) * 2_654_435) % (tokens.length - length - 1);
      batch.set(tokens.subarray(start, start + length + 1), row * (length + 1));
    }
    ({ loss } = await engine.trainStep(
      { tokens: batch, rows, length },
      { lr: lr * Math.min(1, (engine.stepCount() + 1) / 30) },
    ));
  }
  return loss;
}

interface Peer {
  readonly residuals: Float32Array[];
  m: Float32Array;
  v: Float32Array;
}

/** A payload with what it approximates, for measuring. */
interface Sample {
  readonly name: string;
  readonly dims: readonly number[];
  readonly tensor: SentTensor;
  /** Kept values before quantization. */
  readonly exact: Float32Array;
  /** What was compressed: the pseudo-gradient, and the error feedback before it was added. */
  readonly delta: Float32Array;
  readonly before: Float32Array;
}

async function collect(params: CodecParams): Promise<Sample[][]> {
  const { shape, seqLen, batch, schedule } = PRESETS[args.preset as PresetName];
  const [peers, rounds, steps] = [Number(args.peers), Number(args.rounds), Number(args.steps)];
  const tokens = await corpusTokens(shape.vocabSize);
  const engine = await openEngine({ engine: "auto", shape, seqLen, microBatch: batch });
  const layout = paramLayout(shape);
  await engine.write("params", initParams(shape, "codec-size"));
  const warm = await train(engine, tokens, batch, 0, Number(args.warmup), schedule.lr);
  console.log(
    `${args.preset}: ${tokens.length} tokens of text; loss ${warm.toFixed(3)} after ${args.warmup} steps; ${engine.backend}`,
  );
  const state = { params: await engine.read("params"), step: engine.stepCount() };
  const states: Peer[] = [];
  for (let p = 0; p < peers; p++) {
    states.push({
      residuals: layout.map(({ length }) => new Float32Array(length)),
      m: await engine.read("m"),
      v: await engine.read("v"),
    });
  }
  let samples: Sample[][] = [];
  for (let round = 0; round < rounds; round++) {
    samples = [];
    const mean = new Float32Array(state.params.length);
    let loss = 0;
    for (const [p, peer] of states.entries()) {
      await engine.write("params", state.params);
      await engine.write("m", peer.m);
      await engine.write("v", peer.v);
      engine.setStepCount(state.step + round * steps);
      loss += await train(engine, tokens, batch, 1_000_000 + (round * peers + p) * 7919, steps, schedule.lr);
      const after = await engine.read("params");
      peer.m = await engine.read("m");
      peer.v = await engine.read("v");
      samples.push(compressAll(params, layout, state.params, after, peer, mean, peers));
    }
    for (let i = 0; i < mean.length; i++) state.params[i] = (state.params[i] as number) - (mean[i] as number);
    console.log(`round ${round}: mean loss of the last step ${(loss / peers).toFixed(3)}`);
  }
  await engine.close();
  return samples;
}

function compressAll(
  params: CodecParams,
  layout: ReturnType<typeof paramLayout>,
  before: Float32Array,
  after: Float32Array,
  peer: Peer,
  mean: Float32Array,
  peers: number,
): Sample[] {
  const { compress } = compressor(params);
  return layout.map(({ name, dims, offset, length }, t) => {
    const delta = before.slice(offset, offset + length).map((x, i) => x - (after[offset + i] as number));
    const residual = must(peer.residuals[t], "residual");
    const feedback = residual.slice();
    const tensor = compress(dims, delta, residual);
    const sent = valuesOf(tensor);
    const exact = new Float32Array(tensor.indices.length);
    for (const [j, index] of tensor.indices.entries()) {
      const value = sent[j] as number;
      exact[j] = (residual[index] as number) + value;
      mean[offset + index] = (mean[offset + index] as number) + value / peers;
    }
    return { name, dims, tensor, exact, delta, before: feedback };
  });
}

/**
 * Writes samples where other programs can read them: index.json and one binary file per array; and the first peer's whole
 * pseudo-gradient and error feedback, tensor after tensor, for codec-speed.ts.
 */
function dump(folder: string, samples: Sample[][]): void {
  mkdirSync(folder, { recursive: true });
  const index = samples.map((peer, p) =>
    peer.map(({ name, tensor, exact }) => {
      writeFileSync(`${folder}/${p}.${name}.indices`, tensor.indices);
      writeFileSync(`${folder}/${p}.${name}.values`, exact);
      return { file: `${p}.${name}`, rows: tensor.grid.rows, cols: tensor.grid.cols };
    }),
  );
  writeFileSync(`${folder}/index.json`, JSON.stringify(index));
  const whole = (part: "delta" | "before"): Buffer => Buffer.concat((samples[0] ?? []).map((s) => bytesOf(s[part])));
  writeFileSync(`${folder}/delta.bin`, whole("delta"));
  writeFileSync(`${folder}/residual.bin`, whole("before"));
}

/** log2 of the number of ways to choose k of n. */
function log2Choose(n: number, k: number): number {
  let sum = 0;
  for (let i = 0; i < k; i++) sum += Math.log2((n - i) / (k - i));
  return sum;
}

/** The 4-bin code of the reference implementation: uniform bins over six standard deviations with centroids. Squared error. */
function fourBinError(values: Float32Array): number {
  const n = values.length;
  const shift = values.reduce((a, b) => a + b, 0) / n;
  const centred = Array.from(values, (v) => v - shift);
  const deviation = Math.sqrt(centred.reduce((a, c) => a + c * c, 0) / Math.max(1, n - 1));
  const scale = (6 * deviation) / 4 || 1;
  const bins = centred.map((c) => Math.max(0, Math.min(3, Math.round(c / scale + 2))));
  const [sums, counts] = [new Float64Array(4), new Float64Array(4)];
  bins.forEach((b, i) => {
    sums[b] = (sums[b] as number) + (centred[i] as number);
    counts[b] = (counts[b] as number) + 1;
  });
  return bins.reduce((e, b, i) => e + ((centred[i] as number) - (sums[b] as number) / (counts[b] as number)) ** 2, 0);
}

const squares = (values: Iterable<number>): number => {
  let sum = 0;
  for (const v of values) sum += v * v;
  return sum;
};

/** `codes` with what the caller wants left out, to see what the rest costs. */
function streamBits(samples: readonly Sample[], params: CodecParams, keep: number): number {
  const plain = samples.map(({ tensor }) => ({ ...tensor, codes: tensor.codes.map((code) => code & keep) }));
  const layout = bodyLayout(
    samples.map(({ dims }) => dims),
    params,
  );
  return 8 * (encodeBody(plain, layout).length - layout.levelBytes);
}

/** Prints what the payloads weigh and how fast they are made and read. */
function report(samples: readonly Sample[][], params: CodecParams): void {
  const all = must(samples[0], "a payload");
  const layout = bodyLayout(
    all.map(({ dims }) => dims),
    params,
  );
  const kept = layout.keptCount;
  const fp32Bytes = 4 * layout.grids.reduce((n, { rows, cols }) => n + rows * cols, 0);
  const n0 = params.chunkSide ** 2;
  console.log(
    `\nk = ${params.k} of ${n0}, ${params.bits} bits, beta ${params.beta}; fp32 ${fp32Bytes} bytes; ${kept} values kept`,
  );
  console.log(
    "| payload | bits/index | bits/level | bits/sign | levels, bytes | body, bytes | fp32 / (body + 256) | relative error | 4-bin code |",
  );
  console.log("|---|---|---|---|---|---|---|---|---|");
  for (const [p, payload] of samples.entries()) {
    const body = encodeBody(
      payload.map(({ tensor }) => tensor),
      layout,
    );
    const indices = streamBits(payload, params, 0); // constant levels and signs cost next to nothing
    const level = streamBits(payload, params, 1) - indices;
    const sign = streamBits(payload, params, 2) - indices;
    const energy = payload.reduce((sum, { exact }) => sum + squares(exact), 0);
    const error = payload.reduce((sum, { exact, tensor }) => {
      const sent = valuesOf(tensor);
      return sum + squares(exact.map((v, i) => v - (sent[i] as number)));
    }, 0);
    const four = payload.reduce((sum, { exact }) => sum + fourBinError(exact), 0);
    const row = [p, ...[indices, level, sign].map((b) => (b / kept).toFixed(3)), layout.levelBytes, body.length];
    console.log(
      `| ${[...row, (fp32Bytes / (body.length + 256)).toFixed(1), (error / energy).toFixed(5), (four / energy).toFixed(5)].join(" | ")} |`,
    );
  }
  const bound = log2Choose(n0, params.k) / params.k;
  const ratio = (n0 * 32) / (params.k * (bound + params.bits));
  console.log(
    `bound for uniform positions: ${bound.toFixed(3)} bits/index, ${ratio.toFixed(1)}x; 12-bit indices: ${((n0 * 32) / (params.k * (12 + params.bits))).toFixed(1)}x`,
  );
  speed(all, params, fp32Bytes);
}

function timed(what: string, fp32Bytes: number, values: number, work: () => void): void {
  const times: number[] = [];
  for (let i = 0; i < 7; i++) {
    const start = performance.now();
    work();
    times.push(performance.now() - start);
  }
  const ms = Math.min(...times);
  console.log(
    `| ${what} | ${ms.toFixed(1)} | ${(fp32Bytes / ms / 1000).toFixed(0)} | ${(values / ms / 1000).toFixed(2)} |`,
  );
}

function speed(all: readonly Sample[], params: CodecParams, fp32Bytes: number): void {
  const layout = bodyLayout(
    all.map(({ dims }) => dims),
    params,
  );
  const tensors = all.map(({ tensor }) => tensor);
  const body = encodeBody(tensors, layout);
  const { compress } = compressor(params);
  const deltas = all.map(({ tensor: { grid } }) =>
    Float32Array.from({ length: grid.rows * grid.cols }, (_, i) => (Math.imul(i, 0x9e3779b1) >> 8) * 2 ** -30),
  );
  const residuals = deltas.map(({ length }) => new Float32Array(length));
  console.log("\n| step, one thread | ms | MB/s of fp32 | M kept values/s |\n|---|---|---|---|");
  timed("error feedback, top-k, quantize", fp32Bytes, layout.keptCount, () => {
    for (const [t, { dims }] of all.entries()) compress(dims, must(deltas[t], "delta"), must(residuals[t], "residual"));
  });
  timed("entropy-code", fp32Bytes, layout.keptCount, () => encodeBody(tensors, layout));
  timed("decode", fp32Bytes, layout.keptCount, () => decodeBody(body, layout));
}

const params: CodecParams = {
  ...CODEC_DEFAULTS,
  k: Number(args.k),
  bits: args.bits === "1" ? 1 : 2,
  beta: Number(args.beta),
};
const samples = await collect(params);
if (args.dump !== undefined) dump(args.dump, samples);
report(samples, params);
