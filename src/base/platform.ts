/**
 * The one place that asks whether this is Node. Portable files that can use one of Node's own modules, but must also load in a
 * browser, take it from here instead of importing it.
 */

/** Node's own modules that portable code has a use for. */
interface NodeModules {
  readonly "node:crypto": typeof import("node:crypto");
  readonly "node:worker_threads": typeof import("node:worker_threads");
}

/** One of Node's modules, or undefined in a browser. */
export function nodeModule<Name extends keyof NodeModules>(name: Name): NodeModules[Name] | undefined {
  return globalThis.process?.getBuiltinModule?.(name) as NodeModules[Name] | undefined;
}
