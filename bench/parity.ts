/**
 * Learns the same as PyTorch: trains the 2m preset on the books with the exact engine and with PyTorch (bench/torch_train.py): same
 * first params, batches, learning rates, clip and decay; compares the curves and the validation loss.
 *
 *   npm run build:all
 *   PYTHON=python3 node build/ts/bench/parity.js [--steps 600] [--seed 1] [--books ../shared/data/books]
 *
 * Prints a Markdown table for docs/LOG.md and exits 1 where the validation losses differ by more than 1 %.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { bytesOf } from "../src/base/bytes.ts";
import { passOrder } from "../src/data/assignment.ts";
import { openEngine } from "../src/engine/open.node.ts";
import { batchOf, spacedIndices, validationLoss } from "../src/evaluate/validation.ts";
import { initParams } from "../src/model/init.ts";
import { PRESETS, withVocab } from "../src/model/presets.ts";
import { learningRate, withSteps } from "../src/optim/schedule.ts";
import { trainSolo } from "../src/roles/solo.ts";
import { memoryStore } from "../src/store/memory.ts";
import { booksDataset } from "./books.ts";

const VALID_SEQUENCES = 512;
const root = resolve(fileURLToPath(import.meta.url), "../../../..");
const { values } = parseArgs({
  options: {
    steps: { type: "string", default: "600" },
    seed: { type: "string", default: "1" },
    books: { type: "string", default: join(root, "../shared/data/books") },
  },
});
const steps = Number(values.steps);

async function pytorch(folder: string): Promise<{ losses: number[]; validLoss: number; tokensPerSecond: number }> {
  const script = join(root, "bench/torch_train.py");
  const child = spawn(process.env["PYTHON"] ?? "python3", [script, join(folder, "job.json")], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const losses: number[] = [];
  let last: Record<string, number> = {};
  for await (const line of createInterface({ input: child.stdout })) {
    last = JSON.parse(line) as Record<string, number>;
    if (last["loss"] !== undefined) losses.push(last["loss"]);
  }
  return { losses, validLoss: last["validLoss"] ?? Number.NaN, tokensPerSecond: last["tokensPerSecond"] ?? Number.NaN };
}

const dataset = await booksDataset(values.books, PRESETS["2m"].shape.vocabSize, memoryStore());
const preset = withVocab(PRESETS["2m"], dataset.manifest.tokenizer.vocabSize);
const { shape, seqLen, batch } = preset;
const schedule = withSteps(preset.schedule, steps);
const train = dataset.split("train");
const folder = mkdtempSync(join(tmpdir(), "skein-parity-"));
const order = passOrder(values.seed, train.sequences(seqLen));
const all = new Int32Array(steps * batch * (seqLen + 1));
for (let step = 0; step < steps; step++) {
  const slots = Array.from({ length: batch }, (_, row) => order(step * batch + row));
  all.set((await batchOf(train, slots, seqLen)).tokens, step * batch * (seqLen + 1));
}
const valid = dataset.split("valid");
const validBatch = await batchOf(valid, spacedIndices(valid.sequences(seqLen), VALID_SEQUENCES), seqLen);
writeFileSync(join(folder, "tokens.bin"), bytesOf(all));
writeFileSync(join(folder, "params.bin"), bytesOf(initParams(shape, values.seed)));
writeFileSync(join(folder, "valid.bin"), bytesOf(validBatch.tokens));
const lr = Array.from({ length: steps }, (_, step) => learningRate(schedule, step));
const job = { shape, seqLen, batch, lr, tokens: "tokens.bin", params: "params.bin", valid: "valid.bin", threads: 2 };
writeFileSync(join(folder, "job.json"), JSON.stringify(job));

const engine = await openEngine({ shape, seqLen, microBatch: batch });
const losses: number[] = [];
const started = performance.now();
await trainSolo({
  engine,
  dataset,
  schedule,
  config: { seed: values.seed, batch, seqLen },
  store: memoryStore(),
  hooks: { onStep: ({ loss }) => void losses.push(loss) },
});
const seconds = (performance.now() - started) / 1000;
const ours = await validationLoss(engine, valid, { sequences: VALID_SEQUENCES, length: seqLen });
await engine.close();
const reference = await pytorch(folder);
rmSync(folder, { recursive: true });

console.log(
  `2m preset, ${steps} steps of ${batch} × ${seqLen} tokens, vocabulary ${shape.vocabSize}, seed ${values.seed}, ${engine.backend}`,
);
console.log(
  `tokens/s: ours ${Math.round((steps * batch * seqLen) / seconds)}, PyTorch eager ${Math.round(reference.tokensPerSecond)}`,
);
console.log("| step | Skein | PyTorch |\n|---|---|---|");
for (let step = 1; step <= steps; step++) {
  if (step !== 1 && step % Math.ceil(steps / 12) !== 0) continue;
  console.log(`| ${step} | ${losses[step - 1]?.toFixed(4)} | ${reference.losses[step - 1]?.toFixed(4)} |`);
}
console.log(`| validation | ${ours.loss.toFixed(4)} | ${reference.validLoss.toFixed(4)} |`);
const apart = Math.abs(ours.loss / reference.validLoss - 1);
console.log(`apart: ${(100 * apart).toFixed(3)} %`);
process.exitCode = apart <= 0.01 ? 0 : 1;
