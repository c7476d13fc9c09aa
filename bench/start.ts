/**
 * How long a newcomer waits: from `npm start` to the first optimizer step, in a fresh folder (corpus gathered, vocabulary trained,
 * text encoded) and in one that has its dataset.
 *
 *   npm run build && npm run build:all
 *   node build/ts/bench/start.js
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const root = resolve(fileURLToPath(import.meta.url), "../../../..");

/** Seconds from `npm start` to the first step's event. */
async function firstStep(folder: string): Promise<number> {
  const started = performance.now();
  const child = spawn("npm", ["start", "--silent", "--", "--json", "--dir", folder], {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  let seconds = Number.NaN;
  for await (const line of createInterface({ input: child.stdout })) {
    if ((JSON.parse(line) as { event: string }).event !== "step") continue;
    seconds = (performance.now() - started) / 1000;
    break;
  }
  process.kill(-(child.pid as number), "SIGINT");
  await new Promise((settle) => child.on("close", settle));
  return seconds;
}

const folder = mkdtempSync(join(tmpdir(), "skein-start-"));
const fresh = await firstStep(join(folder, "run"));
const again = await firstStep(join(folder, "run"));
rmSync(folder, { recursive: true, force: true });
console.log(`| fresh folder | ${fresh.toFixed(1)} s |\n| dataset there, going on | ${again.toFixed(1)} s |`);
