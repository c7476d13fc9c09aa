/** A small model from nothing to first words in seconds: dataset, engine, the training loop, a sample. */
import {
  buildDataset,
  byteTokenizer,
  fileDocuments,
  generate,
  memoryStore,
  openDataset,
  openEngine,
  PRESETS,
  trainSolo,
  withSteps,
} from "skein/node";

const readme = new URL("../README.md", import.meta.url).pathname;
const data = memoryStore();
await buildDataset({ documents: fileDocuments([readme]), tokenizer: byteTokenizer(), validFraction: 0 }, data);
const dataset = await openDataset(data);

const { vocabSize } = dataset.manifest.tokenizer;
const shape = { ...PRESETS.nano.shape, vocabSize, dim: 64, layers: 2, headDim: 16, ffnDim: 128 };
const engine = await openEngine({ shape, seqLen: 64, microBatch: 8 });

const run = memoryStore(); // folderStore("run") would let the next call go on where this one ended
const { step, loss } = await trainSolo({
  engine,
  dataset,
  store: run,
  schedule: withSteps(PRESETS.nano.schedule, 60),
  config: { seed: "example", batch: 8, seqLen: 64 },
  hooks: {
    onStep: ({ step, loss }) => {
      if (step % 20 === 0) console.log(`step ${step}: loss ${loss.toFixed(2)}`);
    },
  },
});
console.log(`${step} steps, loss ${loss?.toFixed(2)}; checkpoints: ${(await run.list()).join(", ")}`);

const { text } = await generate(engine, await dataset.tokenizer(), "Skein ", { maxTokens: 40, seed: 1 });
console.log(JSON.stringify(text));
await engine.close();
