/**
 * The seam of scoring: how payloads are judged, how judgements become ratings, how ratings become votes. A validator's loop knows this
 * interface and no more, so another way of scoring takes the place of this one without it.
 */
import { type Evaluation, type EvaluationJob, evaluatePayloads } from "./gain.ts";
import { type RatedRound, type Ratings, rateRound, type Votes, weightsOf } from "./rating.ts";

/** A way of scoring. */
export interface Scoring {
  /** Judges payloads in their order; fewer where the job's signal says so. */
  evaluate(job: EvaluationJob): Promise<Evaluation[]>;
  /** The ratings after a round. */
  rate(ratings: Ratings, round: RatedRound): Ratings;
  /** The votes that follow from ratings. */
  weights(ratings: Ratings): Votes;
}

/** By gain on unassigned data alone, smoothed. It does not see copies, nor who trained on other data than assigned. */
export const gainScoring: Scoring = { evaluate: evaluatePayloads, rate: rateRound, weights: weightsOf };
