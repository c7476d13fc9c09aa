/**
 * A challenged payload on its way to a verdict: the payload, the news of an answer, the answer and its pieces are looked for from block to block, and what a look
 * did not find may be there in the next one. Whether that is the peer's doing decides in the end whether the peer is blamed (docs/protocol/work.md, 4).
 */
import { must } from "../../../base/assert.ts";
import { SkeinError } from "../../../base/errors.ts";
import type { RoundCommit } from "../../../chain/chain.ts";
import { accountOfBytes } from "../../../chain/keys/account.ts";
import { inLanes } from "../../../checkpoint/shared/lanes.ts";
import { pieceBytes } from "../../../checkpoint/shared/manifest.ts";
import { isFault, PAYLOAD_HEADER_BYTES, PAYLOAD_SIGNATURE_BYTES, payloadBytesMax } from "../../../round/payload.ts";
import { type Answer, answerBytesMax, decodeAnswer, isAnswerFault } from "../../../score/audit/answer.ts";
import {
  type AuditTerms,
  type Challenged,
  type Claim,
  claimIn,
  followedRound,
  isVerdict,
  originFault,
  unanswered,
  type Verdict,
} from "../../../score/audit/claim.ts";
import { batchTrained } from "../../../score/samples.ts";
import { blobKey } from "../../../store/blobs.ts";
import { decodeNews, isAuthentic, NEWS_BYTES_MAX, type NewsRecord, newsKey } from "../../../store/news.ts";
import type { Store } from "../../../store/store.ts";
import { decodeCommitted, rootOf, type State, soughtBlob } from "../follower.ts";
import type { Node } from "../node.ts";
import type { Dealt } from "../work.ts";

/** Who looks. */
export interface Auditor {
  readonly node: Node;
  readonly terms: AuditTerms;
}

/** A challenged payload. */
export interface Case {
  readonly round: number;
  readonly commit: RoundCommit;
  readonly part: number;
  /** The params that the round began with. */
  readonly base: State;
  /** What the round's data were dealt by. */
  readonly seed: string;
  /** The payload, once it was found. */
  shown?: Shown;
  /** The newest news of an answer. */
  told?: NewsRecord;
  /** Why there is no answer so far; undefined, and for good, where that need not be the peer's doing. */
  reason: string | undefined;
  /** The payload or the answer that was looked at last and is none: it is not looked at again. */
  refusedHash?: string;
}

interface Shown {
  readonly challenged: Challenged;
  readonly dealt: Dealt;
}

/** A case whose answer came in time, all of it. */
export interface Answered extends Case {
  readonly shown: Shown;
  readonly answer: Answer;
  readonly claim: Claim;
}

/** The answer to a case, if it is there, or what it refutes by itself; otherwise the case says why not. */
export async function look(auditor: Auditor, each: Case): Promise<Answered | Verdict | undefined> {
  try {
    const shown = each.shown ?? (await shownPayload(auditor, each));
    if (shown === undefined) return undefined;
    each.shown = shown;
    return await answerTo(auditor, each, shown.challenged);
  } catch (thrown) {
    if (!(thrown instanceof SkeinError) || thrown.code !== "store") throw thrown;
    return excused(each); // nobody can be blamed for not answering a store that is away
  }
}

function waits(each: Case, reason: string, lied = false): undefined {
  if (each.reason !== undefined) each.reason = lied ? undefined : reason;
  return undefined;
}

function excused(each: Case): undefined {
  each.reason = undefined;
  return undefined;
}

async function shownPayload({ node }: Auditor, each: Case): Promise<Shown | undefined> {
  const { round, commit, part, base, seed } = each;
  const hash = commit.payloadHash.slice(2);
  if (hash === each.refusedHash) return undefined;
  const { bytes, lied } = await soughtBlob(node, hash, payloadBytesMax(node.body));
  if (bytes === undefined) return waits(each, "the payload was not shown", lied);
  const roots = new Map([[base.round, rootOf(base)]]);
  const payload = decodeCommitted(node, { round, roots }, commit, bytes);
  const batch = isFault(payload) ? undefined : batchTrained(payload.header.tokens, node.spec.inner);
  if (isFault(payload) || !batch) {
    each.refusedHash = hash;
    return waits(each, "the payload is none");
  }
  waits(each, "no answer");
  const body = bytes.subarray(PAYLOAD_HEADER_BYTES, bytes.length - PAYLOAD_SIGNATURE_BYTES);
  return { challenged: { header: payload.header, body, part }, dealt: { round, uid: commit.uid, batch, seed } };
}

async function answerTo(auditor: Auditor, each: Case, challenged: Challenged): Promise<Answered | Verdict | undefined> {
  const { node, terms } = auditor;
  const newest = await toldBy(node.shared, each.commit.hotkey);
  if (newest === "damaged")
    excused(each); // whoever can do that to the store's record is not the peer
  else if (newest?.round === each.round) each.told = newest;
  else if (newest !== undefined && newest.round > each.round && !each.told) excused(each); // asked again already: what it said before is gone
  const news = each.told;
  if (news === undefined || news.hash === each.refusedHash) return undefined;
  const { bytes, lied } = await soughtBlob(node, news.hash, answerBytesMax(terms));
  if (bytes === undefined) return waits(each, "the answer cannot be had", lied);
  const answer = decodeAnswer(bytes, terms);
  if (isAnswerFault(answer)) {
    each.refusedHash = news.hash;
    return waits(each, `the answer is ${answer.fault}`.toLowerCase());
  }
  const claim = await claimOf(auditor, each, challenged, answer);
  if (claim === undefined) return undefined;
  if (isVerdict(claim)) {
    if (claim.verdict === "refuted") return claim;
    each.refusedHash = news.hash;
    return waits(each, must(claim.reason, "a reason"));
  }
  if (!(await isThere(auditor, answer))) return waits(each, "pieces are missing");
  return { ...each, shown: must(each.shown, "a payload"), answer, claim };
}

/** The newest answer that an account tells of; "damaged" where something else lies in its place. Rejects with SkeinError("store"). */
async function toldBy(shared: Store, account: string): Promise<NewsRecord | "damaged" | undefined> {
  const key = newsKey({ kind: "answer", account });
  const bytes = await shared.get(key, { start: 0, end: NEWS_BYTES_MAX + 1 });
  if (bytes === undefined) return undefined;
  const news = decodeNews(bytes);
  return "fault" in news || newsKey(news) !== key || !isAuthentic(news, accountOfBytes) ? "damaged" : news;
}

/** What the answer claims, with all that comes before it proven; otherwise the verdict. undefined where that needs what cannot be had now. */
async function claimOf(
  { node, terms }: Auditor,
  each: Case,
  challenged: Challenged,
  answer: Answer,
): Promise<Claim | Verdict | undefined> {
  const { part } = each;
  const claim = claimIn(answer, challenged, terms);
  if (isVerdict(claim)) return claim;
  const before = followedRound(claim, part, terms);
  if (before === undefined) return originFault(claim, part, answer, undefined, terms) ?? claim;
  const followed = await commitmentOf(node, each, before);
  if (followed === undefined || isVerdict(followed)) return followed;
  return originFault(claim, part, answer, followed, terms) ?? claim;
}

/** The work commitment in the payload that the same hotkey promised in an earlier round; undefined where that cannot be had now. */
async function commitmentOf(node: Node, each: Case, round: number): Promise<Uint8Array | Verdict | undefined> {
  const { hotkey } = each.commit;
  const commits = await node.chain.commits(node.runId, round);
  const commit = commits.find((other) => other.hotkey === hotkey);
  if (commit === undefined) return { verdict: "refuted", reason: "goes on from a payload that was never promised" };
  const { bytes, lied } = await soughtBlob(node, commit.payloadHash.slice(2), payloadBytesMax(node.body));
  const payload = bytes && decodeCommitted(node, { round, roots: new Map() }, commit, bytes);
  if (payload === undefined) return waits(each, "the earlier payload cannot be had", lied);
  return isFault(payload) ? unanswered("the earlier payload is none") : payload.header.workCommitment;
}

/** Whether the shared store has every piece, of its length, or another one what it lacks. Rejects with SkeinError("store") where the shared store is away. */
function isThere({ node, terms }: Auditor, { vectors }: Answer): Promise<boolean> {
  const { shared, mirrors = [] } = node;
  const pieces = vectors.flatMap((all) =>
    (all ?? []).map((hash, index) => ({ key: blobKey(hash), bytes: pieceBytes(terms.paramCount, index) })),
  );
  return inLanes(pieces.length, async (index) => {
    const { key, bytes } = must(pieces[index], "a piece");
    let found = (await shared.size(key)) === bytes;
    for (const mirror of found ? [] : mirrors) found ||= (await sizeAt(mirror, key)) === bytes;
    return found;
  });
}

/** The size of a blob at a mirror, which may be away. */
async function sizeAt(mirror: Store, key: string): Promise<number | undefined> {
  try {
    return await mirror.size(key);
  } catch (thrown) {
    if (!(thrown instanceof SkeinError) || thrown.code !== "store") throw thrown;
    return undefined;
  }
}
