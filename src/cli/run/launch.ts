/**
 * `skein launch`: puts a run on its chain and serves it. The process is the run's gateway: it hands out what everybody needs and keeps what is sent, and
 * decides nothing. The run goes on while it is away, as far as peers find each other's blobs elsewhere.
 */
import * as path from "node:path";
import { Command } from "commander";
import { fromUtf8 } from "../../base/bytes.ts";
import { SkeinError } from "../../base/errors.ts";
import { SPEC_BYTES_MAX } from "../../base/limits.ts";
import { fileLog } from "../../base/log/file.node.ts";
import { type Log, teeLog } from "../../base/log/log.ts";
import type { Chain } from "../../chain/chain.ts";
import { connectChain } from "../../chain/connect.ts";
import { readBounded } from "../../chain/files.node.ts";
import { takeLock } from "../../chain/local/disk/lock.node.ts";
import { RAO_PER_COIN } from "../../chain/money.ts";
import { paramCount } from "../../engine/shape.ts";
import type { Gateway } from "../../gateway/gateway.node.ts";
import { readSpecText, specHash } from "../../run/parse.ts";
import { roundsOf } from "../../run/rules.ts";
import type { RunSpec } from "../../run/spec.ts";
import { folderStore } from "../../store/folder.node.ts";
import { type ChainFlags, contractsOf, KEYS_FOLDER, rpcOf, withChain, withKeys } from "../chain/connection.ts";
import { coinsOf, inCoins } from "../chain/money.ts";
import { netuidOf } from "../chain/values.ts";
import { type Anchor, anchorRun, START_IN_DEFAULT } from "../launch/anchor.ts";
import { checkGenesis, dataFolderOf, openRunData } from "../launch/data.ts";
import { readLaunch } from "../launch/record.ts";
import { checkedUrl, isLoopback, serve } from "../launch/serve.ts";
import { trafficCounter } from "../launch/traffic.ts";
import { watchGateway } from "../launch/watch.ts";
import { standingOf } from "../node/reach.ts";
import { openWallet, type Wallet } from "../node/wallet.ts";
import { listenForInterrupt } from "../shared/interrupt.ts";
import { HOME, realNumber, wholeNumber } from "../shared/options.ts";
import { bytes, count, processTerminal, short, type Terminal } from "../shared/terminal.ts";

interface LaunchFlags extends ChainFlags {
  readonly data?: string;
  readonly dir?: string;
  readonly netuid?: number;
  readonly tempo?: number;
  readonly stake: bigint;
  readonly startIn?: number;
  readonly host: string;
  readonly port: number;
  readonly publicUrl?: string;
  readonly faucet?: bigint;
  /** Gigabytes. */
  readonly quota: number;
}

const PORT = 8640;
const STAKE = 1000n * RAO_PER_COIN;
const QUOTA_GB = 64;

/** The verb `launch`. */
export function launchCommand(): Command {
  const command = new Command("launch")
    .summary("put a run on chain and serve it: makes the join link")
    .description(
      "Launches the run in run.json, which `skein init` wrote: makes a subnet with the coldkey as its owner and the hotkey as uid 0, " +
        "stakes on that, registers the run on chain, and serves it to all who have the link that is printed. Started again it serves the " +
        "same run. The process holds no power over the run; but validators are needed, and the first one should be yours.",
    )
    .argument("[file]", "the run's spec", "run.json")
    .option("--data <folder>", `the dataset (default: the one in ${HOME} or beside the file that the spec names)`)
    .option("--dir <folder>", `where the gateway keeps its state (default: in ${HOME}/runs, by run)`);
  return withServing(withKeys(withChain(withSubnet(command))))
    .addHelpText(
      "after",
      `
Examples:
  skein launch                                          run.json, on the chain that runs here, for this machine
  skein launch --host 0.0.0.0 --faucet 500              for the local network; newcomers get coins to register
  skein launch --public-url https://run.example         behind a proxy
  skein launch --rpc https://… --contracts book.json    on another chain`,
    )
    .action(launch);
}

function withSubnet(command: Command): Command {
  return command
    .option("--netuid <n>", "take this subnet (default: make one)", netuidOf)
    .option(
      "--tempo <blocks>",
      "blocks of an epoch of a new subnet (default: a round's, but 20 at least)",
      wholeNumber(1, 50_400),
    )
    .option("--stake <coins>", "stake until the hotkey has this; votes count by it", coinsOf, STAKE)
    .option(
      "--start-in <blocks>",
      `blocks until round 0 (default: ${START_IN_DEFAULT}, or what it takes until votes count)`,
      wholeNumber(2, 1_000_000),
    );
}

function withServing(command: Command): Command {
  return command
    .option("--host <address>", "address to listen on; any but 127.0.0.1 lets others in", "127.0.0.1")
    .option("--port <n>", "port to listen on; 0: any free one", wholeNumber(0, 65_535), PORT)
    .option("--public-url <url>", "what links begin with, where that is another address (a proxy)")
    .option("--faucet <coins>", "give newcomers coins to register, this much in all (default: none)", coinsOf)
    .option("--quota <GB>", "disk that peers' blobs may take", realNumber(0, 1e6, true), QUOTA_GB);
}

async function launch(file: string, flags: LaunchFlags): Promise<void> {
  const terminal = processTerminal(flags.json === true);
  const publicUrl = flags.publicUrl === undefined ? {} : { publicUrl: checkedUrl(flags.publicUrl) };
  const spec = await readSpec(file);
  const folder = flags.dir ?? path.join(HOME, "runs", specHash(spec).slice(0, 12), "gateway");
  const interrupt = listenForInterrupt(terminal, "\nclosing the gateway");
  const lock = await takeLock(path.join(folder, "lock"), {
    code: "config",
    message: `a gateway works in ${folder} already`,
    remedy: "use that one, stop it, or give this one a folder of its own: --dir",
  });
  try {
    const log = trafficCounter(
      teeLog(fileLog(path.join(folder, "log.jsonl")), { event: (kind, fields) => terminal.event(kind, fields) }),
    );
    const launching: Launching = {
      spec,
      file,
      folder,
      flags: { ...flags, ...publicUrl },
      terminal,
      log,
      signal: interrupt.signal,
    };
    await launchIn({ ...launching, traffic: log.traffic });
  } finally {
    terminal.clear();
    await lock.release();
    interrupt.release();
  }
}

interface Launching {
  readonly spec: RunSpec;
  readonly file: string;
  readonly folder: string;
  readonly flags: LaunchFlags;
  readonly terminal: Terminal;
  readonly log: Log;
  readonly signal: AbortSignal;
}

type Watched = Launching & Pick<ReturnType<typeof trafficCounter>, "traffic">;

async function launchIn(launching: Watched): Promise<void> {
  const { spec, file, folder, flags, terminal, log, signal } = launching;
  const dataFolder = await dataFolderOf(spec, flags.data, [HOME, path.dirname(file)]);
  await openRunData(spec, folderStore(dataFolder));
  if ((await readLaunch(folderStore(folder))) === undefined) {
    terminal.status("making the first params, to check their hash", true);
    checkGenesis(spec);
    terminal.clear();
  }
  const [rpcUrl, contracts] = [await rpcOf(flags), await contractsOf(flags)];
  const chain = await connectChain({ rpcUrl, ...(contracts ? { contracts } : {}) });
  try {
    const wallet = await openWallet(flags, terminal);
    terminal.status("putting the run on chain", true);
    const anchor = await anchorOf(launching, chain, wallet);
    terminal.clear();
    const { host, port, publicUrl, faucet: budget, quota } = flags;
    const gateway = await serve({
      ...{ spec, run: anchor.run, chain, rpcUrl, contracts, coldkey: wallet.coldkey, budget },
      ...{ folder, dataFolder, quotaBytes: Math.round(quota * 1e9), log, host, port },
      ...(publicUrl === undefined ? {} : { publicUrl }),
    });
    try {
      await tell(launching, { anchor, gateway, chain, dataFolder });
      await watchGateway({
        ...{ chain, run: anchor.run, rounds: roundsOf(spec), traffic: launching.traffic },
        ...{ terminal, log, signal },
      });
    } finally {
      await gateway.close();
    }
    terminal.clear();
    const { requests } = launching.traffic();
    log.event("end", { requests });
    terminal.line(`closed after ${count(requests)} requests; the same command serves the run again`);
  } finally {
    await chain.close();
  }
}

function anchorOf({ spec, folder, flags, log, signal }: Launching, chain: Chain, wallet: Wallet): Promise<Anchor> {
  const { netuid, tempo, startIn, stake } = flags;
  return anchorRun({
    ...{ chain, spec, folder: folderStore(folder), stake, log, signal, ...wallet },
    ...(netuid === undefined ? {} : { netuid }),
    ...(tempo === undefined ? {} : { tempo }),
    ...(startIn === undefined ? {} : { startIn }),
  });
}

async function readSpec(file: string): Promise<RunSpec> {
  const text = await readBounded(file, 4 * SPEC_BYTES_MAX);
  if (text !== undefined) return readSpecText(fromUtf8(text));
  throw new SkeinError("usage", `there is no file ${file}`, { remedy: `write one: skein init ${file}` });
}

interface Launched {
  readonly anchor: Anchor;
  readonly gateway: Gateway;
  readonly chain: Chain;
  readonly dataFolder: string;
}

/** What runs now, and what to do next. */
async function tell(launching: Launching, { anchor, gateway, chain, dataFolder }: Launched): Promise<void> {
  const { spec, folder, flags, terminal, log } = launching;
  const { run, resumed } = anchor;
  const { block } = await chain.head();
  const { model, inner } = spec;
  const faucet = flags.faucet === undefined ? "" : `; newcomers get coins to register, ${inCoins(flags.faucet)} in all`;
  for (const line of [
    `run     ${spec.name}: run ${run.runId} on subnet ${run.netuid} of chain ${chain.chainId}${resumed ? ", launched before" : ""}`,
    `now     ${standingOf(spec, run, block)}`,
    `model   ${short(paramCount(model))} params (vocabulary ${count(model.vocabSize)}, width ${model.dim}, ${model.layers} layers)`,
    `data    ${dataFolder}; ${inner.steps} steps of up to ${inner.batch} × ${inner.seqLen} tokens in a round`,
    `store   ${path.join(folder, "store")}, up to ${bytes(flags.quota * 1e9)}${faucet}`,
    `\nlink    ${gateway.link}\n`,
    "The run needs validators: without their votes all work counts for nothing. Start yours in another terminal:",
    `  skein validate ${gateway.link}${keyFlags(flags)}`,
    "Whoever wants to train:",
    `  skein join ${gateway.link}\n`,
  ])
    terminal.line(line);
  if (isLoopback(flags.host) && flags.publicUrl === undefined)
    terminal.note("The link works on this machine only; --host 0.0.0.0 lets others in.");
  if (flags.stake === 0n) terminal.note("Nothing was staked on the hotkey: its votes count for nothing. Give --stake.");
  log.event("ready", {
    ...{ link: gateway.link, runId: run.runId, netuid: run.netuid, chainId: chain.chainId, url: gateway.url },
    ...{ specHash: specHash(spec), startBlock: run.startBlock, block, folder, data: dataFolder, resumed },
  });
}

/** The flags that name the owner's keys, where they are not those that are meant without. */
function keyFlags({ wallet, hotkey, keys }: LaunchFlags): string {
  const flags = [
    wallet === "default" ? "" : ` --wallet ${wallet}`,
    hotkey === "default" ? "" : ` --hotkey ${hotkey}`,
    keys === KEYS_FOLDER ? "" : ` --keys ${keys}`,
  ];
  return flags.join("");
}
