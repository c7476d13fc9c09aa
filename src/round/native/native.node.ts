/**
 * Runs means.c as a native library, in Node: the same bits as the WebAssembly, on the arrays where they lie instead of on copies.
 * Loads what build.node.ts has built for this very machine; where there is none the WebAssembly serves.
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { assert } from "../../base/assert.ts";
import { nativeFingerprint, packageRoot } from "../../engine/exact/native.node.ts";
import { kernelInputs, type MeansKernel, wasmMeans } from "../means.ts";

/** The addon's functions (kernels/native.c). */
interface Addon {
  means(
    params: Float32Array,
    indices: readonly Int32Array[],
    values: readonly (Uint8Array | Float32Array)[],
    tables: Float64Array,
    rate: number,
    bySenders: boolean,
  ): boolean;
  norms(values: readonly (Uint8Array | Float32Array)[], books: Float64Array, out: Float64Array): boolean;
}

/** Folder of the C sources within the package. */
export function meansKernelFolder(): string {
  return join(packageRoot(), "src/round/kernels");
}

/** The library for this machine and these sources, built or not; others have other names. */
export function nativeMeansPath(): string {
  return join(packageRoot(), "build/native/round", `means-${nativeFingerprint(meansKernelFolder())}.node`);
}

/** The kernel in an addon file. Throws where that cannot be loaded. */
export function loadNativeMeans(path: string): MeansKernel {
  const addon = createRequire(import.meta.url)(path) as Addon;
  return {
    name: "native",
    squaredNorms: (contributions) => {
      const { coded, data, tables } = kernelInputs(contributions, new Float64Array(contributions.length).fill(1));
      const norms = new Float64Array(contributions.length);
      assert(addon.norms(data, coded ? tables : new Float64Array(0), norms), "the contributions are arrays of values");
      return norms;
    },
    applyMean: (params, contributions, factors, rate, bySenders) => {
      const { data, tables } = kernelInputs(contributions, factors);
      const indices = contributions.map((sparse) => sparse.indices);
      return addon.means(params, indices, data, tables, rate, bySenders);
    },
  };
}

let best: MeansKernel | undefined;

/** The fastest kernel that this machine has: the native one where it was built, else the WebAssembly. */
export function bestMeans(): MeansKernel {
  if (best) return best;
  const path = nativeMeansPath();
  try {
    best = existsSync(path) ? loadNativeMeans(path) : wasmMeans;
  } catch {
    best = wasmMeans; // built by another C library, say: as if it were not there
  }
  return best;
}
