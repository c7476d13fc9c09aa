/**
 * One process of a node. All that it does to the world goes through its life, call by call: each may be let through, fail, or be the last. After its end no
 * call ever comes back, so the process stands still at whatever `await` it had reached, which is what kill −9 looks like from inside; what it had asked for
 * may still happen. Calls are counted, so that "the n-th call of the disk fails" is something that can be said, and said again.
 */
import { SkeinError } from "../base/errors.ts";
import type { Chain } from "../chain/chain.ts";
import type { Engine } from "../engine/engine.ts";
import type { Store } from "../store/store.ts";

/** A door of a node to the world, whose calls are counted and may fail. */
export type Seam = "store" | "chain" | "disk";

/** A call that is about to be made. */
export interface Call {
  readonly node: string;
  readonly seam: Seam;
  /** The method. */
  readonly op: string;
  /** How many calls of this node on this seam there were before, over all its lives. */
  readonly index: number;
}

/** What becomes of a call: it fails as the seam's calls do; or the process dies, before the call does anything or after it did. */
export type Fate = "go" | "fail" | "die" | "die after";

/** Decides about a call. */
export type Fates = (call: Call) => Fate;

/** How calls are counted and judged, over all lives of all nodes. */
export interface Book {
  fateOf(node: string, seam: Seam, op: string): Fate;
  /** Calls so far. */
  readonly calls: Readonly<Record<Seam, number>>;
}

/** A book without calls. */
export function openBook(fates: Fates): Book {
  const calls = { store: 0, chain: 0, disk: 0 };
  const counts = new Map<string, number>();
  return {
    calls,
    fateOf(node, seam, op) {
      calls[seam] += 1;
      const key = `${node} ${seam}`;
      const index = counts.get(key) ?? 0;
      counts.set(key, index + 1);
      return fates({ node, seam, op, index });
    },
  };
}

/** A process of a node. */
export interface Life {
  /** Aborted at its end: what waits in the world on its behalf can be given up. */
  readonly over: AbortSignal;
  /** Resolves at its end. */
  readonly died: Promise<void>;
  /** Ends it. */
  end(): void;
  /** Its view of a store that others share, of the chain, and of the engine. */
  store(store: Store): Store;
  chain(chain: Chain): Chain;
  engine(engine: Engine): Engine;
  sleep(asleep: Promise<void>): Promise<void>;
  /** To be awaited before each operation of its disk: throws as a broken disk does, or never resolves. */
  touchDisk(op: string): Promise<void>;
}

/** A process that begins. */
export function openLife(node: string, book: Book): Life {
  const over = new AbortController();
  const died = new Promise<void>((resolve) => over.signal.addEventListener("abort", () => resolve(), { once: true }));
  const end = (): void => over.abort();
  const die = (): Promise<never> => {
    end();
    return silence();
  };
  const call = async (seam: Seam | undefined, op: string, work: () => unknown): Promise<unknown> => {
    if (over.signal.aborted) return silence();
    const fate = seam === undefined ? "go" : book.fateOf(node, seam, op);
    if (fate === "fail") throw failureOf(seam, op);
    if (fate === "die") return die();
    try {
      const value = await work();
      if (over.signal.aborted) return silence();
      return fate === "die after" ? die() : value;
    } catch (thrown) {
      if (over.signal.aborted) return silence();
      if (fate === "die after") return die();
      throw thrown;
    }
  };
  const gated = <T extends object>(target: T, seam: Seam | undefined, plain: readonly string[] = []): T =>
    new Proxy(target, {
      get(object, name) {
        const value: unknown = Reflect.get(object, name);
        if (typeof value !== "function" || typeof name !== "string" || plain.includes(name)) return value;
        return (...args: unknown[]) => call(seam, name, () => Reflect.apply(value, object, args));
      },
    });
  const chainOf = (chain: Chain): Chain => {
    const seen = gated(
      {
        ...chain,
        waitForBlock: (block: number, signal?: AbortSignal) =>
          chain.waitForBlock(block, signal ? AbortSignal.any([signal, over.signal]) : over.signal),
      },
      "chain",
      ["as"],
    );
    return { ...seen, as: (signer) => gated(chain.as(signer), "chain") };
  };
  return {
    over: over.signal,
    died,
    end,
    store: (store) => gated(store, "store"),
    chain: chainOf,
    engine: (engine) => gated(engine, undefined, ["stepCount", "setStepCount"]),
    sleep: (asleep) => call(undefined, "sleep", () => asleep) as Promise<void>,
    touchDisk: (op) => call("disk", op, () => undefined) as Promise<void>,
  };
}

/** What nobody ever hears of; made anew each time, so that who waits for it can be forgotten. */
export function silence(): Promise<never> {
  return new Promise(() => undefined);
}

function failureOf(seam: Seam | undefined, op: string): unknown {
  if (seam === "disk") return Object.assign(new Error(`EIO: i/o error, ${op}`), { code: "EIO" });
  return new SkeinError(seam === "chain" ? "chain" : "store", `the simulated ${seam} failed at ${op}`);
}
