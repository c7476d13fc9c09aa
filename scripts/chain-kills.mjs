// Kills the embedded chain with SIGKILL again and again under transaction load, anvil and its supervisor by turns, and shows that
// nothing that a client has seen is lost: every block keeps its hash, every receipt stays where it was, every transaction that was
// acknowledged is mined exactly once, and the state is what the mined transactions make of it. Node only; needs the built package (dist/).
//
//   node scripts/chain-kills.mjs [kills, default 30] [seed, default 1]
//
// Prints "N passed, M failed" and exits with 1 where any failed.
import { spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import readline from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { privateKeyToAccount } from "viem/accounts";
import { seededRandom } from "../dist/base/random.js";

const LOCAL = new URL("../dist/chain/local/local.node.js", import.meta.url).href;
const SENDERS = 4;
const LOAD_MS_MAX = 900;
/** Counts its calls in slot 0, and keeps in slot 1 the hash of the block before: so state depends on block hashes. */
const COUNTER = `0x${"22".repeat(20)}`;
const COUNTER_CODE = "0x60015f54015f5560014303406001554360025500";

const kills = Number(process.argv[2] ?? 30);
const seed = Number(process.argv[3] ?? 1);
const random = seededRandom(`chain-kills/${seed}`);
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "skein-chain-kills-"));

const CHILD = `
import { startLocalChain } from ${JSON.stringify(LOCAL)};
const say = (what) => process.stdout.write(JSON.stringify(what) + "\\n");
const chain = await startLocalChain({
  folder: ${JSON.stringify(path.join(folder, "chain"))},
  blockTimeSeconds: 0.05,
  copyEveryBlocks: 16,
  onEvent: (event) => { if (event.kind !== "block" && event.kind !== "copied") say({ event }); },
  prepareGenesis: async ({ rpc }) => { await rpc("anvil_setCode", ["${COUNTER}", "${COUNTER_CODE}"]); },
});
say({ url: chain.rpcUrl, chainId: chain.chainId, anvil: chain.status().anvilPid });
setInterval(() => {
  const { failure, anvilPid } = chain.status();
  if (failure) { say({ failure: failure.message + " " + failure.details }); process.exit(1); }
  say({ anvil: anvilPid });
}, 20);
`;

/** Starts a supervisor; resolves when it says where it is. */
async function start() {
  const child = spawn(process.execPath, ["--input-type=module", "-e", CHILD], { stdio: ["ignore", "pipe", "inherit"] });
  const state = { child, url: "", chainId: 0, anvil: 0, events: [] };
  const closed = new Promise((resolve) => child.once("close", resolve));
  state.closed = closed;
  await new Promise((resolve, reject) => {
    readline.createInterface({ input: child.stdout }).on("line", (line) => {
      const said = JSON.parse(line);
      if (said.event) state.events.push(said.event);
      if (said.failure) console.log(`supervisor gave up: ${said.failure}`);
      if ("anvil" in said) state.anvil = said.anvil;
      if (said.url) {
        Object.assign(state, { url: said.url, chainId: said.chainId });
        resolve();
      }
    });
    void closed.then((code) => reject(new Error(`the supervisor ended with ${code}`)));
  });
  return state;
}

async function ask(url, method, params = []) {
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
  const response = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body });
  const json = await response.json();
  if (json.error) throw Object.assign(new Error(`${method}: ${json.error.message}`), { refused: true });
  return json.result;
}

const senders = Array.from({ length: SENDERS }, (_, i) => {
  const account = privateKeyToAccount(
    `0x${String(i + 1)
      .padStart(2, "0")
      .repeat(32)}`,
  );
  return { account, next: 0 };
});
/** What clients were told. */
const seenBlocks = new Map();
const seenReceipts = new Map();
const acknowledged = new Set();
const complaints = [];

async function signed(sender, chainId) {
  const fields = {
    chainId,
    type: "eip1559",
    to: COUNTER,
    value: 0n,
    gas: 200_000n,
    maxFeePerGas: 0n,
    maxPriorityFeePerGas: 0n,
  };
  return sender.account.signTransaction({ ...fields, nonce: sender.next });
}

/** One client: sends, waits for the receipt, notes what it was told. A lost connection is no answer: it sends the same again. */
async function send(sender, state, until) {
  while (!until.done) {
    try {
      const hash = await ask(state.url, "eth_sendRawTransaction", [await signed(sender, state.chainId)]);
      acknowledged.add(hash);
      sender.next++;
      if (random.below(4) === 0) continue; // several transactions of one sender in a block
      for (let receipt; !receipt && !until.done; ) {
        receipt = await ask(state.url, "eth_getTransactionReceipt", [hash]);
        if (receipt) seenReceipts.set(hash, receipt.blockHash);
        else await delay(3);
      }
    } catch (thrown) {
      if (thrown.refused) complaints.push(String(thrown.message));
      await delay(5);
    }
  }
}

async function watch(state, until) {
  while (!until.done) {
    try {
      const block = await ask(state.url, "eth_getBlockByNumber", ["latest", false]);
      see(block);
    } catch (thrown) {
      if (thrown.refused) complaints.push(String(thrown.message));
    }
    await delay(2);
  }
}

function see({ number, hash }) {
  const known = seenBlocks.get(number);
  if (known !== undefined && known !== hash) complaints.push(`block ${Number(number)} was ${known} and is ${hash}`);
  seenBlocks.set(number, hash);
}

/** Everything that was seen must still be so. */
async function verify(state, all) {
  const blocks = [...seenBlocks].slice(all ? 0 : -200);
  for (const [number] of blocks) {
    const block = await ask(state.url, "eth_getBlockByNumber", [number, false]);
    if (block === null) complaints.push(`block ${Number(number)} is gone`);
    else see(block);
  }
  for (const [hash, blockHash] of [...seenReceipts].slice(all ? 0 : -100)) {
    const receipt = await ask(state.url, "eth_getTransactionReceipt", [hash]);
    if (receipt?.blockHash !== blockHash)
      complaints.push(`receipt ${hash} was in ${blockHash}, is in ${receipt?.blockHash}`);
  }
}

/** Waits until all that was acknowledged is mined, and compares the state with it. */
async function settle(state) {
  const deadline = Date.now() + 20_000;
  const pending = new Set(acknowledged);
  while (pending.size > 0 && Date.now() < deadline) {
    for (const hash of pending) if (await ask(state.url, "eth_getTransactionReceipt", [hash])) pending.delete(hash);
    await delay(10);
  }
  for (const hash of pending) complaints.push(`transaction ${hash} was acknowledged and never mined`);
  let nonces = 0;
  for (const { account } of senders) {
    nonces += Number(await ask(state.url, "eth_getTransactionCount", [account.address, "latest"]));
  }
  const count = Number(await ask(state.url, "eth_getStorageAt", [COUNTER, "0x0", "latest"]));
  if (count !== nonces || count < acknowledged.size) {
    complaints.push(`the counter says ${count}, nonces ${nonces}, acknowledged ${acknowledged.size}`);
  }
}

async function stillThere(pid) {
  for (let i = 0; i < 100; i++) {
    try {
      if (fs.existsSync(`/proc/${pid}/stat`) && / [ZX] /.test(fs.readFileSync(`/proc/${pid}/stat`, "latin1")))
        return false;
      process.kill(pid, 0);
    } catch {
      return false;
    }
    await delay(20);
  }
  return true;
}

let failed = 0;
let healMsMax = 0;
let state = await start();
for (let kill = 1; kill <= kills; kill++) {
  const before = complaints.length;
  const until = { done: false };
  const clients = [...senders.map((sender) => send(sender, state, until)), watch(state, until)];
  await delay(50 + random.below(LOAD_MS_MAX));
  const anvil = state.anvil;
  const supervisor = kill % 2 === 0;
  const startMs = performance.now();
  if (supervisor) {
    state.child.kill("SIGKILL");
    await state.closed;
    until.done = true;
    await Promise.all(clients);
    if (anvil && (await stillThere(anvil))) complaints.push(`anvil ${anvil} outlived its supervisor`);
    state = await start();
  } else {
    if (anvil) process.kill(anvil, "SIGKILL");
    await delay(random.below(300));
    await ask(state.url, "eth_blockNumber").catch((thrown) => complaints.push(String(thrown)));
    until.done = true;
    await Promise.all(clients);
  }
  healMsMax = Math.max(healMsMax, performance.now() - startMs);
  await verify(state, kill === kills);
  if (kill === kills) await settle(state);
  for (const complaint of complaints.slice(before, before + 5)) console.log(`kill ${kill}: ${complaint}`);
  if (complaints.length > before) failed++;
  if (kill % 20 === 0) console.log(`${kill} kills, block ${seenBlocks.size}, ${failed} failed`);
}
const notes = state.events.filter(({ kind }) => kind === "note" || kind === "failed").map(({ what }) => what);
for (const note of notes) console.log(`note: ${note}`);
state.child.kill("SIGKILL");
await state.closed;
const size = (await fs.promises.readdir(path.join(folder, "chain", "journal"))).length;
console.log(
  `${seenBlocks.size} blocks and ${seenReceipts.size} receipts seen, ${acknowledged.size} transactions, ${size} segments, ` +
    `longest recovery ${Math.round(healMsMax)} ms`,
);
console.log(`${kills - failed} passed, ${failed} failed`);
fs.rmSync(folder, { recursive: true, force: true });
process.exit(failed === 0 ? 0 : 1);
