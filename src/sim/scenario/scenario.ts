/**
 * One kind of attack against one network: honest trainers of several sizes, dishonest ones, validators, some dozens of rounds of a small model;
 * and what came of it: the loss, who was paid, who was excluded when. With the same options the same numbers come out.
 */
import { must } from "../../base/assert.ts";
import { toHex } from "../../base/hash.ts";
import type { LogEvent } from "../../base/log/log.ts";
import { numberIn } from "../../base/log/log.ts";
import type { Hash } from "../../chain/chain.ts";
import { roundStart } from "../../chain/rounds.ts";
import type { Dataset } from "../../data/dataset.ts";
import type { Engine } from "../../engine/engine.ts";
import { spacedIndices, validationLoss } from "../../evaluate/validation.ts";
import { rootOf, type State } from "../../roles/network/follower.ts";
import type { MeansKernel } from "../../round/means.ts";
import { makeSpec, type SpecOverrides } from "../../run/presets.ts";
import type { RunSpec } from "../../run/spec.ts";
import type { Report } from "../../score/report.ts";
import { memoryStore } from "../../store/memory.ts";
import type { Store } from "../../store/store.ts";
import type { Adversary, Ring, Trouble } from "../adversary/adversary.ts";
import { keyOf, type Network, numbered, type Start, simulatedNetwork } from "../network.ts";
import { type Harm, harmOf } from "./harm.ts";
import { type Held, membersOf, type Outcome, validatorsOf } from "./outcome.ts";
import { type Witness, witnessOf } from "./witness.ts";

/** Sequences on which the last params are measured. */
const FINAL_SEQUENCES = 512;
/** Contexts in which an attack's own success is measured. */
const PROBE_SEQUENCES = 64;

/** A scenario. */
export interface ScenarioOptions {
  /** undefined: a clean run. */
  readonly adversary?: Adversary | undefined;
  /** Trainers that are honest, and those that are not. */
  readonly honest: number;
  readonly dishonest: number;
  readonly validators: number;
  readonly seed: string;
  readonly spec: RunSpec;
  readonly dataset: Dataset;
  readonly openEngine: (name: string) => Promise<Engine>;
  /** Sequences of a step, at most, by honest trainer in turn: large and small machines. */
  readonly batches: readonly number[];
  readonly means?: MeansKernel;
  readonly turn?: () => Promise<void>;
  /** Told once a round, of the validation loss before it. */
  readonly onRound?: (round: number, loss: number) => void;
  /** Told of every report, with the validator's name. */
  readonly onReport?: (name: string, report: Report) => void;
}

/** Who takes part. */
interface Cast extends ScenarioOptions {
  readonly network: Network;
  readonly witness: Witness;
  readonly ring: Ring;
  readonly trouble: Trouble;
  /** Folders that the others may read: of the validators as mirrors, of the honest as leaks. */
  readonly folders: ReadonlyMap<string, Store>;
  /** Validation loss by round. */
  readonly curve: number[];
}

/**
 * A spec for scenarios: a model of 122,000 params at 512 tokens, and rounds of few blocks. The learning rate is half of what learns fastest.
 * Even so the final loss of clean runs differs by 2.3 % (one standard deviation) from chain to chain, which is why harm is measured in pairs (harm.ts).
 */
export function scenarioSpec(
  dataset: Dataset,
  { rounds, seed, uids = 16, ...overrides }: { readonly rounds: number; readonly seed: string } & SpecOverrides,
): RunSpec {
  const steps = 10;
  const schedule = {
    ...({ kind: "cosine", lr: 2e-3, warmupSteps: 20, floorLr: 2e-4, annealSteps: 0 } as const),
    steps: steps * rounds,
  };
  const model = {
    ...{ dim: 64, layers: 2, heads: 4, kvHeads: 2, headDim: 16, ffnDim: 168 },
    ...{ ropeTheta: 10_000, normEps: 1e-5, tied: true },
  };
  return makeSpec({
    preset: "laptop",
    name: "scenario",
    seed,
    manifest: dataset.manifest,
    overrides: {
      uids,
      timing: { trainBlocks: 4, revealBlocks: 2, voteBlocks: 3 },
      score: { sequences: 8, unassigned: 16, peers: 8, validationSequences: 32 },
      audit: { spans: 5, perMille: 50, tolerance: 0 },
      ...overrides,
      model,
      inner: { steps, batch: 8, seqLen: 64, schedule, ...overrides.inner },
    },
  });
}

/** Runs a scenario to the end of its run. */
export async function runScenario(options: ScenarioOptions): Promise<Outcome> {
  const cast = await castOf(options);
  const { network, witness, trouble, ring, adversary, curve } = cast;
  const honest = numbered("p", options.honest).map((name, i) => trainHonest(cast, name, i));
  const dishonest = numbered("x", options.dishonest).map((name) => trainDishonest(cast, name));
  const validating = numbered("v", options.validators).map((name, i) => validate(cast, name, i));
  const everybody = Promise.all([Promise.all(validating), Promise.all(honest), Promise.all(dishonest)]);
  const [validated, trained] = await network.during(everybody, (block) => {
    witness.onBlock();
    trouble.onBlock?.(block);
  });
  const liar = adversary?.validator === undefined ? [] : validated.slice(-1);
  const ends = [...validated.filter((end) => !liar.includes(end)), ...trained].filter(({ stopped }) => !stopped);
  const state = must(validated[0], "a validator").state;
  const roots = new Set(ends.map((end) => `${end.state.round} ${toHex(rootOf(end.state))}`));
  const { loss, probed, harm } = await measure(cast, state);
  return {
    attack: adversary?.name ?? null,
    ...{ seed: options.seed, rounds: state.round, loss, curve },
    agreed: roots.size === 1,
    members: await membersOf(cast, heldIn(cast, trained)),
    validators: await validatorsOf(cast, options.validators, liar.length > 0),
    probe: adversary?.probe && probed !== undefined ? { what: adversary.probe.what, value: probed } : null,
    harm,
    ringSize: ring.members.length,
  };
}

async function castOf(options: ScenarioOptions): Promise<Cast> {
  const { adversary, spec, seed, dishonest } = options;
  const curve: number[] = [];
  const network = await simulatedNetwork({
    ...{ spec, seed, dataset: options.dataset, openEngine: options.openEngine },
    validators: numbered("v", options.validators),
    onEvent: (name, event) => noteLoss(name, event, curve, options),
    ...(options.means && { means: options.means }),
    ...(options.turn && { turn: options.turn }),
  });
  const honest = numbered("p", options.honest);
  const folders = new Map([...honest, ...numbered("v", options.validators)].map((name) => [name, memoryStore()]));
  const lives = livesOf(options);
  const members = numbered("x", dishonest).flatMap((name) =>
    lives.map((life) => keyOf(lifeName(name, life), seed).account),
  );
  const leaks = adversary?.leak ? honest.map((name) => must(folders.get(name), "a folder")) : [];
  const ring = { seed, members, leaks };
  const rounds = Math.ceil(spec.inner.schedule.steps / spec.inner.steps);
  const scene = {
    network,
    honest,
    dishonest: numbered("x", dishonest),
    validators: numbered("v", options.validators),
    rounds,
  };
  const trouble = adversary?.world?.(scene, ring) ?? {};
  return { ...options, network, witness: witnessOf(network, options.onReport), ring, trouble, folders, curve };
}

function noteLoss(name: string, { kind, fields }: LogEvent, curve: number[], { onRound }: ScenarioOptions): void {
  if (name !== "v1" || kind !== "validation") return;
  const [round, loss] = [numberIn(fields, "round"), numberIn(fields, "loss")];
  if (round === undefined || loss === undefined) return;
  curve[round] = loss;
  onRound?.(round, loss);
}

/** What a node is started with, as this scenario has it. */
function startOf({ network, trouble, witness, folders }: Cast, name: string, more: Start): Start {
  const own = folders.get(name);
  const mirrors = [...folders].filter(([other]) => other !== name && other.startsWith("v")).map(([, store]) => store);
  const start = { ...(own && { local: own }), mirrors, ...more };
  const seen = trouble.start?.(name, start) ?? start;
  return name.startsWith("v") ? { ...seen, shared: witness.reading(name, seen.shared ?? network.shared) } : seen;
}

type End = { readonly state: State; readonly stopped: boolean };

function trainHonest(cast: Cast, name: string, index: number): Promise<End> {
  return cast.network.trainer(name, startOf(cast, name, { batch: batchOf(cast, index) }));
}

/** Sequences of a step of the honest trainer with this index. */
function batchOf({ batches, spec }: Cast, index: number): number {
  return batches[index % Math.max(1, batches.length)] ?? spec.inner.batch;
}

/** A dishonest trainer, one life after another. What it dies of is its own business. */
async function trainDishonest(cast: Cast, name: string): Promise<void> {
  const { network, adversary, ring } = cast;
  const corrupt = adversary?.trainer;
  for (const life of livesOf(cast)) {
    const end = new AbortController();
    const own = lifeName(name, life);
    const start = startOf(cast, own, {
      signal: end.signal,
      ...(corrupt && { trainer: (options) => corrupt(options, ring) }),
    });
    const over = network.twin.waitForBlock(roundStart(network.record, life.until, "train") - 1);
    void over.then(() => end.abort());
    await network.trainer(own, start).catch(() => undefined);
    await over;
  }
}

function validate(cast: Cast, name: string, index: number): Promise<End> {
  const { adversary, ring, validators } = cast;
  const corrupt = index === validators - 1 ? adversary?.validator : undefined;
  return cast.network.validator(
    name,
    startOf(cast, name, corrupt ? { validator: (options) => corrupt(options, ring) } : {}),
  );
}

/** The rounds of a dishonest trainer's keys, one after another. */
interface Life {
  readonly number: number;
  /** The round before which it ends. */
  readonly until: number;
}

function livesOf({ adversary, spec }: ScenarioOptions): readonly Life[] {
  const rounds = Math.ceil(spec.inner.schedule.steps / spec.inner.steps);
  const each = adversary?.lifeRounds ?? rounds;
  return Array.from({ length: Math.ceil(rounds / each) }, (_, number) => {
    const last = (number + 1) * each >= rounds;
    return { number, until: last ? rounds + 1 : (number + 1) * each };
  });
}

const lifeName = (name: string, { number }: Life): string => (number === 0 ? name : `${name}.${number + 1}`);

/** Hotkeys by the trainer that holds them; `ends` are the honest ones', in order. */
function heldIn(cast: Cast, ends: readonly End[]): readonly Held[] {
  const account = (name: string): Hash => keyOf(name, cast.seed).account;
  const lives = livesOf(cast);
  return [
    ...ends.map(({ stopped }, i) => {
      const name = `p${i + 1}`;
      return { name, honest: true, stayed: !stopped, batch: batchOf(cast, i), accounts: [account(name)] };
    }),
    ...numbered("x", cast.dishonest).map((name) => ({
      ...{ name, stayed: true, batch: cast.spec.inner.batch },
      honest: cast.adversary === undefined,
      accounts: lives.map((life) => account(lifeName(name, life))),
    })),
  ];
}

interface Measured {
  readonly loss: number;
  readonly probed: number | undefined;
  readonly harm: readonly Harm[];
}

/** The loss of the run's last params, what an attack wanted of them, and what its payloads did. */
async function measure(cast: Cast, { params }: State): Promise<Measured> {
  const { openEngine, dataset, spec, adversary, network, ring } = cast;
  const engine = await openEngine("measure");
  try {
    await engine.write("params", params);
    const valid = dataset.split("valid");
    const length = spec.inner.seqLen;
    const { loss } = await validationLoss(engine, valid, { sequences: FINAL_SEQUENCES, length });
    const indices = spacedIndices(valid.sequences(length), PROBE_SEQUENCES);
    const sequences = await Promise.all(indices.map((index) => valid.sequence(index, length)));
    const probed = await adversary?.probe?.measure({ engine, network, sequences }, ring);
    const harm = cast.dishonest === 0 ? [] : await harmOf(await network.node("onlooker"), ring.members, engine);
    return { loss, probed, harm };
  } finally {
    await engine.close();
  }
}
