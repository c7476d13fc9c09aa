/**
 * Judging while payloads come in: each is compared with the others and, if it was drawn, tried on the model as soon as it is there, one after another.
 * When the last call comes, what is done counts, and what is not done is as if it had not been drawn: a vote waits for nobody.
 */
import { AssertionError } from "../../../base/assert.ts";
import { messageOf } from "../../../base/errors.ts";
import type { Engine } from "../../../engine/engine.ts";
import { contributionOf, isFault, type Payload } from "../../../round/payload.ts";
import { squaredSize } from "../../../score/field.ts";
import { type Evaluation, evaluationStep, type JudgedPayload, openEvaluator } from "../../../score/gain.ts";
import { type Copybook, copybook, imprintOf } from "../../../score/likeness.ts";
import { assignedSample } from "../../../score/samples.ts";
import { committedBlob, decodeCommitted, type State, selectedBy } from "../follower.ts";
import { type ActingNode, orStopped } from "../node.ts";
import { collect, type Received } from "./collect.ts";
import type { Docket } from "./docket.ts";

/** What judging takes. */
export interface Judging {
  readonly node: ActingNode;
  readonly engine: Engine;
  /** Does work with the engine when all earlier such work is done. */
  readonly inTurn: <T>(work: () => Promise<T>) => Promise<T>;
}

/** What became of a round's payloads by the last call. */
export interface Heard {
  /** By uid; those that did not come are left out. */
  readonly received: ReadonlyMap<number, Received>;
  /** Squared norms of those without fault. */
  readonly squares: ReadonlyMap<number, number>;
  readonly evaluations: ReadonlyMap<number, Evaluation>;
  readonly book: Copybook;
}

/** Collects, compares and judges until everything is done or `signal` says that it is time to vote. */
export async function hear(judging: Judging, state: State, docket: Docket, signal: AbortSignal): Promise<Heard> {
  const { node } = judging;
  const bench = openBench(judging, state, docket, signal);
  const book = copybook();
  const received = new Map<number, Received>();
  const squares = new Map<number, number>();
  const collecting = collect(
    node,
    state,
    docket,
    (one, payload) => {
      const { uid, hotkey } = one.commit;
      received.set(uid, one);
      if (payload === undefined) return;
      squares.set(uid, squaredSize(payload.tensors));
      const imprint = imprintOf(payload.tensors, docket.seed);
      book.add({ uid, round: docket.round, account: hotkey, applied: false, imprint });
      if (docket.drawn.has(uid)) bench.take(payload, one.batch);
    },
    signal,
  );
  const all = Promise.all([addEarlier(node, docket, book, signal), collecting]);
  await orStopped(
    signal,
    all.then(() => bench.idle()),
  );
  return { received: new Map(received), squares: new Map(squares), evaluations: new Map(bench.done), book };
}

/** Adds the payloads of the round before: whoever sends one of them again, another's or his own that moved the model, did no new work. */
async function addEarlier(node: ActingNode, docket: Docket, book: Copybook, signal: AbortSignal): Promise<void> {
  const { chain, runId } = node;
  const round = docket.round - 1;
  if (round < 0) return;
  const decision = await chain.decision(runId, round);
  const moving = decision === undefined ? [] : selectedBy(node, decision);
  for (const commit of await chain.commits(runId, round)) {
    if (signal.aborted) return;
    const bytes = await committedBlob(node, commit.payloadHash);
    const payload = bytes && decodeCommitted(node, { round, roots: new Map() }, commit, bytes);
    if (payload === undefined || isFault(payload) || signal.aborted) continue;
    const { uid, hotkey } = commit;
    const imprint = imprintOf(payload.tensors, docket.seed);
    book.add({ uid, round, account: hotkey, applied: moving.includes(uid), imprint });
  }
}

/** Judges payloads in the order in which they come. */
interface Bench {
  readonly done: ReadonlyMap<number, Evaluation>;
  take(payload: Payload, batch: number): void;
  /** Resolves when all that was taken is judged. */
  idle(): Promise<void>;
}

function openBench(judging: Judging, { params }: State, docket: Docket, signal: AbortSignal): Bench {
  const { node, engine, inTurn } = judging;
  const { spec, dataset, layout, means, log } = node;
  const { round, seed, roundSeed, unassigned, seated } = docket;
  const { steps, seqLen } = spec.inner;
  const done = new Map<number, Evaluation>();
  const step = evaluationStep(spec.outer.lr, seated.length);
  const setup = { engine, params, layout, step, split: dataset.split("train"), seqLen, ...(means && { means }) };
  const opened = unlessBroken(node, round, () =>
    inTurn(async () => {
      if (docket.drawn.size === 0 || signal.aborted) return undefined;
      const evaluator = await openEvaluator(setup);
      await evaluator.prepare(unassigned, signal);
      return evaluator;
    }),
  );
  let last: Promise<unknown> = opened;
  const judge = async (judged: JudgedPayload): Promise<void> => {
    const evaluator = await opened;
    const found = await inTurn(async () => evaluator?.evaluate(judged, signal));
    if (found === undefined || signal.aborted) return;
    done.set(found.uid, found);
    const { uid, gainAssigned, gainUnassigned, noise } = found;
    log.event("judged", { round, uid, gainAssigned, gainUnassigned, noise });
  };
  return {
    done,
    take(payload, batch) {
      const { uid } = payload.header;
      const trained = { steps, batchTrained: batch };
      const assigned = assignedSample(node.assigned, round, uid, trained, spec.score.sequences, seed, roundSeed);
      const judged = { uid, contribution: contributionOf(payload), assigned, unassigned };
      last = last.then(() => unlessBroken(node, round, () => judge(judged)));
    },
    idle: async () => void (await last),
  };
}

/** A validator whose engine or data fail still votes, for those whom it knows: undefined then, and said. */
export async function unlessBroken<T>(
  { log }: ActingNode,
  round: number,
  work: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await work();
  } catch (thrown) {
    if (thrown instanceof AssertionError) throw thrown;
    log.event("judging-failed", { round, why: messageOf(thrown) });
    return undefined;
  }
}
