/**
 * What the peers of a round have sent: fetched from whoever has it, decoded as a stranger's bytes, and checked for what needs no model, before the votes
 * close.
 */
import { equalBytes } from "../../../base/bytes.ts";
import { messageOf, SkeinError } from "../../../base/errors.ts";
import type { RoundCommit } from "../../../chain/chain.ts";
import { roundStart } from "../../../chain/rounds.ts";
import { turnstile } from "../../../engine/turnstile.ts";
import { isFault, type Payload, payloadBytesMax } from "../../../round/payload.ts";
import type { FieldFault } from "../../../score/field.ts";
import { batchTrained } from "../../../score/samples.ts";
import { blobKey } from "../../../store/blobs.ts";
import { decodeCommitted, type State, soughtBlob } from "../follower.ts";
import type { Node } from "../node.ts";
import { dealtDigest } from "../work.ts";
import type { Docket } from "./docket.ts";
import { atMost, together } from "./many.ts";

/** What came of one commit. */
export interface Received {
  readonly commit: RoundCommit;
  readonly bytes: number;
  /** What is wrong with it, as far as it can be told by itself. */
  readonly fault: string | null;
  /** Sequences of each step that it says it trained on; 0 with a fault. */
  readonly batch: number;
  /** Looked for while payloads were to be revealed, by stores that answered, and not there before the votes were open. */
  readonly late: boolean;
}

/** Told of each payload once; it comes where there is no fault. */
export type OnReceived = (received: Received, payload: Payload | undefined) => void;

/** Fault of a payload by a uid that the run deals no data to. */
const NO_DATA = "no data for this uid";
/** Rounds whose payloads are dropped in one go, after a validator was away. */
const FORGOTTEN_AT_ONCE = 256;
/** Payloads that are fetched at once: enough that some silent reads hold up nothing, few enough that memory stays small. */
const READ_AT_ONCE = 16;

/**
 * Looks for the payloads of a docket from block to block, until everything is there; rejects with SkeinError("interrupted") when `signal` says so. Each is looked
 * for by itself, so that a store that is silent about one holds up no other; they are examined and told one after another, as they come.
 */
export async function collect(
  node: Node,
  state: State,
  docket: Docket,
  onReceived: OnReceived,
  signal: AbortSignal,
): Promise<void> {
  const { chain, record, log } = node;
  const votesOpen = roundStart(record, docket.round, "vote");
  const lanes = atMost(READ_AT_ONCE);
  const inOrder = turnstile().inTurn;
  const blockAfter = together(async (block) => (await chain.waitForBlock(block + 1, signal)).block);
  const take = async (commit: RoundCommit, bytes: Uint8Array, late: boolean): Promise<void> => {
    await node.local.putIfAbsent(blobKey(commit.payloadHash.slice(2)), bytes); // from now on this validator has it, whatever becomes of the others
    const { received, payload } = await examine(node, state, docket, { commit, bytes, late });
    if (signal.aborted) return;
    log.event("received", { round: docket.round, uid: commit.uid, bytes: bytes.length, fault: received.fault });
    onReceived(received, payload);
  };
  const { block: now } = await chain.head();
  const seek = async (commit: RoundCommit): Promise<void> => {
    const hash = commit.payloadHash.slice(2);
    let wanted = false;
    for (let block = now; ; block = await blockAfter(block)) {
      const { bytes, lied } = await lanes(() => soughtBlob(node, hash, payloadBytesMax(node.body)));
      if (bytes !== undefined) return inOrder(() => take(commit, bytes, wanted && block >= votesOpen));
      wanted ||= !lied && block < votesOpen; // where a store was away or lied, nobody knows whether it was there
    }
  };
  await Promise.all(docket.commits.map(seek));
}

/** A payload as it came. */
interface Arrival {
  readonly commit: RoundCommit;
  readonly bytes: Uint8Array;
  readonly late: boolean;
}

interface Examined {
  readonly received: Received;
  readonly payload: Payload | undefined;
}

async function examine(node: Node, state: State, docket: Docket, arrival: Arrival): Promise<Examined> {
  const { commit, bytes, late } = arrival;
  const wrong = (fault: string): Examined => {
    return { received: { commit, bytes: bytes.length, fault, batch: 0, late }, payload: undefined };
  };
  if (!docket.seated.includes(commit)) return wrong(NO_DATA);
  const payload = decodeCommitted(node, state, commit, bytes);
  if (isFault(payload)) return wrong(payload.fault);
  const batch = batchTrained(payload.header.tokens, node.spec.inner) ?? 0;
  const fault = batch === 0 ? "absurd tokens" : await digestFault(node, docket, payload, batch);
  return fault === undefined
    ? { received: { commit, bytes: bytes.length, fault: null, batch, late }, payload }
    : wrong(fault);
}

/** Whether the payload names other data than its uid was dealt. A validator that cannot read its data lets it pass, and says so. */
async function digestFault(
  node: Node,
  { round, roundSeed: seed }: Docket,
  { header }: Payload,
  batch: number,
): Promise<FieldFault | undefined> {
  const { uid, dataDigest } = header;
  try {
    const digest = await dealtDigest(node, { round, uid, batch, seed });
    return equalBytes(digest, dataDigest) ? undefined : "wrong data digest";
  } catch (thrown) {
    if (!(thrown instanceof SkeinError)) throw thrown;
    node.log.event("check-failed", { round, uid, why: messageOf(thrown) });
    return undefined;
  }
}

/** The oldest round of which payloads may lie in the folder of a validator whose newest report is on `round`. */
export function oldestHeld({ checkpointEvery }: Node["spec"], round: number): number {
  return Math.max(0, round - 2 * checkpointEvery - 2);
}

/**
 * Drops this validator's copies of payloads that everybody who follows has long had by `round`: the shared store keeps them, and a checkpoint has them in
 * it. Those of rounds from `from` on, some rounds at a time; returns the first round that was left.
 */
export async function forget({ local, spec, chain, runId }: Node, from: number, round: number): Promise<number> {
  const end = Math.min(oldestHeld(spec, round + 1), from + FORGOTTEN_AT_ONCE);
  for (let old = from; old < end; old++) {
    for (const { payloadHash } of await chain.commits(runId, old)) await local.delete(blobKey(payloadHash.slice(2)));
  }
  return Math.max(from, end);
}
