/**
 * Which way of training together learns best at equal tokens? Runs the experiments of a plan, one after another, and prints what
 * they ended with; docs/LOG.md has the results. Model: the 2m preset on the books (nano where a plan says so, mostly with the same
 * tokenizer), 8 peers × 2 sequences of 128 tokens a step, so that a step of all peers sees 2,048 tokens. Same first params, data order and schedule shape for all methods of a seed.
 *
 *   npm run build:all
 *   node build/ts/bench/learning.js main --dir runs/learning [--books ../shared/data/books] [--table]
 *
 * Start it once per core (engines get one thread each): every process takes the next run that nobody has begun. Finished runs are
 * kept in the folder, as JSON with the whole curve, and skipped; delete what a killed process left (*.claim without .json) to have
 * it run again. `--table` only prints.
 */
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { Dataset } from "../src/data/dataset.ts";
import { openEngine } from "../src/engine/open.node.ts";
import { validationLoss } from "../src/evaluate/validation.ts";
import { PRESETS, withVocab } from "../src/model/presets.ts";
import { trainCohort } from "../src/roles/cohort.ts";
import { folderStore } from "../src/store/folder.node.ts";
import { booksDataset } from "./books.ts";
import { claim, keep, kept } from "./claims.ts";
import { fourBinMethod } from "./four-bin.ts";
import { PLANS, type Run, VOCAB } from "./learning-plans.ts";

const PEERS = 8;
const BATCH = 2;
const SEQ_LEN = 128;
const STEP_TOKENS = PEERS * BATCH * SEQ_LEN;
const VALID_SEQUENCES = 1024;
const root = resolve(fileURLToPath(import.meta.url), "../../../..");
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    dir: { type: "string", default: "runs/learning" },
    books: { type: "string", default: join(root, "../shared/data/books") },
    table: { type: "boolean", default: false },
  },
});
const plan = PLANS[positionals[0] ?? ""];
if (plan === undefined) throw new Error(`name one of the plans: ${Object.keys(PLANS).join(", ")}`);

interface Outcome {
  readonly run: Run;
  readonly validation: number;
  /** Validation loss on fewer sequences, along the way. */
  readonly curve: readonly { readonly tokens: number; readonly validation: number }[];
  /** Bytes that a peer sent in a round, on average, and how many times smaller than the model in float32 they are. */
  readonly bytes: number;
  readonly ratio: number;
  readonly stateRoot: string;
  readonly seconds: number;
}

async function perform(run: Run, dataset: Dataset): Promise<Outcome> {
  const { shape } = withVocab(PRESETS[run.preset], run.vocab);
  const steps = Math.ceil(run.tokens / STEP_TOKENS);
  const rounds = Math.ceil(steps / run.innerSteps);
  const engine = await openEngine({ shape, seqLen: SEQ_LEN, microBatch: BATCH, threads: 1 });
  const curve: { tokens: number; validation: number }[] = [];
  let [bytes, ratio] = [0, 0];
  const started = performance.now();
  const { stateRoot } = await trainCohort({
    engine,
    dataset,
    schedule: {
      kind: "cosine",
      lr: run.lr,
      warmupSteps: Math.round(steps / 20),
      steps,
      floorLr: run.lr / 10,
      annealSteps: 0,
    },
    config: {
      ...run,
      method: run.method === "four-bin" ? "sparseloco" : run.method,
      peers: PEERS,
      batch: BATCH,
      seqLen: SEQ_LEN,
      validateEvery: Math.max(1, Math.round(rounds / 16)),
      validationSequences: 128,
    },
    ...(run.method === "four-bin" ? { exchange: fourBinMethod(shape, PEERS, run.outerLr ?? 1, run.codec ?? {}) } : {}),
    hooks: {
      onRound(report) {
        bytes += report.bytes / rounds;
        ratio = report.ratio;
        if (report.validation === undefined) return;
        curve.push({ tokens: report.tokensSeen, validation: report.validation });
      },
    },
  });
  const seconds = (performance.now() - started) / 1000;
  const size = { sequences: VALID_SEQUENCES, length: SEQ_LEN };
  const { loss } = await validationLoss(engine, dataset.split("valid"), size);
  await engine.close();
  return { run, validation: loss, curve, bytes, ratio, stateRoot, seconds };
}

mkdirSync(values.dir, { recursive: true });
if (!values.table) {
  for (const run of plan) {
    const file = join(values.dir, run.id);
    if (!claim(file)) continue;
    const folder = run.vocab === VOCAB ? "data" : `data-${run.vocab}`;
    const dataset = await booksDataset(values.books, run.vocab, folderStore(join(values.dir, folder)));
    const outcome = await perform(run, dataset);
    keep(file, outcome);
    console.log(`${run.id}: ${outcome.validation.toFixed(4)} in ${outcome.seconds.toFixed(0)} s`);
  }
}

console.log("| run | method | H | lr | outer lr | seed | tokens | validation loss | bytes a round | model / bytes |");
console.log("|---|---|---|---|---|---|---|---|---|---|");
for (const run of plan) {
  const outcome = kept<Outcome>(join(values.dir, run.id));
  if (outcome === undefined) continue;
  const { validation, bytes, ratio } = outcome;
  const { id, method, innerSteps, lr, outerLr, seed, tokens } = run;
  const cells = [id, method, innerSteps, lr, outerLr ?? "", seed, tokens, validation.toFixed(4), Math.round(bytes)];
  console.log(`| ${cells.join(" | ")} | ${ratio.toFixed(1)} |`);
}
