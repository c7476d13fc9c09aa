/**
 * Epochs that follow each other on one subnet: each goes on from what the one before left, with other votes, stake and settings, more
 * neurons, and now and then new holders of uids. Equal seeds give equal sequences.
 */
import { seededRandom } from "../../src/base/random.ts";
import type { WeightVector } from "../../src/chain/chain.ts";
import { epoch } from "../../src/chain/yuma/epoch.ts";
import type { EpochInput, EpochOutput } from "../../src/chain/yuma/types.ts";
import { type EpochSize, randomEpoch } from "./epochs.ts";

/** One epoch of a sequence. */
export interface SequenceStep {
  readonly input: EpochInput;
  readonly expected: EpochOutput;
  /** Uids whose holder changed since the epoch before. */
  readonly cleared: readonly number[];
}

/** `length` epochs; the first one has an arbitrary past. */
export function epochSequence(seed: string, length: number, size: EpochSize): SequenceStep[] {
  const random = seededRandom(`sequence ${seed}`);
  const steps: SequenceStep[] = [];
  for (let k = 0; k < length; k++) {
    const drawn = randomEpoch(`${seed} epoch ${k}`, size);
    const before = steps.at(-1);
    if (before === undefined) {
      const input = { ...drawn, block: drawn.block + 100_000, lastEpochBlock: drawn.block + 99_000 };
      steps.push({ input: aged(input, 100_000), expected: epoch(aged(input, 100_000)), cleared: [] });
      continue;
    }
    const block = before.input.block + 1 + random.below(drawn.params.tempo + 5);
    const uids = before.input.stake.map((_, uid) => uid);
    const cleared = random.below(2) === 0 ? [] : uids.filter(() => random.below(8) === 0);
    const input = nextOf(before, drawn, block, cleared);
    steps.push({ input, expected: epoch(input), cleared });
  }
  return steps;
}

/** The same epoch `blocks` later. */
function aged(input: EpochInput, blocks: number): EpochInput {
  const later = (at: number): number => at + blocks;
  return {
    ...input,
    lastUpdate: input.lastUpdate.map(later),
    registeredAt: input.registeredAt.map(later),
    oldestCommit: input.oldestCommit.map((at) => (at === 0 ? 0 : later(at))),
  };
}

function nextOf(
  { input, expected }: SequenceStep,
  drawn: EpochInput,
  block: number,
  cleared: readonly number[],
): EpochInput {
  const n = Math.max(input.stake.length, drawn.stake.length);
  const gone = new Set(cleared);
  const merged = <T>(value: (uid: number) => T): T[] => Array.from({ length: n }, (_, uid) => value(uid));
  const moved = (at: number | undefined): number => Math.max(1, block - (drawn.block - (at ?? 0)));
  const fresh = (uid: number): boolean => gone.has(uid) || uid >= input.stake.length;
  const without = (rows: ReadonlyMap<number, WeightVector>): Map<number, WeightVector> =>
    new Map([...rows].filter(([uid]) => !gone.has(uid)));
  return {
    block,
    lastEpochBlock: input.block,
    params: drawn.params,
    ownerUid: drawn.ownerUid,
    emission: drawn.emission,
    stake: merged((uid) => drawn.stake[uid] ?? input.stake[uid] ?? 0n),
    lastUpdate: merged((uid) => moved(drawn.lastUpdate[uid])),
    registeredAt: merged((uid) => (fresh(uid) ? block - (uid % 3) : (input.registeredAt[uid] ?? 0))),
    oldestCommit: merged((uid) => (drawn.oldestCommit[uid] ? moved(drawn.oldestCommit[uid]) : 0)),
    permit: merged((uid) => !gone.has(uid) && (expected.permit[uid] ?? false)),
    weights: drawn.weights,
    bonds: without(expected.bonds),
  };
}
