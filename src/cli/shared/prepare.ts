/** From texts to a dataset with progress on the terminal: the work of `skein data`, and of `train` and `up` where no data is named. */
import { readFile, stat } from "node:fs/promises";
import { SkeinError } from "../../base/errors.ts";
import { TOKENIZER_BYTES_MAX } from "../../base/limits.ts";
import { trainBpe } from "../../data/bpe-train.ts";
import { buildDataset } from "../../data/build.ts";
import { defaultCorpus } from "../../data/default-corpus.node.ts";
import type { Document } from "../../data/document.ts";
import { fileDocuments, measureFiles } from "../../data/files.node.ts";
import { MANIFEST_KEY, type Manifest, manifestSha256 } from "../../data/shards/manifest.ts";
import type { Skip } from "../../data/sources.ts";
import { byteTokenizer, loadTokenizer, type Tokenizer } from "../../data/tokenizer.ts";
import { folderStore } from "../../store/folder.node.ts";
import { listenForInterrupt } from "./interrupt.ts";
import { HOME } from "./options.ts";
import { bar, bytes, count, short, type Terminal } from "./terminal.ts";

/** Texts that can be read more than once. */
export interface Corpus {
  /** What it is, for people. */
  readonly description: string;
  open(onSkip?: (skip: Skip) => void): AsyncIterable<Document>;
  /** Bytes in all, where known beforehand; for progress. */
  readonly totalBytes?: number;
}

/** Where a dataset's tokenizer comes from. */
export type TokenizerChoice =
  | { readonly kind: "train"; readonly vocabSize: number }
  | { readonly kind: "bytes" }
  | { readonly kind: "file"; readonly file: string };

/** What to prepare. */
export interface Preparation {
  readonly corpus: Corpus;
  readonly tokenizer: TokenizerChoice;
  readonly outFolder: string;
  readonly validFraction?: number;
}

/** The largest vocabulary that the small default corpus gets. */
const DEFAULT_VOCAB_MAX = 8192;
/** Files left out that are named one by one. */
const SKIPS_SHOWN_MAX = 10;

/** Builds, or finishes building, a dataset. Throws SkeinError("interrupted") after Ctrl-C; the same call goes on. */
export async function prepare(preparation: Preparation, terminal: Terminal): Promise<Manifest> {
  const { corpus, outFolder, validFraction } = preparation;
  const interrupt = listenForInterrupt(terminal, "\nstopping; what is done is kept");
  const { signal } = interrupt;
  const skips = new Map<string, Skip>(); // the texts are read twice
  const onSkip = (skip: Skip): void => {
    skips.set(`${skip.name}:${skip.line ?? ""}`, skip);
  };
  try {
    const tokenizer = await tokenizerFor(preparation, onSkip, terminal, signal);
    const manifest = await buildDataset(
      {
        documents: corpus.open(onSkip),
        tokenizer,
        description: corpus.description,
        signal,
        ...(validFraction === undefined ? {} : { validFraction }),
        ...(corpus.totalBytes === undefined ? {} : { totalBytes: corpus.totalBytes }),
        onProgress: (at) => {
          const share = at.totalBytes ? `${bar(at.bytes / at.totalBytes)} ` : "";
          terminal.status(
            `${share}encoding  ${count(at.documents)} documents  ${bytes(at.bytes)}  ${short(at.tokens)} tokens`,
          );
        },
      },
      folderStore(outFolder),
    );
    terminal.clear();
    tellManifest(manifest, outFolder, terminal);
    return manifest;
  } finally {
    tellSkips([...skips.values()], terminal);
    interrupt.release();
  }
}

async function tokenizerFor(
  preparation: Preparation,
  onSkip: (skip: Skip) => void,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<Tokenizer> {
  const { tokenizer: choice, corpus } = preparation;
  if (choice.kind === "bytes") return byteTokenizer();
  if (choice.kind === "file") return loadTokenizer(await tokenizerFile(choice.file));
  const texts = async function* (): AsyncGenerator<string> {
    for await (const { text } of corpus.open(onSkip)) yield text;
  };
  const tokenizer = await trainBpe(texts(), {
    vocabSize: choice.vocabSize,
    signal,
    onProgress: ({ phase, done, total }) => {
      // Counting ends with the text, which is mostly shorter than the cap.
      const whole = phase === "count" ? Math.min(total, corpus.totalBytes ?? total) : total;
      const what = phase === "count" ? `reading  ${bytes(done)}` : `choosing  ${count(done)} of ${count(total)}`;
      terminal.status(`${bar(done / whole)} vocabulary: ${what}`);
    },
  });
  terminal.clear();
  terminal.event("tokenizer", { kind: tokenizer.kind, vocabSize: tokenizer.vocabSize });
  if (tokenizer.vocabSize < choice.vocabSize) {
    terminal.note(
      `The text supports a vocabulary of ${count(tokenizer.vocabSize)} only, not ${count(choice.vocabSize)}.`,
    );
  }
  return tokenizer;
}

async function tokenizerFile(file: string): Promise<string> {
  try {
    const { size } = await stat(file);
    if (size > TOKENIZER_BYTES_MAX) throw new Error(`it has ${bytes(size)}, more than ${bytes(TOKENIZER_BYTES_MAX)}`);
    return await readFile(file, "utf8");
  } catch (cause) {
    throw new SkeinError("data", `the tokenizer ${file} cannot be read: ${(cause as Error).message}`, {
      remedy: "give a tokenizer.json in Hugging Face's form",
      cause,
    });
  }
}

function tellSkips(skips: readonly Skip[], terminal: Terminal): void {
  const why = {
    binary: "no text",
    encoding: "not UTF-8",
    line: "unusable line",
    unreadable: "cannot be read",
  } as const;
  for (const { name, reason, line, detail } of skips.slice(0, SKIPS_SHOWN_MAX)) {
    const place = line === undefined ? name : `${name}:${line}`;
    terminal.note(`left out ${place}: ${why[reason]}${detail === undefined ? "" : ` (${detail})`}`);
  }
  if (skips.length > SKIPS_SHOWN_MAX) terminal.note(`left out ${count(skips.length - SKIPS_SHOWN_MAX)} more`);
  for (const { name, reason, line } of skips) terminal.event("skip", { name, reason, line: line ?? null });
}

function tellManifest(manifest: Manifest, outFolder: string, terminal: Terminal): void {
  const { source, splits, tokenizer } = manifest;
  const hash = manifestSha256(manifest);
  const documents = source.trainDocuments + source.validDocuments;
  const left = [
    ...(source.duplicates > 0 ? [`${count(source.duplicates)} duplicates left out`] : []),
    ...(source.empty > 0 ? [`${count(source.empty)} empty ones left out`] : []),
  ];
  terminal.line(
    `data    ${outFolder}: ${count(documents)} documents, ${bytes(source.bytes)}${left.length > 0 ? ` (${left.join(", ")})` : ""}`,
  );
  terminal.line(
    `        ${short(splits.train.tokens)} tokens to train on, ${short(splits.valid.tokens)} set aside, vocabulary ${count(tokenizer.vocabSize)}`,
  );
  terminal.line(`        manifest ${hash}`);
  terminal.event("data", {
    out: outFolder,
    documents,
    duplicates: source.duplicates,
    empty: source.empty,
    bytes: source.bytes,
    trainTokens: splits.train.tokens,
    validTokens: splits.valid.tokens,
    tokenizer: tokenizer.kind,
    vocabSize: tokenizer.vocabSize,
    manifestSha256: hash,
  });
}

/** Prepares the default corpus with a vocabulary for a preset of `vocabSize` unless that was done; returns its folder. */
export async function prepareDefault(vocabSize: number, terminal: Terminal, home: string = HOME): Promise<string> {
  const vocab = Math.min(vocabSize, DEFAULT_VOCAB_MAX);
  const outFolder = `${home}/data-${vocab}`;
  if ((await folderStore(outFolder).size(MANIFEST_KEY)) !== undefined) return outFolder;
  terminal.line("Preparing text: the documents of the packages installed here.");
  await prepare(
    { corpus: await defaultTexts(terminal), tokenizer: { kind: "train", vocabSize: vocab }, outFolder },
    terminal,
  );
  terminal.line();
  return outFolder;
}

/** The texts in `paths`, files and folders; `field` holds the text in JSONL files. */
export async function corpusOf(paths: readonly string[], field = "text"): Promise<Corpus> {
  const { files, bytes: totalBytes } = await measureFiles(paths);
  if (files === 0) {
    throw new SkeinError("data", `there are no files in ${paths.join(", ")}`, {
      remedy: "name files or folders of text",
    });
  }
  return {
    description: paths.join(", ").slice(0, 1000),
    totalBytes,
    open: (onSkip) => fileDocuments(paths, { field, ...(onSkip && { onSkip }) }),
  };
}

/** The documents of the installed packages. */
export async function defaultTexts(terminal: Terminal): Promise<Corpus> {
  const { documents, listing } = await defaultCorpus();
  if (listing.missing.length > 0) {
    terminal.note(
      `Not installed, so this corpus differs from a full install's: ${listing.missing.slice(0, 5).join(", ")}.`,
    );
  }
  const description = `documents and sources of ${listing.packages.length} npm packages, ${listing.sha256}`;
  return { description, totalBytes: listing.bytes, open: () => documents };
}
