/**
 * Opens engines by name, in Node: "auto" takes the native build of the exact engine where it can be had, else the WASM one. All
 * exact engines compute the same bits, so the choice is only about speed.
 */
import { availableParallelism } from "node:os";
import { messageOf, SkeinError } from "../base/errors.ts";
import { checkOptions } from "./batch.ts";
import type { Engine, EngineOptions, MemoryPlan } from "./engine.ts";
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
      throw new SkeinError("usage", `no engine is called ${String(engine)}`, {
        remedy: `choose one of ${ENGINE_NAMES.join(", ")}`,
      });
  }
}

/** Memory that `openEngine` would take, without opening. */
export function planMemory(engine: EngineName, options: EngineOptions): MemoryPlan {
  const settled = checkOptions(options, availableParallelism());
  return resolveEngine(engine) === "reference" ? referencePlan(settled) : planExact(settled);
}

/** One engine on this machine, for `skein doctor`. */
export interface EngineReport {
  readonly name: Exclude<EngineName, "auto">;
  readonly available: boolean;
  readonly backend: string;
  readonly reason?: string;
  readonly remedy?: string;
}

const PROBE: EngineOptions = {
  shape: {
    vocabSize: 32,
    dim: 16,
    layers: 1,
    heads: 1,
    kvHeads: 1,
    headDim: 16,
    ffnDim: 16,
    ropeTheta: 1e4,
    normEps: 1e-5,
    tied: true,
  },
  seqLen: 4,
  microBatch: 1,
  threads: 2,
};

/** Which engines work here: each is opened and takes one small step. */
export async function describeEngines(): Promise<EngineReport[]> {
  const reports: EngineReport[] = [];
  for (const name of ["native", "wasm", "reference"] as const) {
    try {
      const engine = await openEngine({ ...PROBE, engine: name });
      await engine.trainStep({ tokens: new Int32Array(5), rows: 1, length: 4 }, { lr: 0 });
      await engine.close();
      reports.push({ name, available: true, backend: engine.backend });
    } catch (error) {
      const remedy = error instanceof SkeinError ? error.remedy : undefined;
      reports.push({ name, available: false, backend: "", reason: messageOf(error), ...(remedy ? { remedy } : {}) });
    }
  }
  return reports;
}
