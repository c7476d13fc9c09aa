/**
 * How much of its time a peer trains: arithmetic for plans, to hold simulations against. Two answers. `ideal` is that of papers: work and transfer in seconds,
 * one after the other, or side by side where updates are applied a round later. `phasesFor` is that of this protocol as its roles play it: phases of whole
 * blocks, each long enough for what happens in it, and the share of a round that remains for training.
 */
import { blocksOf } from "../../run/rules.ts";
import type { RunSpec } from "../../run/spec.ts";

/** A line's rates, in megabits a second, and how long a message takes at least. */
export interface Line {
  readonly upMbps: number;
  readonly downMbps: number;
  readonly latencyMs: number;
}

/** What a round moves and works. */
export interface RoundWork {
  /** Seconds of a full round's training. */
  readonly computeS: number;
  readonly payloadBytes: number;
  /** Payloads applied in a round, one of them the peer's own. */
  readonly applied: number;
  readonly line: Line;
  readonly delay: 0 | 1;
}

/** What follows from it. */
export interface Ideal {
  readonly upS: number;
  /** Seconds that all others' payloads take. */
  readonly downS: number;
  readonly roundS: number;
  /** Share of a round in which the peer trains. */
  readonly utilization: number;
}

/** Bytes of a payload `ratio` times smaller than the model in float32. */
export function payloadBytesAt(params: number, ratio: number): number {
  return Math.ceil((4 * params) / ratio);
}

/** Seconds that bytes take. */
export function transferS(bytes: number, mbps: number): number {
  return (8 * bytes) / (mbps * 1e6);
}

/** Without a delay: train, upload, download, in this order. With it, all three at once: the slowest is the round. */
export function ideal({ computeS, payloadBytes, applied, line, delay }: RoundWork): Ideal {
  const upS = transferS(payloadBytes, line.upMbps);
  const downS = transferS(payloadBytes * Math.max(0, applied - 1), line.downMbps);
  const roundS = delay === 0 ? computeS + upS + downS : Math.max(computeS, upS, downS);
  return { upS, downS, roundS, utilization: computeS / roundS };
}

/** What a round takes beside a peer's own work. */
export interface PhaseWork extends RoundWork {
  readonly blockS: number;
  /** Payloads that validators fetch. */
  readonly sent: number;
  /** Seconds that a validator takes to judge a round. */
  readonly judgeS: number;
}

/** A round in blocks. */
export interface Phases {
  readonly trainBlocks: number;
  readonly revealBlocks: number;
  readonly voteBlocks: number;
}

/** Share of the time until commits close that a trainer plans its steps for (roles/network/trainer/fit.ts). */
const USABLE_SHARE = 0.7;
/** Blocks until the votes on a round are counted and everybody has seen it. */
const DECIDE_BLOCKS = 2;
/** Blocks until a transaction is in one. */
const COMMIT_BLOCKS = 2;
/** Validators vote when three quarters of their phase are over, two blocks earlier (roles/network/validator/docket.ts). */
const VOTE_SHARE = 3 / 4;

/**
 * The shortest phases in which everything has its time. Upload: the payload, while commits are closed. Vote: validators fetch all that were sent and judge.
 * Train, without a delay: the decision is waited for, the others' payloads are fetched, then the steps. With it, steps go on through reveal and vote, and
 * only fetching stands between the rounds' steps.
 */
export function phasesFor(work: PhaseWork): Phases {
  const { computeS, payloadBytes, applied, line, delay, blockS, sent, judgeS } = work;
  const { upS } = ideal(work);
  const inBlocks = (seconds: number): number => Math.ceil(seconds / blockS);
  const fetchBlocks = inBlocks(transferS(payloadBytes * applied, line.downMbps)); // its own too: roles keep no copy of it
  const revealBlocks = inBlocks(upS) + 1;
  const votingBlocks = inBlocks(transferS(payloadBytes * sent, line.downMbps) + judgeS) + 2;
  const voteBlocks = Math.ceil(votingBlocks / VOTE_SHARE);
  const plannedBlocks = inBlocks(computeS / USABLE_SHARE) + 1;
  if (delay === 0) {
    return { trainBlocks: DECIDE_BLOCKS + fetchBlocks + plannedBlocks + COMMIT_BLOCKS, revealBlocks, voteBlocks };
  }
  const others = revealBlocks + voteBlocks;
  const least = DECIDE_BLOCKS + fetchBlocks + COMMIT_BLOCKS; // a commit follows the decision on the round before
  const whole = inBlocks(computeS) + fetchBlocks + COMMIT_BLOCKS;
  // A round's steps begin right after the commit of the one before, which leaves them the rest of that round's training phase too.
  const budget = Math.ceil((plannedBlocks + least - others) / 2);
  return { trainBlocks: Math.max(least, whole - others, budget), revealBlocks, voteBlocks };
}

/** Share of such a round that full training takes. */
export function playedUtilization(
  { computeS, blockS }: Pick<PhaseWork, "computeS" | "blockS">,
  phases: Phases,
): number {
  return computeS / (blocksOf({ timing: phases }) * blockS);
}

/** What a plan is made from; what is absent has a default that depends on the rest. */
export interface PlanBase extends Pick<RunSpec, "model" | "uids" | "inner" | "codec" | "outer" | "score" | "audit"> {
  readonly name: string;
  readonly blockSeconds: number;
  /** Absent: the shortest phases that everything fits into. */
  readonly timing?: Phases;
  readonly line?: Line;
  readonly peers?: number;
  /** Tokens a second that a peer trains on. */
  readonly speed?: number;
  /** How many times smaller than the model in float32 a payload is; absent: as estimated for the codec. */
  readonly ratio?: number;
}
