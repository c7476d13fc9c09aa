/** Which code this is. A seed means something only together with it. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

/** The package's version. */
export function packageVersion(): string {
  return (JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string }).version;
}

/** The commit of a checkout, with "+" where files were changed since; elsewhere the package's version. */
export function codeVersion(): string {
  if (!existsSync(join(ROOT, ".git"))) return `version ${packageVersion()}`;
  const git = (...args: readonly string[]): string =>
    execFileSync("git", ["-C", ROOT, ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  try {
    return `commit ${git("rev-parse", "--short=12", "HEAD")}${git("status", "--porcelain") === "" ? "" : "+"}`;
  } catch {
    return `version ${packageVersion()}`; // no git here
  }
}
