import { spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { privateKeyToAccount } from "viem/accounts";
import { afterEach, describe, expect, it } from "vitest";
import { must } from "../../base/assert.ts";
import type { Hash, Head } from "../chain.ts";
import { anvilBinary } from "./binary.node.ts";
import { processStart, takeLock } from "./disk/lock.node.ts";
import { type LocalChain, type LocalChainEvent, type LocalChainOptions, startLocalChain } from "./local.node.ts";

const ROOT = path.resolve(import.meta.dirname, "../../..");
const ACCOUNT = privateKeyToAccount(`0x${"11".repeat(32)}`);
/** Adds 1 to slot 0; slot 1 keeps the parent's hash, slot 2 the hash of the block 5 back. */
const COUNTER = `0x${"22".repeat(20)}`;
const CODE = "0x60015f54015f55600143034060015560054303406002550000".slice(0, -2);

const folders: string[] = [];
const running: LocalChain[] = [];

function newFolder(): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "skein-local-"));
  folders.push(folder);
  return folder;
}

async function open(folder: string, options: Partial<LocalChainOptions> = {}): Promise<LocalChain> {
  const chain = await startLocalChain({
    folder,
    blockTimeSeconds: "manual",
    prepareGenesis: async ({ rpc }) => {
      await rpc("anvil_setCode", [COUNTER, CODE]);
    },
    ...options,
  });
  running.push(chain);
  return chain;
}

afterEach(async () => {
  for (const chain of running.splice(0)) await chain.stop();
  for (const folder of folders.splice(0)) fs.rmSync(folder, { recursive: true, force: true });
});

async function post(url: string, body: unknown): Promise<Response> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body: text });
}

async function ask(chain: LocalChain, method: string, ...params: unknown[]): Promise<unknown> {
  const json = await (await post(chain.rpcUrl, { jsonrpc: "2.0", id: 1, method, params })).json();
  if (json.error) throw new Error(json.error.message);
  return json.result;
}

async function count(chain: LocalChain, nonce: number): Promise<Hash> {
  const fields = { to: COUNTER as Hash, gas: 200_000n, maxFeePerGas: 0n, maxPriorityFeePerGas: 0n, value: 0n };
  const raw = await ACCOUNT.signTransaction({ chainId: chain.chainId, type: "eip1559", nonce, ...fields });
  return (await ask(chain, "eth_sendRawTransaction", raw)) as Hash;
}

const counter = async (chain: LocalChain): Promise<number> =>
  Number(await ask(chain, "eth_getStorageAt", COUNTER, "0x0", "latest"));

/** Everything that clients could have seen, but blocks below `from`. */
async function seen(chain: LocalChain, from = 0): Promise<unknown> {
  const blocks: unknown[] = [];
  for (let n = from; n <= chain.head().block; n++) {
    blocks.push(await ask(chain, "eth_getBlockByNumber", `0x${n.toString(16)}`, true));
  }
  const slots = await Promise.all(
    ["0x0", "0x1", "0x2"].map((s) => ask(chain, "eth_getStorageAt", COUNTER, s, "latest")),
  );
  return { blocks, slots, nonce: await ask(chain, "eth_getTransactionCount", ACCOUNT.address, "latest") };
}

/** Mines `blocks` blocks, most with transactions, from nonce `nonce` on; gives the next nonce. */
async function fill(chain: LocalChain, blocks: number, nonce: number): Promise<number> {
  let next = nonce;
  for (let i = 0; i < blocks; i++) {
    for (let k = 0; k < i % 3; k++) await count(chain, next++);
    await chain.mine();
  }
  return next;
}

const copies = (folder: string): string[] => fs.readdirSync(path.join(folder, "states")).sort();
const segments = (folder: string): string[] => fs.readdirSync(path.join(folder, "journal")).sort();
const gone = (pid: number): Promise<void> =>
  expect.poll(() => processStart(pid), { timeout: 5000, interval: 20 }).toBe(undefined) as unknown as Promise<void>;

describe("the embedded chain", () => {
  it("mines, answers, and comes back as it was", async () => {
    const folder = newFolder();
    const first = await open(folder);
    expect(await ask(first, "eth_chainId")).toBe(`0x${first.chainId.toString(16)}`);
    expect([await ask(first, "eth_gasPrice"), await ask(first, "eth_maxPriorityFeePerGas")]).toEqual(["0x0", "0x0"]);
    expect(fs.statSync(path.join(folder, "mnemonic")).mode & 0o777).toBe(0o600);
    expect(fs.readFileSync(path.join(folder, "endpoint"), "utf8").trim()).toBe(first.rpcUrl);
    const nonce = await fill(first, 12, 0);
    expect(await counter(first)).toBe(nonce);
    const before = await seen(first);
    const pid = must(first.status().anvilPid, "pid");
    await first.stop();
    await gone(pid);
    const second = await open(folder);
    expect(await seen(second)).toEqual(before);
    expect(second.chainId).toBe(first.chainId);
    await fill(second, 3, nonce);
    expect(second.head().block).toBe(16);
  });

  it("heals when anvil is killed, and loses neither blocks nor accepted transactions", async () => {
    const events: LocalChainEvent[] = [];
    const chain = await open(newFolder(), { copyEveryBlocks: 4, onEvent: (event) => events.push(event) });
    let nonce = await fill(chain, 10, 0);
    const before = await seen(chain);
    const waiting = await count(chain, nonce++);
    process.kill(must(chain.status().anvilPid, "pid"), "SIGKILL");
    expect(await seen(chain)).toEqual(before);
    expect(await ask(chain, "eth_getTransactionReceipt", waiting)).toBe(null);
    await chain.mine();
    expect(await ask(chain, "eth_getTransactionReceipt", waiting)).toMatchObject({ blockNumber: "0xc", status: "0x1" });
    expect(events.map(({ kind }) => kind).filter((kind) => kind !== "block" && kind !== "copied")).toEqual([
      "started",
      "crashed",
      "healed",
    ]);
  });

  it("mines on while anvil is killed again and again", async () => {
    const chain = await open(newFolder(), { blockTimeSeconds: 0.01, copyEveryBlocks: 3 });
    for (let round = 0; round < 3; round++) {
      await count(chain, round);
      const pid = chain.status().anvilPid;
      if (pid !== undefined) process.kill(pid, "SIGKILL");
      const { block } = chain.head();
      await expect.poll(() => chain.head().block, { timeout: 8000, interval: 10 }).toBeGreaterThan(block);
    }
    await expect.poll(() => counter(chain), { timeout: 8000, interval: 20 }).toBe(3);
  });

  it("passes over a damaged copy, and cuts a torn end off the journal", async () => {
    const folder = newFolder();
    const first = await open(folder, { copyEveryBlocks: 5 });
    await fill(first, 13, 0);
    const before = await seen(first);
    await first.stop();
    const newest = path.join(folder, "states", must(copies(folder).at(-1), "copy"));
    const bytes = fs.readFileSync(newest);
    fs.writeFileSync(newest, bytes.subarray(0, bytes.length / 2));
    const notes: LocalChainEvent[] = [];
    const second = await open(folder, { onEvent: (event) => notes.push(event) });
    expect(await seen(second)).toEqual(before);
    await second.mine();
    const after = await seen(second);
    await second.stop();
    fs.rmSync(path.join(folder, "states", must(copies(folder).at(-1), "copy")));
    fs.appendFileSync(
      path.join(folder, "journal", must(segments(folder).at(-1), "segment")),
      '0123456789ab {"block":15,"at',
    );
    const third = await open(folder, { onEvent: (event) => notes.push(event) });
    expect(await seen(third)).toEqual(after);
    expect(notes.filter(({ kind }) => kind === "note")).toMatchObject([{ what: expect.stringContaining("torn") }]);
    await third.stop();
    const fourth = await open(folder);
    expect(fourth.head()).toEqual(third.head());
  });

  it("refuses to go on without a block that it once served", async () => {
    const folder = newFolder();
    const first = await open(folder);
    await fill(first, 6, 0);
    await first.stop();
    const segment = path.join(folder, "journal", must(segments(folder)[0], "segment"));
    const lines = fs.readFileSync(segment, "utf8").split("\n");
    fs.writeFileSync(segment, lines.map((line, i) => (i === 2 ? line.replace(/\d/g, "7") : line)).join("\n"));
    for (const copy of copies(folder).slice(1)) fs.writeFileSync(path.join(folder, "states", copy), "{}");
    await expect(open(folder)).rejects.toMatchObject({ code: "chain", remedy: expect.stringContaining("backup") });
  });

  it("knows right hashes of blocks after a restart, also where a copy is of no use for them", async () => {
    const folder = newFolder();
    const notes: string[] = [];
    const onEvent = (event: LocalChainEvent): void => {
      if (event.kind === "note") notes.push(event.what);
    };
    const settings = { copyEveryBlocks: 100, onEvent };
    const first = await open(folder, settings);
    while (first.head().block < 470) {
      if (first.head().block === 202) await count(first, 0); // in block 203, asks for 198; there is a copy of 201
      await first.mine();
    }
    await first.stop();
    const second = await open(folder, settings);
    expect(notes.filter((note) => note.includes("passed over"))).toEqual([expect.stringContaining("from block 201:")]);
    await count(second, 1);
    const { block } = await second.mine();
    for (const [slot, back] of [
      ["0x1", 1],
      ["0x2", 5],
    ] as const) {
      const { hash } = (await ask(second, "eth_getBlockByNumber", `0x${(block - back).toString(16)}`, false)) as Head;
      expect(await ask(second, "eth_getStorageAt", COUNTER, slot, "latest")).toBe(hash);
    }
  }, 60_000);

  it("keeps few copies, does not grow, and serves what it keeps", async () => {
    const folder = newFolder();
    const kinds: string[] = [];
    const chain = await open(folder, {
      copyEveryBlocks: 256,
      blocksKept: 256,
      onEvent: ({ kind }) => kinds.push(kind),
    });
    await fill(chain, 40, 0);
    while (chain.head().block < 1041) await chain.mine();
    expect(kinds.filter((kind) => kind === "copied")).toHaveLength(4);
    expect(kinds.filter((kind) => kind === "recycled")).toHaveLength(1);
    expect(await ask(chain, "eth_getBlockByNumber", "0x100", false)).toBe(null);
    await expect(ask(chain, "eth_getLogs", { fromBlock: "0x0" })).rejects.toThrow("dropped");
    expect(await ask(chain, "eth_getLogs", { fromBlock: "0x300" })).toEqual([]);
    const before = await seen(chain, 900);
    const first = await ask(chain, "eth_getBlockByNumber", "0x0", false);
    expect(copies(folder).map((name) => Number(name.slice(0, 12)))).toEqual([1, 257, 513, 769, 1025]);
    await chain.stop();
    const again = await open(folder, { blocksKept: 256 });
    expect(await seen(again, 900)).toEqual(before);
    expect(await ask(again, "eth_getBlockByNumber", "0x0", false)).toEqual(first);
  }, 60_000);

  it("repeats a beginning that was interrupted, and nothing of it twice", async () => {
    const folder = newFolder();
    const prepareGenesis: LocalChainOptions["prepareGenesis"] = async ({ rpc, mnemonic }) => {
      expect(mnemonic).toBe(fs.readFileSync(path.join(folder, "mnemonic"), "utf8").trim());
      await rpc("anvil_setCode", [COUNTER, CODE]);
      await rpc("anvil_impersonateAccount", [ACCOUNT.address]);
      await rpc("eth_sendTransaction", [{ from: ACCOUNT.address, to: COUNTER, gas: "0x30d40", gasPrice: "0x0" }]);
      if (fs.existsSync(path.join(folder, "no"))) throw new Error("interrupted");
    };
    fs.writeFileSync(path.join(folder, "no"), "");
    await expect(open(folder, { prepareGenesis })).rejects.toThrow("interrupted");
    fs.rmSync(path.join(folder, "no"));
    const chain = await open(folder, { prepareGenesis });
    const { block } = chain.head();
    expect([await counter(chain), block > 0]).toEqual([1, true]);
    await chain.stop();
    const again = await open(folder, { prepareGenesis });
    expect([await counter(again), again.head().block]).toEqual([1, block]);
  });

  it("gives a block to each transaction where it is told to, and lets a transaction be sent twice", async () => {
    const chain = await open(newFolder(), { blockTimeSeconds: 0 });
    const hash = await count(chain, 0);
    await expect.poll(() => ask(chain, "eth_getTransactionReceipt", hash)).toMatchObject({ status: "0x1" });
    expect(await count(chain, 0)).toBe(hash);
    expect(await counter(chain)).toBe(1);
  });
});

describe("its door", () => {
  it("lets reading in and nothing privileged, also in a batch", async () => {
    const chain = await open(newFolder(), { limits: { batch: 3, bodyBytes: 2000, perSecond: 1, burst: 14 } });
    await expect(ask(chain, "anvil_setBalance", COUNTER, "0x1")).rejects.toThrow("no method");
    await expect(ask(chain, "evm_mine")).rejects.toThrow("no method");
    const request = { jsonrpc: "2.0", id: 1, method: "eth_blockNumber", params: [] };
    const batch = await (await post(chain.rpcUrl, [request, { ...request, id: "b", method: "anvil_reset" }, 5])).json();
    expect(batch).toMatchObject([
      { id: 1, result: "0x1" },
      { id: "b", error: { code: -32601 } },
      { id: null, error: { code: -32600 } },
    ]);
    expect((await (await post(chain.rpcUrl, [1, 2, 3, 4])).json()).error.message).toMatch("at most 3");
    expect((await (await post(chain.rpcUrl, "{")).json()).error.code).toBe(-32700);
    expect((await post(chain.rpcUrl, `"${"x".repeat(2000)}"`)).status).toBe(413);
    expect((await fetch(chain.rpcUrl)).status).toBe(405);
    const preflight = await fetch(chain.rpcUrl, { method: "OPTIONS", headers: { origin: "https://example.org" } });
    expect(preflight.headers.get("access-control-allow-origin")).toBe("*");
    const answers = [];
    for (let i = 0; i < 12; i++) answers.push(await (await post(chain.rpcUrl, request)).json());
    expect(answers.at(-1)?.error?.code).toBe(-32005);
  });

  it("closes when it is told to by a signal", async () => {
    const stopping = new AbortController();
    const folder = newFolder();
    const chain = await open(folder, { signal: stopping.signal });
    const pid = must(chain.status().anvilPid, "pid");
    stopping.abort();
    await chain.stop();
    await gone(pid);
    expect([fs.existsSync(path.join(folder, "lock")), fs.existsSync(path.join(folder, "endpoint"))]).toEqual([
      false,
      false,
    ]);
    await expect(open(folder, { signal: stopping.signal })).rejects.toMatchObject({ code: "interrupted" });
    await expect(chain.mine()).rejects.toMatchObject({ code: "chain" });
  });

  it("does not open twice", async () => {
    const folder = newFolder();
    const chain = await open(folder);
    await expect(open(folder)).rejects.toMatchObject({ code: "chain", message: expect.stringContaining("already") });
    const port = Number(new URL(chain.rpcUrl).port);
    await expect(open(newFolder(), { port })).rejects.toMatchObject({
      code: "chain",
      message: expect.stringContaining("listen"),
    });
    expect(await ask(chain, "eth_blockNumber")).toBe("0x1");
  });
});

describe("the machinery around it", () => {
  it("takes over a lock whose holder is gone, or whose id another process has now", async () => {
    const file = path.join(newFolder(), "lock");
    const dead = spawnSync(process.execPath, ["-e", ""]).pid;
    for (const stale of [
      JSON.stringify({ pid: dead, start: "x" }),
      JSON.stringify({ pid: process.pid, start: "x" }),
      "?",
    ]) {
      fs.writeFileSync(file, stale);
      const lock = await takeLock(file);
      await expect(takeLock(file)).rejects.toMatchObject({ code: "chain" });
      await lock.release();
      expect(fs.existsSync(file)).toBe(false);
    }
  });

  it("says what to do where there is no anvil for the platform", () => {
    expect(() => anvilBinary("aix", "ppc64")).toThrow(
      expect.objectContaining({ code: "chain", remedy: expect.any(String) }),
    );
    expect(() => anvilBinary("win32", "x64")).toThrow(expect.objectContaining({ code: "chain" }));
  });

  it("survives being killed itself, again and again, under load", async () => {
    const run = spawn(process.execPath, [path.join(ROOT, "scripts/chain-kills.mjs"), "4", "3"], { cwd: ROOT });
    let said = "";
    run.stdout.on("data", (text) => {
      said += text;
    });
    run.stderr.on("data", (text) => {
      said += text;
    });
    await new Promise((resolve) => run.once("close", resolve));
    expect(said).toMatch(/^4 passed, 0 failed$/m);
  }, 60_000);
});
