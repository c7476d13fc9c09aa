/**
 * Builds means.c as a native library for this machine, in Node, where a C compiler is present: part of `npm run build:native`. The
 * library is kept only where it gives the bits that the WebAssembly gives.
 */
import { mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { arch, platform } from "node:os";
import { basename, dirname, join } from "node:path";
import { bytesOf, equalBytes } from "../../base/bytes.ts";
import { messageOf } from "../../base/errors.ts";
import { type Random, seededRandom } from "../../base/random.ts";
import { compileAddon, findCompiler } from "../../engine/exact/native-build.node.ts";
import type { SparseTensor } from "../contribution.ts";
import { type MeansKernel, wasmMeans } from "../means.ts";
import { loadNativeMeans, meansKernelFolder, nativeMeansPath } from "./native.node.ts";

/** What a build came to: where the library is, or why there is none. */
export type MeansBuild = { readonly path: string } | { readonly reason: string };

/** Builds, checks, and removes what was built before. Never throws: no compiler is a reason, not a failure. */
export function buildNativeMeans(): MeansBuild {
  const compiler = findCompiler();
  if (!compiler) return { reason: "no C compiler found (looked for $CC, cc, gcc, clang)" };
  if (platform() === "win32") return { reason: "native builds are not made on Windows" };
  const path = nativeMeansPath();
  const temporary = `${path}.${process.pid}.node`;
  try {
    mkdirSync(dirname(path), { recursive: true });
    const machine = arch() === "arm64" ? "-mcpu=native" : "-march=native";
    compileAddon(compiler.command, join(meansKernelFolder(), "native.c"), [machine], temporary);
    if (!sameBits(loadNativeMeans(temporary))) return { reason: "this compiler breaks strict arithmetic" };
    renameSync(temporary, path);
    for (const file of readdirSync(dirname(path)))
      if (file !== basename(path) && file.endsWith(".node")) rmSync(join(dirname(path), file), { force: true });
    return { path };
  } catch (error) {
    return { reason: `${compiler.command} could not build it: ${messageOf(error).split("\n").slice(0, 3).join(" ")}` };
  } finally {
    rmSync(temporary, { force: true });
  }
}

function drawn(random: Random, length: number, density: number): SparseTensor {
  const at = Array.from({ length }, (_, i) => i).filter(() => random.uniform() < density);
  const value = (): number => (random.uniform() - 0.5) * 2 ** (random.below(24) - 20);
  return { indices: Int32Array.from(at), values: Float32Array.from(at, value) };
}

/** Whether `kernel` does to some tensors what the WebAssembly does. */
function sameBits(kernel: MeansKernel): boolean {
  const random = seededRandom("native means");
  return [1, 2047, 2048, 10_001].every((length) => {
    const contributions = Array.from({ length: 21 }, () => drawn(random, length, random.uniform() / 4));
    const factors = Float64Array.from(contributions, (_, r) => (r % 3 === 0 ? random.uniform() : 1));
    const params = Float32Array.from({ length }, () => random.uniform() - 0.5);
    return [true, false].every((bySenders) => {
      const [ours, theirs] = [params.slice(), params.slice()];
      const good = kernel.applyMean(ours, contributions, factors, 0.7, bySenders);
      wasmMeans.applyMean(theirs, contributions, factors, 0.7, bySenders);
      return good && equalBytes(bytesOf(ours), bytesOf(theirs));
    });
  });
}

/** As a program: build and say what came of it; exits 0 either way, since WebAssembly serves without it. */
if (process.argv[1] && import.meta.url.endsWith(`round/native/${basename(process.argv[1])}`)) {
  const outcome = buildNativeMeans();
  console.log(
    "path" in outcome
      ? "native outer step built"
      : `native outer step not built: ${outcome.reason}; WebAssembly will be used`,
  );
}
