/**
 * What honest peers look like to a validator, and what those look like who did not do their work: how alike payloads are, how long they are, what
 * they gain on the data they were dealt and on others, and how sure one can be of it. docs/LOG.md has the results; the limits of scoring
 * (src/score/) rest on them.
 *
 *   npm run build:all
 *   node build/ts/bench/natural.js run --dir runs/natural [--books ../shared/data/books] [--preset nano|2m|tiny] [--batches 2,2,4,4,8,8,8,8]
 *     [--seed 1] [--rounds 40] [--judge-every 4] [--nulls 17,18,30] [--reset-moments] [--tag reset]
 *   node build/ts/bench/natural.js table --dir runs/natural [--preset nano] [--tag reset] [--seed 1 --seed 2]
 *
 * Eight honest peers, two with 2 sequences a step, two with 4 and four with 8, train together with the settings of the laptop preset (of
 * larger ones only the model is taken; tiny is taken whole). Beside them others make payloads that are judged and never applied: a newcomer, which begins anew every
 * five rounds, and the cheaters of `shadows`. In the rounds --nulls nothing is applied, as in an outage. Every round appends a line to
 * <dir>/<preset>[-<tag>]-s<seed>.jsonl; "table" reads them (natural/tables.ts).
 */
import { appendFileSync, mkdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { must } from "../src/base/assert.ts";
import { utf8 } from "../src/base/bytes.ts";
import { assignment } from "../src/data/assignment.ts";
import { openEngine } from "../src/engine/open.node.ts";
import { paramCount, paramLayout } from "../src/engine/shape.ts";
import { validationLoss } from "../src/evaluate/validation.ts";
import { initParams } from "../src/model/init.ts";
import { presetNamed } from "../src/model/presets.ts";
import { exchange } from "../src/round/exchange.ts";
import { RUN_PRESETS } from "../src/run/presets.ts";
import { folderStore } from "../src/store/folder.node.ts";
import { booksDataset } from "./books.ts";
import type { Peer, Sent, Setting } from "./natural/cohort.ts";
import * as cohort from "./natural/cohort.ts";
import * as forge from "./natural/forge.ts";
import { judged } from "./natural/judge.ts";
import type { PeerRecord, RoundRecord } from "./natural/record.ts";
import { printTables } from "./natural/tables.ts";

const NEWCOMER_ROUNDS = 5;
const PERTURBED = {
  signs: [0.05, 0.1, 0.2, 0.3],
  places: [0.1, 0.2, 0.3, 0.5, 0.7],
  "low places": [0.2, 0.4, 0.6, 0.8],
};
const BLENDS = [0.3, 0.5, 0.7, 0.9];

const root = resolve(fileURLToPath(import.meta.url), "../../../..");
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    dir: { type: "string", default: "runs/natural" },
    books: { type: "string", default: join(root, "../shared/data/books") },
    preset: { type: "string", default: "nano" },
    seed: { type: "string", multiple: true, default: ["1"] },
    rounds: { type: "string", default: "40" },
    batches: { type: "string", default: "2,2,4,4,8,8,8,8" },
    tag: { type: "string", default: "" },
    "judge-every": { type: "string", default: "4" },
    nulls: { type: "string", default: "17,18,30" },
    "reset-moments": { type: "boolean", default: false },
  },
});
/** Sequences a step of each honest peer, at most eight of them. */
const BATCHES = values.batches.split(",").map(Number);
/** The peer that others copy. */
const COPIED = BATCHES.length - 1;
/** Rounds in which nothing is applied. */
const NULLS = values.nulls.split(",").filter(Boolean).map(Number);
/** Model and settings: those of a run preset, or the laptop's with another model. */
const preset =
  values.preset === "tiny"
    ? RUN_PRESETS.tiny
    : { ...RUN_PRESETS.laptop, name: values.preset, model: presetNamed(values.preset).shape };
const fileOf = (seed: string): string =>
  join(values.dir, `${[preset.name, values.tag].filter(Boolean).join("-")}-s${seed}.jsonl`);

function isJudged(round: number): boolean {
  return round % Number(values["judge-every"]) === 1;
}

/** Everybody who makes payloads. */
interface Cast {
  readonly honest: readonly Peer[];
  newcomer: Peer;
  /** Trains as much as a full peer, on other data. */
  readonly stray: Peer;
  /** Trains once, as COPIED does, and sends two payloads: its residual. */
  readonly pair: Float32Array;
  /** Sends the last update again: its residual. */
  readonly echo: Float32Array;
}

async function open(seed: number): Promise<Setting> {
  const { inner, codec, outer, uids, model: shape } = preset;
  const store = folderStore(join(values.dir, `data-${shape.vocabSize}`));
  const dataset = await booksDataset(values.books, shape.vocabSize, store);
  const sequences = dataset.split("train").sequences(inner.seqLen);
  const { steps, seqLen } = inner;
  const batch = Math.max(inner.batch, ...BATCHES);
  const plan = { seed: `natural ${seed}`, sequences, uidsMax: Math.max(uids, 16), stepsPerRound: steps, batch };
  const engine = await openEngine({ shape, seqLen, microBatch: 8, threads: 1 });
  const changed = { ...inner, batch, resetMoments: values["reset-moments"] };
  const fixed = { shape, layout: paramLayout(shape), inner: changed, codec, outer, seed };
  return { engine, dataset, ...fixed, plan, assigned: assignment(plan) };
}

function castOf(length: number): Cast {
  const honest = BATCHES.map((batch, uid) => cohort.newPeer(`peer ${uid}`, uid, batch, length));
  const [newcomer, stray] = [newcomerOf(length), cohort.newPeer("stray", 8, must(BATCHES[COPIED], "a batch"), length)];
  return { honest, newcomer, stray, pair: new Float32Array(length), echo: new Float32Array(length) };
}

function newcomerOf(length: number): Peer {
  return cohort.newPeer("newcomer", 12, must(BATCHES[COPIED], "a batch"), length);
}

/** A payload made by training, its pseudo-gradient, and what is said of it. */
interface Made {
  readonly sent: Sent;
  readonly delta: Float32Array;
  readonly facts: PeerRecord;
}

async function byTraining(setting: Setting, peer: Peer, round: number, params: Float32Array): Promise<Made> {
  const own = (step: number): number[] => cohort.dealt(setting, round, peer.uid, step, peer.batch);
  const random = cohort.randomFor(setting, "stray", round);
  const others = (): number[] => cohort.anySequences(setting, random, peer.batch);
  const delta = await cohort.train(setting, peer, round, params, peer.name === "stray" ? others : own);
  const sent = cohort.compressed(setting, peer.name, peer.uid, delta, peer.residual);
  const facts = {
    name: peer.name,
    batch: peer.batch,
    norm: cohort.norm(sent.vector.values),
    delta: cohort.norm(delta),
    residual: cohort.norm(peer.residual),
    fresh: cohort.likeness(sent.vector, cohort.denseVector(delta)).cosine,
  };
  return { sent, delta, facts };
}

/** The payloads of those who did not work for them. */
function shadows(setting: Setting, cast: Cast, round: number, copied: Made, update: Float32Array): Sent[] {
  const random = cohort.randomFor(setting, "forger", round);
  const first = cohort.compressed(setting, "first of two", COPIED, copied.delta, cast.pair);
  return [
    first,
    forge.secondHelping(setting, "second of two", 10, cast.pair),
    cohort.compressed(setting, "echo", 11, update, cast.echo),
    forge.noiseLike(setting, copied.sent, "noise", 13, random),
    forge.flipped(setting, copied.sent, "flipped", 14),
  ];
}

/** Perturbed copies of a payload, some with another's mixed in. */
function copies(setting: Setting, original: Sent, other: Sent, round: number): Sent[] {
  const random = cohort.randomFor(setting, "copier", round);
  const made = forge.PERTURBATIONS.flatMap((how) =>
    PERTURBED[how].map((share) => forge.perturbed(setting, original, how, share, random)),
  );
  const length = paramCount(setting.shape);
  return [...made, ...BLENDS.map((share) => forge.blend(setting, original, other, share, length))];
}

/** Every payload with every other, with those of the round before, and with the last update that was applied. */
function pairsOf(now: readonly Sent[], before: readonly Sent[], update: Float32Array): RoundRecord["pairs"] {
  const pair = (a: Sent, b: Pick<Sent, "name" | "vector">, lag: 0 | 1): RoundRecord["pairs"][number] => {
    return { a: a.name, b: b.name, lag, ...cohort.likeness(a.vector, b.vector) };
  };
  const within = now.flatMap((a, i) => now.slice(i + 1).map((b) => pair(a, b, 0)));
  const older = [...before, { name: "update", vector: cohort.denseVector(update) }];
  return [...within, ...now.flatMap((a) => older.map((b) => pair(a, b, 1)))];
}

/** What the run has come to. */
interface State {
  params: Float32Array;
  /** The last change of the params, with the sign of a gradient. */
  update: Float32Array;
  before: readonly Sent[];
}

async function playRound(setting: Setting, cast: Cast, state: State, round: number): Promise<RoundRecord> {
  const { engine, dataset, inner, outer, layout } = setting;
  const { params, update, before } = state;
  const nothing = NULLS.includes(round);
  if (round % NEWCOMER_ROUNDS === 0) cast.newcomer = newcomerOf(params.length);
  const peers = [...cast.honest, cast.newcomer, cast.stray];
  const residuals = [...peers.map(({ residual }) => residual), cast.pair, cast.echo];
  const kept = residuals.map((residual) => residual.slice());
  const made: Made[] = [];
  for (const peer of peers) made.push(await byTraining(setting, peer, round, params));
  const copied = must(made[COPIED], "the one that is copied");
  const sent = [...made.map((each) => each.sent), ...shadows(setting, cast, round, copied, update)];
  const first = must(made[0], "a peer").sent;
  const perturbed = isJudged(round) ? copies(setting, copied.sent, first, round) : [];
  const job = { round, params, batches: BATCHES, sent, perturbed };
  const judgement = isJudged(round) ? await judged(setting, job) : undefined;
  const offers = made.slice(0, BATCHES.length).map((each, uid) => {
    return { uid, incentive: 0, newcomer: false, contribution: cohort.asContribution(each.sent) };
  });
  const rules = { aggregation: outer.aggregation, outerLr: outer.lr, cap: BATCHES.length, newcomerSlots: 0 };
  const next = exchange(params, layout, nothing ? [] : offers, rules, utf8(`round ${round}`)).params;
  if (nothing) for (const [i, residual] of residuals.entries()) residual.set(must(kept[i], "a residual"));
  else state.update = params.map((value, i) => value - (next[i] as number));
  state.params = next;
  state.before = sent;
  await engine.write("params", next);
  const size = { sequences: 64, length: inner.seqLen };
  return {
    round,
    nothing,
    validation: (await validationLoss(engine, dataset.split("valid"), size)).loss,
    peers: made.map(({ facts }) => facts),
    pairs: pairsOf(sent, before, update),
    copies: perturbed.map(({ name, vector }) => ({ name, ...cohort.likeness(vector, copied.sent.vector) })),
    ...(judgement && { judgement }),
  };
}

async function run(seed: number): Promise<void> {
  const setting = await open(seed);
  const length = paramCount(setting.shape);
  const cast = castOf(length);
  const state = { params: initParams(setting.shape, `natural ${seed}`), update: new Float32Array(length), before: [] };
  const file = fileOf(String(seed));
  rmSync(file, { force: true });
  const short = (_: string, value: unknown): unknown =>
    typeof value === "number" ? Number(value.toPrecision(6)) : value;
  for (let round = 0; round < Number(values.rounds); round++) {
    appendFileSync(file, `${JSON.stringify(await playRound(setting, cast, state, round), short)}\n`);
  }
  await setting.engine.close();
}

if (positionals[0] === "table") printTables(values.seed.map(fileOf));
else if (positionals[0] === "run") {
  mkdirSync(values.dir, { recursive: true });
  for (const seed of values.seed) await run(Number(seed));
} else throw new Error('say "run" or "table"');
