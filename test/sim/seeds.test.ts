/** The linear toy in weathers drawn from 28 seeds; `npm run test:sim` tries a thousand. */
import { it } from "vitest";
import { SEEDS, trySeeds } from "../helpers/trials.ts";

const last = SEEDS ?? 28;
const step = 4;

for (let first = 1; first <= last; first += step)
  it(`keeps its promises in seeds ${first} to ${first + step - 1}`, () => trySeeds(first, first + step - 1), 120_000);
