/**
 * Before any test: src/ to dist/, for tests that start the command line, and contracts/ to build/contracts/, for tests that deploy them. Types
 * are `npm run check`'s business.
 */
import { spawnSync } from "node:child_process";
import path from "node:path";

export default function build(): void {
  const root = path.resolve(import.meta.dirname, "../..");
  const tsc = path.join(root, "node_modules/typescript/bin/tsc");
  const run = spawnSync(process.execPath, [tsc, "-p", "tsconfig.build.json"], { cwd: root, encoding: "utf8" });
  if (run.status !== 0) console.warn(`dist/ was built with complaints:\n${run.stdout}${run.stderr}`);
  const script = path.join(root, "scripts/contracts.mjs");
  const contracts = spawnSync(process.execPath, [script, "--quiet"], { cwd: root, encoding: "utf8" });
  if (contracts.status !== 0) console.warn(`the contracts were compiled with complaints:\n${contracts.stderr}`);
}
