/**
 * Share: to be dishonest does not pay. A dishonest trainer earns less for a round in which it promised a payload than an honest one on average. Per promise,
 * since nodes come at different times and some are away for longer than others: that is the weather's doing. Judged only where the run was long enough for
 * standing to count, and paid at all.
 */

import type { Hash } from "../../chain/chain.ts";
import { phaseAt } from "../../chain/rounds.ts";
import { roundsOf } from "../../run/rules.ts";
import type { Checker, Sight } from "./checker.ts";
import { chainState } from "./seen.ts";

/** Decided rounds below which nothing is judged: the first epochs pay nobody, and standing takes rounds to come. */
const ROUNDS_LEAST = 12;
/** Promises below which a trainer's pay says nothing. */
const PROMISES_LEAST = 3;

/** Dishonest trainers earn less than honest ones. */
export function share(sight: Sight, violated: (what: string) => void): Checker {
  const { record, runId, spec, twin } = sight.network;
  const byEpoch = new Map<number, ReadonlyMap<Hash, bigint>>(); // an epoch may be made again after a reorg
  return {
    name: "share",
    onBlock(block) {
      const subnet = chainState(sight).world.subnets.get(record.netuid);
      if (subnet === undefined || subnet.lastEpochBlock !== block || phaseAt(record, block) === undefined) return;
      byEpoch.set(subnet.epochIndex, new Map(subnet.slots.map(({ hotkey, emission }) => [hotkey, emission])));
    },
    async onEnd() {
      const promises = new Map<Hash, number>();
      let decided = 0;
      for (let round = 0; round < roundsOf(spec); round++) {
        if ((await twin.decision(runId, round)) !== undefined) decided += 1;
        for (const { hotkey } of await twin.commits(runId, round))
          promises.set(hotkey, (promises.get(hotkey) ?? 0) + 1);
      }
      if (decided < ROUNDS_LEAST) return;
      const payOf = (name: string): readonly number[] => {
        const account = sight.account(name);
        const count = promises.get(account) ?? 0;
        const paid = [...byEpoch.values()].reduce((sum, epoch) => sum + (epoch.get(account) ?? 0n), 0n);
        return count < PROMISES_LEAST ? [] : [Number(paid) / count];
      };
      const pay = (isDishonest: boolean): readonly number[] =>
        sight.trainers.filter((name) => sight.dishonest.has(name) === isDishonest).flatMap(payOf);
      const [bad, good] = [pay(true), pay(false)];
      if (bad.length === 0 || good.length === 0 || mean(bad) + mean(good) === 0) return;
      if (mean(bad) >= mean(good))
        violated(`a dishonest trainer earned ${coins(mean(bad))} coins a promise, an honest one ${coins(mean(good))}`);
    },
  };
}

const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;
const coins = (rao: number): string => (rao / 1e9).toFixed(3);
