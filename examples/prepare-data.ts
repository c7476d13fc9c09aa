/** Texts to a dataset: train a tokenizer, encode, and read a sequence back. Here: this project's own documents. */
import { buildDataset, fileDocuments, memoryStore, openDataset, trainBpe } from "skein/node";

const folder = new URL("..", import.meta.url).pathname;
const documents = () => fileDocuments([folder], { extensions: [".md"], ignore: ["node_modules", "dist", ".git"] });

async function* texts(): AsyncGenerator<string> {
  for await (const { text } of documents()) yield text;
}

const tokenizer = await trainBpe(texts(), { vocabSize: 512 });
const store = memoryStore(); // folderStore("data") keeps it on disk
const manifest = await buildDataset({ documents: documents(), tokenizer, validFraction: 0.2 }, store);
console.log(`${manifest.splits.train.tokens} tokens from ${manifest.source.trainDocuments} documents`);

const dataset = await openDataset(store);
const sequence = await dataset.split("train").sequence(0, 16);
console.log(JSON.stringify(tokenizer.decode(sequence)));
