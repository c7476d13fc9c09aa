/**
 * Runs exact.c as a native library, in Node: the same bits as the WASM, 2 to 4 times faster. This file loads what
 * native-build.node.ts has built for this very machine; where there is none, or it was built for another processor or
 * another source, it says why and what to do.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { arch, cpus, platform } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { assert } from "../../base/assert.ts";
import { utf8 } from "../../base/bytes.ts";
import { messageOf, SkeinError, shown } from "../../base/errors.ts";
import { sha256Stream, toHex } from "../../base/hash.ts";
import type { Engine, EngineOptions } from "../engine.ts";
import { exactEngine, type Machine } from "./exact.ts";
import { ABI, planExact } from "./plan.ts";

/** The addon's functions (kernels/native.c). */
interface Addon {
  open(bytes: number, threads: number): object | undefined;
  write(arena: object, offset: number, bytes: Uint8Array): void;
  read(arena: object, offset: number, target: Uint8Array): void;
  run(arena: object, op: number): Promise<void>;
  close(arena: object): void;
  abi(): number;
}

/** What native-build.node.ts leaves beside the library. */
export interface NativeRecord {
  /** File name of the addon. */
  readonly file: string;
  /** For people: "avx512 256-bit 12x16". */
  readonly variant: string;
  /** Compiler and version. */
  readonly compiler: string;
  /** Sources and processor it was built for; must match to be loaded. */
  readonly fingerprint: string;
}

/** Whether the native library can be used, and if not, why and what would help. */
export type NativeStatus =
  | { readonly available: true; readonly record: NativeRecord; readonly path: string }
  | { readonly available: false; readonly reason: string; readonly remedy: string };

/** The package's folder. */
export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, "package.json")) && dirname(folder) !== folder) folder = dirname(folder);
  return folder;
}

/** Folder of the C source within the package. */
export function kernelFolder(): string {
  return join(packageRoot(), "src/engine/exact/kernels");
}

/** Folder the library is built into. */
export function nativeFolder(): string {
  return join(packageRoot(), "build/native");
}

/** Identifies the C sources in `folder`, processor and Node's architecture: a library built for others must not be loaded. */
export function nativeFingerprint(folder: string = kernelFolder()): string {
  const hash = sha256Stream();
  for (const file of readdirSync(folder).sort()) hash.update(readFileSync(join(folder, file)));
  hash.update(utf8(`${platform()} ${arch()} ${cpus()[0]?.model ?? ""} ${processorFlags()}`));
  return toHex(hash.digest()).slice(0, 32);
}

function processorFlags(): string {
  try {
    return /^(?:flags|Features)\s*:.*$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[0] ?? "";
  } catch {
    return ""; // not Linux: the processor's model must do
  }
}

const REBUILD = "run `npm run build:native` in Skein's folder (needs a C compiler: gcc or clang)";

/** Looks for a library built for this machine. */
export function nativeStatus(): NativeStatus {
  const file = join(nativeFolder(), "native.json");
  let record: NativeRecord;
  try {
    record = JSON.parse(readFileSync(file, "utf8")) as NativeRecord;
  } catch {
    return { available: false, reason: "the native library has not been built", remedy: REBUILD };
  }
  const path = join(nativeFolder(), shown(record.file));
  if (record.fingerprint !== nativeFingerprint() || !existsSync(path)) {
    return {
      available: false,
      reason: "the native library was built for another processor or version",
      remedy: REBUILD,
    };
  }
  return { available: true, record, path };
}

/** Loads an addon file and checks that it fits this version. */
function loadAddon(path: string): Addon {
  try {
    const addon = createRequire(import.meta.url)(path) as Addon;
    assert(addon.abi() === ABI, `${path} has another arena layout`);
    return addon;
  } catch (cause) {
    throw new SkeinError("engine", `the native library cannot be loaded: ${messageOf(cause)}`, {
      remedy: REBUILD,
      cause,
    });
  }
}

function nativeMachine(addon: Addon, backend: string, bytes: number, threads: number): Machine {
  const arena = addon.open(bytes, threads);
  if (!arena) {
    throw new SkeinError("memory", `this machine did not give ${(bytes / 2 ** 30).toFixed(2)} GiB`, {
      remedy: "use a smaller micro-batch, recomputation or a smaller preset",
    });
  }
  return {
    backend,
    write: (offset, data) => addon.write(arena, offset, data),
    read: (offset, target) => addon.read(arena, offset, target),
    run: (op) => addon.run(arena, op),
    close: async () => addon.close(arena),
  };
}

/** Opens the exact engine on a given addon file; `variant` is its name for people. */
export function openExactAddon(path: string, variant: string, options: Required<EngineOptions>): Engine {
  const plan = planExact(options);
  const machine = nativeMachine(loadAddon(path), `native ${variant}`, plan.totalBytes, options.threads);
  return exactEngine(machine, options, plan);
}

/** Opens the exact engine on the native library. Throws SkeinError("engine") where there is none, "memory" where it does not fit. */
export async function openExactNative(options: Required<EngineOptions>): Promise<Engine> {
  const status = nativeStatus();
  if (!status.available) throw new SkeinError("engine", status.reason, { remedy: status.remedy });
  return openExactAddon(status.path, status.record.variant, options);
}
