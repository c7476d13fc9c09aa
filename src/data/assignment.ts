/**
 * Who trains on what (design: data assignment): each (round, uid, step, slot) has its own sequence, which anyone computes in
 * constant time, without a list.
 *
 * All slots of a run are numbered in a row, S of them for each pass over S sequences, and a round takes the next P = uids ·
 * steps · batch of them. A pass orders its sequences afresh, yet a round that reaches from one pass into the next must not meet
 * a sequence twice. Therefore the sequences are dealt, once for all, into two halves; every pass goes through the first half in
 * a new order, then through the second in a new order. P ≤ ⌊S/2⌋ consecutive slots then never meet a sequence twice, wherever
 * they begin: at most two neighbouring halves are touched, and those are disjoint.
 *
 * Within a round a second permutation, keyed by what is known only when the round starts (a block hash), deals the round's P
 * slots to the uids, so nobody knows long before which data will be theirs. docs/protocol/data.md has the formulas.
 */
import { assert } from "../base/assert.ts";
import { keyedPermutation } from "./permutation.ts";

/** A place in the data. */
export interface Assigned {
  /** Which pass over the data, from 0. */
  readonly pass: number;
  /** Which sequence of the split. */
  readonly sequence: number;
}

/** What fixes an assignment. */
export interface AssignmentPlan {
  /** The run's seed, public. */
  readonly seed: string;
  /** Sequences S in the split. */
  readonly sequences: number;
  /** Slots for trainers: uids are 0 to uidsMax − 1. */
  readonly uidsMax: number;
  readonly stepsPerRound: number;
  /** Sequences per step and uid. */
  readonly batch: number;
}

/** An assignment. */
export interface Assignment {
  /** Slots P of one round. */
  readonly slotsPerRound: number;
  /** Whether no sequence comes twice in a round: P ≤ ⌊S / 2⌋. Otherwise there is too little data for that promise. */
  readonly disjoint: boolean;
  /** The sequence of a slot. `roundSeed`: what the round adds, such as its block hash in hex; the same for all its slots. */
  at(round: number, uid: number, step: number, slot: number, roundSeed?: string): Assigned;
}

/** Remembers the last `size` permutations made. */
function remembered(size: number): (key: string, n: number) => (i: number) => number {
  const kept = new Map<string, (i: number) => number>();
  return (key, n) => {
    const name = `${n} ${key}`;
    const found = kept.get(name);
    if (found !== undefined) return found;
    const made = keyedPermutation(key, n);
    kept.set(name, made);
    for (const oldest of kept.keys()) {
      if (kept.size <= size) break;
      kept.delete(oldest);
    }
    return made;
  };
}

function checkWhole(name: string, value: number, min: number, end: number): void {
  assert(
    Number.isSafeInteger(value) && value >= min && value < end,
    `${name} must be a whole number in [${min}, ${end}), not ${value}`,
  );
}

/** Order of all slots: each pass visits every sequence once, first half before second half. */
function halvedOrder(seed: string, sequences: number): (slot: number) => Assigned {
  const permuted = remembered(6);
  const first = Math.ceil(sequences / 2);
  return (slot) => {
    const pass = Math.floor(slot / sequences);
    const within = slot % sequences;
    const dealt = permuted(`${seed} halves`, sequences);
    const place =
      within < first
        ? permuted(`${seed} pass ${pass} first`, first)(within)
        : first + permuted(`${seed} pass ${pass} second`, sequences - first)(within - first);
    return { pass, sequence: dealt(place) };
  };
}

/**
 * The assignment of a plan. Arguments out of range are bugs and throw AssertionError.
 *
 * @example
 * const plan = { seed: "run", sequences: 10_000, uidsMax: 4, stepsPerRound: 30, batch: 8 };
 * assignment(plan).at(0, 2, 29, 7, "block hash"); // { pass: 0, sequence: … }
 */
export function assignment(plan: AssignmentPlan): Assignment {
  const { seed, sequences, uidsMax, stepsPerRound, batch } = plan;
  checkWhole("sequences", sequences, 1, 2 ** 48 + 1);
  for (const [name, value] of Object.entries({ uidsMax, stepsPerRound, batch })) checkWhole(name, value, 1, 2 ** 32);
  const slotsPerRound = uidsMax * stepsPerRound * batch;
  checkWhole("slots per round", slotsPerRound, 1, 2 ** 48 + 1);
  const order = halvedOrder(seed, sequences);
  const permuted = remembered(4);
  return {
    slotsPerRound,
    disjoint: slotsPerRound <= Math.floor(sequences / 2),
    at(round, uid, step, slot, roundSeed = "") {
      checkWhole("round", round, 0, Math.floor(Number.MAX_SAFE_INTEGER / slotsPerRound));
      checkWhole("uid", uid, 0, uidsMax);
      checkWhole("step", step, 0, stepsPerRound);
      checkWhole("slot", slot, 0, batch);
      const own = (uid * stepsPerRound + step) * batch + slot;
      const dealt = permuted(`${seed} round ${round} ${roundSeed}`, slotsPerRound)(own);
      return order(round * slotsPerRound + dealt);
    },
  };
}

/**
 * The order in which one machine goes through its data: slot g of a run → sequence. Every pass of `sequences` slots visits each
 * once, in an order of its own.
 *
 * @example
 * const order = passOrder("seed", 1000);
 * order(0); // the first sequence of the first pass
 */
export function passOrder(seed: string, sequences: number): (globalSlot: number) => number {
  checkWhole("sequences", sequences, 1, 2 ** 48 + 1);
  const permuted = remembered(2);
  return (globalSlot) => {
    checkWhole("slot", globalSlot, 0, Number.MAX_SAFE_INTEGER);
    return permuted(`${seed} pass ${Math.floor(globalSlot / sequences)}`, sequences)(globalSlot % sequences);
  };
}
