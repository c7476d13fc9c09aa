/**
 * What proving work costs, and how tight a tolerance can be.
 *
 *   npm run build:all
 *   node build/ts/bench/audit.js cost [--preset laptop|2m] [--threads 1] [--rounds 8] [--spans <number>]
 *   PYTHON=python3 node build/ts/bench/audit.js calibrate [--preset laptop|2m] [--after 0,200,1000] [--modes fp32,tf32,bf16] [--reference]
 *   node build/ts/bench/audit.js reset [--preset laptop|2m] [--rounds 24] [--seed 1]
 *
 * cost: the share of a round's training that recording it takes, that judging a payload takes a validator, and that an audit takes on average, with
 * the run's own numbers.
 * calibrate: how far the same span ends from the exact engine's result (L2, relative to how far it went) on other engines, and how far
 * whoever saves work would end; from states early and late in training. reset: what it costs in loss to begin every round with fresh moments.
 * All print Markdown tables for docs/LOG.md.
 * [--books ../shared/data/books] [--dir runs/audit]: the text, and where the dataset is kept.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { must } from "../src/base/assert.ts";
import { bytesOf } from "../src/base/bytes.ts";
import { decodeBody, encodeBody } from "../src/codec/body.ts";
import { compressor } from "../src/codec/feedback.ts";
import { assignment } from "../src/data/assignment.ts";
import type { Engine } from "../src/engine/engine.ts";
import { type EngineName, openEngine } from "../src/engine/open.node.ts";
import { paramCount, paramLayout } from "../src/engine/shape.ts";
import { initParams } from "../src/model/init.ts";
import { pseudoGradient } from "../src/optim/outer.ts";
import { trainCohort } from "../src/roles/cohort.ts";
import { takeSteps } from "../src/roles/network/trainer/inner.ts";
import { recorder, type WorkRecord } from "../src/roles/network/trainer/record.ts";
import { auditTerms, stepBatch } from "../src/roles/network/work.ts";
import { bestMeans } from "../src/round/native/native.node.ts";
import { contributionOf } from "../src/round/payload.ts";
import { stateRoot } from "../src/round/state-root.ts";
import { specHash } from "../src/run/parse.ts";
import { makeSpec } from "../src/run/presets.ts";
import { assignmentPlan, bodyLayoutOf, learningRateAt } from "../src/run/rules.ts";
import { answeredLeaves, answeredVectors } from "../src/score/audit/answer.ts";
import { claimIn, isVerdict } from "../src/score/audit/claim.ts";
import { leafProof, workCommitment } from "../src/score/audit/commitment.ts";
import { relativeError, replayed } from "../src/score/audit/replay.ts";
import { evaluationStep, openEvaluator } from "../src/score/gain.ts";
import { assignedSample, unassignedSample } from "../src/score/samples.ts";
import { folderStore } from "../src/store/folder.node.ts";
import { memoryStore } from "../src/store/memory.ts";
import { type Adam, FORGERS, give, type Span, take, worked } from "./audit/forgers.ts";
import { booksDataset } from "./books.ts";

const root = resolve(fileURLToPath(import.meta.url), "../../../..");
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    preset: { type: "string", default: "laptop" },
    threads: { type: "string", default: "1" },
    rounds: { type: "string", default: "8" },
    spans: { type: "string" },
    seed: { type: "string", default: "1" },
    after: { type: "string", default: "0,200,1000" },
    modes: { type: "string", default: "fp32,tf32,bf16" },
    reference: { type: "boolean", default: false },
    books: { type: "string", default: join(root, "../shared/data/books") },
    dir: { type: "string", default: join(root, "runs/audit") },
  },
});
if (values.preset !== "laptop" && values.preset !== "2m") throw new Error("the presets are laptop and 2m");
const vocabulary = { laptop: 2048, "2m": 4096 }[values.preset];
const store = folderStore(join(values.dir, `data-${vocabulary}`));
const dataset = await booksDataset(values.books, vocabulary, store);
const spans = values.spans === undefined ? {} : { spans: Number(values.spans) };
const request = { preset: values.preset, name: "audit", seed: "1", manifest: dataset.manifest } as const;
const spec = makeSpec({ ...request, overrides: { audit: spans } });
const { inner, audit } = spec;
const assigned = assignment(assignmentPlan(spec, dataset.split("train").sequences(inner.seqLen)));
const node = {
  spec,
  dataset,
  assigned,
  local: memoryStore(),
  layout: paramLayout(spec.model),
  body: bodyLayoutOf(spec),
};
const zeros = (): Float32Array => new Float32Array(paramCount(spec.model));
const dealt = (round: number) => ({ round, uid: 1, batch: inner.batch, seed: "bench" });

function open(engine: EngineName): Promise<Engine> {
  const options = { shape: spec.model, seqLen: inner.seqLen, microBatch: inner.batch };
  return openEngine({ ...options, engine, threads: Number(values.threads) });
}

/** Milliseconds of processor time, of all threads: what other programs do meanwhile does not count. */
async function timed<T>(work: () => Promise<T>): Promise<[T, number]> {
  const before = process.cpuUsage();
  const result = await work();
  const { user, system } = process.cpuUsage(before);
  return [result, (user + system) / 1000];
}

const median = (numbers: readonly number[]): number =>
  must([...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)], "a number");
const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;

/** A round's work, recorded, and how much time the parts of it took. */
async function recordedRound(engine: Engine, round: number, from: Adam) {
  const record = recorder(node, engine, { round, baseRoot: stateRoot(from.params), from: undefined });
  let recordMs = 0;
  const watched: typeof record = {
    ...record,
    before: async (step) => {
      recordMs += (await timed(() => record.before(step)))[1];
    },
  };
  const [, allMs] = await timed(() => takeSteps({ node, engine }, dealt(round), from, watched));
  const [residual, after] = [zeros(), zeros()];
  const end = await take(engine);
  const [body, compressMs] = await timed(async () => {
    const { compress } = compressor(spec.codec);
    const delta = pseudoGradient(from.params, end.params);
    const cut = (vector: Float32Array, { offset, length }: { offset: number; length: number }) =>
      vector.subarray(offset, offset + length);
    return encodeBody(
      node.layout.map((entry) => compress(entry.dims, cut(delta, entry), cut(after, entry))),
      node.body,
    );
  });
  const [made, finishMs] = await timed(() => record.finish(residual, after));
  return { made, body, end, trainMs: allMs - recordMs, recordMs: recordMs + finishMs, compressMs };
}

/** Audits one part of a recorded round; milliseconds, without fetching. */
async function auditedPart(engine: Engine, made: WorkRecord, body: Uint8Array, base: Float32Array, part: number) {
  const terms = { ...auditTerms({ ...node, specHash: specHash(spec) }), resetMoments: false };
  const hash = new Uint8Array(32);
  const header = { runHash: hash, dataDigest: hash, round: 0, uid: 1, tokens: 0, baseRoot: stateRoot(base) };
  const challenged = { header: { ...header, workCommitment: workCommitment(made.leaves) }, body, part };
  const roles = answeredVectors(part, audit.spans, "exact");
  const proofs = answeredLeaves(part, audit.spans).map((index) => leafProof(made.leaves, index));
  const about = { specHash: terms.specHash, round: 0, uid: 1, part };
  const answer = { ...about, leaves: proofs, previous: null, vectors: roles.map(() => null) };
  const vectors = new Map<(typeof roles)[number], Float32Array>();
  for (const role of roles) vectors.set(role, (await made.vector(role, part)) ?? zeros());
  const [verdict, ms] = await timed(async () => {
    const claim = claimIn(answer, challenged, terms);
    if (isVerdict(claim)) return claim;
    const batchAt = (step: number) => stepBatch(node, dealt(0), step);
    return replayed(claim, challenged, { engine, terms, base, vectors, batchAt });
  });
  if (verdict?.verdict !== "passed") throw new Error(`part ${part} was ${verdict?.verdict}: ${verdict?.reason}`);
  return { ms, bytes: roles.length * base.byteLength };
}

/** Judges a payload as a validator does: decodes it, and computes the losses; milliseconds, for the first of a round and for the others. */
async function judgedPayload(engine: Engine, body: Uint8Array, params: Float32Array) {
  const { layout } = node;
  const split = dataset.split("train");
  const plan = assignmentPlan(spec, split.sequences(inner.seqLen));
  const trained = { steps: inner.steps, batchTrained: inner.batch };
  const assignedTo = assignedSample(assigned, 0, 1, trained, spec.score.sequences, "bench", "bench");
  const { sequences: unassigned } = unassignedSample(plan, 0, spec.score.unassigned, "bench");
  const step = evaluationStep(spec.outer.lr, spec.score.peers);
  const setup = { engine, params, layout, step, split, seqLen: inner.seqLen, means: bestMeans() };
  const evaluator = await openEvaluator(setup);
  const judge = async () => {
    const tensors = decodeBody(body, node.body);
    if (typeof tensors === "string") throw new Error(tensors);
    const header = {
      runHash: body,
      round: 0,
      uid: 1,
      baseRoot: body,
      tokens: 0,
      dataDigest: body,
      workCommitment: body,
    };
    const contribution = contributionOf({ header, tensors });
    return must(await evaluator.evaluate({ uid: 1, contribution, assigned: assignedTo, unassigned }), "an evaluation");
  };
  const [, sharedMs] = await timed(() => evaluator.prepare(unassigned));
  const [, ownMs] = await timed(() => evaluator.prepare(assignedTo));
  const again = [];
  for (let i = 0; i < 5; i++) again.push((await timed(judge))[1]);
  return { sharedMs, ms: ownMs + median(again) };
}

async function cost(): Promise<void> {
  const engine = await open("auto");
  const base = initParams(spec.model, "1");
  const from = { params: base, m: zeros(), v: zeros(), steps: 0 };
  const rounds = [];
  for (let i = 0; i <= Number(values.rounds); i++) rounds.push(await recordedRound(engine, 0, from));
  const measured = rounds.slice(1); // the first warms up
  const of = (name: "trainMs" | "recordMs" | "compressMs"): number => median(measured.map((each) => each[name]));
  const share = median(measured.map(({ recordMs, trainMs }) => recordMs / trainMs));
  const { made, body } = must(measured.at(-1), "a round");
  const parts = [];
  for (let part = 0; part <= audit.spans; part++) {
    await auditedPart(engine, made, body, base, part);
    parts.push(await auditedPart(engine, made, body, base, part));
  }
  const auditMs = parts.reduce((sum, { ms }) => sum + ms, 0) / parts.length;
  const bytes = parts.reduce((sum, each) => sum + each.bytes, 0) / parts.length;
  const judging = await judgedPayload(engine, body, base);
  const judgeMs = judging.ms + judging.sharedMs / spec.score.peers;
  const average = (audit.perMille / 1000) * (auditMs / of("trainMs"));
  const rows = [
    ["params", paramCount(spec.model).toLocaleString("en")],
    ["a round: steps, sequences, tokens", `${inner.steps}, ${inner.batch}, ${inner.seqLen}`],
    ["training", `${of("trainMs").toFixed(0)} ms`],
    ["recording it (state roots, copies)", `${of("recordMs").toFixed(1)} ms, ${percent(share)}`],
    ["compressing, for comparison", `${of("compressMs").toFixed(1)} ms`],
    [`judging a payload, one of ${spec.score.peers}`, `${judgeMs.toFixed(0)} ms, ${percent(judgeMs / of("trainMs"))}`],
    ["an audit of one part, on average", `${auditMs.toFixed(0)} ms, ${percent(auditMs / of("trainMs"))}`],
    [`the same for ${audit.perMille} payloads of a thousand`, percent(average)],
    [
      "an answer's vectors, on average",
      `${(bytes / 1e6).toFixed(1)} MB; a payload has ${(body.length / 1e3).toFixed(1)} kB`,
    ],
    ["uploaded for answers, a round", `${((audit.perMille * bytes) / 1e6).toFixed(0)} kB`],
  ];
  console.log(`\n| ${values.preset}, ${engine.backend}, ${values.threads} threads | |\n|---|---|`);
  for (const [what, value] of rows) console.log(`| ${what} | ${value} |`);
  await engine.close();
}

function errorsOf(claimed: Adam, truth: Adam, start: Adam): readonly number[] {
  return (["params", "m", "v"] as const).map((name) => relativeError(claimed[name], truth[name], start[name]));
}

/** What PyTorch makes of the span, by mode. */
function pytorch({ start, batches, rates }: Span): ReadonlyMap<string, Adam> {
  const folder = mkdtempSync(join(tmpdir(), "skein-audit-"));
  const write = (name: string, vector: ArrayBufferView): void => writeFileSync(join(folder, name), bytesOf(vector));
  for (const name of ["params", "m", "v"] as const) write(name, start[name]);
  const tokens = new Int32Array(batches.reduce((sum, batch) => sum + batch.tokens.length, 0));
  batches.forEach((batch, i) => {
    tokens.set(batch.tokens, i * batch.tokens.length); // all alike
  });
  write("tokens", tokens);
  const modes = values.modes.split(",").filter((mode) => mode !== "");
  const paths = { tokens: "tokens", params: "params", m: "m", v: "v", out: "out" };
  const job = { shape: spec.model, seqLen: inner.seqLen, batch: inner.batch, lr: rates, steps: start.steps, modes };
  writeFileSync(join(folder, "job.json"), JSON.stringify({ ...job, ...paths, options: inner.adamw }));
  const ended = spawnSync(
    process.env["PYTHON"] ?? "python3",
    [join(root, "bench/torch_span.py"), join(folder, "job.json")],
    {
      stdio: ["ignore", "ignore", "inherit"],
    },
  );
  if (ended.status !== 0) throw new Error("PyTorch failed; --modes '' does without");
  const read = (name: string): Float32Array =>
    new Float32Array(new Uint8Array(readFileSync(join(folder, name))).buffer);
  const states = modes.map((mode): [string, Adam] => {
    const [params, m, v] = [read(`out.${mode}.params`), read(`out.${mode}.m`), read(`out.${mode}.v`)];
    return [`PyTorch ${mode}`, { params, m, v, steps: start.steps + rates.length }];
  });
  rmSync(folder, { recursive: true });
  return new Map(states);
}

async function calibrate(): Promise<void> {
  const engine = await open("auto");
  const reference = values.reference ? await open("reference") : undefined;
  const span = Math.ceil(inner.steps / audit.spans);
  let state: Adam = { params: initParams(spec.model, "1"), m: zeros(), v: zeros(), steps: 0 };
  const line = (cells: readonly (string | number)[]): void =>
    console.log(`| ${cells.map((cell) => (typeof cell === "number" ? cell.toPrecision(3) : cell)).join(" | ")} |`);
  console.log(
    `\n${values.preset}: spans of ${span} steps of ${inner.batch} × ${inner.seqLen} tokens, ${engine.backend}\n`,
  );
  line(["after steps", "who", "share of the work", "params", "m", "v", "largest"]);
  line(Array.from({ length: 7 }, () => "---"));
  for (const after of values.after.split(",").map(Number)) {
    await give(engine, state);
    while (engine.stepCount() < after) {
      const [round, step] = [Math.floor(engine.stepCount() / inner.steps), engine.stepCount() % inner.steps];
      const lr = learningRateAt(spec, round, step);
      await engine.trainStep(await stepBatch(node, dealt(round), step), { ...inner.adamw, lr });
    }
    state = await take(engine);
    const round = Math.floor(after / inner.steps);
    const steps = Array.from({ length: span }, (_, step) => step);
    const batches = await Promise.all(steps.map((step) => stepBatch(node, dealt(round), step)));
    const job: Span = { spec, start: state, batches, rates: steps.map((step) => learningRateAt(spec, round, step)) };
    const truth = await worked(engine, job);
    const tell = (who: string, share: string, claimed: Adam): void => {
      const errors = errorsOf(claimed, truth, state);
      line([`${after}`, who, share, ...errors, Math.max(...errors)]);
    };
    if (reference) tell("reference engine", "honest", await worked(reference, job));
    for (const [name, claimed] of pytorch(job)) tell(name, "honest", claimed);
    for (const [name, forger] of Object.entries(FORGERS)) {
      const claimed = await forger(engine, job, truth);
      tell(name, percent(claimed.cost), claimed.state);
    }
  }
  await engine.close();
  await reference?.close();
}

/** Validation losses of four peers with and without their moments kept from round to round, at several learning rates. */
async function reset(): Promise<void> {
  const engine = await open("auto");
  const none = zeros();
  const forgetful: Engine = {
    ...engine,
    write: (vector, vectorValues, offset) =>
      engine.write(vector, vector === "m" || vector === "v" ? none : vectorValues, offset),
    setStepCount: () => engine.setStepCount(0),
  };
  const rounds = Number(values.rounds);
  const steps = rounds * inner.steps;
  console.log(
    `\n| ${values.preset}, 4 peers | rate | ${[1, 2, 3, 4].map((i) => (i * rounds) / 4).join(" | ")} rounds |`,
  );
  console.log("|---|---|---|---|---|---|");
  for (const [name, each, lr] of [
    ["moments kept", engine, 4e-3],
    ["moments reset", forgetful, 4e-3],
    ["moments reset", forgetful, 2e-3],
    ["moments reset", forgetful, 8e-3],
  ] as const) {
    const losses: number[] = [];
    await trainCohort({
      engine: each,
      dataset,
      schedule: { kind: "cosine", lr, floorLr: lr / 10, warmupSteps: inner.steps, steps, annealSteps: 0 },
      config: {
        ...{ seed: values.seed, peers: 4, method: "sparseloco", innerSteps: inner.steps, batch: inner.batch },
        ...{ seqLen: inner.seqLen, aggregation: spec.outer.aggregation, outerLr: spec.outer.lr },
        ...{ validateEvery: rounds / 4, validationSequences: 128 },
      },
      hooks: { onRound: ({ validation }) => void losses.push(...(validation === undefined ? [] : [validation])) },
    });
    console.log(`| ${name} | ${lr} | ${losses.map((loss) => loss.toFixed(3)).join(" | ")} |`);
  }
  await engine.close();
}

mkdirSync(values.dir, { recursive: true });
if (positionals[0] === "cost") await cost();
else if (positionals[0] === "calibrate") await calibrate();
else if (positionals[0] === "reset") await reset();
else throw new Error("say cost, calibrate or reset");
