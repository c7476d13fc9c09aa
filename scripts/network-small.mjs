// A small network in real processes, as network-trouble.mjs needs it: a chain, a gateway, two validators, two trainers, a model that costs nothing, rounds of
// nine seconds. Two of the nodes' clocks are an hour off; gateway and one trainer work on small disks, where this machine can mount some.
import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import readline from "node:readline";
import { seededRandom } from "../dist/base/random.js";
import { readSpecText, specBytes, specHash } from "../dist/run/parse.js";
import { folder, skein } from "./network-lib.mjs";

/** Validators, then trainers. */
export const NODES = ["v1", "v2", "t1", "t2"];
/** Hours by which two nodes' clocks are off: a trainer's behind, a validator's ahead. */
const CLOCKS = { t2: -1, v2: 1 };

/** A file or folder of these checks. */
export const place = (name) => path.join(folder, name);

/** Brings everything up, one after the other. */
export async function bringUp() {
  const specs = await prepare();
  const disks = await smallDisks({ gateway: 32, t1: 8 });
  const net = { specs, disks, started: [] };
  await startChain(net, 0);
  await startGateway(net, 0);
  for (const name of NODES) {
    startNode(net, name);
    if (name.startsWith("v")) await net[name].wait(({ event }) => event === "ready"); // they spend the same coins
  }
  return net;
}

async function prepare() {
  const random = seededRandom("network-trouble");
  const words = "warp weft loom thread shuttle heddle reed selvage twill plain satin draft".split(" ");
  fs.mkdirSync(place("texts"));
  for (let i = 0; i < 200; i++) {
    const text = Array.from({ length: 80 }, () => words[random.below(words.length)]).join(" ");
    fs.writeFileSync(place(`texts/${i}.txt`), `${text}\n`);
  }
  await done(skein(["data", "texts", "--bytes", "--valid-share", "0.1", "--out", "data", "--json"]));
  await done(skein(["init", "made.json", "--preset", "tiny", "--data", "data", "--seed", "7", "--json"]));
  const made = readSpecText(fs.readFileSync(place("made.json"), "utf8"));
  const write = (name, steps, timing) => {
    const inner = { ...made.inner, schedule: { ...made.inner.schedule, warmupSteps: 1, steps } };
    const spec = { ...made, name, inner, timing };
    fs.writeFileSync(place(`${name}.json`), specBytes(spec));
    return specHash(spec);
  };
  return {
    long: write("long", 4000, { trainBlocks: 4, revealBlocks: 2, voteBlocks: 3 }),
    short: write("short", made.inner.steps, { trainBlocks: 1, revealBlocks: 1, voteBlocks: 1 }),
  };
}

async function done(program) {
  const { code, errors } = await program.ended;
  if (code !== 0) throw new Error(`${program.args[0]} ended with ${code}: ${errors}`);
}

/** Folders on disks of so many megabytes each, which vanish with this process; undefined where this machine does not allow it. */
async function smallDisks(sizes) {
  const names = Object.keys(sizes);
  const mounts = names.map(
    (name) => `mkdir -p ${place(name)} && mount -t tmpfs -o size=${sizes[name]}m tmpfs ${place(name)}`,
  );
  const rights = process.getuid?.() === 0 ? "-m" : "-Urm";
  const stdio = ["pipe", "pipe", "ignore"];
  const script = `${mounts.join(" && ")} && echo mounted && read end`;
  const holder = spawn("unshare", [rights, "sh", "-c", script], { stdio });
  const mounted = await new Promise((resolve) => {
    holder.once("error", () => resolve(false));
    holder.once("close", () => resolve(false));
    readline.createInterface({ input: holder.stdout }).once("line", () => resolve(true));
  });
  for (const each of [holder, holder.stdin, holder.stdout]) each.unref();
  if (!mounted) return undefined;
  return Object.fromEntries(names.map((name) => [name, `/proc/${holder.pid}/root${place(name)}`]));
}

/** Whose coins and subnet they are. */
export const ownerKeys = ["--keys", "keys", "--wallet", "owner"];

/** Starts the chain, or goes on with it. */
export async function startChain(net, port) {
  const how = ["--folder", "chain", "--block-time", "1", "--port", String(port)];
  net.chain = skein(["chain", ...how, ...ownerKeys, "--json"]);
  const ready = await isReady(net.chain);
  net.rpcUrl = ready.rpcUrl;
}

/** Arguments of `skein launch` for one of the runs. */
export function launching(net, spec, dir, hotkey) {
  const what = [spec, "--data", "data", "--dir", dir, "--rpc", net.rpcUrl];
  return ["launch", ...what, ...ownerKeys, "--hotkey", hotkey, "--json"];
}

/** Starts the gateway, or goes on with it. */
export async function startGateway(net, port) {
  net.store = path.join(net.disks?.gateway ?? place("gateway"), "store");
  const how = ["--stake", "1000", "--tempo", "10", "--faucet", "1000", "--port", String(port)];
  net.gateway = skein([...launching(net, "long.json", path.dirname(net.store), "v1"), ...how]);
  net.link = (await isReady(net.gateway)).link;
}

/** What a command says once it is up. Throws where it does not come up. */
export async function isReady(program) {
  const ready = await program.wait(({ event }) => event === "ready");
  if (ready === undefined) throw new Error(`skein ${program.args[0]} does not come up: ${program.errors}`);
  return ready;
}

/** Starts a node, or goes on with it: v… validate, all others train. */
export function startNode(net, name, dir = net.disks?.[name] ?? name) {
  const owner = [...ownerKeys, "--hotkey", name, "--stake", "1000"];
  const who = name.startsWith("v") ? ["validate", net.link, ...owner] : ["join", net.link, "--keys", `${name}-keys`];
  const hours = CLOCKS[name] ?? 0;
  const clock = `const now = Date.now; Date.now = () => now() + ${3_600_000 * hours};`;
  const node = hours === 0 ? [] : ["--import", `data:text/javascript,${encodeURIComponent(clock)}`];
  const program = skein([...who, "--dir", dir, "--threads", "1", "--json"], undefined, node);
  net.started.push(program);
  net[name] = program;
  return program;
}

/** The last round whose outcome anybody has seen. */
function lastRound(net) {
  const rounds = net.started.flatMap(({ events }) => events.filter(({ event }) => event === "applied"));
  return Math.max(-1, ...rounds.map(({ round }) => round));
}

/** Whether all nodes come to a round after those of now in which both trainers' payloads are applied. */
export async function goesOn(net, seconds = 90) {
  const after = lastRound(net);
  const moved = ({ event, round, uids }) => event === "applied" && round > after && uids.length >= 2;
  const all = await Promise.all(NODES.map((name) => net[name].wait(moved, { seconds })));
  return all.every((found) => found !== undefined);
}

/** Whether none has ended. */
export const alive = (net) => NODES.every((name) => !net[name].isOver);
