/** What the machine under the process is, and whether a memory plan fits in it. */
import os from "node:os";
import { SkeinError } from "../../base/errors.ts";
import type { EngineOptions, MemoryPlan } from "../../engine/engine.ts";
import { nativeStatus } from "../../engine/exact/native.node.ts";
import { wasmBytesMax } from "../../engine/exact/wasm.ts";
import type { EngineName } from "../../engine/open.node.ts";
import { bytes } from "./terminal.ts";

/** Memory that Node, tokens and buffers take beside the engine's plan. */
export const PROGRAM_BYTES = 200e6;
/** Regions of a plan that are named one by one. */
const REGIONS_SHOWN_MAX = 8;

/** The machine as a training sees it. */
export interface Machine {
  readonly cpu: string;
  /** Threads that can run at once, as the scheduler and a container's limits allow. */
  readonly cores: number;
  /** The machine's memory, or the container's if that is less. */
  readonly memoryBytes: number;
  /** What of it is free or can be freed now. */
  readonly availableBytes: number;
  readonly node: string;
  readonly system: string;
}

/** Looks at the machine. */
export function thisMachine(): Machine {
  const totalBytes = os.totalmem();
  const constrainedBytes = process.constrainedMemory?.() ?? 0;
  const memoryBytes = constrainedBytes > 0 ? Math.min(totalBytes, constrainedBytes) : totalBytes;
  return {
    cpu: os.cpus()[0]?.model.trim() ?? "unknown",
    cores: os.availableParallelism(),
    memoryBytes,
    availableBytes: Math.min(memoryBytes, process.availableMemory?.() ?? os.freemem()),
    node: process.version,
    system: `${os.type()} ${os.release()} ${os.arch()}`,
  };
}

/** Bytes that an engine's plan may take here: what is available, and for WebAssembly no more than its addresses reach. */
export function bytesMaxOf(engine: EngineName, threads: number, { availableBytes }: Machine): number {
  const wasm = engine === "wasm" || (engine === "auto" && !nativeStatus().available);
  return wasm ? Math.min(availableBytes, wasmBytesMax(threads) + PROGRAM_BYTES) : availableBytes;
}

/** Whether an engine with this plan, and the program around it, can be held in `availableBytes`. */
export function fits(plan: MemoryPlan, availableBytes: number): boolean {
  return plan.totalBytes + PROGRAM_BYTES <= availableBytes;
}

/**
 * Settings close to `options` whose plan fits, or undefined: first a smaller micro-batch, which costs little speed; then
 * recomputation, with the largest micro-batch that fits. Neither changes what is learned.
 */
export function settingsThatFit(
  options: EngineOptions,
  availableBytes: number,
  plan: (options: EngineOptions) => MemoryPlan,
): EngineOptions | undefined {
  for (const recompute of options.recompute ? [true] : [false, true]) {
    for (let microBatch = options.microBatch; microBatch >= 1; microBatch = Math.floor(microBatch / 2)) {
      const candidate = { ...options, microBatch, recompute };
      if (fits(plan(candidate), availableBytes)) return candidate;
    }
  }
  return undefined;
}

/** Throws SkeinError("memory"), with need, have and a setting that works, unless the plan of `options` fits. */
export function checkMemory(
  options: EngineOptions,
  availableBytes: number,
  plan: (options: EngineOptions) => MemoryPlan,
): void {
  const wanted = plan(options);
  if (fits(wanted, availableBytes)) return;
  const other = settingsThatFit(options, availableBytes, plan);
  const remedy = other
    ? `use --micro-batch ${other.microBatch}${other.recompute ? " --recompute" : ""}, which takes ${bytes(plan(other).totalBytes + PROGRAM_BYTES)}`
    : "use a smaller preset; `skein doctor` names the largest that fits";
  const largest = [...wanted.regions].sort((a, b) => b.bytes - a.bytes).slice(0, REGIONS_SHOWN_MAX);
  const rest = wanted.totalBytes - largest.reduce((sum, region) => sum + region.bytes, 0);
  const parts = [...largest, { name: "everything else", bytes: rest + PROGRAM_BYTES }];
  throw new SkeinError(
    "memory",
    `the model needs ${bytes(wanted.totalBytes + PROGRAM_BYTES)} of memory, and ${bytes(availableBytes)} can be had`,
    {
      details: parts.map((region) => `${region.name}: ${bytes(region.bytes)}`).join("\n"),
      remedy,
    },
  );
}
