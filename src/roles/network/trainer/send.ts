/**
 * How work leaves a peer: compressed and signed, kept on the disk, promised on chain by its hash, and uploaded once the commits are closed, when
 * nobody can copy it any more.
 */
import { messageOf, SkeinError } from "../../../base/errors.ts";
import { sha256 } from "../../../base/hash.ts";
import type { Hash } from "../../../chain/chain.ts";
import { refusalName } from "../../../chain/errors.ts";
import { roundStart } from "../../../chain/rounds.ts";
import { encodeBody } from "../../../codec/body.ts";
import { compressor } from "../../../codec/feedback.ts";
import { signedPayload, unsignedPayload } from "../../../round/payload.ts";
import { workCommitment as commitmentOver } from "../../../score/audit/commitment.ts";
import { blobKey, putBlob } from "../../../store/blobs.ts";
import { type ActingNode, attempt, chainHash, persist, reached } from "../node.ts";
import { answerChallenge, keepTold, sendAnswers } from "./answer.ts";
import type { Trainer } from "./inner.ts";
import { type Link, type Pending, promised, saveTrainer } from "./memory.ts";
import type { WorkRecord } from "./record.ts";
import type { Work } from "./work.ts";

/** Compresses and signs the work, keeps it, promises it on chain, and uploads it when the time has come. */
export async function send(trainer: Trainer, work: Work): Promise<void> {
  const { node, memory, following } = trainer;
  const { round, uid } = work;
  const { bytes, record } = await payloadOf(trainer, work);
  const hash = chainHash(sha256(bytes));
  const { steps, seqLen } = node.spec.inner;
  const batch = work.tokens / (steps * seqLen);
  memory.pending = { round, uid, hash, batch, leaves: record?.leaves ?? [] };
  await putBlob(node.local, bytes);
  await saveTrainer(node, following.state, memory);
  const { tokens, loss, trainMs } = work;
  node.log.event("payload", {
    round,
    uid,
    hash: hash.slice(2),
    bytes: bytes.length,
    tokens,
    loss,
    trainMs: Math.round(trainMs),
  });
  const { link } = memory;
  await promise(trainer, memory.pending, record);
  forgetLater(trainer, link);
}

async function payloadOf(
  { node, memory, tamper }: Trainer,
  work: Work,
): Promise<{ readonly bytes: Uint8Array; readonly record: WorkRecord | undefined }> {
  const { round, uid, baseRoot, delta, tokens, dataDigest } = (await tamper?.work?.(work)) ?? work;
  const { compress } = compressor(node.spec.codec);
  const after = memory.next.residual;
  after.set(memory.residual);
  const compressed = node.layout.map(({ dims, offset, length }) =>
    compress(dims, delta.subarray(offset, offset + length), after.subarray(offset, offset + length)),
  );
  const sent = (await tamper?.sent?.(compressed, round)) ?? compressed;
  const record = await work.recorder?.finish(memory.residual, after);
  const workCommitment = record ? commitmentOver(record.leaves) : new Uint8Array(32);
  const header = { runHash: node.runHash, round, uid, baseRoot, tokens, dataDigest, workCommitment };
  const unsigned = unsignedPayload(tamper?.header?.(header) ?? header, encodeBody(sent, node.body), node.body);
  const bytes = signedPayload(unsigned, await node.signer.sign(sha256(unsigned)));
  return { bytes: (await tamper?.bytes?.(bytes, round)) ?? bytes, record };
}

/** Commits a payload, reveals it in the background and answers for it. Where its time is over, nothing happens: the round counts without it. */
export async function promise(trainer: Trainer, pending: Pending, record: WorkRecord | undefined): Promise<void> {
  const { memory, node } = trainer;
  if (!(await committed(trainer, pending))) {
    memory.pending = undefined; // what was not promised has left no trace
    await record?.drop();
    await forgetPayload(node, pending);
    return;
  }
  trainer.payloads += 1;
  revealLater(trainer, pending);
  answerLater(trainer, pending, record);
}

/** Takes notice that the pending payload stands on chain, and reveals it in the background. */
export function revealLater(trainer: Trainer, pending: Pending): void {
  promised(trainer.memory);
  trainer.lastPromise = pending;
  trainer.revealing = trainer.revealing.then(() => reveal(trainer, pending));
}

/** Answers in the background for a payload that stands on chain: after it was revealed, and without being waited for by the next one. */
export function answerLater(trainer: Trainer, pending: Pending, record: WorkRecord | undefined): void {
  if (record === undefined) return;
  const before = Promise.all([trainer.answering, trainer.revealing]);
  trainer.answering = before.then(() => answer(trainer, pending, record));
}

async function committed(trainer: Trainer, { round, uid, hash }: Pending): Promise<boolean> {
  const { node } = trainer;
  const { acting, runId, record, log } = node;
  const [standing, replaced] = await Promise.all([promiseOn(node, round), isReplaced(node, trainer.lastPromise)]);
  if (standing === hash) return true;
  if (standing !== undefined || replaced) throw rivalry(node, round);
  try {
    const { block } = await acting.commitPayload(runId, round, hash);
    log.event("commit", {
      round,
      uid,
      hash: hash.slice(2),
      block,
      blocksLeft: roundStart(record, round, "reveal") - block,
    });
    return true;
  } catch (thrown) {
    const refused = refusalName(thrown);
    if (refused !== "CommitsClosed" && refused !== "HotKeyNotRegisteredInSubNet") throw thrown;
    await reached(node, round, "reveal"); // what was sent before a restart may be there, and not have been seen yet
    if ((await promiseOn(node, round)) === hash) return true;
    log.event("late", { round, uid, why: messageOf(thrown) });
    return false;
  }
}

/** What this hotkey has promised in a round. */
async function promiseOn({ chain, runId, signer }: ActingNode, round: number): Promise<Hash | undefined> {
  const commits = await chain.commits(runId, round);
  return commits.find(({ hotkey }) => hotkey === signer.account)?.payloadHash;
}

/** Whether another process with this hotkey has put its own in a promise's place, whose round takes no more by now. */
async function isReplaced(node: ActingNode, last: Link | undefined): Promise<boolean> {
  const found = last && (await promiseOn(node, last.round));
  return found !== undefined && found !== last?.hash; // none: the uid has another holder, or the node asked lags behind
}

/**
 * Uploads what was committed, once nobody can copy it any more; again and again while its round lasts, if it must be. Where it fails, the bytes stay in the
 * folder: the next payload's answer may need them. A trainer that is asked to stop still does this.
 */
async function reveal(trainer: Trainer, pending: Pending): Promise<void> {
  const { node } = trainer;
  const { round, uid, hash } = pending;
  const { signal: _signal, ...patient } = node;
  let why = "its round is over";
  try {
    const bytes = await node.local.get(blobKey(hash.slice(2)));
    if (bytes === undefined) return; // uploaded before a restart
    await reached(patient, round, "reveal");
    const upload = async (): Promise<true> => {
      await putBlob(node.shared, bytes);
      return true;
    };
    const isShown = await persist(patient, roundStart(node.record, round + 1), upload, (trouble) => {
      why = trouble;
      node.log.event("store-trouble", { what: "payload", why });
    });
    if (isShown !== true) return node.log.event("reveal-failed", { round, uid, why });
    await forgetPayload(node, pending);
    node.log.event("reveal", { round, uid, bytes: bytes.length });
  } catch (thrown) {
    node.log.event("reveal-failed", { round, uid, why: messageOf(thrown) });
  }
}

/** Deletes a payload from the folder. */
export async function forgetPayload({ local }: ActingNode, { hash }: Link): Promise<void> {
  await local.delete(blobKey(hash.slice(2)));
}

/** Deletes an earlier payload that could not be revealed when the answers under way need it no more, unless the next work goes on from it. */
export function forgetLater(trainer: Trainer, earlier: Link | undefined): void {
  const { node, memory } = trainer;
  trainer.answering = trainer.answering.then(() =>
    attempt(node, "earlier payload", async () => {
      if (earlier !== undefined && memory.link?.hash !== earlier.hash) await forgetPayload(node, earlier);
    }),
  );
}

/** Uploads answers in the background that were made before a restart. */
export function sendAnswersLater(trainer: Trainer): void {
  const { node } = trainer;
  const failed = (thrown: unknown): void => node.log.event("answer-failed", { why: messageOf(thrown) });
  const sent = sendAnswers(node).then((told) => told && keepTold(node, told));
  trainer.answering = sent.catch(failed);
}

/** Answers what a payload is challenged for. A trainer that is asked to stop still does this. */
async function answer({ node }: Trainer, pending: Pending, record: WorkRecord): Promise<void> {
  const { signal: _signal, ...patient } = node;
  try {
    await reached(patient, pending.round, "reveal");
    const told = await answerChallenge(patient, pending, record);
    if (told) await keepTold(node, told); // whoever is asked to stop need not wait for that
  } catch (thrown) {
    node.log.event("answer-failed", { round: pending.round, uid: pending.uid, why: messageOf(thrown) });
  }
}

function rivalry({ signer }: ActingNode, round: number): SkeinError {
  return new SkeinError(
    "config",
    `another process trains with this hotkey: it has committed too, up to round ${round}`,
    {
      details: `hotkey ${signer.address}`,
      remedy: "stop the other one, or give this one a hotkey of its own: --hotkey",
    },
  );
}
