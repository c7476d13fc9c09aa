/**
 * Computation that takes time. In a simulation the real work is done at once, whatever the machine; its result is given when as much virtual time has passed
 * as the node's own machine would have needed. Reading, writing and opening cost nothing: beside the work on tokens they are little.
 */
import type { Clock } from "../../base/clock.ts";
import type { Engine } from "../../engine/engine.ts";
import { turnstile } from "../../engine/turnstile.ts";
import { engineThrough } from "../engines.ts";

/** What an engine worked for: gradients (of steps and trials), or losses alone (of judging and measuring). */
export type ComputeKind = "train" | "losses";

/** How fast a node's machine is. */
export interface Compute {
  /** The node's clock, or any that moves at its pace. */
  readonly clock: Pick<Clock, "sleep">;
  /** Milliseconds of one training token, forward and backward. */
  readonly msPerToken: number;
  /** How many times longer this node takes. Default 1. */
  readonly slowness?: number;
  /** Told of each piece of work when it is done. */
  readonly onCompute?: (kind: ComputeKind, ms: number) => void;
}

/** A forward pass is a third of a training step: the backward pass computes two products for each of its own. */
const FORWARD_SHARE = 1 / 3;

/** `engine` on a machine that is so fast. What is asked for while it works waits its turn; what it refuses, it refuses at once. */
export function timedEngine(engine: Engine, { clock, msPerToken, slowness = 1, onCompute }: Compute): Engine {
  const { inTurn, close } = turnstile(() => engine.close());
  const tokenMs = { train: msPerToken * slowness, losses: msPerToken * slowness * FORWARD_SHARE };
  const during = <T>(kind: ComputeKind, tokens: number, work: () => Promise<T>): Promise<T> =>
    inTurn(async () => {
      const result = await work();
      const ms = tokens * tokenMs[kind];
      await clock.sleep(ms);
      onCompute?.(kind, ms);
      return result;
    });
  return {
    ...engineThrough(engine, inTurn),
    gradients: (batch) => during("train", batch.rows * batch.length, () => engine.gradients(batch)),
    trainStep: (batch, options) => during("train", batch.rows * batch.length, () => engine.trainStep(batch, options)),
    losses: (batch) => during("losses", batch.rows * batch.length, () => engine.losses(batch)),
    logits: (tokens) => during("losses", tokens.length, () => engine.logits(tokens)),
    close,
  };
}
