/** Instantiates a kernel of this folder: WebAssembly with memory of its own, which grows on request and never shrinks. */
import { assert } from "../../base/assert.ts";

const PAGE_BYTES = 65_536;
/** Enough for what any of the kernels holds by itself. */
const INITIAL_PAGES = 32;
/** What 32 bits can address. */
const MEMORY_BYTES_MAX = 2 ** 32 - PAGE_BYTES;

/** A kernel's functions and its memory. */
export interface OpenKernel<Exports> {
  readonly call: Exports;
  /** First byte that the kernel itself does not use. */
  readonly heapBase: number;
  /** Makes the memory at least `bytes` long. Views from before are then void. */
  reserve(bytes: number): void;
  /** The memory as it is now. */
  buffer(): ArrayBuffer;
}

/** The kernel whose module is `base64`. */
export function openKernel<Exports>(base64: string): OpenKernel<Exports> {
  const memory = new WebAssembly.Memory({ initial: INITIAL_PAGES });
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } });
  const heapBase = (exports["__heap_base"] as WebAssembly.Global).value as number;
  return {
    call: exports as unknown as Exports,
    heapBase,
    reserve(wanted) {
      assert(wanted <= MEMORY_BYTES_MAX, "what the kernel works on fits 32-bit memory");
      const missing = Math.ceil((wanted - memory.buffer.byteLength) / PAGE_BYTES);
      if (missing > 0) memory.grow(missing);
    },
    buffer: () => memory.buffer,
  };
}
