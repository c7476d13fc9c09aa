/** The books that learning is measured on, from a folder with train/ and valid/, and a dataset of them. */
import { join } from "node:path";
import { trainBpe } from "../src/data/bpe-train.ts";
import { buildDataset } from "../src/data/build.ts";
import { type Dataset, openDataset } from "../src/data/dataset.ts";
import type { Document } from "../src/data/document.ts";
import { fileDocuments } from "../src/data/files.node.ts";
import type { Store } from "../src/store/store.ts";

async function* books(folder: string): AsyncGenerator<Document> {
  yield* fileDocuments([join(folder, "train")], { split: "train" });
  yield* fileDocuments([join(folder, "valid")], { split: "valid" });
}

async function* trainingTexts(folder: string): AsyncGenerator<string> {
  for await (const document of fileDocuments([join(folder, "train")])) yield document.text;
}

/** The dataset in `store`, which is made of the books in `folder` where it is not there: a tokenizer of `vocabSize`, trained on them. */
export async function booksDataset(folder: string, vocabSize: number, store: Store): Promise<Dataset> {
  if ((await store.size("manifest.json")) === undefined) {
    const tokenizer = await trainBpe(trainingTexts(folder), { vocabSize });
    await buildDataset({ documents: books(folder), tokenizer, description: "books" }, store);
  }
  return openDataset(store);
}
