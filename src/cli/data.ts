/** `skein data`: texts to a dataset that can be trained on. */
import { Command } from "commander";
import { SkeinError } from "../base/errors.ts";
import { VOCAB_MAX } from "../base/limits.ts";
import { realNumber, wholeNumber, withJson } from "./shared/options.ts";
import { corpusOf, defaultTexts, prepare, type TokenizerChoice } from "./shared/prepare.ts";
import { processTerminal } from "./shared/terminal.ts";

interface DataFlags {
  readonly out: string;
  readonly vocab?: number;
  readonly bytes?: boolean;
  readonly tokenizer?: string;
  readonly validShare?: number;
  readonly field: string;
  readonly json?: boolean;
}

/** Tokens in a vocabulary unless told otherwise: what the presets 2m and 7m have. */
const VOCAB_DEFAULT = 4096;

/** The verb `data`. */
export function dataCommand(): Command {
  const command = new Command("data")
    .summary("turn texts into a dataset")
    .description(
      "Reads texts, trains a tokenizer on them (byte-level BPE) or takes one, and writes hash-verified shards of tokens " +
        "and a manifest. The same texts and options give the same bytes, whatever interrupted the work; run again it " +
        "goes on. Some documents are set aside for validation and never trained on; texts that occur twice are kept once.",
    )
    .argument(
      "[inputs...]",
      "files and folders of text (.txt .md .jsonl and sources); none: the documents of the installed packages",
    )
    .requiredOption("--out <folder>", "where the dataset goes")
    .option("--vocab <n>", `tokens in the vocabulary to train (default: ${VOCAB_DEFAULT})`, wholeNumber(257, VOCAB_MAX))
    .option("--bytes", "no vocabulary: every byte is a token")
    .option("--tokenizer <file>", "take this tokenizer.json instead of training one")
    .option("--field <name>", "the field of a JSONL line that holds the text", "text")
    .option("--valid-share <x>", "share of the documents to set aside (default: 0.02)", realNumber(0, 0.5));
  return withJson(command)
    .addHelpText(
      "after",
      `
Examples:
  skein data books/ --out data/
  skein data notes.md corpus.jsonl --vocab 8k --out data/
  skein data logs/ --bytes --valid-share 0.1 --out data/
  skein data --out data/                                the documents of the installed packages`,
    )
    .action(data);
}

async function data(inputs: readonly string[], flags: DataFlags): Promise<void> {
  const terminal = processTerminal(flags.json === true);
  const tokenizer = tokenizerChoice(flags);
  const corpus = inputs.length === 0 ? await defaultTexts(terminal) : await corpusOf(inputs, flags.field);
  const validFraction = flags.validShare === undefined ? {} : { validFraction: flags.validShare };
  await prepare({ corpus, tokenizer, outFolder: flags.out, ...validFraction }, terminal);
  terminal.line(`\nNext: skein train --data ${flags.out} --out run/ --preset 2m`);
}

function tokenizerChoice({ bytes, tokenizer, vocab }: DataFlags): TokenizerChoice {
  const given = [bytes && "--bytes", tokenizer !== undefined && "--tokenizer", vocab !== undefined && "--vocab"];
  const named = given.filter((flag) => typeof flag === "string");
  if (named.length > 1) {
    throw new SkeinError("usage", `${named.join(" and ")} exclude each other`, { remedy: "give one of them" });
  }
  if (bytes) return { kind: "bytes" };
  if (tokenizer !== undefined) return { kind: "file", file: tokenizer };
  return { kind: "train", vocabSize: vocab ?? VOCAB_DEFAULT };
}
