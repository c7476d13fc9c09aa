/** Made-up sights for the checkers of a simulation (src/sim/check), and a run of the toy that they may look at. */

import { toHex } from "../../src/base/hash.ts";
import type { LogFields } from "../../src/base/log/log.ts";
import { rootOf, type State } from "../../src/roles/network/follower.ts";
import type { RunSpec } from "../../src/run/spec.ts";
import type { Checker, LifeEnd, OpenChecker, Sight } from "../../src/sim/check/checker.ts";
import type { Network } from "../../src/sim/network.ts";
import { simulatedNetwork } from "../../src/sim/network.ts";
import { openLinear } from "../../src/sim/world/linear.ts";
import { linearDataset, linearSpec } from "../../src/sim/world/toys.ts";
import { CALM } from "../../src/sim/world/weather.ts";
import { memoryStore } from "../../src/store/memory.ts";
import type { Store } from "../../src/store/store.ts";

const DATASET = linearDataset({ trainTokens: 1 << 20, validTokens: 4096 });
const SPEC = linearSpec({ rounds: 8, uids: 12, seed: "1", dataset: DATASET });
/** A shorter run of the same. */
export const shortSpec = (rounds = 4): RunSpec => linearSpec({ rounds, uids: 12, seed: "1", dataset: DATASET });
export const TRAINERS: readonly string[] = ["p1", "p2"];
export const VALIDATORS: readonly string[] = ["v1", "v2"];

/** Nothing goes wrong but the chain, which takes blocks back. */
export const REORGS: Sight["weather"] = { ...CALM, chain: { ...CALM.chain, reorg: 0.01, reorgDepth: 1 } };

/** A network with nobody in it yet. */
export function emptyNetwork(
  spec: RunSpec = SPEC,
  onEvent: (name: string, kind: string, fields: LogFields) => void = () => undefined,
): Promise<Network> {
  return simulatedNetwork({
    ...{ spec, validators: VALIDATORS, dataset: DATASET },
    openEngine: () => openLinear({ shape: spec.model, seqLen: spec.inner.seqLen, microBatch: 8 }),
    onEvent: (name, { kind, fields }) => onEvent(name, kind, fields),
    turn: () => new Promise((resolve) => setImmediate(resolve)),
  });
}

/** A sight of a network: calm, everybody honest, folders empty; `parts` are otherwise. */
export function sightOf(network: Network, parts: Partial<Sight> = {}): Sight {
  const folders = new Map<string, Store>();
  const folder = (name: string): Store => {
    const store = folders.get(name) ?? memoryStore();
    folders.set(name, store);
    return store;
  };
  return {
    ...{ network, folder, weather: CALM, trainers: TRAINERS, validators: VALIDATORS, dishonest: new Set<string>() },
    account: (name) => network.signer(name).account,
    shared: network.shared,
    now: () => 0,
    pending: () => ({ events: 0, transactions: 0 }),
    ...parts,
  };
}

/** The same sight, with a chain that says something else. */
export function withChain(sight: Sight, twin: Partial<Network["twin"]>): Sight {
  const { network } = sight;
  return { ...sight, network: { ...network, twin: { ...network.twin, ...twin } } };
}

/** A checker under watch. */
export interface Watch {
  readonly checker: Checker;
  readonly violations: readonly string[];
  event(node: string, kind: string, fields: LogFields): void;
}

/** Begins to watch a sight. */
export function watch(open: OpenChecker, sight: Sight): Watch {
  const violations: string[] = [];
  const checker = open(sight, (what) => violations.push(what));
  const event = (node: string, kind: string, fields: LogFields): void =>
    checker.onEvent?.(node, { kind, timeMs: 0, fields });
  return { checker, violations, event };
}

/** Everything that happened in a run of the toy whose end has come. */
export interface Played {
  readonly sight: Sight;
  readonly watches: readonly Watch[];
  readonly ends: readonly LifeEnd[];
}

/** Plays the toy, honest and calm, under the watch of `checkers`, which are not told of the end yet. */
export async function played(checkers: readonly OpenChecker[], spec?: RunSpec): Promise<Played> {
  let watches: readonly Watch[] = [];
  const network = await emptyNetwork(spec, (name, kind, fields) => {
    for (const each of watches) each.event(name, kind, fields);
  });
  const sight = sightOf(network);
  watches = checkers.map((open) => watch(open, sight));
  const ends: LifeEnd[] = [];
  const live = async (name: string, work: Promise<{ readonly state: State }>): Promise<void> => {
    const { state } = await work;
    const end = { node: name, how: "over", end: { round: state.round, root: toHex(rootOf(state)) } } as const;
    ends.push(end);
    for (const { checker } of watches) checker.onLifeEnd?.(end);
  };
  const everybody = [
    ...TRAINERS.map((name) => live(name, network.trainer(name, { local: sight.folder(name) }))),
    ...VALIDATORS.map((name) => live(name, network.validator(name, { local: sight.folder(name) }))),
  ];
  await network.during(Promise.all(everybody), (block) => {
    for (const { checker } of watches) checker.onBlock?.(block);
  });
  return { sight, watches, ends };
}
