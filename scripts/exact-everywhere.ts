/**
 * Shows that training and rounds compute the same bits everywhere it can be tried from here: in this Node, in other major versions
 * of Node (their binaries come as npm packages), and in headless Chromium with and without shared memory. Two things are run:
 *
 * - the exact engine's fingerprint (20 steps, see src/engine/exact/fingerprint.ts), as WASM and as the native library, at 1, 2 and 3
 *   threads;
 * - the golden rounds (test/helpers/golden-rounds.ts): payloads written, signed, decoded, aggregated by every rule and applied; each
 *   payload's hash and each state root against vectors/rounds.json. As WASM and as the native library; in this Node by the slow
 *   reference too.
 *
 *   npm run build:all
 *   node build/ts/scripts/exact-everywhere.js            everything; ends with "N passed, M failed"
 *   node build/ts/scripts/exact-everywhere.js --here     this Node only, as JSON lines
 */
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { checkOptions } from "../src/engine/batch.ts";
import type { EngineOptions } from "../src/engine/engine.ts";
import { exactFingerprint, FINGERPRINT } from "../src/engine/exact/fingerprint.ts";
import { nativeStatus, openExactNative } from "../src/engine/exact/native.node.ts";
import { openExactWasm } from "../src/engine/exact/wasm.ts";
import { wasmMeans } from "../src/round/means.ts";
import { bestMeans } from "../src/round/native/native.node.ts";
import {
  fastRound,
  firstDifference,
  type GoldenSequence,
  goldenSequence,
  lastRoot,
  slowRound,
} from "../test/helpers/golden-rounds.ts";

const OTHER_NODES = ["22", "24"];
const root = resolve(fileURLToPath(import.meta.url), "../../../.."); // from build/ts/scripts/
const goldenRounds = JSON.parse(readFileSync(join(root, "vectors/rounds.json"), "utf8")) as readonly GoldenSequence[];
let passed = 0;
let failed = 0;

/** What a run came to: the fingerprint's hash, or the golden rounds. */
type Result = string | GoldenSequence;

function report(where: string, result: Result): void {
  const rounds = typeof result !== "string";
  const golden = rounds ? goldenRounds.find(({ bits }) => bits === result.bits) : undefined;
  const good = rounds ? golden && firstDifference(result, golden) === undefined : result === FINGERPRINT;
  if (good) passed++;
  else failed++;
  const what = rounds ? `rounds, ${result.bits}-bit payloads` : "training";
  console.log(
    `${good ? "same bits" : "DIFFERENT"}  ${where}, ${what}  ${(rounds ? lastRoot(result) : result).slice(0, 16)}`,
  );
  if (golden && !good && rounds) console.log(`  they part at: ${firstDifference(result, golden)}`);
}

async function here(say: (where: string, result: Result) => void): Promise<void> {
  const kernels = bestMeans() === wasmMeans ? [wasmMeans] : [wasmMeans, bestMeans()];
  for (const kernel of kernels) {
    for (const { bits } of goldenRounds)
      say(
        kernel.name,
        goldenSequence(bits, (...round) => fastRound(...round, kernel)),
      );
  }
  const wasm = async (options: EngineOptions) => openExactWasm(checkOptions(options, 1));
  const native = async (options: EngineOptions) => openExactNative(checkOptions(options, 1));
  const status = nativeStatus();
  for (const threads of [1, 2, 3]) say(`wasm, ${threads} threads`, await exactFingerprint(wasm, { threads }));
  if (!status.available) return;
  for (const threads of [1, 2, 3])
    say(`native ${status.record.variant}, ${threads} threads`, await exactFingerprint(native, { threads }));
}

/** Fetches another Node as an npm package and runs this script's --here in it. */
function inOtherNode(major: string): void {
  const folder = mkdtempSync(join(tmpdir(), "skein-node-"));
  const name = `node-${process.platform}-${process.arch}`;
  try {
    execFileSync("npm", ["install", "--prefix", folder, "--no-save", "--ignore-scripts", `${name}@${major}`], {
      stdio: "ignore",
    });
    const node = join(folder, "node_modules", name, "bin/node");
    const out = execFileSync(node, [fileURLToPath(import.meta.url), "--here"], { encoding: "utf8" });
    for (const line of out.trim().split("\n")) {
      const { version, where, result } = JSON.parse(line) as { version: string; where: string; result: Result };
      report(`Node ${version}, ${where}`, result);
    }
  } catch (error) {
    const fetched = existsSync(join(folder, "node_modules", name));
    if (fetched) failed++;
    console.log(`${fetched ? "FAILED" : "skipped"}: Node ${major}: ${String(error).split("\n")[0]}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const PAGE = `<!doctype html><meta charset="utf-8"><title>fingerprint</title>
<script type="importmap">{"imports":{"@noble/hashes/":"/node_modules/@noble/hashes/","@noble/curves/":"/node_modules/@noble/curves/"}}</script>
<script type="module">
const say = (body) => fetch("/result", { method: "POST", body: JSON.stringify(body) });
try {
  const { openExactWasm } = await import("/dist/engine/exact/wasm.js");
  const { checkOptions } = await import("/dist/engine/batch.js");
  const { exactFingerprint } = await import("/dist/engine/exact/fingerprint.js");
  const open = (options) => openExactWasm(checkOptions(options, 1));
  const shared = self.crossOriginIsolated;
  const memory = shared ? "shared memory" : "no shared memory";
  for (const threads of shared ? [1, 2, 3] : [1])
    await say({ where: memory + ", " + threads + " threads", result: await exactFingerprint(open, { threads }) });
  const { goldenSequence } = await import("/build/ts/test/helpers/golden-rounds.js");
  for (const bits of BITS) await say({ where: memory, result: goldenSequence(bits) });
  await say({ done: true });
} catch (error) { await say({ done: true, error: String(error && error.stack || error) }); }
</script>`;

/** The page's text. */
const page = PAGE.replace("BITS", JSON.stringify(goldenRounds.map(({ bits }) => bits)));

const TYPES: Record<string, string> = { ".js": "text/javascript", ".json": "application/json" };

interface PageReport {
  readonly where?: string;
  readonly result?: Result;
  readonly done?: boolean;
  readonly error?: string;
}

/** Serves the page, the built library and what the page posts back. */
function serve(isolated: boolean, onReport: (report: PageReport) => void): Promise<Server> {
  const server = createServer((request, response) => {
    if (isolated) {
      response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
      response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
    }
    if (request.method === "POST") {
      let body = "";
      request.on("data", (chunk: Buffer) => (body += chunk.toString()));
      request.on("end", () => {
        response.end();
        onReport(JSON.parse(body) as PageReport);
      });
      return;
    }
    const path = new URL(request.url ?? "/", "http://localhost").pathname;
    if (path === "/") {
      response.setHeader("Content-Type", "text/html");
      response.end(page);
      return;
    }
    const file = resolve(root, `.${path}`);
    if (!file.startsWith(root + sep) || !existsSync(file)) {
      response.statusCode = 404;
      response.end();
      return;
    }
    response.setHeader("Content-Type", TYPES[extname(file)] ?? "application/octet-stream");
    response.end(readFileSync(file));
  });
  return new Promise((settle) => server.listen(0, "127.0.0.1", () => settle(server)));
}

function findChromium(): string | undefined {
  return ["chromium", "chromium-browser", "google-chrome"].find((name) => {
    try {
      execFileSync(name, ["--version"], { stdio: "ignore" });
      return true;
    } catch {
      return false;
    }
  });
}

async function inChromium(command: string, isolated: boolean): Promise<void> {
  const profile = mkdtempSync(join(tmpdir(), "skein-chromium-"));
  let finish: (error?: string) => void = () => {};
  const finished = new Promise<string | undefined>((settle) => {
    finish = settle;
  });
  const server = await serve(isolated, ({ where, result, done, error }) => {
    if (where && result) report(`Chromium, ${where}`, result);
    if (done) finish(error);
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const flags = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
  ];
  const browser = spawn(
    command,
    [...flags, "--disable-component-update", "--disable-sync", `--user-data-dir=${profile}`, url],
    { stdio: "ignore" },
  );
  browser.on("exit", () => finish("the browser left"));
  const limit = setTimeout(() => finish("no answer within 120 s"), 120_000);
  const error = await finished;
  clearTimeout(limit);
  browser.kill("SIGKILL");
  server.close();
  server.closeAllConnections();
  await new Promise((settle) => setTimeout(settle, 200));
  rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  if (error) {
    failed++;
    console.log(`FAILED: Chromium: ${error}`);
  }
}

if (process.argv.includes("--here")) {
  await here((where, result) => console.log(JSON.stringify({ version: process.version, where, result })));
} else {
  for (const { bits } of goldenRounds) report("slow reference", goldenSequence(bits, slowRound));
  await here((where, result) => report(`Node ${process.version}, ${where}`, result));
  for (const major of OTHER_NODES) if (!process.version.startsWith(`v${major}.`)) inOtherNode(major);
  const chromium = findChromium();
  if (chromium) for (const isolated of [true, false]) await inChromium(chromium, isolated);
  else console.log("skipped: Chromium: not installed");
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
}
