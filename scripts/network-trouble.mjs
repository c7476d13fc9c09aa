// Everything that can go wrong around a run, done to a small one in real processes: wrong links, wrong and stuck chains, full disks, wrong clocks, a
// gateway and a chain that die, damaged blobs, a hotkey and a folder used twice. What a person can mend is said, with a remedy, and ends
// the command; what passes is waited for. Called by network.mjs.
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { decodeSharedManifest } from "../dist/checkpoint/shared/manifest.js";
import { blobKey } from "../dist/store/blobs.js";
import { check, resultsOf, skein, skip } from "./network-lib.mjs";
import {
  alive,
  bringUp,
  goesOn,
  isReady,
  launching,
  NODES,
  ownerKeys,
  place,
  startChain,
  startGateway,
  startNode,
} from "./network-small.mjs";

const DEAD_MS = 15_000;
const PATIENCE_ROUNDS = 3;
/** Blocks of the short run's only round. */
const SHORT_BLOCKS = 3;

const closedPort = 9; // "discard": nobody listens there

export async function trouble() {
  const net = await bringUp();
  const aside = Promise.all([stuckChain(net), mistakes(net)]); // commands that end by themselves, beside the network's life
  aside.catch(() => undefined); // thrown where it is awaited
  check("the network works, with clocks that are an hour off", await goesOn(net));
  clocks(net);
  await sameFolder(net);
  await rivals(net);
  await fullTrainer(net);
  await fullGateway(net);
  await aside;
  await deadGateway(net);
  await deadChain(net);
  await damagedPayload(net);
  await damagedCheckpoint(net);
  await lostPayload(net);
  await end(net);
}

// ------------------------------------------------------------------------------------------------------------ mistakes of people

/** Runs a command that is to be refused: with this exit code, in these words, and with a remedy. */
async function refused(what, args, exit, words) {
  const program = skein([...args, "--json"]);
  const timer = setTimeout(() => program.child.kill("SIGKILL"), 150_000);
  const { code, errors } = await program.ended;
  clearTimeout(timer);
  saysWhy(what, program, { code, errors }, exit, words);
}

function saysWhy(what, program, { code, errors }, exit, words) {
  const said = program.events.find(({ event }) => event === "error");
  const isSaid = said !== undefined && words.test(`${said.message}\n${said.details ?? ""}`) && said.remedy?.length > 0;
  const told = isSaid && errors.includes("remedy: ");
  const got = said === undefined ? errors : `${said.message}; remedy: ${said.remedy}`;
  check(what, code === exit && told, `exit ${code}: ${got}`);
}

async function mistakes(net) {
  const { link, rpcUrl, specs } = net;
  const keys = ["--keys", "aside-keys"];
  const join = (to, ...more) => ["join", to, ...keys, "--dir", "aside", ...more];
  await refused("no link", join("http://127.0.0.1:8640/"), 2, /no join link: .* has no \/r\//);
  await refused("a link that was cut off", ["validate", link.slice(0, -9), ...keys], 2, /55 digits instead of 64/);
  await refused("a link to nobody", join(`http://127.0.0.1:${closedPort}/r/${specs.long}`), 1, /does not answer/);
  await refused("a link to something else", join(`${rpcUrl}/r/${specs.long}`), 1, /answered 4\d\d/);
  await refused(
    "another run's link",
    join(link.replace(specs.long, specs.short)),
    2,
    /serves another run than the link/,
  );
  await refused("no chain at --rpc", join(link, "--rpc", `http://127.0.0.1:${closedPort}`), 7, /no chain answers at/);
  await wrongChain(net, join);
  await runOver(net, join);
}

/** A command that is given twice, while the first is still at work. */
async function sameFolder(net) {
  const t1 = net.disks?.t1 ?? "t1";
  await refused(
    "two nodes in one folder",
    ["join", net.link, "--keys", "t1-keys", "--dir", t1],
    2,
    /another process works in/,
  );
  const again = launching(net, "long.json", path.dirname(net.store), "v1").filter((arg) => arg !== "--json");
  await refused("two gateways in one folder", [...again, "--port", "0"], 2, /a gateway works in .* already/);
  const chain = ["chain", "--folder", "chain", "--port", "0", ...ownerKeys];
  await refused("two chains in one folder", chain, 7, /this chain is already running/);
}

async function wrongChain(net, join) {
  const other = await standIn(net.rpcUrl, (method) => (method === "eth_chainId" ? "0x1" : undefined));
  await refused(
    "a node of another chain",
    join(net.link, "--rpc", other.url),
    7,
    /wrong chain: this node serves chain 1,/,
  );
  fs.mkdirSync(place("moved"));
  fs.copyFileSync(path.join(path.dirname(net.store), "launch.json"), place("moved/launch.json"));
  const moved = launching({ rpcUrl: other.url }, "long.json", "moved", "v1").filter((arg) => arg !== "--json");
  await refused("a launch on another chain", [...moved, "--port", "0"], 2, /a run on chain \d+, and this is chain 1/);
  other.close();
}

async function runOver(net, join) {
  const how = ["--stake", "0", "--start-in", "2", "--port", "0"];
  const gateway = skein([...launching(net, "short.json", "gateway-short", "short"), ...how]);
  const { link, startBlock } = await isReady(gateway);
  while ((await blockNow(net)) < startBlock + SHORT_BLOCKS) await delay(200);
  await refused("a run that is over", ["doctor", link, "--quick"], 2, /the run is over/);
  const late = skein([...join(link), "--json"]);
  const { code, errors } = await late.ended;
  const end = late.events.find(({ event }) => event === "end");
  check("whoever joins it follows it to its end", code === 0 && end?.round === 1 && end.payloads === 0, errors);
  gateway.stop();
  await gateway.ended;
}

async function blockNow({ rpcUrl }) {
  const call = { jsonrpc: "2.0", id: 1, method: "eth_blockNumber", params: [] };
  const headers = { "content-type": "application/json" };
  const answer = await fetch(rpcUrl, { method: "POST", headers, body: JSON.stringify(call) });
  return Number((await answer.json()).result);
}

/** A chain whose node answers, and makes no blocks. */
async function stuckChain(net) {
  const memory = new Map();
  const stuck = await standIn(
    net.rpcUrl,
    (method, params) => memory.get(`${method} ${params}`),
    (method, params, result) => {
      if (method === "eth_blockNumber" || `${params}`.startsWith("latest")) memory.set(`${method} ${params}`, result);
    },
  );
  await refused(
    "a chain that stands still",
    ["doctor", net.link, "--quick", "--rpc", stuck.url],
    7,
    /the chain makes no blocks/,
  );
  stuck.close();
}

/** A node of the chain that gives answers of its own where `own` has some. */
async function standIn(rpcUrl, own, heard = () => undefined) {
  const answerTo = async (call) => {
    const result = own(call.method, call.params);
    if (result !== undefined) return { jsonrpc: "2.0", id: call.id, result };
    const headers = { "content-type": "application/json" };
    const answer = await (await fetch(rpcUrl, { method: "POST", headers, body: JSON.stringify(call) })).json();
    if (answer.result !== undefined) heard(call.method, call.params, answer.result);
    return answer;
  };
  const server = http.createServer(async (request, response) => {
    let text = "";
    for await (const part of request) text += part;
    const asked = JSON.parse(text);
    const answers = Array.isArray(asked) ? await Promise.all(asked.map(answerTo)) : await answerTo(asked);
    response.setHeader("content-type", "application/json").end(JSON.stringify(answers));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}

function clocks(net) {
  const said = (name) => net[name].events.find(({ event }) => event === "head-trouble")?.why ?? "nothing";
  check(
    "a clock that is behind is told",
    /this machine's clock is .* behind the chain's newest block/.test(said("t2")),
    said("t2"),
  );
  check(
    "a clock that is ahead is told",
    /stands still: .*unless this machine's clock is wrong/.test(said("v2")),
    said("v2"),
  );
}

/** One hotkey in two processes. */
async function rivals(net) {
  const { t1 } = net;
  const second = skein(["join", net.link, "--keys", "t1-keys", "--dir", "t1-second", "--threads", "1", "--json"]);
  net.started.push(second);
  const ends = [t1, second].map((program) => program.ended.then((ended) => ({ program, ended })));
  const first = await Promise.race([...ends, delay(90_000, undefined, { ref: false })]);
  if (first === undefined) {
    check("one hotkey in two processes", false, "both go on");
    second.stop();
    return void (await second.ended);
  }
  saysWhy("one hotkey in two processes", first.program, first.ended, 2, /another process trains with this hotkey/);
  const other = first.program === t1 ? second : t1;
  const from = other.events.length;
  const works = await other.wait(({ event, applied }) => event === "outcome" && applied, { from });
  check("the other process goes on", works !== undefined, first.program === t1 ? "the newer" : "the older");
  if (other === t1) return;
  second.stop();
  await second.ended;
  startNode(net, "t1");
}

// ------------------------------------------------------------------------------------------------------------ full disks

/** Fills a disk and keeps it full; what is given back makes room again. */
function fill(disk) {
  const file = path.join(disk, "filler");
  const pour = () => {
    for (const size of [1 << 20, 1 << 16, 1 << 12]) {
      try {
        for (;;) fs.appendFileSync(file, Buffer.alloc(size));
      } catch {
        // full, to this size
      }
    }
  };
  pour();
  const timer = setInterval(pour, 100);
  return () => {
    clearInterval(timer);
    fs.rmSync(file);
  };
}

async function fullTrainer(net) {
  const what = "a trainer whose disk is full";
  if (net.disks === undefined) return skip(what, "no small disk can be mounted here");
  await net.t1.wait(({ event }) => event === "commit", { from: net.t1.events.length });
  const empty = fill(net.disks.t1);
  const ended = await Promise.race([net.t1.ended, delay(90_000, undefined, { ref: false })]);
  saysWhy(what, net.t1, ended ?? { code: null, errors: "it goes on" }, 1, /no space left/);
  empty();
  if (ended === undefined) return;
  const again = startNode(net, "t1");
  const start = await again.wait(({ event }) => event === "start");
  check("it goes on from what it had saved", start?.from === "saved", `round ${start?.round}`);
  check("and takes part again", await goesOn(net));
}

async function fullGateway(net) {
  const what = "a gateway whose disk is full";
  if (net.disks === undefined) return skip(what, "no small disk can be mounted here");
  const from = net.t1.events.length;
  const empty = fill(net.disks.gateway);
  const failed = await net.t1.wait(({ event }) => event === "reveal-failed", { from });
  check(what, /answered 507: the gateway's disk is full/.test(failed?.why ?? ""), failed?.why);
  empty();
  check("all wait, and go on when there is room", (await goesOn(net)) && alive(net));
}

// ------------------------------------------------------------------------------------------------------------ what is away for a while

async function deadGateway(net) {
  const port = new URL(net.link).port;
  net.gateway.child.kill("SIGKILL");
  const waited = delay(DEAD_MS);
  await refused("a gateway that is away", ["doctor", net.link, "--quick"], 1, /does not answer/);
  await waited;
  check("nobody gives up within 15 s", alive(net), NODES.filter((name) => net[name].isOver).join(" "));
  await startGateway(net, port);
  check("it serves the same run again", net.gateway.events.find(({ event }) => event === "ready").resumed === true);
  check("and all go on", (await goesOn(net)) && alive(net));
}

async function deadChain(net) {
  const { port } = new URL(net.rpcUrl);
  net.chain.child.kill("SIGKILL");
  await net.chain.ended;
  await refused("a chain that is away", ["doctor", net.link, "--quick"], 7, /does not reach the run's chain/);
  await startChain(net, port);
  check("all wait for it, and go on", (await goesOn(net)) && alive(net));
}

// ------------------------------------------------------------------------------------------------------------ damaged blobs

/** Turns over some bits of a blob in the gateway's folder. */
function damage(net, hash) {
  const file = path.join(net.store, blobKey(hash));
  const bytes = fs.readFileSync(file);
  bytes[bytes.length >> 1] ^= 0x55;
  fs.writeFileSync(file, bytes);
}

const told = (program, kind, about) =>
  program.wait(({ event, round }) => event === kind && round === about, { seconds: 30 });
const uidOf = (program) => program.events.find(({ event }) => event === "ready").uid;
const eventsOf = ({ events }, kind, about) => events.filter(({ event, round }) => event === kind && round === about);

/** Before anybody has read it: the validators find nothing that counts, and it is the store's fault. */
async function damagedPayload(net) {
  const { t2, v1, v2 } = net;
  let vote;
  let sent;
  for (let attempt = 0; vote === undefined && attempt < PATIENCE_ROUNDS; attempt++) {
    sent = await t2.wait(({ event }) => event === "commit", { from: t2.events.length });
    for (const { child } of [v1, v2]) child.kill("SIGSTOP");
    const revealed = await told(t2, "reveal", sent.round);
    if (revealed !== undefined) damage(net, sent.hash);
    for (const { child } of [v1, v2]) child.kill("SIGCONT");
    vote = await told(v1, "vote", sent.round);
  }
  const blamed = v1.events.find(({ event, hash }) => event === "bad-mirror" && hash === sent.hash);
  check("a damaged payload is the store's fault", blamed?.mirror === "the shared store", blamed?.why);
  check("it is not voted for", vote?.missing.includes(uidOf(t2)), `round ${sent.round}, missing ${vote?.missing}`);
  const outcome = await told(t2, "outcome", sent.round);
  check("it moves nothing", outcome?.applied === false);
  check("all go on", (await goesOn(net)) && alive(net));
}

/** A checkpoint of which no piece is right: the newcomer passes it over. */
async function damagedCheckpoint(net) {
  const seen = new Set();
  const spoil = (manifest) => {
    const { pieces } = decodeSharedManifest(fs.readFileSync(path.join(net.store, blobKey(manifest))));
    for (const piece of pieces.filter((each) => !seen.has(each))) {
      damage(net, piece);
      seen.add(piece);
    }
  };
  const news = path.join(net.store, "news/checkpoint");
  await net.t1.wait(({ event, round }) => event === "applied" && round >= 10, { seconds: 120 }); // before, nobody needs one
  const spoilAll = () => {
    for (const name of fs.readdirSync(news)) {
      const { hash } = JSON.parse(fs.readFileSync(path.join(news, name), "utf8"));
      spoil(hash);
    }
  };
  spoilAll();
  const spoiling = [net.v1, net.v2].map((program) =>
    program.wait(
      ({ event, manifest }) => {
        if (event === "checkpoint") spoil(manifest); // before it is announced
        return net.t3?.events.some((each) => each.event === "start") === true;
      },
      { from: program.events.length },
    ),
  );
  const newcomer = startNode(net, "t3");
  const start = await newcomer.wait(({ event }) => event === "start");
  const fault = newcomer.events.find(({ event }) => event === "checkpoint-fault");
  const blamed = newcomer.events.find(({ event, hash }) => event === "bad-mirror" && seen.has(hash));
  check("a damaged checkpoint is passed over", fault !== undefined, `of round ${fault?.round}: ${fault?.fault}`);
  check("and the store is blamed for it", blamed?.mirror === "the shared store", blamed?.why);
  check("the newcomer computes the params itself", start?.from === "genesis" && start.round === 0, start?.from);
  const paid = await newcomer.wait(({ event, applied }) => event === "outcome" && applied);
  check("and takes part", paid !== undefined, `round ${paid?.round}`);
  await Promise.all(spoiling);
  newcomer.stop();
  await newcomer.ended;
}

/** After the votes: it counts, validators have it, and nobody else can get it. */
async function lostPayload(net) {
  const { t1, t2, v1, v2 } = net;
  let round;
  for (let attempt = 0; attempt < PATIENCE_ROUNDS; attempt++) {
    const sent = await t2.wait(({ event }) => event === "commit", { from: t2.events.length });
    round = sent.round;
    const votes = await Promise.all([v1, v2].map((program) => told(program, "vote", round)));
    if (votes.some((vote) => vote?.uids.includes(uidOf(t2)) !== true)) continue;
    damage(net, sent.hash);
    await t1.wait((each) => each.round === round && ["missing", "applied"].includes(each.event), { seconds: 30 });
    if (eventsOf(t1, "missing", round).length > 0) break;
  }
  const isMissed = eventsOf(t1, "missing", round).length > 0 && (await told(t2, "missing", round)) !== undefined;
  check("a payload that is lost after the votes is waited for", isMissed, `round ${round}`);
  const starts = await Promise.all(
    [t1, t2].map((each) => each.wait((found) => found.event === "start" && found.round > round)),
  );
  check(
    "until a checkpoint stands in for it",
    starts.every((start) => start?.from === "checkpoint"),
  );
  check("and all go on", (await goesOn(net)) && alive(net));
}

// ------------------------------------------------------------------------------------------------------------ the end

async function end(net) {
  for (const name of ["t1", "t2", "v1", "v2"]) net[name].stop();
  const codes = await Promise.all(NODES.map(async (name) => (await net[name].ended).code));
  check(
    "all nodes stop on Ctrl-C",
    codes.every((code) => code === 130),
    codes.join(" "),
  );
  for (const name of ["gateway", "chain"]) {
    net[name].stop();
    const { code, errors } = await net[name].ended;
    check(`the ${name} stops on Ctrl-C`, code === 0, code === 0 ? "" : `${code} ${errors}`);
  }
  const results = resultsOf(net.started.flatMap(({ events }) => events));
  const split = [...results].filter(([, distinct]) => distinct.size !== 1).map(([round]) => round);
  check("every round has one result, whoever computed it", split.length === 0, split.join(" "));
  const rounds = net.v1.events.filter(({ event }) => event === "applied").map(({ round }) => round);
  const whole = rounds.every((round, i) => round === i);
  const moved = [...results.values()].filter((distinct) => ![...distinct][0].startsWith(" ")).length;
  check("no round is lost", whole, `${rounds.length} rounds, ${moved} moved the params`);
}
