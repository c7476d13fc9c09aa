/** Things that can be killed: from then on nothing they are asked for ever comes back, as with a process that is gone. */

/** A switch that kills everything made with it. */
export interface Lifeline {
  alive: boolean;
}

/** `target` while `lifeline.alive`; every call after that waits for ever, also one that was under way. */
export function killable<T extends object>(target: T, lifeline: Lifeline): T {
  return new Proxy(target, {
    get(object, name, receiver) {
      const value: unknown = Reflect.get(object, name, receiver);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        if (!lifeline.alive) return new Promise(() => undefined);
        const result: unknown = Reflect.apply(value, object, args);
        if (name === "as") return killable(result as object, lifeline);
        if (!(result instanceof Promise)) return result;
        return new Promise((resolve, reject) => {
          const unless = (settle: (what: unknown) => void) => (what: unknown) => {
            if (lifeline.alive) settle(what);
          };
          result.then(unless(resolve), unless(reject));
        });
      };
    },
  });
}
