/** All invariants that every simulation is held to. */
import { agreement } from "./agreement.ts";
import { bounds } from "./bounds.ts";
import type { OpenChecker } from "./checker.ts";
import { credit } from "./credit.ts";
import { faults, liveness } from "./ends.ts";
import { feedback } from "./feedback.ts";
import { finality } from "./finality.ts";
import { innocence } from "./innocence.ts";
import { money } from "./money.ts";
import { share } from "./share.ts";

/** One for each promise. */
export const CHECKERS: readonly OpenChecker[] = [
  agreement,
  finality,
  money,
  credit,
  share,
  liveness,
  bounds,
  faults,
  innocence,
  feedback,
];
