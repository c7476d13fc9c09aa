/** Seeds with dishonest trainers, and with the small real model in the toy's place. */
import { it } from "vitest";
import { TRIAL } from "../../src/cli/simulate/seeds.ts";
import { adversaryNamed } from "../../src/sim/adversary/registry.ts";
import { SEEDS, trySeeds } from "../helpers/trials.ts";

const seeds = Math.ceil((SEEDS ?? 8) / 8);

const LONG = 14; // rounds, so many that pay is compared, too

for (const [name, rounds] of [
  ["sign-flip", LONG],
  ["copycat", TRIAL.rounds],
  ["lazy", TRIAL.rounds],
  ["garbage", TRIAL.rounds],
] as const)
  it(`keeps its promises with a peer that does ${name}`, () => {
    const attackers = [{ adversary: adversaryNamed(name), count: 1 }];
    return trySeeds(101, 100 + seeds, { ...TRIAL, rounds, attackers });
  }, 600_000);

it(
  "keeps its promises with a small real model",
  () => trySeeds(201, 200 + 2 * seeds, { ...TRIAL, model: "small" }),
  600_000,
);
