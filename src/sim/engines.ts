/**
 * Engines of a simulated network. They compute on threads of their own, in real time, of which a simulation must not notice anything: so all of
 * them take turns, one call at a time in the order in which the calls were made, and the network can be asked whether any is under way.
 */
import type { Engine } from "../engine/engine.ts";
import { turnstile } from "../engine/turnstile.ts";

/** What takes real time. */
export interface Workshop {
  /** Does a piece of work when all that were asked for before are done. */
  does<T>(work: () => Promise<T>): Promise<T>;
  /** The same engine, one call at a time with all others of this workshop. */
  engine(engine: Engine): Engine;
  /** Pieces of work that are asked for and not done. */
  readonly waiting: number;
  /** Resolves when the piece that is under way is done. */
  next(): Promise<void>;
}

/** A workshop without work. */
export function workshop(): Workshop {
  const { inTurn } = turnstile();
  let waiting = 0;
  let newest: Promise<unknown> = Promise.resolve();
  const does = <T>(work: () => Promise<T>): Promise<T> => {
    waiting += 1;
    const result = inTurn(work).finally(() => {
      waiting -= 1;
    });
    newest = result.catch(() => undefined);
    return result;
  };
  return {
    does,
    engine: (engine) => engineThrough(engine, does),
    get waiting() {
      return waiting;
    },
    next: async () => void (await newest),
  };
}

/** The same engine, of which everything that takes time goes through `does`. */
export function engineThrough(engine: Engine, does: <T>(work: () => Promise<T>) => Promise<T>): Engine {
  return {
    name: engine.name,
    backend: engine.backend,
    deterministic: engine.deterministic,
    options: engine.options,
    plan: engine.plan,
    stepCount: () => engine.stepCount(),
    setStepCount: (steps) => engine.setStepCount(steps),
    read: (...args) => does(() => engine.read(...args)),
    write: (...args) => does(() => engine.write(...args)),
    gradients: (batch) => does(() => engine.gradients(batch)),
    trainStep: (batch, options) => does(() => engine.trainStep(batch, options)),
    losses: (batch) => does(() => engine.losses(batch)),
    logits: (tokens) => does(() => engine.logits(tokens)),
    close: () => does(() => engine.close()),
  };
}
