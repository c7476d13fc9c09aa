// The network as its users run it, in real processes, under trouble. Node only; needs the built package (dist/).
//
//   node scripts/network.mjs churn [--rounds 12] [--every 6] [--seed 1] [--quiet]
//       `skein up` on a small run, while every few seconds a random process (chain, gateway and validators included) is killed with SIGKILL.
//       Shows: every node ends with the same state root, no round that was applied is lost or done over, the loss falls. --quiet kills nobody
//       (what a churned run is compared with: the last line of both tells the loss by round).
//   node scripts/network.mjs join
//       A stranger with an empty folder and nothing but the link joins a running network, trains, is paid, leaves; then the whole network
//       is stopped and goes on from the same state root.
//   node scripts/network.mjs trouble
//       Wrong links, wrong and stuck chains, full disks, wrong clocks, a dead gateway, a dead chain, damaged blobs, a hotkey and a folder used
//       twice: each gives a clear message with a remedy and an exit code, or is waited for, and nothing is lost (network-trouble.mjs).
//
// Prints "N passed, M failed" and exits with 1 where any failed.
import fs from "node:fs";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { seededRandom } from "../dist/base/random.js";
import { readSpecText, specBytes } from "../dist/run/parse.js";
import { check, endAll, finish, folder, resultsOf, skein } from "./network-lib.mjs";
import { trouble } from "./network-trouble.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "12" },
    every: { type: "string", default: "6" },
    seed: { type: "string", default: "1" },
    quiet: { type: "boolean", default: false },
    keep: { type: "boolean", default: false },
  },
});

/** A run of the laptop's model with short rounds, in <folder>/up. */
async function prepare() {
  const made = await skein([
    "init",
    "run.json",
    "--preset",
    "laptop",
    "--name",
    "network check",
    "--seed",
    "7",
    "--json",
  ]).ended;
  if (made.code !== 0) throw new Error(made.errors);
  const spec = readSpecText(fs.readFileSync(path.join(folder, "run.json"), "utf8"));
  const inner = {
    ...spec.inner,
    steps: 4,
    batch: 4,
    schedule: { ...spec.inner.schedule, warmupSteps: 8, steps: 4 * 200 },
  };
  const timing = { trainBlocks: 6, revealBlocks: 2, voteBlocks: 3 };
  const audit = { ...spec.audit, spans: 2 };
  fs.mkdirSync(path.join(folder, "up"));
  fs.writeFileSync(path.join(folder, "up/run.json"), specBytes({ ...spec, inner, timing, audit, checkpointEvery: 5 }));
  const data = fs.readdirSync(path.join(folder, ".skein")).find((name) => name.startsWith("data-"));
  fs.renameSync(path.join(folder, ".skein", data), path.join(folder, "up", data));
}

/** What every node says it has applied, by node: rounds in order with uids and root. */
function appliedBy(events) {
  const by = new Map();
  for (const { node, event, round, uids, root } of events) {
    if (event !== "applied") continue;
    by.set(node, [...(by.get(node) ?? []), { round, uids, root }]);
  }
  return by;
}

function lossesOf(events) {
  const losses = new Map();
  for (const { event, round, loss } of events) if (event === "validation") losses.set(round, loss);
  return [...losses].sort(([a], [b]) => a - b);
}

async function churn() {
  await prepare();
  const rounds = Number(values.rounds);
  const random = seededRandom(`network-churn/${values.seed}`);
  const pids = new Map();
  // Any two of three validators are a majority: one that is down costs no round.
  const nodes = ["chain", "gateway", "validator-1", "validator-2", "validator-3"];
  nodes.push("trainer-1", "trainer-2", "trainer-3", "trainer-4");
  const up = skein(["up", "--dir", "up", "--validators", "3", "--rounds", String(rounds), "--json"], (event) => {
    if (event.event === "process") pids.set(event.node, event.state === "started" ? event.pid : undefined);
  });
  const kills = new Map();
  const begun = Date.now();
  while (!up.isOver && !values.quiet) {
    await Promise.race([up.ended, delay(1000 * Number(values.every))]);
    const done = resultsOf(up.events).size;
    const hasBegun = done > 0 && done < rounds - 3; // the last rounds are for coming back
    const name = nodes[random.below(nodes.length)];
    const pid = pids.get(name);
    if (up.isOver || !hasBegun || pid === undefined) continue;
    kills.set(name, (kills.get(name) ?? 0) + 1);
    process.kill(pid, "SIGKILL");
  }
  const { code, errors } = await up.ended;
  const minutes = (Date.now() - begun) / 60_000;
  check("skein up ends well", code === 0, code === 0 ? `${minutes.toFixed(1)} min` : errors);
  const total = [...kills.values()].reduce((sum, n) => sum + n, 0);
  if (!values.quiet)
    check("processes were killed", total >= rounds / 3, [...kills].map(([name, n]) => `${name} ${n}`).join(", "));
  judge(up.events, rounds);
}

function judge(events, rounds) {
  const results = resultsOf(events);
  const split = [...results].filter(([, distinct]) => distinct.size !== 1);
  check("every round has one result, whoever computed it", split.length === 0, split.map(([round]) => round).join(" "));
  const numbers = [...results.keys()].sort((a, b) => a - b);
  const effective = [...results.values()].filter((distinct) => ![...distinct][0].startsWith(" ")).length;
  check(
    "rounds follow each other without a gap",
    numbers.every((round, i) => i === 0 || round === numbers[i - 1] + 1),
  );
  check("most rounds moved the params", effective >= results.size / 2, `${effective} of ${results.size}`);
  const lasts = [...appliedBy(events)].map(([node, list]) => ({ node, ...list.at(-1) }));
  const newest = Math.max(...lasts.map(({ round }) => round));
  check(
    "every node has come to the last rounds",
    lasts.length === 7 && lasts.every(({ round }) => round >= newest - 2),
    lasts.map(({ node, round }) => `${node} ${round}`).join(", "),
  );
  const losses = lossesOf(events);
  const [first, last] = [losses[0]?.[1], losses.at(-1)?.[1]];
  check("the loss falls", last < first - 0.02 * Math.min(rounds, 20), `${first?.toFixed(3)} to ${last?.toFixed(3)}`);
  console.log(`losses ${losses.map(([round, loss]) => `${round}:${loss.toFixed(3)}`).join(" ")}`);
}

async function join() {
  await prepare();
  const up = skein(["up", "--dir", "up", "--json"]);
  const seconds = 180;
  const ready = await up.wait(({ event, node }) => event === "ready" && node === "gateway", { seconds });
  check("the network comes up", ready !== undefined, ready?.link);
  await up.wait(({ event }) => event === "applied", { seconds });
  const begun = Date.now();
  const place = ["--dir", "stranger", "--keys", "stranger-keys"];
  const stranger = skein(["join", ready.link, ...place, "--threads", "1", "--json"]);
  const accepted = await stranger.wait(({ event, applied }) => event === "outcome" && applied === true, { seconds });
  check(
    "a stranger's first payload is applied within 60 s",
    accepted !== undefined && Date.now() - begun <= 60_000,
    `${((Date.now() - begun) / 1000).toFixed(1)} s after the command`,
  );
  const paid = await stranger.wait(({ event, earned }) => event === "earned" && BigInt(earned ?? 0) > 0n, { seconds });
  check("and is paid", paid !== undefined, `${Number(paid?.earned ?? 0) / 1e9} coins`);
  stranger.stop();
  const left = await stranger.ended;
  check("leaves cleanly on Ctrl-C", left.code === 130, String(left.code));
  up.stop();
  const stopped = await up.ended;
  check("the network stops on Ctrl-C", stopped.code === 130, `${stopped.code} ${stopped.errors}`);
  const before = up.events.filter(({ event }) => event === "applied").at(-1);
  const again = skein(["up", "--dir", "up", "--rounds", "2", "--json"]);
  const end = await again.ended;
  check("and goes on when started again", end.code === 0, end.errors.slice(-300));
  const results = resultsOf([...up.events, ...again.events]);
  check(
    "from the same state root",
    [...results.values()].every((distinct) => distinct.size === 1),
    `after round ${before?.round}`,
  );
  check(
    "without losing a round",
    again.events.some(({ event, round }) => event === "applied" && round > (before?.round ?? 0)),
  );
}

const modes = { churn, join, trouble };
const mode = modes[positionals[0] ?? ""];
if (mode === undefined) {
  console.error(`name one of: ${Object.keys(modes).join(", ")}`);
  fs.rmSync(folder, { recursive: true });
  process.exit(2);
}
try {
  await mode();
} finally {
  await endAll();
  finish(values.keep);
}
