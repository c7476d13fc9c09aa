/**
 * What every node of a run stands on, whatever it does: the run's document, the chain, the stores, a key, a log. All waiting is for blocks; the
 * clock only measures how long work takes.
 */
import { AssertionError } from "../../base/assert.ts";
import { concatBytes, utf8 } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import { SkeinError } from "../../base/errors.ts";
import { fromHex, sha256, toHex } from "../../base/hash.ts";
import type { Log } from "../../base/log/log.ts";
import type { Random } from "../../base/random.ts";
import type { Chain, ChainAccount, Hash, Head, RunRecord, Signer } from "../../chain/chain.ts";
import { phaseAt, type RoundPhase, roundStart, specAt } from "../../chain/rounds.ts";
import type { BodyLayout } from "../../codec/body.ts";
import { type Assignment, assignment } from "../../data/assignment.ts";
import type { Dataset } from "../../data/dataset.ts";
import { type ParamEntry, paramLayout } from "../../engine/shape.ts";
import type { MeansKernel } from "../../round/means.ts";
import { specHash } from "../../run/parse.ts";
import { assignmentPlan, baseRound, bodyLayoutOf } from "../../run/rules.ts";
import type { RunSpec } from "../../run/spec.ts";
import type { Store } from "../../store/store.ts";

/** What a node is given. */
export interface NodeOptions {
  readonly spec: RunSpec;
  readonly runId: number;
  readonly chain: Chain;
  /** The hotkey. Onlookers have none. */
  readonly signer?: Signer;
  /** The store that all nodes share: a gateway, a folder, memory. */
  readonly shared: Store;
  /** More places where blobs may be found. */
  readonly mirrors?: readonly Store[];
  /** This node's own. */
  readonly local: Store;
  readonly dataset: Dataset;
  readonly log: Log;
  readonly clock: Clock;
  /** For salts; the machine's unless given. */
  readonly random?: Random;
  readonly means?: MeansKernel;
  readonly signal?: AbortSignal;
}

/** A node's footing. */
export interface Node extends NodeOptions {
  /** sha256 of the spec, as payloads carry it and as the chain has it. */
  readonly runHash: Uint8Array;
  /** The same in hex, as files and links have it. */
  readonly specHash: string;
  readonly record: RunRecord;
  readonly layout: readonly ParamEntry[];
  readonly body: BodyLayout;
  readonly assigned: Assignment;
  /** Where blobs are looked for, in this order. */
  readonly stores: readonly Store[];
}

/** A node that holds a hotkey. */
export interface ActingNode extends Node {
  readonly signer: Signer;
  readonly acting: ChainAccount;
}

/** Opens a node. Throws SkeinError("chain") where the chain knows no such run, "config" where it has another spec. */
export async function openNode(options: NodeOptions): Promise<Node> {
  const { spec, runId, chain, dataset, shared, mirrors = [], local } = options;
  const hash = specHash(spec);
  const record = await chain.run(runId);
  if (!record.specs.some((each) => each.specHash === `0x${hash}`)) {
    throw new SkeinError("config", `run ${runId} on chain ${chain.chainId} has another spec than this one`, {
      details: `this spec: ${hash}\non chain: ${specAt(record.specs, 0).slice(2)}`,
      remedy: "ask the run's owner for a new join link",
    });
  }
  const layout = paramLayout(spec.model);
  const sequences = dataset.split("train").sequences(spec.inner.seqLen);
  return {
    ...options,
    runHash: fromHex(hash),
    specHash: hash,
    record,
    layout,
    body: bodyLayoutOf(spec),
    assigned: assignment(assignmentPlan(spec, sequences)),
    stores: [local, shared, ...mirrors],
  };
}

/** The same node with the hands of its key. Throws SkeinError("config") where the run's phases are too short for what it sends to come in time. */
export function acting(node: Node): ActingNode {
  const { signer, chain, record } = node;
  if (signer === undefined) throw new SkeinError("usage", "this takes a hotkey");
  checkTiming(record, chain.lag);
  return { ...node, signer, acting: chain.as(signer) };
}

/** The first block that may take what is sent upon `block`. */
export function nextBlock({ chain }: Pick<Node, "chain">, block: number): number {
  return block + chain.lag + 1;
}

/**
 * Throws SkeinError("config") where a run's phases are too short for a chain that is shown `lag` blocks late. To vote, the phase's first block must be seen, and
 * what is sent then not come after its last; before a trainer can commit, it must see besides how the round before was decided.
 */
export function checkTiming(
  { trainBlocks, voteBlocks }: Pick<RunRecord, "trainBlocks" | "voteBlocks">,
  lag: number,
): void {
  const [train, vote] = [lag + 3, lag + 2];
  if (trainBlocks >= train && voteBlocks >= vote) return;
  const message = `the run's rounds are too short for this chain, of which the newest ${lag} blocks do not count yet`;
  throw new SkeinError("config", message, {
    details: `blocks to train ${trainBlocks}, to vote ${voteBlocks}; at least ${train} and ${vote} are needed, and more for the work itself`,
    remedy: "launch a run with longer phases (timing.trainBlocks, timing.voteBlocks in its spec)",
  });
}

/** Where the run stands in the newest block; undefined before its first round. */
export async function whereNow(node: Node): Promise<(RoundPhase & { readonly head: Head }) | undefined> {
  const head = await node.chain.head();
  const at = phaseAt(node.record, head.block);
  return at && { ...at, head };
}

/** The round of the newest block; 0 before the first. */
export async function roundNow(node: Node): Promise<number> {
  return (await whereNow(node))?.round ?? 0;
}

/** Waits for the first block of a round, or of one of its phases. Throws SkeinError("interrupted"). */
export function reached(node: Node, round: number, phase: "train" | "reveal" | "vote" = "train"): Promise<Head> {
  return node.chain.waitForBlock(roundStart(node.record, round, phase), node.signal);
}

/** What the round's data are dealt by: the hash of the first block of the round that its params are those of. Nobody knew it before. */
export function roundSeed(node: Node, round: number): Promise<Hash> {
  return blockHash(node, roundStart(node.record, baseRound(node.spec, round)));
}

/** The hash of a block of the last 256. Throws SkeinError("chain") where the node has it no more, or not yet. */
export async function blockHash({ chain }: Node, block: number): Promise<Hash> {
  const hash = await chain.blockHash(block);
  if (hash !== undefined) return hash;
  throw new SkeinError("chain", `the node has no block ${block} any more, or not yet`, {
    remedy: "ask another node of this chain: --rpc",
  });
}

/** Does work that is told when `block` has come; it ends soon then. Throws SkeinError("interrupted") where the node was asked to stop. */
export async function until<T>(node: Node, block: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const [over, done] = [new AbortController(), new AbortController()];
  const signal = node.signal ? AbortSignal.any([node.signal, over.signal]) : over.signal;
  const watch = node.chain.waitForBlock(block, done.signal).then(
    () => over.abort(),
    () => undefined, // done, or the chain is away: others will say so
  );
  try {
    const result = await work(signal);
    if (stopped(node)) throw new SkeinError("interrupted", "stopped in a round");
    return result;
  } finally {
    done.abort();
    await watch;
  }
}

/** What `work` gives; undefined as soon as `signal` says stop. What the work still does then, nobody waits for; but a mistake of ours is heard. */
export async function orStopped<T>(signal: AbortSignal, work: Promise<T>): Promise<T | undefined> {
  const stop = new Promise<undefined>((resolve) => {
    if (signal.aborted) resolve(undefined);
    signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
  const unlessStopped = work.catch((thrown: unknown) => {
    if (!signal.aborted) throw thrown;
    if (thrown instanceof AssertionError) void Promise.reject(thrown); // nobody's to handle: it ends the process
    return undefined;
  });
  return Promise.race([stop, unlessStopped]);
}

/** Does what nobody must wait for: where the store is away, the round goes on without it. */
export async function attempt({ log }: Node, what: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (thrown) {
    if (!(thrown instanceof SkeinError) || thrown.code !== "store") throw thrown;
    log.event("store-trouble", { what, why: thrown.message });
  }
}

/**
 * Does work that must be done before block `before`: tried again in every new block while it gives undefined, or the store or the chain is away, of which
 * `failed` is told. Gives what it came to; undefined where it came to nothing in time. Throws what else `work` throws, and SkeinError("interrupted").
 */
export async function persist<T>(
  { chain, signal }: Node,
  before: number,
  work: () => Promise<T | undefined>,
  failed: (why: string) => void,
): Promise<T | undefined> {
  for (let { block } = await chain.waitForBlock(0, signal); block < before; ) {
    try {
      const done = await work();
      if (done !== undefined) return done;
    } catch (thrown) {
      if (!(thrown instanceof SkeinError) || (thrown.code !== "store" && thrown.code !== "chain")) throw thrown;
      failed(thrown.message);
    }
    ({ block } = await chain.waitForBlock(block + 1, signal));
  }
  return undefined;
}

/** The uid of a hotkey in the run's subnet, now. */
export async function uidOf(node: Node, hotkey: Hash): Promise<number | undefined> {
  const { neurons } = await node.chain.metagraph(node.record.netuid);
  return neurons.find((neuron) => neuron.hotkey === hotkey)?.uid;
}

/** A seed for drawing: sha256 over texts and a block hash. */
export function drawSeed(what: string, hash: Hash): string {
  return toHex(sha256(concatBytes([utf8(`${what} `), utf8(hash)])));
}

/** 32 bytes as the chain writes them. */
export function chainHash(bytes: Uint8Array): Hash {
  return `0x${toHex(bytes)}`;
}

/** Tells of a store, by its place among the node's, that did not give a blob which others may have. */
export function tellBadMirror({ log }: Node, hash: string, at: number, why: string): void {
  const mirror = ["this node's folder", "the shared store"][at] ?? `mirror ${at - 1}`;
  log.event("bad-mirror", { hash, mirror, why });
}

/** Whether the node was asked to stop. */
export function stopped(node: Node): boolean {
  return node.signal?.aborted === true;
}
