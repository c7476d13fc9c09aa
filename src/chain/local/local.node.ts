/**
 * Names Node: the embedded chain, an EVM chain in one folder of this machine. One supervisor (this process) keeps one anvil running, makes
 * the blocks, and opens the door for clients. Files in the folder: chain.json and mnemonic (settings.node.ts), states/ (copies.node.ts),
 * journal/ (journal.node.ts), lock, endpoint (the address in use), anvil.pid.
 *
 * It is one trusted sequencer: whoever runs it decides what goes into a block and when. Anybody who has the journal can recompute the chain.
 */
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { utf8 } from "../../base/bytes.ts";
import { messageOf, SkeinError } from "../../base/errors.ts";
import { CALL_GAS_MAX, TRANSACTION_BYTES_MAX, TRANSACTION_GAS_MAX } from "../../base/limits.ts";
import type { Head } from "../chain.ts";
import { writeWhole } from "../files.node.ts";
import { anvilBinary } from "./binary.node.ts";
import { type BootPlan, type GenesisTools, killStale, makeGenesis } from "./boot.node.ts";
import { takeLock } from "./disk/lock.node.ts";
import { GATEWAY_LIMITS, type Gateway, type GatewayLimits, openGateway } from "./door/gateway.node.ts";
import type { BlockTime } from "./pace.ts";
import { type LocalChainEvent, Sequencer, type SequencerOptions } from "./sequencer.node.ts";
import { chainSettings, FILES } from "./settings.node.ts";

export type { GenesisTools } from "./boot.node.ts";
export type { LocalChainEvent } from "./sequencer.node.ts";

/** How to start a chain. */
export interface LocalChainOptions {
  /** The chain's folder; created where it is missing. */
  readonly folder: string;
  /** Seconds between blocks (whole, or below 1 for tests); 0: a block as soon as there is a transaction; "manual": only by `mine`. */
  readonly blockTimeSeconds: BlockTime;
  /** Address to listen on: 127.0.0.1. Any other lets other machines in; there is no encryption and no password. */
  readonly host?: string;
  /** Port to listen on: 0, any free one. */
  readonly port?: number;
  /** Stops the chain. */
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: LocalChainEvent) => void;
  /** Sets up a new chain before its first block that clients see. Repeated from the start where it was interrupted. */
  readonly prepareGenesis?: (tools: GenesisTools) => Promise<void>;
  readonly limits?: Partial<GatewayLimits & SequencerOptions["limits"]>;
  /** Blocks between two copies of the state: 256. */
  readonly copyEveryBlocks?: number;
  /** Newest blocks and receipts that survive a restart: 4096. Older ones can be replayed from the journal. */
  readonly blocksKept?: number;
}

/** A running chain. */
export interface LocalChain {
  /** Where clients find it, JSON-RPC over HTTP. */
  readonly rpcUrl: string;
  readonly chainId: number;
  readonly folder: string;
  /** The newest block that is safe. */
  head(): Head;
  /** Mines a block now. */
  mine(): Promise<Head>;
  status(): LocalChainStatus;
  /** Stops it; a second call waits for the first. */
  stop(): Promise<void>;
}

/** How a chain is doing. */
export interface LocalChainStatus {
  /** undefined while it is being restarted. */
  readonly anvilPid: number | undefined;
  readonly pendingTransactions: number;
  /** Why it has given up, if it has. */
  readonly failure: SkeinError | undefined;
}

/** Gas and bytes that one transaction or call may take. */
const METHOD_LIMITS: SequencerOptions["limits"] = {
  transactionGas: TRANSACTION_GAS_MAX,
  callGas: CALL_GAS_MAX,
  transactionBytes: TRANSACTION_BYTES_MAX,
};

function checkOptions({ blockTimeSeconds: seconds, copyEveryBlocks = 1, blocksKept = 256 }: LocalChainOptions): void {
  const isTime =
    seconds === "manual" || (seconds >= 0 && seconds <= 3600 && (seconds < 1 || Number.isInteger(seconds)));
  if (!isTime) {
    throw new SkeinError("config", `a block time of ${seconds} seconds is not possible`, {
      remedy: "choose whole seconds from 1 to 3600, or 0 for a block per transaction",
    });
  }
  if (!Number.isInteger(copyEveryBlocks) || copyEveryBlocks < 1 || !Number.isInteger(blocksKept) || blocksKept < 256) {
    const remedy = "copies are made every 1 or more blocks; 256 or more blocks are kept, as the EVM's BLOCKHASH needs";
    throw new SkeinError("config", "the chain cannot be run with these numbers of blocks", { remedy });
  }
}

/**
 * Starts the chain of a folder, a new one where there is none. Throws SkeinError("chain") where it is running already, where this platform
 * has no anvil, where the port is taken, or where the folder is damaged beyond what the journal and the older copy can mend.
 *
 * @example
 * const chain = await startLocalChain({ folder: "chain", blockTimeSeconds: 12 });
 * console.log(chain.rpcUrl, chain.chainId);
 * await chain.stop();
 */
export async function startLocalChain(options: LocalChainOptions): Promise<LocalChain> {
  checkOptions(options);
  throwIfAborted(options.signal);
  const folder = path.resolve(options.folder);
  const binary = anvilBinary();
  const lock = await takeLock(path.join(folder, FILES.lock));
  try {
    await killStale(folder);
    return await startLocked(options, folder, binary, lock.release);
  } catch (thrown) {
    await lock.release();
    throw thrown;
  }
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new SkeinError("interrupted", "stopped while the chain was starting");
}

async function startLocked(
  options: LocalChainOptions,
  folder: string,
  binary: string,
  release: () => Promise<void>,
): Promise<LocalChain> {
  const settings = await chainSettings(folder);
  const { onEvent = () => {}, limits = {}, copyEveryBlocks = 256, blocksKept = 4096, blockTimeSeconds } = options;
  const plan: BootPlan = { folder, binary, settings, note: (what) => onEvent({ kind: "note", what }) };
  await makeGenesis(plan, options.prepareGenesis);
  const sequencer = await Sequencer.open(plan, {
    blockTimeSeconds,
    copyEveryBlocks,
    blocksKept,
    limits: { ...METHOD_LIMITS, ...limits },
    onEvent,
  });
  const { host = "127.0.0.1", port = 0 } = options;
  let gateway: Gateway;
  try {
    const all = { ...GATEWAY_LIMITS, ...limits };
    gateway = await openGateway(host, port, all, (request) => sequencer.answer(request));
  } catch (thrown) {
    await sequencer.stop();
    throw thrown;
  }
  const endpoint = path.join(folder, FILES.endpoint);
  await writeWhole(endpoint, utf8(`${gateway.url}\n`));
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopped ??= (async () => {
      await fs.rm(endpoint, { force: true });
      await gateway.close();
      await sequencer.stop();
      await fs.rm(path.join(folder, FILES.anvil), { force: true });
      await release();
    })();
    return stopped;
  };
  const { signal } = options;
  if (signal?.aborted === true) await stop();
  throwIfAborted(signal);
  const onAbort = (): void => {
    stop().catch((thrown: unknown) => onEvent({ kind: "failed", what: messageOf(thrown) }));
  };
  signal?.addEventListener("abort", onAbort, { once: true });
  return {
    rpcUrl: gateway.url,
    chainId: settings.chainId,
    folder,
    head: () => sequencer.head,
    mine: () => sequencer.mine(),
    status: () => ({
      anvilPid: sequencer.pid,
      pendingTransactions: sequencer.pending,
      failure: sequencer.failure,
    }),
    stop,
  };
}
