// Kills `skein train` with SIGKILL again and again, in training and while it writes a checkpoint, and shows that the run ends
// with the same bytes as one that was never disturbed. Node only; needs the built package (dist/).
//
//   node scripts/kill-test.mjs [kills, default 100] [seed, default 1]
//
// A trial is one run folder: start, kill, start again … until the run is through by itself; then its last checkpoint must be,
// byte for byte, the undisturbed run's. Half of the kills come at a random moment, half when the temporary file of a checkpoint
// appears. Every third trial is a training by several peers, which saves its state after every round. Prints "N passed, M failed" (a kill is passed when its trial ended right) and exits with 1 where any failed.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { seededRandom } from "../dist/base/random.js";

const CLI = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const STEPS = 40;
const FLAGS = ["--preset", "nano", "--steps", STEPS, "--batch", 1, "--seq", 32, "--checkpoint-every", 1, "--json"].map(
  String,
);
const PEERS = ["--peers", "2", "--inner-steps", "8"];
const CHILD_MS_MAX = 60_000;
const KILLS_PER_TRIAL_MAX = 40;

const kills = Number(process.argv[2] ?? 100);
const seed = Number(process.argv[3] ?? 1);
let undisturbedMs = 0; // of the kind of run at hand
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "skein-kill-"));
const random = seededRandom(`kills/${seed}`).uniform;

/** Runs the command line; `disturb` may kill the child. Resolves to how it ended and what it said. */
function run(args, disturb = () => {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [CLI, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    const patience = setTimeout(() => child.kill("SIGKILL"), CHILD_MS_MAX);
    let said = "";
    const keep = (chunk) => {
      said = (said + chunk).slice(-4000);
    };
    child.stdout.setEncoding("utf8").on("data", keep);
    child.stderr.setEncoding("utf8").on("data", keep);
    child.on("error", reject);
    const undo = disturb(child);
    child.on("close", (code, signal) => {
      clearTimeout(patience);
      undo?.();
      resolve({ code, signal, said });
    });
  });
}

/** Kills at a random moment of a whole run's time: in start-up, in training, in loading, in writing. */
function atRandom(child) {
  const timer = setTimeout(() => child.kill("SIGKILL"), random() * undisturbedMs);
  return () => clearTimeout(timer);
}

/** Kills while the n-th checkpoint from now is being written: its temporary file carries a "~". */
function whileWriting(out) {
  return (child) => {
    fs.mkdirSync(out, { recursive: true });
    const delayMs = random() * 12;
    let left = 1 + Math.floor(random() * 3);
    const seen = new Set();
    const watcher = fs.watch(out, (_event, name) => {
      if (!name?.includes("~") || seen.has(name)) return;
      seen.add(name);
      left -= 1;
      if (left === 0) setTimeout(() => child.kill("SIGKILL"), delayMs);
    });
    return () => watcher.close();
  };
}

function lastCheckpoint(out) {
  const name = fs
    .readdirSync(out)
    .filter((file) => /^step-\d+\.safetensors$/.test(file))
    .sort()
    .at(-1);
  return (
    name && {
      name,
      sha256: createHash("sha256")
        .update(fs.readFileSync(path.join(out, name)))
        .digest("hex"),
    }
  );
}

function trainArgs(data, out, kind) {
  return ["train", "--data", data, "--out", out, ...FLAGS, ...(kind === "peers" ? PEERS : [])];
}

/** An undisturbed run of a kind: how long it took, and the checkpoint it ended with. */
async function undisturbed(data, kind) {
  const out = path.join(folder, `undisturbed-${kind}`);
  const beginMs = performance.now();
  const { code, said } = await run(trainArgs(data, out, kind));
  assert.equal(code, 0, `the undisturbed run failed:\n${said}`);
  const expected = lastCheckpoint(out);
  assert.match(expected?.name ?? "", new RegExp(`${STEPS}\\.safetensors$`));
  return { expected, ms: performance.now() - beginMs };
}

/** One run folder, killed until it is through. Returns how many kills it took and what went wrong, if anything. */
async function trial(data, out, kind, killsLeft) {
  let killed = 0;
  let midWrite = 0;
  for (;;) {
    const quiet = killed >= Math.min(killsLeft, KILLS_PER_TRIAL_MAX);
    const disturb = quiet ? undefined : random() < 0.5 ? whileWriting(out) : atRandom;
    const { code, signal, said } = await run(trainArgs(data, out, kind), disturb);
    if (signal === "SIGKILL" && !quiet) {
      killed += 1;
      if (fs.existsSync(out) && fs.readdirSync(out).some((name) => name.includes("~"))) midWrite += 1;
      continue;
    }
    const problem = code === 0 ? undefined : `ended with code ${code}, signal ${signal}:\n${said}`;
    return { killed, midWrite, problem };
  }
}

/** A small corpus of made-up sentences. */
async function prepareData() {
  const texts = path.join(folder, "texts");
  const data = path.join(folder, "data");
  fs.mkdirSync(texts);
  for (let i = 0; i < 40; i++) {
    const words = Array.from(
      { length: 400 },
      () => ["the", "sea", "is", "wide", "and", "old", "ships", "know", "it"][Math.floor(random() * 9)],
    );
    fs.writeFileSync(path.join(texts, `${i}.txt`), words.join(" "));
  }
  const { code, said } = await run(["data", texts, "--out", data, "--vocab", "300"]);
  assert.equal(code, 0, `preparing data failed:\n${said}`);
  return data;
}

async function main() {
  const startMs = performance.now();
  const data = await prepareData();
  const kinds = { alone: await undisturbed(data, "alone"), peers: await undisturbed(data, "peers") };

  let [passed, failed, midWrite] = [0, 0, 0];
  for (let n = 0; passed + failed < kills; n++) {
    assert.ok(n < 10 * kills, "the runs end before they can be killed");
    const out = path.join(folder, `trial-${n}`);
    const kind = n % 3 === 2 ? "peers" : "alone";
    const { expected } = kinds[kind];
    undisturbedMs = kinds[kind].ms;
    const result = await trial(data, out, kind, kills - passed - failed);
    const got = result.problem === undefined ? lastCheckpoint(out) : undefined;
    const right = got?.name === expected.name && got?.sha256 === expected.sha256;
    const leftovers = fs.existsSync(out) ? fs.readdirSync(out).filter((name) => name.includes("~")) : [];
    if (right && leftovers.length === 0) passed += result.killed;
    else {
      failed += Math.max(1, result.killed);
      console.log(
        `trial ${n} (seed ${seed}) went wrong: ${result.problem ?? `${got?.name} ${got?.sha256}`} ${leftovers.join(" ")}`,
      );
    }
    midWrite += result.midWrite;
    console.log(
      `trial ${n} (${kind}): ${result.killed} kills, ${result.midWrite} of them in the middle of a write; ${right ? "same bytes" : "DIFFERENT"}`,
    );
    fs.rmSync(out, { recursive: true, force: true });
  }
  const seconds = Math.round((performance.now() - startMs) / 1000);
  console.log(`kill -9: ${passed} passed, ${failed} failed (${midWrite} in the middle of a write; ${seconds} s)`);
  process.exitCode = failed === 0 ? 0 : 1;
}

try {
  await main();
} finally {
  fs.rmSync(folder, { recursive: true, force: true });
}
