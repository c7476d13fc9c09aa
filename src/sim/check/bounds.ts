/**
 * Bounds: nothing piles up. What waits (events, transactions) and what lies about (a node's folder, news) is bounded by the run's document and by
 * who takes part, never by how long the run has gone on. Blobs in the shared store are not: it keeps a run's payloads, so that the run can be done again.
 */
import { REPORT_BYTES_MAX } from "../../base/limits.ts";
import { phaseAt } from "../../chain/rounds.ts";
import { paramCount } from "../../engine/shape.ts";
import { PIECE_PARAMS } from "../../round/state-root.ts";
import { payloadLimit } from "../../run/rules.ts";
import type { RunSpec } from "../../run/spec.ts";
import { NEWS_KINDS, NEWS_PREFIX, newsOfKey } from "../../store/news.ts";
import type { Store } from "../../store/store.ts";
import type { Checker, Sight } from "./checker.ts";
import { chainState, honestOf, openLooks } from "./seen.ts";

/** A node waits for blocks and sleeps in some places, and each of its requests under way has a time at which it counts as lost. */
const EVENTS_PER_NODE = 256;
/** One key's transactions go into blocks one after another; a validator's keeper, vote and count, and reveals that were late. */
const TRANSACTIONS_PER_NODE = 24;
/** Beside the nodes': blocks, outages, the owner's. */
const OTHERS = 256;
/** Params and moments, before and after, and error feedback (trainer/memory.ts). */
const TRAINER_VECTORS = 7;
/** Of an answer: params and moments, before and after (score/audit/answer.ts); the newest answers of two rounds may wait. */
const ANSWER_VECTORS = 6;
const ANSWERS = 2;
/** Checkpoints of two rounds, one that is being fetched, and one that failed. */
const CHECKPOINTS = 4;
/** Payloads of a trainer's own: one under way, one to be revealed, one that could not be in its round, and one of slack. */
const PAYLOADS = 4;
/** Small files: "answered", notes of fetches, "weights.json". */
const FILES = 8;
const FILE_BYTES = 1 << 16;

/** Bytes and keys. */
interface Size {
  readonly bytes: number;
  readonly keys: number;
}

/** What a trainer's folder may hold. */
export function trainerBound(spec: RunSpec): Size {
  const params = paramCount(spec.model);
  const pieces = Math.ceil(params / PIECE_PARAMS);
  const work = 3 * spec.audit.spans + 3; // the states of a round (trainer/record.ts), where they are too large for memory
  const vectors = TRAINER_VECTORS + work + ANSWERS * ANSWER_VECTORS + CHECKPOINTS;
  return {
    bytes: 4 * params * vectors + PAYLOADS * payloadLimit(spec) + FILES * FILE_BYTES,
    keys: work + (ANSWERS * ANSWER_VECTORS + CHECKPOINTS) * pieces + CHECKPOINTS + ANSWERS + PAYLOADS + FILES,
  };
}

/** What a validator's folder may hold, with its copies of `payloads`. */
export function validatorBound(spec: RunSpec, payloads: number): Size {
  const params = paramCount(spec.model);
  const pieces = Math.ceil(params / PIECE_PARAMS);
  return {
    bytes: 4 * params * CHECKPOINTS + payloads * payloadLimit(spec) + REPORT_BYTES_MAX + FILES * FILE_BYTES,
    keys: CHECKPOINTS * (pieces + 1) + payloads + FILES,
  };
}

/** Rounds whose payloads a validator keeps (validator/collect.ts). */
function roundsKept({ checkpointEvery }: RunSpec): number {
  return 2 * checkpointEvery + 4;
}

/** Nothing grows for ever. One folder is looked at after each block, and all of them at the end. */
export function bounds(sight: Sight, violated: (what: string) => void): Checker {
  const { spec, record, runId, twin } = sight.network;
  const honest = honestOf(sight);
  const nodes = sight.trainers.length + sight.validators.length;
  const looks = openLooks(sight);
  const told = new Set<string>();
  const tell = (key: string, what: string): void => {
    if (!told.has(key)) violated(what); // it would be told after every block
    told.add(key);
  };
  const boundOf = async (name: string): Promise<Size> => {
    if (sight.trainers.includes(name)) return trainerBound(spec);
    const round = phaseAt(record, (await twin.head()).block)?.round ?? 0;
    let payloads = 0;
    for (let of = Math.max(0, round - roundsKept(spec)); of <= round; of++)
      payloads += (await twin.commits(runId, of)).length;
    return validatorBound(spec, payloads);
  };
  const lookInto = async (name: string): Promise<void> => {
    const bound = await boundOf(name);
    const size = await looks.look(name, sizeOf);
    if (size !== undefined && (size.bytes > bound.bytes || size.keys > bound.keys))
      tell(name, `the folder of ${name} has ${textOf(size)}, at most ${textOf(bound)} are due`);
  };
  const lookAtNews = async (): Promise<void> => {
    const keys = await sight.shared.list(NEWS_PREFIX);
    const { owners } = chainState(sight).world.ledger;
    const strange = keys.find((key) => ![...owners.keys()].includes(newsOfKey(key)?.account as `0x${string}`));
    if (strange !== undefined) tell("strange", `there is news by nobody: ${strange}`);
    if (keys.length > NEWS_KINDS.length * owners.size)
      tell("news", `there are ${keys.length} news of ${owners.size} hotkeys`);
  };
  let work = Promise.resolve();
  return {
    name: "bounds",
    onBlock(block) {
      const { events, transactions } = sight.pending();
      if (events > EVENTS_PER_NODE * nodes + OTHERS) tell("events", `${events} events wait, of ${nodes} nodes`);
      if (transactions > TRANSACTIONS_PER_NODE * nodes + OTHERS)
        tell("transactions", `${transactions} transactions wait, of ${nodes} nodes`);
      const name = honest[block % Math.max(1, honest.length)];
      if (name !== undefined) work = work.then(() => lookInto(name));
    },
    onLifeEnd: ({ node }) => looks.ended(node),
    async onEnd() {
      await work;
      for (const name of honest) await lookInto(name);
      await lookAtNews();
    },
  };
}

async function sizeOf(folder: Store): Promise<Size> {
  const keys = await folder.list();
  let bytes = 0;
  for (const key of keys) bytes += (await folder.size(key)) ?? 0;
  return { bytes, keys: keys.length };
}

const textOf = ({ bytes, keys }: Size): string => `${bytes} bytes under ${keys} keys`;
