/**
 * The exact engine: our own kernels (kernels/exact.c) behind the Engine door. The same bits on every machine, whether the kernels
 * run as WASM or as a native library, at any thread count, micro-batch size, and with or without recomputation.
 *
 * This file knows the arena and the order of operations; a `Machine` (wasm.ts, native.node.ts) knows how to run them.
 */
import { must } from "../../base/assert.ts";
import { bytesOf } from "../../base/bytes.ts";
import { exactPow } from "../../base/exactmath.ts";
import { checkBatch, checkPrompt, checkRange, checkStep, checkStepCount } from "../batch.ts";
import type { Batch, Engine, EngineOptions, StepOptions, StepResult, VectorName } from "../engine.ts";
import { ropeTable } from "../rope.ts";
import { paramCount } from "../shape.ts";
import { turnstile } from "../turnstile.ts";
import { type ExactPlan, planHeader, type RegionName, SLOT, segmentTable } from "./plan.ts";

/** Operations of exact.c. */
const OP = { zero: 1, micro: 2, merge: 3, squares: 4, adamw: 5, logits: 6 } as const;

/** Something that holds an arena and runs exact.c over it. */
export interface Machine {
  /** For people: "wasm simd128", "native avx512vl 12x16". */
  readonly backend: string;
  /** Copies bytes into the arena. */
  write(offset: number, bytes: Uint8Array): void;
  /** Copies bytes out of the arena into `target`. */
  read(offset: number, target: Uint8Array): void;
  /** Runs one operation with all threads. */
  run(op: number): Promise<void>;
  close(): Promise<void>;
}

/** Makes an engine over a machine whose arena has `plan.totalBytes` zero bytes. */
export function exactEngine(machine: Machine, options: Required<EngineOptions>, plan: ExactPlan): Engine {
  const arena = new Arena(machine, options, plan);
  let steps = 0;
  const { inTurn, close } = turnstile(() => machine.close());
  return {
    name: "exact",
    backend: machine.backend,
    deterministic: true,
    options,
    plan,
    read: (vector, offset = 0, length = arena.params - offset) =>
      inTurn(() => arena.readVector(vector, offset, length)),
    write: (vector, values, offset = 0) => inTurn(() => arena.writeVector(vector, values, offset)),
    stepCount: () => steps,
    setStepCount: (n) => {
      checkStepCount(n);
      steps = n;
    },
    gradients: (batch) => inTurn(() => arena.gradients(batch)),
    trainStep: (batch, step) =>
      inTurn(async () => {
        const result = await arena.step(batch, step, steps + 1);
        if (result.applied) steps++;
        return result;
      }),
    losses: (batch) => inTurn(() => arena.losses(batch)),
    logits: (tokens) => inTurn(() => arena.logits(tokens)),
    close,
  };
}

/** The arena's operations, without queueing. */
class Arena {
  readonly params: number;
  private readonly machine: Machine;
  private readonly options: Required<EngineOptions>;
  private readonly plan: ExactPlan;
  private readonly header: Float64Array;

  constructor(machine: Machine, options: Required<EngineOptions>, plan: ExactPlan) {
    this.machine = machine;
    this.options = options;
    this.plan = plan;
    this.params = paramCount(options.shape);
    this.header = planHeader(options, plan);
    const rope = ropeTable(options.shape.headDim, options.seqLen, options.shape.ropeTheta);
    this.put("cos", rope.cos);
    this.put("sin", rope.sin);
    this.put("segments", segmentTable(options.shape));
    this.flush();
  }

  private put(region: RegionName, values: ArrayBufferView): void {
    this.machine.write(this.plan.at[region], bytesOf(values));
  }

  private flush(): void {
    this.machine.write(0, bytesOf(this.header));
  }

  private async run(op: number, slots: Partial<Record<keyof typeof SLOT, number>> = {}): Promise<void> {
    for (const [name, value] of Object.entries(slots)) this.header[SLOT[name as keyof typeof SLOT]] = value;
    this.flush();
    await this.machine.run(op);
  }

  readVector(vector: VectorName, offset: number, length: number): Float32Array {
    checkRange(offset, length, this.params);
    const out = new Float32Array(length);
    this.machine.read(this.plan.at[vector] + 4 * offset, bytesOf(out));
    return out;
  }

  writeVector(vector: VectorName, values: Float32Array, offset: number): void {
    checkRange(offset, values.length, this.params);
    this.machine.write(this.plan.at[vector] + 4 * offset, bytesOf(values));
  }

  /** Runs `batch` micro-batch by micro-batch; returns the summed loss of each row, in nats. */
  private async pass(batch: Batch, wantGrads: boolean): Promise<Float64Array> {
    const { rows, length } = batch;
    const sums = new Float64Array(rows);
    const scale = 1 / (rows * length);
    for (let row = 0; row < rows; row += this.options.microBatch) {
      const count = Math.min(this.options.microBatch, rows - row);
      const inputs = new Int32Array(count * length);
      const targets = new Int32Array(count * length);
      for (let i = 0; i < count; i++) {
        const start = (row + i) * (length + 1);
        inputs.set(batch.tokens.subarray(start, start + length), i * length);
        targets.set(batch.tokens.subarray(start + 1, start + 1 + length), i * length);
      }
      this.put("tokens", inputs);
      this.put("targets", targets);
      await this.run(OP.micro, { rows: count, length, scale, wantGrads: wantGrads ? 1 : 0 });
      const tokenLosses = new Float64Array(count * length);
      this.machine.read(this.plan.at.rowLoss, bytesOf(tokenLosses));
      for (const [i, loss] of tokenLosses.entries())
        sums[row + Math.floor(i / length)] = (sums[row + Math.floor(i / length)] as number) + loss;
    }
    return sums;
  }

  async gradients(batch: Batch): Promise<{ loss: number }> {
    checkBatch(batch, this.options);
    await this.run(OP.zero);
    const sums = await this.pass(batch, true);
    if (this.options.shape.tied) await this.run(OP.merge);
    let total = 0;
    for (const sum of sums) total += sum;
    return { loss: total / (batch.rows * batch.length) };
  }

  async step(batch: Batch, options: StepOptions, count: number): Promise<StepResult> {
    const { lr, beta1, beta2, eps, weightDecay, clipNorm } = checkStep(options);
    const { loss } = await this.gradients(batch);
    await this.run(OP.squares);
    const squares = new Float64Array(1);
    this.machine.read(8 * SLOT.squares, bytesOf(squares));
    const gradNorm = Math.sqrt(must(squares[0], "sum of squares"));
    if (!Number.isFinite(loss) || !Number.isFinite(gradNorm)) return { loss, gradNorm, applied: false };
    const correct1 = 1 / (1 - exactPow(beta1, count));
    const correct2 = 1 / (1 - exactPow(beta2, count));
    const clip = gradNorm > clipNorm ? clipNorm / gradNorm : 1;
    await this.run(OP.adamw, { lr, beta1, beta2, adamEps: eps, decay: weightDecay, correct1, correct2, clip });
    return { loss, gradNorm, applied: true };
  }

  async losses(batch: Batch): Promise<Float64Array> {
    checkBatch(batch, this.options);
    const sums = await this.pass(batch, false);
    return sums.map((sum) => sum / batch.length);
  }

  async logits(tokens: Int32Array): Promise<Float32Array> {
    checkPrompt(tokens, this.options);
    this.put("tokens", tokens);
    await this.run(OP.logits, { rows: 1, length: tokens.length, wantGrads: 0 });
    const out = new Float32Array(this.options.shape.vocabSize);
    this.machine.read(this.plan.at.logits, bytesOf(out));
    return out;
  }
}
