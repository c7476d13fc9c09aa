/**
 * What trainers and validators must know alike about a round's work: on which tokens a step trains, what a challenge asks for, until when it can be
 * answered, and how vectors travel.
 */
import { assert } from "../../base/assert.ts";
import { bytesOf, littleEndian } from "../../base/bytes.ts";
import { sha256Stream } from "../../base/hash.ts";
import type { RoundCommit, RunRecord } from "../../chain/chain.ts";
import { roundBlocks, roundStart } from "../../chain/rounds.ts";
import { inLanes } from "../../checkpoint/shared/lanes.ts";
import { pieceBytes } from "../../checkpoint/shared/manifest.ts";
import { putPieces } from "../../checkpoint/shared/publish.ts";
import type { Batch } from "../../engine/engine.ts";
import { paramCount } from "../../engine/shape.ts";
import { batchOf } from "../../evaluate/validation.ts";
import { PIECE_PARAMS } from "../../round/state-root.ts";
import { learningRateAt } from "../../run/rules.ts";
import type { VectorPieces } from "../../score/audit/answer.ts";
import type { AuditTerms } from "../../score/audit/claim.ts";
import { challengedPart } from "../../score/audit/draw.ts";
import { putBlob } from "../../store/blobs.ts";
import type { Store } from "../../store/store.ts";
import { drawSeed, type Node } from "./node.ts";

/** Whose work of which round: `batch` sequences a step, dealt by `seed` (node.ts, roundSeed). */
export interface Dealt {
  readonly round: number;
  readonly uid: number;
  readonly batch: number;
  readonly seed: string;
}

/** What it takes to find a step's data. */
export type DataNode = Pick<Node, "assigned" | "dataset" | "spec">;

/** What an inner step trains on. */
export function stepBatch({ assigned, dataset, spec }: DataNode, dealt: Dealt, step: number): Promise<Batch> {
  const { round, uid, batch, seed } = dealt;
  const slots = Array.from({ length: batch }, (_, slot) => assigned.at(round, uid, step, slot, seed).sequence);
  return batchOf(dataset.split("train"), slots, spec.inner.seqLen);
}

/**
 * What a payload's header must name as its data: sha256 over the tokens of the sequences, little-endian int32, seqLen + 1 of each, step after step and slot
 * after slot. Rejects with what the data throw.
 *
 * It can be computed without training on the data (the reference system's has that weakness, and only logs a mismatch); here it is one claim more that an
 * audit can refute. What was learned from the data, gains and audits tell.
 */
export async function dealtDigest(node: DataNode, dealt: Dealt): Promise<Uint8Array> {
  const data = sha256Stream();
  for (let step = 0; step < node.spec.inner.steps; step++)
    data.update(bytesOf((await stepBatch(node, dealt, step)).tokens));
  return data.digest();
}

/** What the run fixes about audits. */
export function auditTerms({
  spec,
  specHash,
  layout,
  body,
}: Pick<Node, "spec" | "specHash" | "layout" | "body">): AuditTerms {
  const { spans, tolerance } = spec.audit;
  const { steps, resetMoments, adamw } = spec.inner;
  return {
    ...{ specHash, spans, steps, tolerance, resetMoments, layout, body },
    paramCount: paramCount(spec.model),
    stepOptions: (round, step) => ({ ...adamw, lr: learningRateAt(spec, round, step) }),
  };
}

/**
 * What the payload of each uid in `round` is challenged for, if it is. Known from the first reveal block on; undefined before. Nobody is challenged for what he
 * promised with a uid that another has taken over since. `commits`: the round's, for whoever has them already.
 */
export async function challengesOf(
  { spec, chain, runId, record }: Node,
  round: number,
  commits?: readonly RoundCommit[],
): Promise<((uid: number) => number | undefined) | undefined> {
  const hash = await chain.blockHash(roundStart(record, round, "reveal"));
  if (hash === undefined) return undefined;
  const seed = drawSeed(`skein audit ${runId} ${round}`, hash);
  const promised = commits ?? (await chain.commits(runId, round));
  const { neurons } = await chain.metagraph(record.netuid);
  return (uid) => {
    const neuron = neurons[uid];
    const commit = promised.find((each) => each.uid === uid);
    if (neuron === undefined || commit?.hotkey !== neuron.hotkey) return undefined;
    return challengedPart(seed, uid, spec.audit, ageAt(record, round, neuron.registeredAt));
  };
}

/** Rounds from the first that began after a hotkey was registered, in block `registeredAt`, to `round`; 0 for those before. */
function ageAt(record: RunRecord, round: number, registeredAt: number): number {
  const first = Math.max(0, Math.ceil((registeredAt - roundStart(record, 0)) / roundBlocks(record)));
  return Math.max(0, round - first);
}

/** The first block in which an answer about `round` comes too late. */
export function answerDeadline({ record }: Node, round: number): number {
  return roundStart(record, round + 1, "reveal");
}

/** Puts a vector's pieces into `store`, as blobs. Rejects with SkeinError("store"). */
export function putVector(store: Store, vector: Float32Array): Promise<VectorPieces> {
  return putPieces(vector, (piece) => putBlob(store, piece));
}

/** The vector of `length` that consists of `pieces`, each got by its hash; undefined where one cannot be had, or has another length. */
export async function vectorOf(
  pieces: VectorPieces,
  length: number,
  get: (hash: string, bytesMax: number) => Promise<Uint8Array | undefined>,
): Promise<Float32Array | undefined> {
  assert(littleEndian, "vectors are read on little-endian machines only");
  const vector = new Float32Array(length);
  if (pieces === null) return vector;
  const into = bytesOf(vector);
  const all = await inLanes(pieces.length, async (index) => {
    const bytesMax = pieceBytes(length, index);
    const piece = await get(pieces[index] ?? "", bytesMax);
    if (piece?.length !== bytesMax) return false;
    into.set(piece, 4 * PIECE_PARAMS * index);
    return true;
  });
  return all ? vector : undefined;
}
