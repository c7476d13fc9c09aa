/**
 * On which sequences payloads are judged, and which payloads. All draws follow from a block hash that nobody knew before the payloads
 * were committed, so nobody could prepare for them and everybody can repeat them.
 */
import { assert } from "../base/assert.ts";
import { type Random, seededRandom } from "../base/random.ts";
import { type Assignment, type AssignmentPlan, assignment } from "../data/assignment.ts";

/** Numbers from which one draw is made. */
const DRAW_MAX: number = 2 ** 32;

/** How a peer trained in a round. */
export interface Trained {
  /** Steps H that it took. */
  readonly steps: number;
  /** Sequences of each step, slots 0 to batchTrained − 1; 0 where it trained on nothing. */
  readonly batchTrained: number;
}

/** Sequences that nobody was assigned. */
export interface UnassignedSample {
  readonly sequences: readonly number[];
  /** False where there is so little data that all of it was assigned: then these are any sequences. */
  readonly apart: boolean;
}

/** Who trained on what in a round, where not every uid did. */
export interface Takers {
  readonly uids: readonly number[];
  /** The round's own seed, as the assignment has it. */
  readonly roundSeed: string;
}

/** `count` different whole numbers below `n`, or all where there are fewer, ascending (Floyd's algorithm). */
function drawn(random: Random, n: number, count: number): number[] {
  const end = Math.min(n, DRAW_MAX);
  const chosen = new Set<number>();
  for (let top = end - Math.min(count, end); top < end; top++) {
    const pick = random.below(top + 1);
    chosen.add(chosen.has(pick) ? top : pick);
  }
  return [...chosen].sort((a, b) => a - b);
}

function checkCount(count: number): void {
  assert(Number.isSafeInteger(count) && count >= 0, `${count} is no number of sequences`);
}

/**
 * The batch that a payload's header implies: tokens / (steps · seqLen). undefined where that is no whole number from 0 to `batch`: then
 * the header is not true.
 */
export function batchTrained(
  tokens: number,
  { steps, batch, seqLen }: { readonly steps: number; readonly batch: number; readonly seqLen: number },
): number | undefined {
  const trained = tokens / (steps * seqLen);
  return Number.isInteger(trained) && trained >= 0 && trained <= batch ? trained : undefined;
}

/** At most `count` of the sequences that `uid` trained on in `round`, drawn by `seed`: different slots, ascending, each sequence once. */
export function assignedSample(
  assigned: Assignment,
  round: number,
  uid: number,
  trained: Trained,
  count: number,
  seed: string,
  roundSeed: string,
): number[] {
  const { steps, batchTrained: batch } = trained;
  checkCount(count);
  const random = seededRandom(`skein assigned sample ${seed} ${round} ${uid}`);
  const slots = drawn(random, steps * batch, count);
  const at = (slot: number): number =>
    assigned.at(round, uid, Math.floor(slot / batch), slot % batch, roundSeed).sequence;
  return ascending(slots.map(at));
}

/**
 * At most `count` sequences that no uid trained on in `round`, drawn by `seed`.
 *
 * Where P, the slots of a round, is at most a quarter of the sequences, they are those of the following round. The assignment numbers
 * all slots of a run in a row, a round's seed deals them to the uids but brings in no others, and ⌊S/2⌋ consecutive slots never meet a
 * sequence twice; so 2P ≤ ⌊S/2⌋ consecutive slots, this round's and the next one's, have no sequence in common. In the first pass nobody
 * has trained on them before, either.
 *
 * With less data they are any sequences that no uid of the round has, or, given `takers`, none of those who trained; and any
 * at all where that leaves none.
 */
export function unassignedSample(
  plan: AssignmentPlan,
  round: number,
  count: number,
  seed: string,
  takers?: Takers,
): UnassignedSample {
  checkCount(count);
  const { sequences, stepsPerRound, batch } = plan;
  const all = assignment(plan);
  const random = seededRandom(`skein unassigned sample ${seed} ${round}`);
  if (2 * all.slotsPerRound <= Math.floor(sequences / 2)) {
    const at = (own: number): number => {
      const step = Math.floor(own / batch);
      return all.at(round + 1, Math.floor(step / stepsPerRound), step % stepsPerRound, own % batch).sequence;
    };
    return { sequences: ascending(drawn(random, all.slotsPerRound, count).map(at)), apart: true };
  }
  const taken = takenIn(all, plan, round, takers);
  const free: number[] = [];
  for (let sequence = 0; sequence < sequences; sequence++) if (!taken.has(sequence)) free.push(sequence);
  if (free.length === 0) return { sequences: drawn(random, sequences, count), apart: false };
  return { sequences: drawn(random, free.length, count).map((i) => free[i] as number), apart: true };
}

/** Every sequence that `takers`, by default all uids, have in `round`. */
function takenIn(all: Assignment, plan: AssignmentPlan, round: number, takers?: Takers): ReadonlySet<number> {
  const { sequences, uidsMax, stepsPerRound, batch } = plan;
  const uids = takers?.uids ?? Array.from({ length: uidsMax }, (_, uid) => uid);
  const taken = new Set<number>();
  for (const uid of uids) {
    for (let own = 0; own < stepsPerRound * batch && taken.size < sequences; own++) {
      taken.add(all.at(round, uid, Math.floor(own / batch), own % batch, takers?.roundSeed).sequence);
    }
  }
  return taken;
}

/** At most `count` of `uids`, drawn by `seed`, ascending: whom a validator judges where it cannot judge all. `uids` are different. */
export function drawPeers(uids: readonly number[], count: number, seed: string): number[] {
  checkCount(count);
  const sorted = [...uids].sort((a, b) => a - b);
  const random = seededRandom(`skein judged peers ${seed}`);
  return drawn(random, sorted.length, count).map((i) => sorted[i] as number);
}

function ascending(sequences: readonly number[]): number[] {
  return [...new Set(sequences)].sort((a, b) => a - b);
}
