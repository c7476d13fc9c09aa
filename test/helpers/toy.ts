/** A toy model and a toy dataset, small enough for the reference engine to train in milliseconds: those of simulations (src/sim/world/toys.ts). */

import type { Dataset } from "../../src/data/dataset.ts";
import { smallDataset } from "../../src/sim/world/toys.ts";

export {
  arraySource,
  LETTERS,
  SMALL_SHAPE as TOY_SHAPE,
  smallTokens as toyTokens,
} from "../../src/sim/world/toys.ts";

/** A dataset in memory. */
export function toyDataset(seed = 1, trainTokens = 500, validTokens = 100): Dataset {
  return smallDataset(seed, trainTokens, validTokens);
}
