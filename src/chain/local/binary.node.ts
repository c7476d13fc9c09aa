/**
 * Names Node: where anvil's program is. The npm package `@foundry-rs/anvil` pulls in one of its platform packages, which carries the
 * program inside, so nothing is downloaded at install or at run time.
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import * as path from "node:path";
import { SkeinError } from "../../base/errors.ts";

const PLATFORMS: Readonly<Record<string, string>> = {
  "linux-x64": "linux-amd64",
  "linux-arm64": "linux-arm64",
  "darwin-x64": "darwin-amd64",
  "darwin-arm64": "darwin-arm64",
  "win32-x64": "win32-amd64",
};

const ELSEWHERE = "run the chain on another machine and name its address with --rpc";

/**
 * Path of anvil's program for this platform. Throws SkeinError("chain") where there is none.
 */
export function anvilBinary(platform: string = process.platform, arch: string = process.arch): string {
  const name = PLATFORMS[`${platform}-${arch}`];
  if (name === undefined) {
    throw new SkeinError("chain", `there is no embedded chain for ${platform} on ${arch}`, { remedy: ELSEWHERE });
  }
  const require = createRequire(import.meta.url);
  const module = `@foundry-rs/anvil-${name}`;
  try {
    // The platform package is a dependency of the other one, so it is looked up from there.
    const from = createRequire(require.resolve("@foundry-rs/anvil/package.json"));
    const file = path.join(
      path.dirname(from.resolve(`${module}/package.json`)),
      "bin",
      platform === "win32" ? "anvil.exe" : "anvil",
    );
    if (existsSync(file)) return file;
  } catch (cause) {
    throw missing(module, cause);
  }
  throw missing(module, undefined);
}

function missing(module: string, cause: unknown): SkeinError {
  return new SkeinError("chain", `the program of the embedded chain is missing (npm package ${module})`, {
    details: "npm leaves out packages for other platforms, and all of them under --omit=optional",
    remedy: `install again without --omit=optional, or ${ELSEWHERE}`,
    cause,
  });
}
