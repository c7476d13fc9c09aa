/**
 * What the peers of a round have sent: fetched from whoever has it, decoded as a stranger's bytes, and checked for what needs no model, before the votes
 * close.
 */
import { equalBytes } from "../../../base/bytes.ts";
import { messageOf, SkeinError } from "../../../base/errors.ts";
import type { RoundCommit } from "../../../chain/chain.ts";
import { roundStart } from "../../../chain/rounds.ts";
import { isFault, type Payload } from "../../../round/payload.ts";
import type { FieldFault } from "../../../score/field.ts";
import { batchTrained } from "../../../score/samples.ts";
import { blobKey } from "../../../store/blobs.ts";
import { committedBlob, decodeCommitted, type State } from "../follower.ts";
import type { Node } from "../node.ts";
import { dealtDigest } from "../work.ts";
import type { Docket } from "./docket.ts";

/** What came of one commit. */
export interface Received {
  readonly commit: RoundCommit;
  readonly bytes: number;
  /** What is wrong with it, as far as it can be told by itself. */
  readonly fault: string | null;
  /** Sequences of each step that it says it trained on; 0 with a fault. */
  readonly batch: number;
  /** Looked for while payloads were to be revealed, and not there before the votes were open. */
  readonly late: boolean;
}

/** Told of each payload once; it comes where there is no fault. */
export type OnReceived = (received: Received, payload: Payload | undefined) => void;

/** Fault of a payload by a uid that the run deals no data to. */
const NO_DATA = "no data for this uid";

/** Looks for the payloads of a docket from block to block, until everything is there; rejects with SkeinError("interrupted") when `signal` says so. */
export async function collect(
  node: Node,
  state: State,
  docket: Docket,
  onReceived: OnReceived,
  signal: AbortSignal,
): Promise<void> {
  const { chain, record, log } = node;
  const votesOpen = roundStart(record, docket.round, "vote");
  const open = new Set(docket.commits);
  const wanted = new Set<RoundCommit>();
  for (let { block } = await chain.head(); ; ) {
    for (const commit of open) {
      const bytes = await committedBlob(node, commit.payloadHash);
      if (bytes === undefined) {
        if (block < votesOpen) wanted.add(commit);
        continue;
      }
      await node.local.putIfAbsent(blobKey(commit.payloadHash.slice(2)), bytes); // from now on this validator has it, whatever becomes of the others
      const late = block >= votesOpen && wanted.has(commit);
      const { received, payload } = await examine(node, state, docket, { commit, bytes, late });
      if (signal.aborted) return;
      open.delete(commit);
      log.event("received", { round: docket.round, uid: commit.uid, bytes: bytes.length, fault: received.fault });
      onReceived(received, payload);
    }
    if (open.size === 0) return;
    ({ block } = await chain.waitForBlock(block + 1, signal));
  }
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

/** Drops this validator's copies of payloads that everybody who follows has long had: the shared store keeps them, and a checkpoint has them in it. */
export async function forget({ local, spec, chain, runId }: Node, round: number): Promise<void> {
  const old = round - 2 * spec.checkpointEvery - 2;
  if (old < 0) return;
  for (const { payloadHash } of await chain.commits(runId, old)) await local.delete(blobKey(payloadHash.slice(2)));
}
