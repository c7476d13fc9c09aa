/**
 * A training loop of one's own. Only `skein`, nothing of Node: the same program runs in a browser. The task: rows of random bits
 * in which a 1 is followed by nothing but ones; the model finds that out.
 */
import { initParams, learningRate, type ModelShape, openReference, type Schedule, seededRandom } from "skein";

const shape: ModelShape = {
  vocabSize: 2,
  dim: 16,
  layers: 1,
  heads: 2,
  kvHeads: 1,
  headDim: 8,
  ffnDim: 32,
  ropeTheta: 10_000,
  normEps: 1e-5,
  tied: false,
};
const [rows, length] = [8, 8];
const schedule: Schedule = { kind: "cosine", lr: 0.02, warmupSteps: 5, steps: 60, floorLr: 0.002, annealSteps: 0 };

// The reference engine suits a model this small; openExactWasm is the fast one that also runs anywhere.
const engine = await openReference({ shape, seqLen: length, microBatch: rows });
await engine.write("params", initParams(shape, "custom loop"));

const random = seededRandom("bits");
function batch(): { tokens: Int32Array; rows: number; length: number } {
  const tokens = new Int32Array(rows * (length + 1));
  for (let i = 0; i < tokens.length; i++) {
    const follows = i % (length + 1) > 0 && tokens[i - 1] === 1;
    tokens[i] = follows ? 1 : random.below(2);
  }
  return { tokens, rows, length };
}

for (let step = 0; step < schedule.steps; step++) {
  const { loss, gradNorm } = await engine.trainStep(batch(), { lr: learningRate(schedule, step), clipNorm: 1 });
  if (step % 20 === 0) console.log(`step ${step}: loss ${loss.toFixed(3)}, gradient norm ${gradNorm.toFixed(2)}`);
}
const logits = await engine.logits(Int32Array.of(0, 1));
console.log(`after a 1 comes a ${(logits[1] ?? 0) > (logits[0] ?? 0) ? 1 : 0}`);
await engine.close();
