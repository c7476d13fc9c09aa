/**
 * The exact engine's fingerprint: a fixed small run of 20 steps whose final params have one hash on every machine, thread count, build and
 * JavaScript engine. A machine that gets another hash must not claim replayable work; `skein doctor` checks it.
 */
import { bytesOf } from "../../base/bytes.ts";
import { sha256Hex } from "../../base/hash.ts";
import { seededRandom } from "../../base/random.ts";
import type { Engine, EngineOptions } from "../engine.ts";
import { paramLayout } from "../shape.ts";

/** sha256 of the params after the run, as every machine so far has found it. */
export const FINGERPRINT: string = "f434c674524e59c68f516e113050d4f84171d9a48a2438590e5cf31d75295e66";

/** Makes the run on an engine and returns the hash of its params. `settings` may vary threads, microBatch and recompute. */
export async function exactFingerprint(
  open: (options: EngineOptions) => Promise<Engine>,
  settings: Partial<Pick<EngineOptions, "threads" | "microBatch" | "recompute">> = {},
): Promise<string> {
  const shape = {
    vocabSize: 509,
    dim: 72,
    layers: 3,
    heads: 6,
    kvHeads: 2,
    headDim: 12,
    ffnDim: 184,
    ropeTheta: 1e4,
    normEps: 1e-5,
    tied: true,
  };
  const engine = await open({ shape, seqLen: 61, microBatch: 4, ...settings });
  const random = seededRandom("fingerprint");
  for (const { dims, offset, length } of paramLayout(shape)) {
    const values = new Float32Array(length);
    for (let i = 0; i < length; i++) values[i] = dims.length === 1 ? 1 : (random.uniform() - 0.5) / 16;
    await engine.write("params", values, offset);
  }
  for (let step = 1; step <= 20; step++) {
    const tokens = new Int32Array(4 * 62).map((_, i) => (i * i * step + 3 * i) % 509);
    await engine.trainStep({ tokens, rows: 4, length: 61 }, { lr: 3e-3 * Math.min(1, step / 5) });
  }
  const hash = sha256Hex(bytesOf(await engine.read("params")));
  await engine.close();
  return hash;
}
