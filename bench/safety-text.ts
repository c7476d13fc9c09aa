/** The text of the safety scenarios: what `skein up` trains on, or a folder of files, as a dataset in memory with a small vocabulary. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { trainBpe } from "../src/data/bpe-train.ts";
import { buildDataset } from "../src/data/build.ts";
import { type Dataset, openDataset } from "../src/data/dataset.ts";
import { defaultCorpus } from "../src/data/default-corpus.node.ts";
import type { Document } from "../src/data/document.ts";
import { fileDocuments } from "../src/data/files.node.ts";
import { folderStore } from "../src/store/folder.node.ts";
import { memoryStore } from "../src/store/memory.ts";

const VOCAB = 512;
const BYTES_MAX = 4_000_000;

/** The dataset, which is made in `folder` where it is not there; `text` names files or folders, by default the installed packages' documents. */
export async function safetyDataset(folder: string, text?: string): Promise<Dataset> {
  const store = folderStore(folder);
  if ((await store.size("manifest.json")) === undefined) {
    const documents = async (): Promise<AsyncIterable<Document>> =>
      text === undefined ? (await defaultCorpus({ bytesMax: BYTES_MAX })).documents : fileDocuments([text]);
    const texts = async function* (): AsyncGenerator<string> {
      for await (const document of await documents()) yield document.text;
    };
    const tokenizer = await trainBpe(texts(), { vocabSize: VOCAB });
    await buildDataset({ documents: await documents(), tokenizer, description: "safety scenarios" }, store);
  }
  const memory = memoryStore(); // no reading of files while a network runs
  for (const key of await store.list()) await memory.put(key, await readFile(join(folder, key)));
  return openDataset(memory);
}
