/** A simulated network (src/sim/network.ts) with a toy: a model and text small enough for the reference engine. */

import { openReference } from "../../src/engine/reference/reference.ts";
import { makeSpec, type SpecOverrides } from "../../src/run/presets.ts";
import type { RunSpec } from "../../src/run/spec.ts";
import type { Adversary } from "../../src/sim/adversary/adversary.ts";
import { type Network, simulatedNetwork } from "../../src/sim/network.ts";
import type { ScenarioOptions } from "../../src/sim/scenario/scenario.ts";
import { TOY_SHAPE, toyDataset } from "./toy.ts";

export { keyOf, type Network, type Start } from "../../src/sim/network.ts";

const DATASET = toyDataset(1, 6000, 300);

/** The toy run: ten rounds unless told otherwise. */
export function toySpec(overrides: SpecOverrides = {}): RunSpec {
  const schedule = { kind: "constant", lr: 0.01, warmupSteps: 2, steps: 40 } as const;
  const inner = { steps: 4, batch: 2, seqLen: 8, schedule, ...overrides.inner };
  const codec = { chunkSide: 8, k: 16, ...overrides.codec };
  const uids = 12;
  const outer = { lr: 1, aggregation: { rule: "mean-all", clip: "none" } as const, ...overrides.outer };
  const model = TOY_SHAPE;
  return makeSpec({
    preset: "tiny",
    name: "toy",
    seed: "1",
    manifest: DATASET.manifest,
    overrides: { uids, ...overrides, model, inner, codec, outer },
  });
}

/** Sets up chain, subnet and run, with `validators` staked and permitted. */
export function toyNetwork({
  spec = toySpec(),
  validators = ["v1", "v2"],
  tempo = 20,
}: {
  readonly spec?: RunSpec;
  readonly validators?: readonly string[];
  readonly tempo?: number;
} = {}): Promise<Network> {
  return simulatedNetwork({
    ...{ spec, validators },
    dataset: DATASET,
    subnet: { tempo },
    openEngine: toyEngine(spec),
    turn,
  });
}

const toyEngine = (spec: RunSpec) => () =>
  openReference({ shape: spec.model, seqLen: spec.inner.seqLen, microBatch: 8 });
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A scenario (src/sim/scenario/scenario.ts) with the toy: three honest trainers, a dishonest one, and validators most of whom are honest. */
export function toyScenario({
  adversary,
  rounds,
  seed = "1",
}: {
  readonly adversary?: Adversary;
  readonly rounds: number;
  readonly seed?: string;
}): ScenarioOptions {
  const schedule = { kind: "constant", lr: 0.01, warmupSteps: 2, steps: 4 * rounds } as const;
  const timing = { trainBlocks: 4, revealBlocks: 2, voteBlocks: 3 };
  const spec = toySpec({ uids: 16, timing, inner: { schedule, batch: 4 }, codec: { chunkSide: 8, k: 16 } });
  const dishonest = adversary?.trainer === undefined ? 0 : 1;
  return {
    ...{ adversary, seed, spec, turn, dishonest },
    ...{ honest: 3, validators: adversary?.validator === undefined ? 2 : 3, batches: [4, 2] },
    dataset: DATASET,
    openEngine: toyEngine(spec),
  };
}
