/**
 * How lives and the run come to their ends.
 *
 * Faults: an honest node ends by itself only since the chain or a store was away for longer than its patience; a mistake of ours, or a trouble that
 * only a person could mend, never ends it. Once the weather has healed, nothing does.
 *
 * Liveness: from some rounds after the weather has healed on, every round moves the params until the run is over, and every honest node comes to its end.
 */
import { messageOf, SkeinError } from "../../base/errors.ts";
import { phaseAt, roundStart } from "../../chain/rounds.ts";
import { roundsOf } from "../../run/rules.ts";
import type { Checker, LifeEnd, Sight } from "./checker.ts";
import { chainState, honestOf, runAgain } from "./seen.ts";

/** Milliseconds for which a trouble that began in bad weather may take to be noticed: a request's six attempts and their silences. */
const AFTER_MS = 30_000;
/** Rounds after healing in which nothing need move. */
const ROUNDS_AFTER = 3;

/** Nodes end by themselves only for reasons of the world. */
export function faults(sight: Sight, violated: (what: string) => void): Checker {
  const honest = new Set(honestOf(sight));
  return {
    name: "faults",
    onLifeEnd({ node, how, thrown }) {
      if (how !== "error" || !honest.has(node)) return;
      const isTrouble = thrown instanceof SkeinError && (thrown.code === "chain" || thrown.code === "store");
      if (!isTrouble) violated(`${node} ended by ${nameOf(thrown)}: ${messageOf(thrown)}${placeOf(thrown)}`);
      else if (sight.now() > sight.weather.healMs + AFTER_MS)
        violated(`${node} ended although nothing went wrong any more: ${thrown.message}`);
    },
  };
}

function nameOf(thrown: unknown): string {
  if (thrown instanceof SkeinError) return `an error "${thrown.code}"`;
  return thrown instanceof Error ? thrown.name : "something that is no error";
}

/** Where a mistake of ours was made. */
function placeOf(thrown: unknown): string {
  const line = thrown instanceof Error ? /\n\s+at .*?([^/\\]+:\d+):\d+\)?$/m.exec(thrown.stack ?? "")?.[1] : undefined;
  return line === undefined || thrown instanceof SkeinError ? "" : ` (${line})`;
}

/** After healing everything goes on. */
export function liveness(sight: Sight, violated: (what: string) => void): Checker {
  const { record, spec } = sight.network;
  const lives = new Map<string, LifeEnd>();
  let healed = Number.POSITIVE_INFINITY;
  return {
    name: "liveness",
    onBlock(block) {
      if (sight.now() < sight.weather.healMs) healed = Number.POSITIVE_INFINITY;
      else if (!Number.isFinite(healed)) healed = phaseAt(record, block)?.round ?? -1;
    },
    onLifeEnd(end) {
      lives.set(end.node, end);
    },
    async onEnd() {
      const { block } = chainState(sight).blocks.head;
      const { applied } = await runAgain(sight);
      for (let round = healed + 1 + ROUNDS_AFTER; round < roundsOf(spec); round++) {
        const isOver = roundStart(record, round + 1) <= block;
        if (isOver && applied[round]?.length === 0)
          // where the run cannot be done again, finality says so
          violated(`round ${round} moved nothing, the weather healed in round ${healed}`);
      }
      for (const node of honestOf(sight)) {
        const how = lives.get(node)?.how;
        if (how !== "over") violated(`${node} never came to an end${how === undefined ? "" : `: last ${how}`}`);
      }
    },
  };
}
