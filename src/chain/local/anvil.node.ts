/**
 * Names Node: one anvil process, and talking to it. It mines only when told to, listens on a port of its own choosing that nobody is told,
 * writes nothing to the chain's folder, and does not outlive this process: on POSIX systems a small shell script holds the reading end of
 * a pipe whose writing end only we have, and kills anvil when the pipe closes, however we died.
 *
 * Settings (all fixed, because they enter block hashes or bound the work): hardfork cancun (later ones write a history slot per block and make
 * each block slower than the last), states of 64 blocks in memory, free gas, no unlocked accounts, transactions in order of arrival.
 * On Linux the address is a random one of 127.0.0.0/8 and cross-origin requests are off, so that no web page finds the privileged port.
 * Other accounts of the same machine could: whoever may start programs on it is trusted.
 */
import { type ChildProcess, spawn } from "node:child_process";
import * as http from "node:http";
import { must } from "../../base/assert.ts";
import { messageOf, SkeinError } from "../../base/errors.ts";
import { systemRandom } from "../../base/random.ts";

/** What a new anvil is started with. */
export interface AnvilOptions {
  readonly binary: string;
  readonly chainId: number;
  /** Seconds since 1970. Enters block 0 and with it every hash. */
  readonly genesisTimestamp: number;
  readonly gasLimit: number;
  /** A state copy to start from. */
  readonly loadState?: string;
  /** Told the process id as soon as it is known. */
  readonly onPid?: (pid: number) => Promise<void>;
}

/** A running anvil. */
export interface Anvil {
  readonly pid: number;
  readonly url: string;
  /** Why it is gone, as soon as it is. */
  readonly gone: Promise<string>;
  /** Whether it is still there. */
  alive(): boolean;
  /** Calls any method, privileged ones included. Rejects with RpcError where anvil refuses, with SkeinError("chain") where it is gone. */
  call(method: string, params?: readonly unknown[]): Promise<unknown>;
  /** Sends a request's body as it is and gives the answer's. */
  forward(body: string): Promise<string>;
  /** Ends it and waits; kills it where it does not end within some seconds. */
  stop(): Promise<void>;
  kill(): void;
}

/** Anvil's own refusal. */
export class RpcError extends Error {
  override readonly name = "RpcError";
  readonly code: number;

  constructor(method: string, code: number, message: string) {
    super(`${method}: ${message}`);
    this.code = code;
  }
}

const START_MS_MAX = 60_000;
const STOP_MS_MAX = 5000;
/** Longest silence on a request: a block full of gas takes seconds. */
const CALL_MS_MAX = 120_000;
const ANSWER_BYTES_MAX = 1 << 30;

/**
 * Starts anvil, says its process id, and kills it as soon as nothing can be read from descriptor 3 any more. The subshell that waits for
 * that dies with the script's end.
 */
const WATCHDOG = [
  "exec 3<&0",
  '"$@" </dev/null 3<&- & child=$!',
  'echo "pid $child"',
  '{ read -r line <&3; kill -9 "$child"; } >/dev/null 2>&1 & dog=$!',
  'wait "$child"; code=$?',
  'kill "$dog" 2>/dev/null',
  'exit "$code"',
].join("\n");

function argumentsOf(options: AnvilOptions): string[] {
  const host =
    process.platform === "linux"
      ? `127.${1 + systemRandom.below(254)}.${systemRandom.below(256)}.${1 + systemRandom.below(254)}`
      : "127.0.0.1";
  const settings: readonly (readonly [string, string | number])[] = [
    ["--host", host],
    ["--port", 0],
    ["--hardfork", "cancun"],
    ["--prune-history", 64],
    ["--order", "fifo"],
    ["--gas-limit", options.gasLimit],
    ["--base-fee", 0],
    ["--gas-price", 0],
    ["--chain-id", options.chainId],
    ["--timestamp", options.genesisTimestamp],
    ["--accounts", 0],
    ...(options.loadState === undefined ? [] : [["--load-state", options.loadState] as const]),
  ];
  const flags = ["--no-mining", "--disable-min-priority-fee", "--no-cors", "--no-request-size-limit"];
  return [...settings.flat().map(String), ...flags];
}

function spawnWatched(options: AnvilOptions): ChildProcess {
  const all = [options.binary, ...argumentsOf(options)];
  const env = { ...process.env, RUST_LOG: "error" };
  if (process.platform === "win32") return spawn(must(all[0], "program"), all.slice(1), { stdio: "pipe", env });
  return spawn("/bin/sh", ["-c", WATCHDOG, "anvil", ...all], { stdio: "pipe", env });
}

/** Starts anvil and waits until it answers. Throws SkeinError("chain") where it does not come up. */
export async function startAnvil(options: AnvilOptions): Promise<Anvil> {
  const child = spawnWatched(options);
  let complaints = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    complaints = (complaints + text).slice(-2000);
  });
  const gone = new Promise<string>((resolve) => {
    child.once("error", (thrown) => resolve(messageOf(thrown)));
    child.once("close", (code, signal) => resolve(`${signal ?? `exit status ${code}`}. ${complaints.trim()}`));
  });
  let dead = false;
  void gone.then(() => {
    dead = true;
  });
  child.once("exit", () => {
    dead = true;
    child.stdin?.destroy(); // where only the script was killed, this makes its other half kill anvil
  });
  child.stdin?.on("error", () => {});
  const kill = (): void => {
    dead = true;
    child.stdin?.destroy();
    if (process.platform === "win32") child.kill("SIGKILL");
  };
  try {
    const { pid, host, port } = await readiness(child, gone, options);
    const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
    void gone.then(() => agent.destroy());
    const forward = (body: string): Promise<string> => post(agent, host, port, body);
    return {
      pid,
      url: `http://${host}:${port}`,
      gone,
      alive: () => !dead,
      call: (method, params = []) => callOver(forward, method, params),
      forward,
      kill,
      stop: () => stopChild(pid, gone, kill),
    };
  } catch (thrown) {
    kill();
    throw thrown;
  }
}

/** Reads the process id from the script's first line and the address from anvil's last one. */
async function readiness(
  child: ChildProcess,
  gone: Promise<string>,
  options: AnvilOptions,
): Promise<{ pid: number; host: string; port: number }> {
  let said = "";
  let pid = child.pid ?? 0;
  const listening = new Promise<{ pid: number; host: string; port: number }>((resolve, reject) => {
    const patience = setTimeout(() => reject(notUp("it does not answer")), START_MS_MAX);
    void gone.then((why) => reject(notUp(why))).finally(() => clearTimeout(patience));
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      said = (said + text).slice(-4000);
      const started = /^pid (\d+)\n/.exec(said);
      if (started) pid = Number(started[1]);
      const match = /Listening on ([\d.]+):(\d+)/.exec(said);
      if (match) {
        clearTimeout(patience);
        child.stdout?.removeAllListeners("data").resume();
        resolve({ pid, host: match[1] ?? "", port: Number(match[2]) });
      }
    });
  });
  const ready = await listening;
  await options.onPid?.(ready.pid);
  return ready;
}

function notUp(why: string): SkeinError {
  const remedy = "try again; if it stays so, look whether the machine has memory and free processes left";
  return new SkeinError("chain", "the embedded chain's anvil does not start", { details: why, remedy });
}

async function stopChild(pid: number, gone: Promise<string>, kill: () => void): Promise<void> {
  try {
    process.kill(pid, "SIGTERM");
  } catch {
    // gone already
  }
  const patience = setTimeout(kill, STOP_MS_MAX);
  await gone;
  clearTimeout(patience);
  kill();
}

/** One POST over a kept-alive connection. */
function post(agent: http.Agent, host: string, port: number, body: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown): void => {
      reject(
        new SkeinError("chain", "the embedded chain's anvil does not answer", { details: messageOf(cause), cause }),
      );
    };
    const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
    const request = http.request({ agent, host, port, method: "POST", headers, timeout: CALL_MS_MAX }, (response) => {
      const parts: Buffer[] = [];
      let bytes = 0;
      response.on("data", (part: Buffer) => {
        parts.push(part);
        bytes += part.length;
        if (bytes > ANSWER_BYTES_MAX) response.destroy(new Error("the answer is too long"));
      });
      response.on("end", () => resolve(Buffer.concat(parts).toString("utf8")));
      response.on("error", fail);
    });
    request.on("error", fail);
    request.on("timeout", () => request.destroy(new Error("no answer in time")));
    request.end(body);
  });
}

async function callOver(
  forward: (body: string) => Promise<string>,
  method: string,
  params: readonly unknown[],
): Promise<unknown> {
  const answer: unknown = JSON.parse(await forward(JSON.stringify({ jsonrpc: "2.0", id: 1, method, params })));
  if (typeof answer !== "object" || answer === null) throw new RpcError(method, -32603, "no answer");
  if ("error" in answer) {
    const { code, message } = answer.error as { code?: number; message?: string };
    throw new RpcError(method, Number(code), String(message));
  }
  return "result" in answer ? answer.result : undefined;
}
