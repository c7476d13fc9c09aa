/**
 * Opens engines by name, in Node: "auto" takes the native build of the exact engine where it can be had, else the WASM one. All
 * exact engines compute the same bits, so the choice is only about speed.
 */
import { availableParallelism } from "node:os";
import { messageOf, SkeinError, shown } from "../base/errors.ts";
import { checkOptions } from "./batch.ts";
import type { Engine, EngineOptions, MemoryPlan } from "./engine.ts";
import { exactFingerprint, FINGERPRINT } from "./exact/fingerprint.ts";
import { nativeStatus, openExactNative } from "./exact/native.node.ts";
import { planExact } from "./exact/plan.ts";
import { openExactWasm } from "./exact/wasm.ts";
import { openReference, referencePlan } from "./reference/reference.ts";

/** Engines that can be asked for. */
export type EngineName = "auto" | "native" | "wasm" | "reference";

/** All of them, for option parsers. */
export const ENGINE_NAMES: readonly EngineName[] = ["auto", "native", "wasm", "reference"];

/** What an engine needs, and which. */
export type OpenOptions = EngineOptions & { readonly engine?: EngineName };

function resolveEngine(name: EngineName): Exclude<EngineName, "auto"> {
  if (name !== "auto") return name;
  return nativeStatus().available ? "native" : "wasm";
}

/** Opens an engine; `threads` defaults to the machine's. Throws SkeinError("config" | "engine" | "memory"). */
export async function openEngine({ engine = "auto", ...options }: OpenOptions): Promise<Engine> {
  const settled = checkOptions(options, availableParallelism());
  switch (resolveEngine(engine)) {
    case "native":
      return openExactNative(settled);
    case "wasm":
      return openExactWasm(settled);
    case "reference":
      return openReference(settled);
    default:
      throw new SkeinError("usage", `no engine is called ${shown(engine)}`, {
        remedy: `choose one of ${ENGINE_NAMES.join(", ")}`,
      });
  }
}

/** Memory that `openEngine` would take, without opening. */
export function planMemory(engine: EngineName, options: EngineOptions): MemoryPlan {
  const settled = checkOptions(options, availableParallelism());
  return engine === "reference" ? referencePlan(settled) : planExact(settled);
}

/** One engine on this machine, for `skein doctor`. */
export interface EngineReport {
  readonly name: Exclude<EngineName, "auto">;
  readonly available: boolean;
  readonly backend: string;
  readonly reason?: string;
  readonly remedy?: string;
}

/**
 * Which engines work here: the exact ones make their fingerprint run on two threads and must find the hash that every machine
 * finds; one that does not is unavailable, since its work could not be replayed. The reference needs nothing.
 */
export async function describeEngines(): Promise<EngineReport[]> {
  const reports: EngineReport[] = [];
  for (const engine of ["native", "wasm"] as const) {
    let backend = "";
    try {
      const hash = await exactFingerprint(
        async (options) => {
          const opened = await openEngine({ ...options, engine });
          backend = opened.backend;
          return opened;
        },
        { threads: 2 },
      );
      if (hash !== FINGERPRINT) throw otherBits(engine, hash);
      reports.push({ name: engine, available: true, backend: `${backend}, bits verified` });
    } catch (error) {
      const remedy = error instanceof SkeinError ? error.remedy : undefined;
      reports.push({
        name: engine,
        available: false,
        backend,
        reason: messageOf(error),
        ...(remedy ? { remedy } : {}),
      });
    }
  }
  reports.push({ name: "reference", available: true, backend: "typescript float64, slow: the judge of the others" });
  return reports;
}

function otherBits(engine: EngineName, hash: string): SkeinError {
  return new SkeinError("engine", `the ${engine} engine computes other bits here than everywhere else`, {
    details: `fingerprint ${hash}, expected ${FINGERPRINT}`,
    remedy: "use the other exact engine, and report the processor and compiler: this must not happen",
  });
}
