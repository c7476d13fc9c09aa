/**
 * How a node comes to the params of now: from what it saved, from a checkpoint that a validator published, or from the first params, and then
 * by replay of the rounds since. All three end in the same bits; which is taken is a matter of bytes to fetch. Nobody is believed: a
 * checkpoint counts only if its state root is the one that most of the stake voted for.
 */
import { messageOf, SkeinError } from "../../base/errors.ts";
import { fromHex, toHex } from "../../base/hash.ts";
import { fetchCheckpoint, isCheckpointFault } from "../../checkpoint/shared/fetch.ts";
import { dropOld } from "../../checkpoint/shared/keep.ts";
import type { SharedManifest } from "../../checkpoint/shared/manifest.ts";
import { paramCount } from "../../engine/shape.ts";
import { initParams } from "../../model/init.ts";
import { stateRoot } from "../../round/state-root.ts";
import { baseRound, roundsOf } from "../../run/rules.ts";
import { type NewsRecord, readNewsBy } from "../../store/news.ts";
import { type Applied, advance, rootOf, type State } from "./follower.ts";
import { type Node, persist, reached, roundNow, tellBadMirror } from "./node.ts";

/** Rounds that are replayed rather than skipped by fetching a checkpoint: some ten rounds of payloads have a checkpoint's bytes. */
const REPLAY_ROUNDS = 10;
/** Rounds whose checkpoints stay in the node's folder. */
const CHECKPOINTS_KEPT = 2;
/** Checkpoints of others than validators that are tried: anybody who has a uid may tell of one that is none, and each try may cost all its bytes. */
const OTHERS_TRIED = 8;

/** Where a node started from. */
export type Origin = "saved" | "checkpoint" | "genesis";

/** A state to go on from. */
export interface Start {
  readonly state: State;
  readonly from: Origin;
}

/** The params before round 0. Throws SkeinError("config") where they are not those that the run promises. */
export function genesisState({ spec }: Node): State {
  const params = initParams(spec.model, spec.seed);
  const root = stateRoot(params);
  if (toHex(root) !== spec.genesisRoot) {
    throw new SkeinError("config", "the first params of this run are not those that its seed gives", {
      details: `state root ${toHex(root)}, the spec says ${spec.genesisRoot}`,
      remedy: "ask the run's owner: the run.json was edited, or made by another version of skein",
    });
  }
  return { round: 0, params, roots: new Map([[0, root]]) };
}

/**
 * The best state to begin with. `saved` is this node's own, if it has one; with `replay` the whole run is recomputed from its first params.
 * Where a checkpoint may be better and the shared store is away, it waits: without the store there are no payloads either. Throws SkeinError("interrupted").
 */
export async function startingState(
  node: Node,
  { saved, replay = false }: { readonly saved?: State | undefined; readonly replay?: boolean } = {},
): Promise<Start> {
  const now = await roundNow(node);
  const known: Start | undefined = saved && { state: saved, from: "saved" };
  if (replay || now - (saved?.round ?? 0) <= REPLAY_ROUNDS)
    return known ?? { state: genesisState(node), from: "genesis" };
  const fetched = await patientCheckpoint(node, saved?.round ?? 0);
  if (fetched) return { state: fetched, from: "checkpoint" };
  return known ?? { state: genesisState(node), from: "genesis" };
}

/** Tells where a node starts from. */
export function tellStart({ log }: Node, { state, from }: Start): void {
  log.event("start", { from, round: state.round, root: toHex(rootOf(state)) });
}

/** The newest checkpoint of a round in (after, before) that is what most of the stake voted for: a validator's, where one has any. */
async function newestCheckpoint(node: Node, before: number, after: number): Promise<State | undefined> {
  const { neurons } = await node.chain.metagraph(node.record.netuid);
  const byStake = [...neurons].sort((a, b) => (a.stake === b.stake ? a.uid - b.uid : a.stake > b.stake ? -1 : 1));
  for (const permit of [true, false]) {
    const accounts = byStake.filter((each) => each.permit === permit).map(({ hotkey }) => hotkey);
    const told = await readNewsBy(node.shared, "checkpoint", accounts);
    const news = told.filter(({ round }) => round > after && round < before);
    for (const each of permit ? news : news.slice(0, OTHERS_TRIED)) {
      const state = await checkpointOf(node, each);
      if (state !== undefined) return state;
    }
  }
  return undefined;
}

/** The checkpoint that news tells of, if it can be had and is what most of the stake voted for. */
async function checkpointOf(node: Node, { round, hash }: NewsRecord): Promise<State | undefined> {
  const { spec, specHash, stores, log } = node;
  const root = await votedRoot(node, round);
  if (root === undefined) return undefined;
  const expected = { specHash, round, root, paramCount: paramCount(spec.model) };
  try {
    const onProgress = (done: number, all: number): void => log.event("checkpoint-fetch", { round, done, all });
    const onBad = (blob: string, at: number, why: string): void => tellBadMirror(node, blob, at, why);
    const params = await fetchCheckpoint(stores, hash, expected, onProgress, onBad);
    if (!isCheckpointFault(params)) {
      await dropOlder(node);
      return { round, params, roots: await rootsAt(node, round, root) };
    }
    log.event("checkpoint-fault", { round, hash, fault: params.fault });
  } catch (thrown) {
    if (!(thrown instanceof SkeinError) || thrown.code === "interrupted") throw thrown;
    log.event("checkpoint-fault", { round, hash, fault: messageOf(thrown) });
  }
  return undefined;
}

/**
 * Deletes what a newer checkpoint has overtaken in the node's folder; where that is refused, it stays. Payloads lie there too, which are anybody's bytes: a
 * manifest counts only if it is of this run and names the root that the votes named.
 */
async function dropOlder(node: Node): Promise<void> {
  const { spec, specHash } = node;
  const isVoted = async (manifest: SharedManifest): Promise<boolean> => {
    if (manifest.specHash !== specHash || manifest.paramCount !== paramCount(spec.model)) return false;
    const root = await votedRoot(node, manifest.round);
    return root !== undefined && toHex(root) === manifest.stateRoot;
  };
  try {
    await dropOld(node.local, CHECKPOINTS_KEPT, isVoted);
  } catch (thrown) {
    if (!(thrown instanceof SkeinError) || thrown.code !== "store") throw thrown;
  }
}

/** What `newestCheckpoint` finds after `round`, as soon as the shared store answers. */
async function patientCheckpoint(node: Node, round: number): Promise<State | undefined> {
  const look = async () => ({ state: await newestCheckpoint(node, await roundNow(node), round) });
  const away = (why: string): void => node.log.event("store-trouble", { what: "checkpoint", why });
  return (await persist(node, Number.POSITIVE_INFINITY, look, away))?.state;
}

/** What `newestCheckpoint` finds after `round`; nothing where the shared store is away. */
async function laterCheckpoint(node: Node, round: number): Promise<State | undefined> {
  try {
    return await newestCheckpoint(node, await roundNow(node), round);
  } catch (thrown) {
    if (thrown instanceof SkeinError && thrown.code === "store") return undefined;
    throw thrown;
  }
}

function tellJump(node: Node, left: number, state: State): void {
  node.log.event("resync", { round: left, why: "an accepted payload cannot be had any more", details: "" });
  tellStart(node, { state, from: "checkpoint" });
}

/** The state root before `round` that the votes named, if they did. */
async function votedRoot({ chain, runId }: Node, round: number): Promise<Uint8Array | undefined> {
  const decision = await chain.decision(runId, round);
  return decision?.stateRoot && fromHex(decision.stateRoot);
}

async function rootsAt(node: Node, round: number, root: Uint8Array): Promise<ReadonlyMap<number, Uint8Array>> {
  const base = baseRound(node.spec, round);
  const before = base < round ? await votedRoot(node, base) : undefined;
  return new Map([...(before ? [[base, before] as const] : []), [round, root]]);
}

/** A node's params, moving with the run. */
export interface Following {
  readonly node: Node;
  state: State;
  /** Told after every round, in order, before the next. */
  readonly onApplied?: (applied: Applied) => Promise<void>;
  /** Blocks after a round's end before this node counts its votes. */
  readonly turn?: number;
  /** Never take a checkpoint for what can be recomputed, however long that takes. */
  readonly replay?: boolean;
}

/**
 * Waits for the first block of `round` and moves `following` to θ(round). A node whose params turn out to be others than the run's starts over
 * from a checkpoint or from the beginning, once; one that cannot get an accepted payload goes on from the next checkpoint that has it in it. Throws
 * SkeinError("interrupted").
 */
export async function follow(following: Following, round: number): Promise<void> {
  const { node } = following;
  await reached(node, round);
  for (let resynced = false; following.state.round < Math.min(round, roundsOf(node.spec)); ) {
    try {
      const { turn, replay = false } = following;
      const { round: left } = following.state;
      const detour = replay ? undefined : () => laterCheckpoint(node, left);
      const { state, applied } = await advance(node, following.state, { turn, detour });
      following.state = state;
      if (applied === undefined) {
        tellJump(node, left, state);
        continue;
      }
      const root = toHex(rootOf(state));
      const { uids, accepted, bytes } = applied;
      node.log.event("applied", { round: applied.round, uids, accepted, bytes, root });
      await following.onApplied?.(applied);
    } catch (thrown) {
      if (resynced || !(thrown instanceof SkeinError) || thrown.code !== "checkpoint") throw thrown;
      resynced = true;
      node.log.event("resync", { round: following.state.round, why: thrown.message, details: thrown.details ?? "" });
      const start = await startingState(node);
      following.state = start.state;
      tellStart(node, start);
    }
  }
}
