/**
 * Builds exact.c as a native library for this machine, in Node: at `npm ci` and by `npm run build:native`, where a C compiler is present.
 *
 * Several builds with other tile shapes are tried on a small training step and the fastest is kept: the best tile differs between
 * processors (512-bit registers win on some, 256-bit ones on others), and all give the same bits, which is checked here too.
 * Without a compiler nothing is built and the WASM engine serves; `skein doctor` says so.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { arch, platform } from "node:os";
import { basename, join } from "node:path";
import { bytesOf } from "../../base/bytes.ts";
import { systemClock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import { sha256Hex } from "../../base/hash.ts";
import { paramCount } from "../shape.ts";
import { kernelFolder, type NativeRecord, nativeFingerprint, nativeFolder, openExactAddon } from "./native.node.ts";

/** One way to build: vector length, tile rows, vectors across, and what the compiler must be told. */
interface Variant {
  readonly name: string;
  readonly vl: number;
  readonly mr: number;
  readonly nv: number;
  readonly flags: readonly string[];
}

/** What a build attempt came to. */
export type BuildOutcome =
  | {
      readonly built: true;
      readonly record: NativeRecord;
      readonly tried: readonly { variant: string; tokensPerSecond: number }[];
    }
  | { readonly built: false; readonly reason: string };

const X86: readonly Variant[] = [
  {
    name: "avx512 256-bit 12x16",
    vl: 8,
    mr: 12,
    nv: 2,
    flags: ["-mavx512f", "-mavx512vl", "-mavx512dq", "-mprefer-vector-width=256"],
  },
  {
    name: "avx512 512-bit 12x32",
    vl: 16,
    mr: 12,
    nv: 2,
    flags: ["-mavx512f", "-mavx512vl", "-mavx512dq", "-mprefer-vector-width=512"],
  },
  {
    name: "avx512 512-bit 6x64",
    vl: 16,
    mr: 6,
    nv: 4,
    flags: ["-mavx512f", "-mavx512vl", "-mavx512dq", "-mprefer-vector-width=512"],
  },
];
const X86_AVX2: readonly Variant[] = [
  { name: "avx2 4x16", vl: 8, mr: 4, nv: 2, flags: ["-mavx2"] },
  { name: "avx2 6x16", vl: 8, mr: 6, nv: 2, flags: ["-mavx2"] },
];
const X86_SSE: readonly Variant[] = [{ name: "sse2 4x8", vl: 4, mr: 4, nv: 2, flags: [] }];
const ARM: readonly Variant[] = [
  { name: "neon 8x8", vl: 4, mr: 8, nv: 2, flags: [] },
  { name: "neon 6x16", vl: 4, mr: 6, nv: 4, flags: [] },
];

/** The C compiler of this machine, if there is one. */
export function findCompiler(): { command: string; version: string } | undefined {
  for (const command of [process.env["CC"], "cc", "gcc", "clang"]) {
    if (!command) continue;
    try {
      const version = execFileSync(command, ["--version"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
      return { command, version: version.split("\n")[0] ?? command };
    } catch {
      // not here: try the next
    }
  }
  return undefined;
}

/** Macros the compiler defines for this processor: tells which instruction sets there are. */
function processorMacros(command: string): string {
  const flag = arch() === "arm64" ? "-mcpu=native" : "-march=native";
  try {
    return execFileSync(command, [flag, "-dM", "-E", "-x", "c", "/dev/null"], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
  } catch {
    return "";
  }
}

function variantsHere(command: string): readonly Variant[] {
  if (arch() === "arm64") return ARM;
  if (arch() !== "x64") return [];
  const macros = processorMacros(command);
  if (macros.includes("__AVX512VL__") && macros.includes("__AVX512DQ__")) return [...X86, ...X86_AVX2.slice(0, 1)];
  return macros.includes("__AVX2__") ? X86_AVX2 : X86_SSE;
}

/** Compiles a C source to an addon, with strict arithmetic. Throws where the compiler does. */
export function compileAddon(command: string, source: string, flags: readonly string[], output: string): void {
  const headers = (createRequire(import.meta.url)("node-api-headers") as { include_dir: string }).include_dir;
  const shared = platform() === "darwin" ? ["-bundle", "-undefined", "dynamic_lookup"] : ["-shared", "-pthread"];
  const args = [
    ...["-O3", "-fPIC", "-ffp-contract=off", "-fno-math-errno", "-fno-fast-math", "-Wno-psabi", "-Wno-unused-function"],
    ...[...flags, `-I${headers}`, ...shared, source, "-o", output],
  ];
  execFileSync(command, args, { stdio: ["ignore", "ignore", "pipe"] });
}

function compile(command: string, variant: Variant, output: string): void {
  const flags = [...variant.flags, `-DVL=${variant.vl}`, `-DMR=${variant.mr}`, `-DNV=${variant.nv}`];
  compileAddon(command, join(kernelFolder(), "native.c"), flags, output);
}

/** Trains a small model for a few steps: speed of the fastest step and a hash of the params, which all variants must share. */
async function trial(path: string, variant: string): Promise<{ tokensPerSecond: number; hash: string }> {
  const shape = {
    vocabSize: 512,
    dim: 256,
    layers: 2,
    heads: 8,
    kvHeads: 4,
    headDim: 32,
    ffnDim: 688,
    ropeTheta: 10_000,
    normEps: 1e-5,
    tied: false,
  };
  const engine = openExactAddon(path, variant, { shape, seqLen: 128, microBatch: 4, threads: 1, recompute: false });
  const values = new Float32Array(paramCount(shape)).map((_, i) => (((i * 7919) % 1009) - 504) / 20_000);
  await engine.write("params", values);
  const batch = { rows: 4, length: 128, tokens: new Int32Array(4 * 129).map((_, i) => (i * i) % 512) };
  let bestMs = Number.POSITIVE_INFINITY;
  for (let step = 0; step < 4; step++) {
    const start = systemClock.monotonic();
    await engine.trainStep(batch, { lr: 1e-3 });
    bestMs = Math.min(bestMs, systemClock.monotonic() - start);
  }
  const hash = sha256Hex(bytesOf(await engine.read("params")));
  await engine.close();
  return { tokensPerSecond: Math.round((batch.rows * batch.length * 1000) / bestMs), hash };
}

/** Builds all variants for this machine, keeps the fastest. Never throws: no compiler is a reason, not a failure. */
export async function buildNative(): Promise<BuildOutcome> {
  const compiler = findCompiler();
  if (!compiler) return { built: false, reason: "no C compiler found (looked for $CC, cc, gcc, clang)" };
  if (platform() === "win32") return { built: false, reason: "native builds are not made on Windows" };
  try {
    return await buildAndChoose(compiler);
  } catch (error) {
    return {
      built: false,
      reason: `${compiler.command} could not build it: ${messageOf(error).split("\n").slice(0, 3).join(" ")}`,
    };
  }
}

async function buildAndChoose(compiler: { command: string; version: string }): Promise<BuildOutcome> {
  const folder = nativeFolder();
  mkdirSync(folder, { recursive: true });
  const tried: { variant: string; tokensPerSecond: number; path: string; hash: string }[] = [];
  for (const variant of variantsHere(compiler.command)) {
    const path = join(folder, `${variant.name.replace(/\W+/g, "-")}-${process.pid}.node`);
    compile(compiler.command, variant, path);
    tried.push({ variant: variant.name, path, ...(await trial(path, variant.name)) });
  }
  tried.sort((a, b) => b.tokensPerSecond - a.tokensPerSecond);
  const best = tried[0];
  if (!best) return { built: false, reason: `no native build is made for ${arch()}` };
  if (tried.some((t) => t.hash !== best.hash))
    return { built: false, reason: "builds disagree: this compiler breaks strict arithmetic" };
  const record: NativeRecord = {
    file: basename(best.path),
    variant: best.variant,
    compiler: compiler.version,
    fingerprint: nativeFingerprint(),
  };
  const temporary = join(folder, `native.json.${process.pid}`);
  writeFileSync(temporary, `${JSON.stringify(record, null, 2)}\n`);
  renameSync(temporary, join(folder, "native.json"));
  for (const file of readdirSync(folder))
    if (file.endsWith(".node") && file !== record.file) rmSync(join(folder, file), { force: true });
  return { built: true, record, tried: tried.map(({ variant, tokensPerSecond }) => ({ variant, tokensPerSecond })) };
}

/** As a program: build and say what came of it; exits 0 either way, since WASM serves without it. */
if (
  process.argv[1] &&
  import.meta.url.endsWith(basename(process.argv[1])) &&
  basename(process.argv[1]).startsWith("native-build")
) {
  const outcome = await buildNative();
  if (outcome.built) {
    const list = outcome.tried.map((t) => `${t.variant} ${t.tokensPerSecond} tok/s`).join(", ");
    console.log(`native engine built: ${outcome.record.variant} (${outcome.record.compiler}; tried ${list})`);
  } else {
    console.log(`native engine not built: ${outcome.reason}; the WASM engine will be used (2 to 4 times slower)`);
  }
}
