// What the network's checks share: a folder of their own, the command line in real processes, waiting for what these say, counting what holds.
// Whatever is started ends with this process, however that ends: a channel to each child closes with it.
import { spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import readline from "node:readline";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const STOP_MS = 20_000;

/** Where everything of these checks is. */
export const folder = fs.mkdtempSync(path.join(os.tmpdir(), "skein-network-"));
const programs = [];
const counts = { passed: 0, failed: 0, skipped: 0 };

/** One line for one claim. */
export function check(what, holds, more = "") {
  counts[holds ? "passed" : "failed"] += 1;
  console.log(`${holds ? "ok    " : "FAILED"} ${what}${more === "" ? "" : `: ${more}`}`);
  return holds;
}

/** A claim that cannot be tried here. */
export function skip(what, why) {
  counts.skipped += 1;
  console.log(`skip   ${what}: ${why}`);
}

/**
 * Starts a command with --json. `heard` gets its events, which are kept too; `node` are arguments for Node itself. `wait` resolves with the first event
 * from place `from` on for which `fits` says yes; undefined where the time is over or the command has ended without it.
 */
export function skein(args, heard = () => undefined, node = []) {
  const stdio = ["ignore", "pipe", "pipe", "ipc"];
  const child = spawn(process.execPath, [...node, MAIN, ...args], { cwd: folder, stdio });
  const program = { args, child, events: [], errors: "", isOver: false };
  const looks = new Set();
  const look = () => {
    for (const each of looks) each();
  };
  child.stderr.on("data", (bytes) => {
    program.errors = (program.errors + bytes).slice(-4000);
  });
  readline.createInterface({ input: child.stdout }).on("line", (line) => {
    const event = eventIn(line);
    if (event === undefined) return console.log(`not JSON: ${line}`);
    program.events.push(event);
    heard(event);
    look();
  });
  const ended = new Promise((resolve) =>
    child.once("close", (code) => {
      program.isOver = true;
      look();
      resolve({ code, errors: program.errors });
    }),
  );
  const wait = (fits, { from = 0, seconds = 90 } = {}) =>
    new Promise((resolve) => {
      let at = from;
      const end = (event) => {
        clearTimeout(timer);
        looks.delete(each);
        resolve(event);
      };
      const each = () => {
        for (; at < program.events.length; at++) if (fits(program.events[at])) return end(program.events[at]);
        if (program.isOver) end(undefined);
      };
      const timer = setTimeout(() => end(undefined), 1000 * seconds);
      looks.add(each);
      each();
    });
  programs.push(Object.assign(program, { ended, wait, stop: () => child.kill("SIGINT") }));
  return program;
}

function eventIn(line) {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/** Ends what is still running, the last started first. */
export async function endAll() {
  for (const { child, ended, isOver } of programs.reverse()) {
    if (isOver) continue;
    child.kill("SIGCONT");
    child.kill("SIGINT");
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
    await ended;
    clearTimeout(timer);
  }
}

/** Removes the folder unless it is to be kept, says the counts, and sets the exit code. */
export function finish(keep) {
  if (keep) console.log(`kept   ${folder}`);
  else fs.rmSync(folder, { recursive: true, force: true });
  const { passed, failed, skipped } = counts;
  console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
  process.exitCode = failed > 0 ? 1 : 0;
}

/** Rounds by number: the distinct results that nodes told. */
export function resultsOf(events) {
  const results = new Map();
  for (const { event, round, uids, root } of events) {
    if (event === "applied") results.set(round, (results.get(round) ?? new Set()).add(`${uids} ${root}`));
  }
  return results;
}
