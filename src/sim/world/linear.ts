/**
 * The linear toy: an engine whose model is so small a thing that a training step takes microseconds, and which is otherwise treated as any other:
 * codec, apply, state root, gains and audits run over its params as over a transformer's. It is for simulations of many seeds and of many peers.
 *
 * Least squares. A row of tokens hashes to K coordinates of the flat params and a sign for each, which make its input x of norm one; its loss is
 * LOSS_FLOOR + ½·LOSS_SCALE·(x·θ − x·θ*)², where θ* is fixed and known to nobody but this file. What makes it behave as language does:
 * - Coordinates have ranks, and low ranks come often (rank = n·u²). So what one peer learns on its own rows helps on everybody's, some tenth as much: a
 *   validator sees a gain on both, and a clearly larger one on the peer's own (score/gain.ts).
 * - Rows have many coordinates, and a batch touches a good part of all. Where each step touches few, AdamW's moments repeat the same few for rounds, and a
 *   peer's payloads are taken for copies of its own earlier ones (score/likeness.ts; K = 8 with 8 to 16 rows a round did so).
 * - What comes seldom is learned late, so there is something to gain after many rounds.
 * - There is no noise in the targets: it is never wrong to learn more.
 *
 * Departures from a real model: the loss is no cross-entropy of any distribution, so logits are only ordered as losses are; a row counts as a whole,
 * not token by token; neither `microBatch` nor `threads` nor `recompute` changes anything, memory included. Vectors are float32; all arithmetic is
 * float64, + − × ÷ and √ in a fixed order, so it computes the same bits everywhere.
 */
import { checkOptions } from "../../engine/batch.ts";
import type { Batch, Engine, EngineOptions, MemoryPlan } from "../../engine/engine.ts";
import { plainEngine, type Vectors, zeroVectors } from "../../engine/plain.ts";
import { paramCount } from "../../engine/shape.ts";

/** Coordinates K that a row of tokens has. */
const COORDINATES = 16;
/** Nats that nobody learns away, and nats of an error of √2. */
const LOSS_FLOOR = 1.5;
const LOSS_SCALE = 16;
/** Of which the ranks' order is made: neighbours in rank lie far apart in the params, as the golden ratio's multiples do. */
const GOLDEN = 0.618;

/** A problem of one size, and the vectors of one engine. */
interface Linear {
  readonly options: Required<EngineOptions>;
  readonly vectors: Vectors;
  /** θ* [n]. */
  readonly target: Float64Array;
  /** By what a rank is multiplied, modulo n, to give its place. */
  readonly stride: number;
}

/** Opens a linear toy of the size of `shape`: all params, moments and the step count are zero. Throws SkeinError("config") for bad options. */
export function openLinear(options: EngineOptions): Promise<Engine> {
  return Promise.resolve().then(() => linearEngine(linearOf(checkOptions(options, 1))));
}

function linearOf(options: Required<EngineOptions>): Linear {
  const size = paramCount(options.shape);
  return {
    options,
    vectors: zeroVectors(size),
    target: Float64Array.from({ length: size }, (_, i) => mixed(0x7a26e7, i) / 2 ** 31 - 1),
    stride: strideFor(size),
  };
}

function linearEngine(linear: Linear): Engine {
  const { options, vectors } = linear;
  return plainEngine(options, {
    name: "linear",
    plan: planOf(vectors.params.length),
    vectors,
    gradients: (batch) => gradientsOf(linear, batch),
    losses(batch) {
      const flaw = flawOf(vectors.params);
      return Float64Array.from({ length: batch.rows }, (_, row) => flaw + lossOf(errorOf(linear, inputOf(batch, row))));
    },
    logits: (tokens) => logitsAfter(linear, tokens),
  });
}

/** A number in [0, 2³²) that depends on every bit of both (MurmurHash3's 32-bit finalizer, Appleby 2011). */
function mixed(a: number, b: number): number {
  let h = Math.imul(a ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(b + 0x7f4a7c15, 0xc2b2ae35);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** What comes after the golden part of n and has no divisor in common with it. */
function strideFor(n: number): number {
  const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b));
  let stride = Math.max(1, Math.floor(GOLDEN * n));
  while (divisor(n, stride) !== 1) stride += 1;
  return stride;
}

/** The hash of a row's tokens, targets included: all that its loss depends on. */
function inputOf({ tokens, length }: Batch, row: number): number {
  let hash = length;
  for (let i = row * (length + 1); i < (row + 1) * (length + 1); i++) hash = mixed(hash, tokens[i] as number);
  return hash;
}

/** The place in the params of one of a row's coordinates. */
function placeOf({ target, stride }: Linear, input: number, coordinate: number): number {
  const u = mixed(input, coordinate) / 2 ** 32;
  return (Math.floor(target.length * u * u) * stride) % target.length;
}

/** Its sign over √K. */
function signOf(input: number, coordinate: number): number {
  return ((input >>> coordinate) & 1 ? 1 : -1) / Math.sqrt(COORDINATES);
}

/** x·(θ − θ*) of a row. */
function errorOf(linear: Linear, input: number): number {
  const { params } = linear.vectors;
  let error = 0;
  for (let j = 0; j < COORDINATES; j++) {
    const place = placeOf(linear, input, j);
    error += signOf(input, j) * ((params[place] as number) - (linear.target[place] as number));
  }
  return error;
}

const lossOf = (error: number): number => LOSS_FLOOR + 0.5 * LOSS_SCALE * error * error;

/** 0, or NaN where a param is no finite number: in a model of many layers, too, every row then hears of it. */
function flawOf(params: Float32Array): number {
  let flaw = 0;
  for (let i = 0; i < params.length; i++) flaw += 0 * (params[i] as number);
  return flaw;
}

/** Mean loss of the batch; "grads" receives the gradients of that mean, summed in float64 row after row and rounded once. */
function gradientsOf(linear: Linear, batch: Batch): number {
  const { params, grads } = linear.vectors;
  const sums = new Map<number, number>(); // few places: a batch has K a row
  let total = flawOf(params);
  for (let row = 0; row < batch.rows; row++) {
    const input = inputOf(batch, row);
    const error = errorOf(linear, input);
    total += lossOf(error);
    for (let j = 0; j < COORDINATES; j++) {
      const place = placeOf(linear, input, j);
      const slope = (LOSS_SCALE * error * signOf(input, j)) / batch.rows;
      sums.set(place, (sums.get(place) ?? 0) + slope);
    }
  }
  grads.fill(0);
  for (const [place, sum] of sums) grads[place] = sum;
  return total / batch.rows;
}

/** Of each token that might come next: minus the loss of the row that it would end. So likelier is what costs less. */
function logitsAfter(linear: Linear, tokens: Int32Array): Float32Array {
  const row = new Int32Array(tokens.length + 1);
  row.set(tokens);
  const flaw = flawOf(linear.vectors.params);
  return Float32Array.from({ length: linear.options.shape.vocabSize }, (_, next) => {
    row[tokens.length] = next;
    return flaw - lossOf(errorOf(linear, inputOf({ tokens: row, rows: 1, length: tokens.length }, 0)));
  });
}

function planOf(size: number): MemoryPlan {
  const names = ["params", "gradients", "first moments", "second moments"];
  const regions = [...names.map((name) => ({ name, bytes: 4 * size })), { name: "targets", bytes: 8 * size }];
  return { totalBytes: regions.reduce((total, { bytes }) => total + bytes, 0), regions };
}
