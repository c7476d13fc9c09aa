/** Text from a checkpoint, piece by piece as it comes. Give it a run folder: node examples/generate.ts .skein/up/model "To install" */
import { folderStore, generate, latestCheckpoint, loadCheckpoint, loadTokenizer, openEngine } from "skein/node";

const [folder = ".skein/up/model", prompt = "The"] = process.argv.slice(2);
const store = folderStore(folder);
const found = await latestCheckpoint(store);
const tokenizerJson = await store.get("tokenizer.json");

if (found === undefined || tokenizerJson === undefined) {
  console.log(`${folder} holds no run; \`skein up\` makes one`);
} else {
  const tokenizer = await loadTokenizer(new TextDecoder().decode(tokenizerJson));
  const engine = await openEngine({ shape: found.info.shape, seqLen: 128, microBatch: 1 });
  await loadCheckpoint(store, found.key, engine, ["params"]);
  process.stdout.write(prompt);
  await generate(engine, tokenizer, prompt, { maxTokens: 60, onText: (text) => process.stdout.write(text) });
  console.log();
  await engine.close();
}
