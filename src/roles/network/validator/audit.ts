/**
 * Replay audits, a validator's side (docs/protocol/work.md). While a round's peers train, the validator takes those payloads of the round before that are
 * challenged, fetches their answers, and does the part that was asked for again. Who is challenged for what follows from the chain, so nothing is to be
 * remembered over a restart.
 *
 *   const auditing = newAuditing(node, engine);
 *   keepBase(auditing, following.state);                           // after every follow: audits begin from these params
 *   const audits = await auditRound(auditing, round - 1, signal);  // with the engine for itself, in which it leaves other params and moments
 */
import { assert, must } from "../../../base/assert.ts";
import { messageOf, SkeinError } from "../../../base/errors.ts";
import type { RoundCommit } from "../../../chain/chain.ts";
import { accountOfBytes } from "../../../chain/keys/account.ts";
import type { Engine } from "../../../engine/engine.ts";
import { isFault, PAYLOAD_HEADER_BYTES, PAYLOAD_SIGNATURE_BYTES, payloadBytesMax } from "../../../round/payload.ts";
import { baseRound } from "../../../run/rules.ts";
import {
  type Answer,
  answerBytesMax,
  decodeAnswer,
  isAnswerFault,
  type VectorRole,
} from "../../../score/audit/answer.ts";
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
import { replayed } from "../../../score/audit/replay.ts";
import { batchTrained } from "../../../score/samples.ts";
import { blobKey } from "../../../store/blobs.ts";
import { isAuthentic, readNewsOf } from "../../../store/news.ts";
import type { Store } from "../../../store/store.ts";
import { committedBlob, decodeCommitted, rootOf, type State, soughtBlob } from "../follower.ts";
import { type ActingNode, roundSeed, stopped } from "../node.ts";
import { answerDeadline, auditTerms, challengesOf, type Dealt, stepBatch, vectorOf } from "../work.ts";

/** What an audit came to. */
export interface Audit extends Verdict {
  /** Round of the payload. */
  readonly round: number;
  readonly uid: number;
  /** Its hotkey: 0x and 64 hex digits. */
  readonly account: string;
  /** Which span of the round's steps, or, if it is the number of spans, the compression. */
  readonly part: number;
}

/** A challenged payload. */
interface Case {
  readonly commit: RoundCommit;
  readonly challenged: Challenged;
  readonly dealt: Dealt;
  /** The params that the round began with. */
  readonly base: Float32Array;
  /** Why there is no answer so far; undefined where that is not the peer's doing. */
  reason: string | undefined;
  /** The answer that was looked at last and is none: it is not looked at again. */
  refusedHash?: string;
}

/** A case whose answer came in time, all of it. */
interface Answered extends Case {
  readonly answer: Answer;
  readonly claim: Claim;
}

/** A validator's audits under way. */
export interface Auditing {
  readonly node: ActingNode;
  readonly engine: Engine;
  readonly terms: AuditTerms;
  /** The newest params, by round. */
  readonly bases: Map<number, State>;
  /** Answers that came in time and could not be replayed in it. */
  backlog: readonly Answered[];
}

/** Rounds whose params are kept: the newest, that of the round under audit, and under a delay the one before. */
const BASES = 3;

/** Audits that have not begun. */
export function newAuditing(node: ActingNode, engine: Engine): Auditing {
  return { node, engine, terms: auditTerms(node), bases: new Map(), backlog: [] };
}

/** Remembers params that audits may begin from. They must not be changed. */
export function keepBase({ bases }: Auditing, state: State): void {
  bases.set(state.round, state);
  for (const round of bases.keys()) if (round <= state.round - BASES) bases.delete(round);
}

/**
 * Audits the challenged payloads of `round`, and first what an earlier call could not finish. To be called once in the next round, after `keepBase`. Resolves when
 * nothing is left to be done, at the latest when answers come too late or `signal` is given; answers that came in time are then kept for the next call. Gives
 * no verdict on whom the store being away, or this validator's own lack of time, params or data kept from being judged.
 */
export async function auditRound(auditing: Auditing, round: number, signal: AbortSignal): Promise<readonly Audit[]> {
  const { node } = auditing;
  const { chain } = node;
  assert(round >= 0, "there is a round to audit");
  if (node.spec.audit.perMille === 0) return [];
  const over = node.signal ? AbortSignal.any([signal, node.signal]) : signal;
  const deadline = answerDeadline(node, round);
  const ended: Audit[] = [];
  const { cases, withheld } = await casesOf(auditing, round);
  ended.push(...withheld);
  let open: readonly Case[] = cases;
  let ready = auditing.backlog;
  for (;;) {
    const { block } = await chain.head();
    const looked = await lookAll(auditing, open, ended);
    open = looked.open;
    ready = [...ready, ...looked.ready];
    if (block >= deadline) for (const each of open) endUnanswered(each, ended);
    const [next, ...rest] = ready;
    if (block >= deadline || over.aborted || (open.length === 0 && next === undefined)) break;
    if (next === undefined) {
      await nextBlock(node, block, over);
      continue;
    }
    const verdict = await replay(auditing, next, over);
    if (verdict === "later") continue;
    if (verdict !== undefined) ended.push(auditOf(next, verdict));
    ready = rest;
  }
  auditing.backlog = ready;
  return ended;
}

/** Waits for a block after `block`, or for `over`. Throws SkeinError("interrupted") where the node is asked to stop. */
async function nextBlock(node: ActingNode, block: number, over: AbortSignal): Promise<void> {
  try {
    await node.chain.waitForBlock(block + 1, over);
  } catch (thrown) {
    if (stopped(node) || !over.aborted) throw thrown;
  }
}

function auditOf({ commit, challenged }: Case, verdict: Verdict): Audit {
  const { uid, hotkey } = commit;
  return { round: challenged.header.round, uid, account: hotkey, part: challenged.part, ...verdict };
}

function endUnanswered(each: Case, ended: Audit[]): void {
  if (each.reason !== undefined) ended.push(auditOf(each, unanswered(each.reason)));
}

/**
 * The challenged payloads of a round. Who is challenged is known when payloads are to be shown; so one that is not shown then, or is none, counts as a
 * challenge without answer, unless half of the round's are not there: then it is the world's fault.
 */
async function casesOf(
  { node, terms, bases }: Auditing,
  round: number,
): Promise<{ readonly cases: readonly Case[]; readonly withheld: readonly Audit[] }> {
  const { spec, chain, runId } = node;
  const base = bases.get(baseRound(spec, round));
  const commits = base && (await chain.commits(runId, round)).filter(({ uid }) => uid < spec.uids);
  const challenges = commits && (await challengesOf(node, round, commits));
  if (base === undefined || commits === undefined || challenges === undefined) return { cases: [], withheld: [] };
  const seed = await roundSeed(node, round);
  const roots = new Map([[base.round, rootOf(base)]]);
  const [cases, withheld]: [Case[], Audit[]] = [[], []];
  for (const commit of commits) {
    const part = challenges(commit.uid);
    if (part === undefined) continue;
    const { bytes, lied } = await soughtBlob(node, commit.payloadHash.slice(2), payloadBytesMax(node.body));
    if (lied) continue;
    const payload = bytes && decodeCommitted(node, { round, roots }, commit, bytes);
    const batch = !payload || isFault(payload) ? undefined : batchTrained(payload.header.tokens, spec.inner);
    if (bytes === undefined || !payload || isFault(payload) || !batch) {
      const reason = bytes === undefined ? "the payload was not shown" : "the payload is none";
      withheld.push({ round, uid: commit.uid, account: commit.hotkey, part, ...unanswered(reason) });
      continue;
    }
    const body = bytes.subarray(PAYLOAD_HEADER_BYTES, bytes.length - PAYLOAD_SIGNATURE_BYTES);
    assert(part <= terms.spans, "a challenge is for a part that there is");
    cases.push({
      ...{ commit, base: base.params, reason: "no answer" },
      challenged: { header: payload.header, body, part },
      dealt: { round, uid: commit.uid, batch, seed },
    });
  }
  const isBlamed = withheld.length > 0 && (await areMostShown(node, commits));
  return { cases, withheld: isBlamed ? withheld : [] };
}

/** Whether more than half of a round's payloads can be had. */
async function areMostShown(node: ActingNode, commits: readonly RoundCommit[]): Promise<boolean> {
  let shown = 0;
  for (const { payloadHash } of commits) {
    if ((await committedBlob(node, payloadHash)) !== undefined) shown += 1;
    if (2 * shown > commits.length) return true;
  }
  return false;
}

/** Looks for answers; those that are nothing but wrong are ended. */
async function lookAll(
  auditing: Auditing,
  cases: readonly Case[],
  ended: Audit[],
): Promise<{ readonly open: readonly Case[]; readonly ready: readonly Answered[] }> {
  const [open, ready]: [Case[], Answered[]] = [[], []];
  for (const each of cases) {
    const found = await look(auditing, each);
    if (found === undefined) open.push(each);
    else if (isVerdict(found)) ended.push(auditOf(each, found));
    else ready.push(found);
  }
  return { open, ready };
}

/** The answer to a case, if it is there, or what it refutes by itself; otherwise the case says why not. */
async function look(auditing: Auditing, each: Case): Promise<Answered | Verdict | undefined> {
  const { node, terms } = auditing;
  const { commit, challenged } = each;
  try {
    const news = await readNewsOf(node.shared, "answer", commit.hotkey);
    if (news === undefined || !isAuthentic(news, accountOfBytes)) return undefined;
    if (news.round > challenged.header.round) each.reason = undefined; // it was asked again already: what it said before is gone
    if (news.round !== challenged.header.round || news.hash === each.refusedHash) return undefined;
    const { bytes, lied } = await soughtBlob(node, news.hash, answerBytesMax(terms));
    if (lied) each.reason = undefined;
    if (bytes === undefined) return waits(each, "the answer cannot be had");
    const answer = decodeAnswer(bytes, terms);
    const claim = isAnswerFault(answer)
      ? unanswered(`the answer is ${answer.fault}`.toLowerCase())
      : await claimOf(auditing, each, answer);
    if (isVerdict(claim)) {
      if (claim.verdict === "refuted") return claim;
      each.refusedHash = news.hash;
      return waits(each, must(claim.reason, "a reason"));
    }
    if (isAnswerFault(answer)) return undefined;
    return (await isThere(node, answer)) ? { ...each, answer, claim } : waits(each, "pieces are missing");
  } catch (thrown) {
    if (!(thrown instanceof SkeinError) || thrown.code !== "store") throw thrown;
    each.reason = undefined; // nobody can be blamed for not answering a store that is away
    return undefined;
  }
}

function waits(each: Case, reason: string): undefined {
  if (each.reason !== undefined) each.reason = reason;
  return undefined;
}

/** What the answer claims, with all that comes before it proven; otherwise the verdict. */
async function claimOf({ node, terms }: Auditing, each: Case, answer: Answer): Promise<Claim | Verdict> {
  const { challenged } = each;
  const claim = claimIn(answer, challenged, terms);
  if (isVerdict(claim)) return claim;
  const before = followedRound(claim, challenged.part, terms);
  const followed = before === undefined ? undefined : await commitmentOf(node, each, before);
  if (followed !== undefined && isVerdict(followed)) return followed;
  return originFault(claim, challenged.part, answer, followed, terms) ?? claim;
}

/** The work commitment in the payload that the same hotkey promised in an earlier round. */
async function commitmentOf(node: ActingNode, each: Case, round: number): Promise<Uint8Array | Verdict> {
  const { hotkey } = each.commit;
  const commits = await node.chain.commits(node.runId, round);
  const commit = commits.find((other) => other.hotkey === hotkey);
  if (commit === undefined) return { verdict: "refuted", reason: "goes on from a payload that was never promised" };
  const { bytes, lied } = await soughtBlob(node, commit.payloadHash.slice(2), payloadBytesMax(node.body));
  if (lied) each.reason = undefined;
  const payload = bytes && decodeCommitted(node, { round, roots: new Map() }, commit, bytes);
  if (payload === undefined || isFault(payload)) return unanswered("the earlier payload cannot be had");
  return payload.header.workCommitment;
}

/** Whether the shared store has every piece, or another one what it lacks. Rejects with SkeinError("store") where the shared store is away. */
async function isThere({ shared, mirrors = [] }: ActingNode, { vectors }: Answer): Promise<boolean> {
  for (const hash of vectors.flatMap((pieces) => pieces ?? [])) {
    let found = (await shared.size(blobKey(hash))) !== undefined;
    for (const mirror of found ? [] : mirrors) found ||= (await sizeAt(mirror, blobKey(hash))) !== undefined;
    if (!found) return false;
  }
  return true;
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

/** Does again what was asked for: a verdict, "later" where `over` came first, undefined where this validator cannot judge it. */
async function replay(
  { node, engine, terms }: Auditing,
  { answer, claim, challenged, dealt, base }: Answered,
  over: AbortSignal,
): Promise<Verdict | "later" | undefined> {
  const { round, uid } = dealt;
  const startMs = node.clock.monotonic();
  const vectors = new Map<VectorRole, Float32Array>();
  let isDeceived = false;
  for (const [i, role] of [...claim.expected.keys()].entries()) {
    const vector = await vectorOf(answer.vectors[i] ?? null, terms.paramCount, async (hash, bytesMax) => {
      const { bytes, lied } = await soughtBlob(node, hash, bytesMax);
      isDeceived ||= lied;
      return bytes;
    });
    if (over.aborted) return "later";
    if (vector === undefined) return isDeceived ? undefined : unanswered("pieces are missing");
    vectors.set(role, vector);
  }
  try {
    const batchAt = (step: number) => stepBatch(node, dealt, step);
    const verdict = await replayed(claim, challenged, { engine, terms, base, vectors, batchAt, signal: over });
    if (verdict === undefined && over.aborted) return "later";
    node.log.event("replay", { round, uid, part: challenged.part, ms: Math.round(node.clock.monotonic() - startMs) });
    return verdict;
  } catch (thrown) {
    if (!(thrown instanceof SkeinError) || (thrown.code !== "data" && thrown.code !== "store")) throw thrown;
    node.log.event("replay-failed", { round, uid, part: challenged.part, why: messageOf(thrown) });
    return undefined;
  }
}
