/**
 * One exchange on one screen: θ(r+1) is a function of θ(r) and the ordered list of contributions, and of nothing else. Select,
 * then tensor by tensor aggregate and apply, then the state root of what came out. No clock, chain or network: which payloads
 * were available and valid was decided before, and arrives as an argument.
 */
import { assert } from "../base/assert.ts";
import type { ParamEntry } from "../engine/shape.ts";
import type { ApplySettings } from "./aggregation.ts";
import { applyTensor } from "./apply.ts";
import type { Contribution } from "./contribution.ts";
import { type MeansKernel, wasmMeans } from "./means.ts";
import { type Candidate, type SelectSettings, selectContributors } from "./select.ts";
import { type StateTree, stateTreeBuilder } from "./state-root.ts";

/** What a run fixes about its rounds. */
export interface ExchangeSettings extends ApplySettings, SelectSettings {}

/** A candidate with its decoded payload. */
export interface Offer extends Candidate {
  readonly contribution: Contribution;
}

/** Where params live: an array, or an engine behind `read` and `write`. */
export interface ParamsAccess {
  read(offset: number, length: number): Promise<Float32Array>;
  write(values: Float32Array, offset: number): Promise<void>;
}

/** What a round did. */
export interface ExchangeResult {
  /** Who was applied, in order; empty in a null round, which leaves the params as they were. */
  readonly uids: readonly number[];
  /** Hashes over the new params. */
  readonly tree: StateTree;
}

/**
 * One round over `params`, which stay as they are: the new params come back. `layout` covers them without gaps, in order. `kernel`
 * changes the speed and nothing else; Node may have a faster one (native/native.node.ts).
 */
export function exchange(
  params: Float32Array,
  layout: readonly ParamEntry[],
  offers: readonly Offer[],
  settings: ExchangeSettings,
  seed: Uint8Array,
  kernel: MeansKernel = wasmMeans,
): ExchangeResult & { readonly params: Float32Array } {
  const { uids, selected } = chosen(offers, settings, seed);
  assert(coveredBy(layout) === params.length, "the layout is not that of the params");
  const next = params.slice();
  const tree = stateTreeBuilder(params.length);
  layout.forEach(({ offset, length }, index) => {
    const tensor = next.subarray(offset, offset + length);
    const sparse = selected.map((contribution) => contribution.tensor(index));
    applyTensor(tensor, sparse, settings, kernel);
    tree.update(tensor);
  });
  return { uids, params: next, tree: tree.finish() };
}

/**
 * The same round over params that live elsewhere, one tensor in memory at a time. A failure on the way leaves the params between
 * two states; the caller goes back to its checkpoint.
 */
export async function exchangeThrough(
  access: ParamsAccess,
  layout: readonly ParamEntry[],
  offers: readonly Offer[],
  settings: ExchangeSettings,
  seed: Uint8Array,
  kernel: MeansKernel = wasmMeans,
): Promise<ExchangeResult> {
  const { uids, selected } = chosen(offers, settings, seed);
  const tree = stateTreeBuilder(coveredBy(layout));
  for (const [index, { offset, length }] of layout.entries()) {
    const tensor = await access.read(offset, length);
    const sparse = selected.map((contribution) => contribution.tensor(index));
    applyTensor(tensor, sparse, settings, kernel);
    if (uids.length > 0) await access.write(tensor, offset);
    tree.update(tensor);
  }
  return { uids, tree: tree.finish() };
}

/** Number of params that `layout` covers; its tensors must follow each other without gaps. */
function coveredBy(layout: readonly ParamEntry[]): number {
  let covered = 0;
  for (const { name, offset, length } of layout) {
    assert(offset === covered, `tensor ${name} starts at ${offset} instead of ${covered}`);
    covered += length;
  }
  return covered;
}

function chosen(
  offers: readonly Offer[],
  settings: ExchangeSettings,
  seed: Uint8Array,
): { readonly uids: readonly number[]; readonly selected: readonly Contribution[] } {
  const byUid = new Map(offers.map(({ uid, contribution }) => [uid, contribution]));
  const uids = selectContributors(offers, settings, seed);
  return { uids, selected: uids.map((uid) => byUid.get(uid) as Contribution) };
}
