/**
 * An anvil for tests: its own chain id and mnemonic, a free port, gas for nothing, one block a transaction unless told otherwise.
 *
 * @example
 * const anvil = await startAnvil();
 * afterAll(() => anvil.stop());
 */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import type { Readable } from "node:stream";
import type { PublicActions, WalletActions } from "viem";
import {
  type Account,
  type Chain,
  createTestClient,
  http,
  publicActions,
  type TestClient,
  type Transport,
  walletActions,
} from "viem";
import { english, generateMnemonic, generatePrivateKey, mnemonicToAccount, privateKeyToAccount } from "viem/accounts";
import { anvilBinary } from "../../src/chain/local/binary.node.ts";

/** viem's client for reading, sending and anvil's own methods; it signs as `account`. */
export type AnvilClient = TestClient<"anvil", Transport, Chain, Account> &
  PublicActions<Transport, Chain, Account> &
  WalletActions<Chain, Account>;

/** A running anvil. */
export interface Anvil {
  readonly url: string;
  readonly chain: Chain;
  /** Acts as anvil's own account, which has native coin. */
  readonly client: AnvilClient;
  /** A client that acts as a new key without any coin. */
  newAccount(): AnvilClient;
  stop(): Promise<void>;
}

/** Settings of `startAnvil`. */
export interface AnvilOptions {
  readonly chainId?: number;
  /** Seconds between blocks; without it, each transaction gets its block at once. */
  readonly blockTime?: number;
  /** Blocks come only when asked for (`client.mine`). */
  readonly noMining?: boolean;
  readonly more?: readonly string[];
}

const START_MS_MAX = 15_000;

/** Starts an anvil on a free port. Stop it with `stop()`; it also ends with this process. */
export async function startAnvil(options: AnvilOptions = {}): Promise<Anvil> {
  const chainId = options.chainId ?? 1_000_000 + randomInt(1_000_000_000);
  const mnemonic = generateMnemonic(english);
  const child = spawn(anvilBinary(), flags(chainId, mnemonic, options), { stdio: ["ignore", "pipe", "pipe"] });
  const end = (): void => void child.kill("SIGKILL");
  process.once("exit", end);
  const url = `http://127.0.0.1:${await listeningPort(child)}`;
  const chain: Chain = {
    id: chainId,
    name: "test",
    nativeCurrency: { name: "coin", symbol: "coin", decimals: 18 },
    rpcUrls: { default: { http: [url] } },
    // viem and anvil would propose a tip above the cap of zero
    prepareTransactionRequest: async (request) =>
      ({ ...request, maxFeePerGas: 0n, maxPriorityFeePerGas: 0n }) as typeof request,
  };
  const client = (account: Account): AnvilClient =>
    createTestClient({
      account,
      chain,
      mode: "anvil",
      transport: http(url, { timeout: 60_000 }),
      pollingInterval: 20,
      cacheTime: 0,
    })
      .extend(publicActions)
      .extend(walletActions);
  return {
    url,
    chain,
    client: client(mnemonicToAccount(mnemonic)),
    newAccount: () => client(privateKeyToAccount(generatePrivateKey())),
    stop: async () => {
      process.removeListener("exit", end);
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await gone;
    },
  };
}

/** The same work with calls that wait for each other: one begins when the one before has ended, well or not. */
export function inTurn<A extends readonly unknown[], R>(work: (...args: A) => Promise<R>): (...args: A) => Promise<R> {
  let last: Promise<unknown> = Promise.resolve();
  return (...args) => {
    const result = last.then(() => work(...args));
    last = result.catch(() => undefined);
    return result;
  };
}

function flags(chainId: number, mnemonic: string, options: AnvilOptions): string[] {
  const rhythm = options.blockTime === undefined ? [] : ["--block-time", String(options.blockTime)];
  return [
    ...["--host", "127.0.0.1", "--port", "0", "--hardfork", "cancun", "--prune-history", "64"],
    ...["--gas-limit", "1000000000", "--base-fee", "0", "--gas-price", "0", "--disable-min-priority-fee"],
    ...["--chain-id", String(chainId), "--accounts", "1", "--mnemonic", mnemonic],
    ...rhythm,
    ...(options.noMining ? ["--no-mining"] : []),
    ...(options.more ?? []),
  ];
}

/** Reads what anvil prints until it names its port; goes on reading so that the pipe never fills. */
function listeningPort(child: ChildProcessByStdio<null, Readable, Readable>): Promise<number> {
  return new Promise((resolve, reject) => {
    let text = "";
    const timer = setTimeout(() => reject(new Error(`anvil did not start in time: ${text}`)), START_MS_MAX);
    const read = (chunk: Buffer): void => {
      if (text.length > 10_000) return;
      text += chunk.toString();
      const port = /Listening on 127\.0\.0\.1:(\d+)/.exec(text)?.[1];
      if (port === undefined) return;
      clearTimeout(timer);
      resolve(Number(port));
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`anvil ended with ${code}: ${text}`)));
  });
}
