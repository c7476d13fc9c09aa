/**
 * The model as a fold: θ(r+1) is what the payloads that were accepted in round r make of θ(r), and nothing else (design D1). Trainers, validators
 * and auditors all follow this way, from the chain's decisions and the blobs alone; whoever starts from a wrong state sees it in the next
 * decision, which names the state root that most of the stake voted for.
 */
import { must } from "../../base/assert.ts";
import { SkeinError } from "../../base/errors.ts";
import { fromHex, toHex } from "../../base/hash.ts";
import type { Hash, RoundCommit, RoundDecision } from "../../chain/chain.ts";
import { refusalName } from "../../chain/errors.ts";
import { accountOfBytes } from "../../chain/keys/account.ts";
import { roundBlocks, roundStart } from "../../chain/rounds.ts";
import { exchange, type Offer } from "../../round/exchange.ts";
import {
  contributionOf,
  decodePayload,
  type Fault,
  isFault,
  type Payload,
  payloadBytesMax,
} from "../../round/payload.ts";
import { candidatesOf, selectContributors } from "../../round/select.ts";
import { baseRound, exchangeSettings } from "../../run/rules.ts";
import { getBlob, oversize } from "../../store/blobs.ts";
import { chainHash, type Node, nextBlock, tellBadMirror } from "./node.ts";

/** Params, and the round before which they hold. */
export interface State {
  readonly round: number;
  readonly params: Float32Array;
  /** State roots by round, of this one and the one before where it is known: what payloads may start from. */
  readonly roots: ReadonlyMap<number, Uint8Array>;
}

/** What a round did to the params. */
export interface Applied {
  readonly round: number;
  /** Whose payloads moved the params, in order; empty in a null round. */
  readonly uids: readonly number[];
  readonly hashes: readonly Hash[];
  /** Whom the votes accepted. */
  readonly accepted: readonly number[];
  readonly bytes: number;
}

/** The state root of a state. */
export function rootOf({ round, roots }: State): Uint8Array {
  return must(roots.get(round), "a state knows its root");
}

/** Looks for a way around a payload that cannot be had, in as many blocks as a round has. */
const DETOUR_LOOKS = 4;
/** Blocks after a round's end in which validators decide it; then anybody does. */
const PATIENCE_BLOCKS = 2;

/**
 * How round `round` was decided, once it is over: undefined where nobody has voted, which makes it a null round. Where votes wait to be
 * counted and nobody counts them, this node does, from `turn` blocks after the round's end on. Where the chain is shown late, that comes before the end is seen.
 */
export async function decisionOf(
  node: Node,
  round: number,
  turn: number = PATIENCE_BLOCKS,
): Promise<RoundDecision | undefined> {
  const { chain, runId, record, signer } = node;
  const end = roundStart(record, round + 1);
  let from = end - chain.lag + turn;
  for (let { block } = await chain.waitForBlock(end - chain.lag, node.signal); ; ) {
    const decision = await chain.decision(runId, round);
    if (decision !== undefined) return decision;
    const isNull = (await chain.votes(runId, round)).length === 0;
    if (isNull && block >= end) return undefined;
    if (!isNull && signer !== undefined && block >= from) {
      const refused = await decide(node, round);
      if (refused === undefined) continue;
      from = refused === "AlreadyDecided" ? nextBlock(node, block) : block + 1; // by then, somebody else's decision is seen
    }
    ({ block } = await chain.waitForBlock(block + 1, node.signal));
  }
}

/** Counts the votes; says why not where somebody else does so in a block that is not seen yet, or the node asked lags behind. */
async function decide({ chain, signer, runId, log }: Node, round: number): Promise<string | undefined> {
  try {
    await chain.as(must(signer, "a key")).decideRound(runId, round);
    log.event("decide", { round });
    return undefined;
  } catch (thrown) {
    const refused = refusalName(thrown);
    if (refused !== "AlreadyDecided" && refused !== "VotesStillOpen") throw thrown;
    return refused;
  }
}

/** How a round is to be followed. */
export interface Ways {
  /** Blocks after the round's end before this node counts the votes. */
  readonly turn?: number | undefined;
  /** A later state, if it can be had otherwise: asked for now and then where an accepted payload cannot be had. */
  readonly detour?: (() => Promise<State | undefined>) | undefined;
}

/** What following a round came to; nothing was applied where a detour led past it. */
export interface Advance {
  readonly state: State;
  readonly applied: Applied | undefined;
}

/** θ(r+1) from θ(r). Waits for the round's end. Throws SkeinError("checkpoint") where the votes name another root for θ(r). */
export async function advance(node: Node, state: State, { turn, detour }: Ways = {}): Promise<Advance> {
  const { spec, means } = node;
  const { round, params } = state;
  const decision = await decisionOf(node, round, turn);
  if (decision?.stateRoot !== undefined && decision.stateRoot !== chainHash(rootOf(state)))
    throw desync(state, decision);
  const selected = decision === undefined ? [] : await payloadsOf(node, state, decision, detour);
  if (!Array.isArray(selected)) return { state: selected, applied: undefined };
  const offers = selected.flatMap(({ offer }) => offer ?? []);
  const bytes = selected.reduce((sum, each) => sum + each.bytes, 0);
  const accepted = decision?.accepted ?? [];
  if (decision === undefined || offers.length === 0) {
    const roots = rootsAfter(state, rootOf(state));
    return { state: { round: round + 1, params, roots }, applied: { round, uids: [], hashes: [], accepted, bytes } };
  }
  const seed = fromHex(decision.seed);
  const done = exchange(params, node.layout, offers, exchangeSettings(spec), seed, means);
  const byUid = new Map(selected.map(({ uid, hash }) => [uid, hash]));
  const hashes = done.uids.map((uid) => must(byUid.get(uid), "a payload that was selected"));
  return {
    state: { round: round + 1, params: done.params, roots: rootsAfter(state, done.tree.root()) },
    applied: { round, uids: done.uids, hashes, accepted, bytes },
  };
}

function rootsAfter({ round, roots }: State, next: Uint8Array): ReadonlyMap<number, Uint8Array> {
  const kept = roots.get(round);
  return new Map([...(kept ? [[round, kept] as const] : []), [round + 1, next]]);
}

function desync(state: State, { stateRoot }: RoundDecision): SkeinError {
  return new SkeinError("checkpoint", `this node's params before round ${state.round} are not those of the run`, {
    details: `state root here ${toHex(rootOf(state))}, by the validators' votes ${stateRoot?.slice(2)}`,
    remedy: "start again: the node then takes a checkpoint or replays the run from its beginning",
  });
}

/** The uids that a decision selects, in order. */
export function selectedBy({ spec }: Node, { accepted, incentives, seed }: RoundDecision): number[] {
  return selectContributors(candidatesOf(accepted, incentives), exchangeSettings(spec), fromHex(seed));
}

interface Selected {
  readonly uid: number;
  readonly hash: Hash;
  readonly bytes: number;
  /** Absent where the payload does not decode: then it does so for nobody. */
  readonly offer?: Offer;
}

/**
 * The payloads that a decision selects, fetched and decoded. Waits, block by block, for those that cannot be had at the moment, unless a detour leads
 * to a later state.
 */
async function payloadsOf(
  node: Node,
  state: State,
  decision: RoundDecision,
  detour: Ways["detour"],
): Promise<Selected[] | State> {
  const { chain, runId, log } = node;
  const { round } = state;
  const candidates = candidatesOf(decision.accepted, decision.incentives);
  const chosen = selectedBy(node, decision);
  if (chosen.length === 0) return [];
  const commits = new Map((await chain.commits(runId, round)).map((commit) => [commit.uid, commit]));
  const out: Selected[] = [];
  for (const uid of chosen) {
    const commit = must(commits.get(uid), `the commit of uid ${uid}`);
    const bytes = await insistentBlob(node, commit, round, detour);
    if (!(bytes instanceof Uint8Array)) return bytes;
    const payload = decodeCommitted(node, state, commit, bytes);
    const base = { uid, hash: commit.payloadHash, bytes: bytes.length };
    if (isFault(payload)) {
      log.event("unusable", { round, uid, fault: payload.fault });
      out.push(base);
      continue;
    }
    const candidate = must(
      candidates.find((each) => each.uid === uid),
      "a candidate",
    );
    out.push({ ...base, offer: { ...candidate, contribution: contributionOf(payload) } });
  }
  return out;
}

/** What a commit names, however long it takes; or, asked for a few times in a round, what makes it needless. */
async function insistentBlob(
  node: Node,
  { uid, payloadHash }: RoundCommit,
  round: number,
  detour: Ways["detour"],
): Promise<Uint8Array | State> {
  const pause = Math.ceil(roundBlocks(node.record) / DETOUR_LOOKS);
  for (let waited = 1; ; waited++) {
    const found = await committedBlob(node, payloadHash);
    if (found !== undefined) return found;
    node.log.event("missing", { round, uid, hash: payloadHash.slice(2) });
    const { block } = await node.chain.head();
    await node.chain.waitForBlock(block + 1, node.signal);
    const later = waited % pause === 0 ? await detour?.() : undefined;
    if (later !== undefined) return later;
  }
}

/** The blob that a commit names, from whoever has it; undefined where nobody has at the moment. */
export async function committedBlob(node: Node, payloadHash: Hash): Promise<Uint8Array | undefined> {
  return (await soughtBlob(node, payloadHash.slice(2), payloadBytesMax(node.body))).bytes;
}

/** A blob, from whoever has it. `lied`: there is none, and a store gave other bytes in its place, for which its author cannot be blamed. */
export async function soughtBlob(
  node: Node,
  hash: string,
  bytesMax: number,
): Promise<{ readonly bytes: Uint8Array | undefined; readonly lied: boolean }> {
  let isBad = false;
  const bytes = await getBlob(node.stores, hash, bytesMax, (at, why) => {
    isBad ||= why !== oversize(bytesMax);
    tellBadMirror(node, hash, at, why);
  });
  return { bytes, lied: bytes === undefined && isBad };
}

/** Decodes what a commit names: for this run, round, uid, base state and hotkey. `state` is θ(round), with the root before it. */
export function decodeCommitted(
  node: Node,
  state: Pick<State, "round" | "roots">,
  { uid, hotkey }: RoundCommit,
  bytes: Uint8Array,
): Payload | Fault {
  const { spec, runHash, body } = node;
  const baseRoot = state.roots.get(baseRound(spec, state.round));
  return decodePayload(bytes, {
    runHash,
    round: state.round,
    uid,
    ...(baseRoot === undefined ? {} : { baseRoot }),
    layout: body,
    signer: (address) => accountOfBytes(address) === hotkey,
  });
}
