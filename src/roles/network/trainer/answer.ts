/**
 * How a trainer answers a challenge. From the first reveal block on it knows by itself whether and for what its payload is challenged. What is asked for
 * is put into its folder first, so that a restart loses nothing, and then into the shared store, before the next round's payloads are revealed.
 */
import { must } from "../../../base/assert.ts";
import { equalBytes, fromUtf8, utf8 } from "../../../base/bytes.ts";
import { roundStart } from "../../../chain/rounds.ts";
import { inLanes } from "../../../checkpoint/shared/lanes.ts";
import { paramCount } from "../../../engine/shape.ts";
import { roundsOf } from "../../../run/rules.ts";
import {
  type Answer,
  answerBytesMax,
  answeredLeaves,
  answeredVectors,
  decodeAnswer,
  encodeAnswer,
  isAnswerFault,
  type VectorPieces,
  type VectorRole,
} from "../../../score/audit/answer.ts";
import {
  borderLeaf,
  decodeBorder,
  decodeStart,
  leafProof,
  residualLeaf,
  START_LEAF,
  zeroRoot,
} from "../../../score/audit/commitment.ts";
import { blobKey, putBlob } from "../../../store/blobs.ts";
import { type News, putNews, readNewsOf } from "../../../store/news.ts";
import { type ActingNode, persist, stopped } from "../node.ts";
import { answerDeadline, challengesOf, putVector } from "../work.ts";
import type { Pending } from "./memory.ts";
import type { WorkRecord } from "./record.ts";

/** What the keys of answers begin with that wait for their upload. */
const PREFIX = "answers/";

/** The newest round that was answered for, so that a restart does not answer again. */
const DONE_KEY = "answered";

/**
 * Answers the challenge of a payload that is promised, if there is one; to be called from the first reveal block of its round on. Forgets the record. Gives the
 * news of the answer.
 */
export async function answerChallenge(
  node: ActingNode,
  pending: Pending,
  record: WorkRecord,
): Promise<News | undefined> {
  const { round, uid } = pending;
  const failed = (why: string): void => node.log.event("answer-failed", { round, uid, why });
  const asked = await persist(node, answerDeadline(node, round), () => challengeOf(node, pending), failed);
  const part = asked?.part;
  if (part !== undefined) {
    node.log.event("challenged", { round, uid, part });
    const answer = await answerFor(node, pending, record, part);
    if (answer === undefined) node.log.event("unanswered", { round, uid, part, why: "the states were lost" });
    else await node.local.put(keyOf(round), encodeAnswer(answer));
  }
  await record.drop();
  return part === undefined ? undefined : sendAnswers(node, record.from?.hash.slice(2));
}

/** What a payload is challenged for, where that was not answered yet; undefined while it is not known: before its round's first reveal block. */
export async function challengeOf(
  node: ActingNode,
  { round, uid }: Pending,
): Promise<{ readonly part: number | undefined } | undefined> {
  const challenges = await challengesOf(node, round);
  const done = await node.local.get(DONE_KEY);
  const isDone =
    (done !== undefined && fromUtf8(done) === `${round}`) || (await node.local.size(keyOf(round))) !== undefined;
  return challenges && { part: isDone ? undefined : challenges(uid) };
}

async function answerFor(
  node: ActingNode,
  { round, uid }: Pending,
  record: WorkRecord,
  part: number,
): Promise<Answer | undefined> {
  const { spec, specHash, local } = node;
  const { spans } = spec.audit;
  const { leaves } = record;
  const start = must(decodeStart(must(leaves[START_LEAF], "a start")), "a start");
  const roots = rootsOf(leaves, part, spans);
  const none = zeroRoot(paramCount(spec.model));
  const vectors: VectorPieces[] = [];
  for (const role of answeredVectors(part, spans, start.kind)) {
    const isZero = equalBytes(must(roots[role], "a root"), none);
    const vector = isZero ? null : await record.vector(role, part);
    if (vector === undefined) return undefined;
    vectors.push(vector && (await putVector(local, vector)));
  }
  const proofs = answeredLeaves(part, spans).map((index) => leafProof(leaves, index));
  const previous = previousOf(record, part, spans, spec.inner.resetMoments);
  return { specHash, round, uid, part, leaves: proofs, previous, vectors };
}

/** State roots of the vectors of an answer. */
function rootsOf(
  leaves: readonly Uint8Array[],
  part: number,
  spans: number,
): Readonly<Partial<Record<VectorRole, Uint8Array>>> {
  const border = (index: number) => must(decodeBorder(must(leaves[borderLeaf(index)], "a border")), "a border");
  const { params, m, v } = border(part);
  if (part === spans) return { params, residual: must(leaves[residualLeaf(spans, "before")], "a residual") };
  const next = border(part + 1);
  return { params, m, v, nextParams: next.params, nextM: next.m, nextV: next.v };
}

/** The leaf of the payload that the work went on from. */
function previousOf({ leaves, from }: WorkRecord, part: number, spans: number, reset: boolean): Answer["previous"] {
  if (from === undefined || (part !== spans && (part > 0 || reset))) return null;
  const proven = (leaf: number) => ({ leaf, ...leafProof(from.leaves, leaf) });
  if (part < spans) return proven(borderLeaf(spans));
  const [before, after] = [residualLeaf(spans, "before"), residualLeaf(spans, "after")];
  const isAfter = equalBytes(must(leaves[before], "a residual"), must(from.leaves[after], "a residual"));
  return proven(isAfter ? after : before);
}

/**
 * Uploads what waits in the folder, as long as it can count, and deletes it there. `earlier` is the payload that the work went on from: its header is needed to
 * judge the answer, and it is still in the folder where it could not be revealed in its own round. Gives the news of the last answer.
 */
export async function sendAnswers(node: ActingNode, earlier?: string): Promise<News | undefined> {
  const { local, spec, log } = node;
  const form = { spans: spec.audit.spans, paramCount: paramCount(spec.model) };
  let told: News | undefined;
  for (const key of await local.list(PREFIX)) {
    const bytes = await local.get(key, { start: 0, end: answerBytesMax(form) + 1 });
    const answer = bytes && decodeAnswer(bytes, form);
    if (bytes !== undefined && answer !== undefined && !isAnswerFault(answer)) {
      const { round, uid, part } = answer;
      const failed = (why: string): void => log.event("answer-failed", { round, uid, part, why });
      const upload = (): Promise<News> => sendAnswer(node, answer, bytes, earlier);
      const sent = await persist(node, answerDeadline(node, round), upload, failed);
      if (sent !== undefined) await local.put(DONE_KEY, utf8(`${round}`));
      told = sent ?? told;
      for (const hash of answer.vectors.flatMap((pieces) => pieces ?? [])) await local.delete(blobKey(hash));
    } else log.event("bad-answer", { key });
    await local.delete(key);
  }
  return told;
}

/** Uploads one answer and tells of it. Rejects with SkeinError("store"). */
async function sendAnswer(node: ActingNode, answer: Answer, bytes: Uint8Array, earlier?: string): Promise<News> {
  const { local, shared, signer, log } = node;
  const { round, uid, part, vectors } = answer;
  const hashes = vectors.flatMap((pieces) => pieces ?? []);
  const payload = earlier === undefined ? undefined : await local.get(blobKey(earlier));
  if (payload !== undefined) await local.delete(blobKey(await putBlob(shared, payload)));
  await inLanes(hashes.length, async (index) => {
    const piece = await local.get(blobKey(must(hashes[index], "a piece")));
    if (piece !== undefined) await putBlob(shared, piece);
    return true;
  });
  const hash = await putBlob(shared, bytes);
  const told = await putNews(shared, { kind: "answer", round, hash, account: signer.account }, signer.sign);
  log.event("answer", { round, uid, part, bytes: bytes.length, pieces: hashes.length });
  return told;
}

/**
 * Sees to it, while anybody looks for the answer, that its news stands: a store may have lost it, or let an old write that came late take its place. Ends where
 * the node is asked to stop.
 */
export async function keepTold(node: ActingNode, { kind, round, hash, account }: News): Promise<void> {
  const { shared, signer, log, spec, record } = node;
  const over = Math.min(answerDeadline(node, round), roundStart(record, roundsOf(spec)));
  const look = async (): Promise<true | undefined> => {
    const found = await readNewsOf(shared, kind, account);
    if (found !== undefined && found.round > round) return true;
    if (found?.round === round && found.hash === hash) return undefined;
    await putNews(shared, { kind, round, hash, account }, signer.sign);
    log.event("answer-again", { round });
    return undefined;
  };
  try {
    await persist(node, over, look, () => undefined);
  } catch (thrown) {
    if (!stopped(node)) throw thrown;
  }
}

function keyOf(round: number): string {
  return `${PREFIX}${round}.json`;
}
