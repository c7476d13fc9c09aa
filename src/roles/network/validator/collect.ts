/** What the peers of a round have sent: fetched from whoever has it, decoded as a stranger's bytes, before the votes close. */
import type { RoundCommit } from "../../../chain/chain.ts";
import { roundStart } from "../../../chain/rounds.ts";
import { isFault, type Payload } from "../../../round/payload.ts";
import { putBlob } from "../../../store/blobs.ts";
import { committedBlob, decodeCommitted, type State } from "../follower.ts";
import type { Node } from "../node.ts";

/** What was found of one commit. */
export interface Found {
  readonly commit: RoundCommit;
  readonly bytes: number;
  readonly payload: Payload | undefined;
  /** Why there is no payload. */
  readonly fault: string | undefined;
}

/**
 * What the peers of this round have sent, as far as it is there: looked for from the first reveal block on, until everything is found or the
 * last block is near in which a vote still counts.
 */
export async function collect(node: Node, state: State): Promise<readonly Found[]> {
  const { chain, runId, record, signal, log } = node;
  const { round } = state;
  const commits = await chain.commits(runId, round);
  const found = new Map<number, Found>();
  const voteFrom = roundStart(record, round, "vote");
  const lastCall = Math.max(voteFrom, roundStart(record, round + 1) - 2);
  for (let { block } = await chain.head(); ; ) {
    for (const commit of commits) {
      if (found.has(commit.uid)) continue;
      const looked = await look(node, state, commit);
      if (looked === undefined) continue;
      found.set(commit.uid, looked);
      log.event("received", { round, uid: commit.uid, bytes: looked.bytes, fault: looked.fault ?? null });
    }
    if (block >= voteFrom && (found.size === commits.length || block >= lastCall)) break;
    const next = found.size === commits.length ? voteFrom : block + 1;
    ({ block } = await chain.waitForBlock(next, signal));
  }
  return commits.map((commit) => found.get(commit.uid) ?? { commit, bytes: 0, payload: undefined, fault: "missing" });
}

async function look(node: Node, state: State, commit: RoundCommit): Promise<Found | undefined> {
  const bytes = await committedBlob(node, commit.payloadHash);
  if (bytes === undefined) return undefined;
  await putBlob(node.local, bytes); // from now on this validator has it, whatever becomes of the others
  const payload = decodeCommitted(node, state, commit, bytes);
  if (isFault(payload)) return { commit, bytes: bytes.length, payload: undefined, fault: payload.fault };
  return { commit, bytes: bytes.length, payload, fault: undefined };
}
