/**
 * Runs exact.c as WebAssembly: one module for Node and browsers, strict simd128, a shared memory, and a worker per thread. The
 * calling thread never computes, so a page stays live and Node's event loop turns.
 *
 * Workers start from a few lines of source text, not from a file, so that bundlers, tests and browsers need no extra asset. Where workers
 * cannot share memory (a page without COOP/COEP headers) one thread computes inline.
 */
import { assert } from "../../base/assert.ts";
import { messageOf, SkeinError } from "../../base/errors.ts";
import { nodeModule } from "../../base/platform.ts";
import { checkOptions } from "../batch.ts";
import type { Engine, EngineOptions } from "../engine.ts";
import { exactEngine, type Machine } from "./exact.ts";
import { kernelsBase64 } from "./kernels.wasm.ts";
import { ABI, planExact } from "./plan.ts";

const PAGE = 65_536;
const PAGES_MAX = 65_536; // 4 GiB: the reach of 32-bit WebAssembly
const STATIC_BYTES = 1 << 20; // exact.c's constants and default stack lie below this
const STACK_BYTES = 1 << 16; // per thread

/** Largest arena a WASM machine can hold, in bytes. */
export function wasmBytesMax(threads: number): number {
  return PAGES_MAX * PAGE - STATIC_BYTES - threads * STACK_BYTES;
}

/** exact.c's exports. */
interface Kernels {
  readonly __stack_pointer: WebAssembly.Global;
  readonly __heap_base: WebAssembly.Global;
  skein_abi(): number;
  skein_exec(base: number, op: number): void;
}

/** What a worker runs: instantiate over the shared memory, then serve the team (or, as thread 0, obey messages). */
const WORKER_SOURCE = `
const node = typeof self === "undefined";
const port = node ? require("node:worker_threads").parentPort : self;
const listen = (f) => (node ? port.on("message", f) : (port.onmessage = (e) => f(e.data)));
let kernels, base;
listen((m) => {
  if (m.op !== undefined) { kernels.skein_exec(base, m.op); port.postMessage("done"); return; }
  kernels = new WebAssembly.Instance(m.module, { env: { memory: m.memory } }).exports;
  kernels.__stack_pointer.value = m.stack;
  base = m.base;
  port.postMessage("ready");
  if (m.tid > 0) kernels.skein_serve(base, m.tid);
});`;

/** A worker of Node or of the web, alike. */
interface ThreadPort {
  post(message: unknown): void;
  terminate(): void;
}

function startThread(onMessage: () => void, onError: (message: string) => void): ThreadPort {
  const threads = nodeModule("node:worker_threads");
  if (threads) {
    const worker = new threads.Worker(WORKER_SOURCE, { eval: true });
    worker.on("message", onMessage);
    worker.on("error", (error) => onError(messageOf(error)));
    return { post: (message) => worker.postMessage(message), terminate: () => void worker.terminate() };
  }
  const url = URL.createObjectURL(new Blob([WORKER_SOURCE], { type: "text/javascript" }));
  const worker = new Worker(url);
  worker.onmessage = onMessage;
  worker.onerror = (event) => onError(event.message);
  return { post: (message) => worker.postMessage(message), terminate: () => worker.terminate() };
}

function canShareMemory(): boolean {
  return nodeModule("node:worker_threads") !== undefined || globalThis.crossOriginIsolated === true;
}

let compiled: Promise<WebAssembly.Module> | undefined;

function kernelModule(): Promise<WebAssembly.Module> {
  compiled ??= WebAssembly.compile(Uint8Array.from(atob(kernelsBase64), (c) => c.charCodeAt(0)));
  return compiled;
}

function makeMemory(totalBytes: number, threads: number): WebAssembly.Memory {
  const pages = Math.ceil((STATIC_BYTES + threads * STACK_BYTES + totalBytes) / PAGE);
  const need = `${(totalBytes / 2 ** 30).toFixed(2)} GiB`;
  if (pages > PAGES_MAX) {
    throw new SkeinError("memory", `the WASM engine cannot hold ${need}`, {
      details: "32-bit WebAssembly reaches 4 GiB",
      remedy: "use the native engine, a smaller micro-batch, recomputation or a smaller preset",
    });
  }
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  } catch (cause) {
    throw new SkeinError("memory", `this machine did not give the WASM engine ${need}`, {
      remedy: "use a smaller micro-batch, recomputation or a smaller preset",
      cause,
    });
  }
}

/** The memory's two plain operations, shared by both machines. */
function arenaAccess(memory: WebAssembly.Memory, base: number): Pick<Machine, "read" | "write"> {
  const all = new Uint8Array(memory.buffer);
  return {
    write: (offset, bytes) => all.set(bytes, base + offset),
    read: (offset, target) => target.set(all.subarray(base + offset, base + offset + target.length)),
  };
}

function checkKernels(kernels: Kernels): void {
  assert(kernels.skein_abi() === ABI, "kernels.wasm.ts was built from another exact.c: run npm run build:wasm");
  assert((kernels.__heap_base.value as number) <= STATIC_BYTES, "exact.c's static data outgrew its place");
}

/** One thread on the calling thread, for pages without shared memory. */
function inlineMachine(module: WebAssembly.Module, memory: WebAssembly.Memory, base: number): Machine {
  const kernels = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Kernels;
  checkKernels(kernels);
  return {
    backend: "wasm simd128, inline",
    ...arenaAccess(memory, base),
    run: async (op) => kernels.skein_exec(base, op),
    close: async () => {},
  };
}

async function threadedMachine(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  base: number,
  threads: number,
): Promise<Machine> {
  let settle: { done: () => void; failed: (error: SkeinError) => void } | undefined;
  let broken: SkeinError | undefined;
  const pending = (): Promise<void> =>
    broken
      ? Promise.reject(broken)
      : new Promise((resolve, reject) => {
          settle = { done: resolve, failed: reject };
        });
  const fail = (message: string): void => {
    broken = new SkeinError("engine", `a WASM thread failed: ${message}`, {
      remedy: "start again with fewer threads or a smaller preset",
    });
    settle?.failed(broken);
  };
  const team: ThreadPort[] = [];
  for (let tid = 0; tid < threads; tid++) {
    const ready = pending();
    const thread = startThread(() => settle?.done(), fail);
    team.push(thread);
    thread.post({ module, memory, base, tid, stack: STATIC_BYTES + (tid + 1) * STACK_BYTES });
    await ready;
  }
  const first = team[0] as ThreadPort;
  return {
    backend: "wasm simd128",
    ...arenaAccess(memory, base),
    run: (op) => {
      const done = pending();
      first.post({ op });
      return done;
    },
    close: async () => {
      for (const thread of team) thread.terminate();
    },
  };
}

/** Opens the exact engine on WebAssembly; one thread by default. Throws SkeinError("config"), or "memory" where the plan does not fit. */
export async function openExactWasm(options: EngineOptions): Promise<Engine> {
  const checked = checkOptions(options, 1);
  const threads = canShareMemory() ? checked.threads : 1;
  const settled = { ...checked, threads };
  const plan = planExact(settled);
  const memory = makeMemory(plan.totalBytes, threads);
  const module = await kernelModule();
  const base = STATIC_BYTES + threads * STACK_BYTES;
  if (!canShareMemory()) return exactEngine(inlineMachine(module, memory, base), settled, plan);
  return exactEngine(await threadedMachine(module, memory, base, threads), settled, plan);
}
