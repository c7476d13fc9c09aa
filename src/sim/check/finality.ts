/**
 * Finality: what the chain has decided stays decided. A decision that is older than the deepest reorg never changes and never disappears, blocks never go
 * further back than that, and at the end the chain and the stores together still give the params that the nodes hold, whoever asks.
 */
import type { RoundDecision } from "../../chain/chain.ts";
import { phaseAt, roundStart } from "../../chain/rounds.ts";
import { roundsOf } from "../../run/rules.ts";
import type { Checker, LifeEnd, Sight } from "./checker.ts";
import { chainState, honestOf, reorgDepth, runAgain } from "./seen.ts";

/** Rounds before the newest that are looked at after every block; all of them are at the end. */
const ROUNDS_WATCHED = 3;

/** What was decided stands, and is enough to do the run again. */
export function finality(sight: Sight, violated: (what: string) => void): Checker {
  const { runId, record, spec } = sight.network;
  const depth = reorgDepth(sight);
  const honest = new Set(honestOf(sight));
  const stands = new Map<number, string>();
  const ends = new Map<string, LifeEnd>();
  let highest = 0;
  const look = (from: number, to: number, block: number): void => {
    const rounds = chainState(sight).world.runs.get(runId)?.rounds;
    for (let round = Math.max(0, from); round <= to; round++) {
      const decision = rounds?.get(round)?.decision;
      const text = decision && textOf(decision);
      const before = stands.get(round);
      if (before !== undefined && text !== before) {
        violated(`the decision of round ${round} ${text === undefined ? "is gone" : "is another one now"}`);
        stands.delete(round);
      }
      if (decision === undefined || text === undefined) continue;
      if (decision.block < roundStart(record, round + 1)) violated(`round ${round} was decided before it was over`);
      if (decision.block + depth <= block) stands.set(round, text);
    }
  };
  return {
    name: "finality",
    onBlock(block) {
      if (block < highest - depth) violated(`block ${block} came after block ${highest}`);
      highest = Math.max(highest, block);
      const round = phaseAt(record, block)?.round ?? 0;
      look(round - ROUNDS_WATCHED, round, block);
    },
    onLifeEnd(end) {
      if (honest.has(end.node)) ends.set(end.node, end);
    },
    async onEnd() {
      look(0, roundsOf(spec), highest);
      const { roots, stuck } = await runAgain(sight);
      const last = roots.length - 1;
      const newest = phaseAt(record, highest)?.round ?? 0;
      if (stuck !== undefined && last < newest - 1) violated(`the run cannot be done again, ${stuck}`);
      for (const { node, end } of ends.values()) {
        const again = end && roots[end.round];
        if (end === undefined || (again === undefined && stuck !== undefined)) continue;
        if (again !== end.root.replace(/^0x/, ""))
          violated(`${node} ended with other params before round ${end.round} than the chain and the stores give`);
      }
    },
  };
}

const textOf = ({ accepted, incentives, seed, stateRoot, block }: RoundDecision): string =>
  JSON.stringify([accepted, incentives, seed, stateRoot ?? null, block]);
