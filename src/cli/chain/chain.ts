/** `skein chain`: runs the embedded chain; `skein chain deploy` puts the contracts onto another one. */
import * as path from "node:path";
import { Command } from "commander";
import { utf8 } from "../../base/bytes.ts";
import { writeWhole } from "../../chain/files.node.ts";
import { keyFolder } from "../../chain/keys/keys.node.ts";
import type { LocalChain, LocalChainEvent } from "../../chain/local/local.node.ts";
import { RAO_PER_COIN } from "../../chain/money.ts";
import { tellNewWallet } from "../node/wallet.ts";
import { listenForInterrupt } from "../shared/interrupt.ts";
import { wholeNumber, withJson } from "../shared/options.ts";
import { count, processTerminal, type Terminal } from "../shared/terminal.ts";
import { CHAIN_FOLDER, type ChainFlags, coldkeyOf, KEYS_FOLDER, rpcOf, withChain, withKeys } from "./connection.ts";
import { coinsOf, inCoins } from "./money.ts";

interface ServeFlags {
  readonly folder: string;
  readonly blockTime: number;
  readonly host: string;
  readonly port: number;
  readonly wallet: string;
  readonly keys: string;
  readonly supply: bigint;
  readonly subnetCost: bigint;
  readonly json?: boolean;
}

interface DeployFlags extends ChainFlags {
  readonly out: string;
  readonly supply: bigint;
  readonly subnetCost: bigint;
}

const PORT = 8545;

/** The verb `chain`. */
export function chainCommand(): Command {
  const command = new Command("chain")
    .enablePositionalOptions() // what follows `deploy` is for it
    .summary("run a chain on this machine")
    .description(
      "Runs a chain with Skein's contracts until Ctrl-C, and goes on with it the next time: subnets, stake, weights, " +
        "rewards. It is one trusted sequencer: whoever runs it decides what goes into a block. On a new folder the " +
        "wallet is made if there is none, and owns all coins there are at the beginning.",
    )
    .option("--folder <folder>", "where the chain lives", CHAIN_FOLDER)
    .option("--block-time <seconds>", "seconds between blocks; 0: one for each transaction", wholeNumber(0, 3600), 2)
    .option("--host <address>", "address to listen on; any but 127.0.0.1 lets others in", "127.0.0.1")
    .option("--port <n>", "port to listen on; 0: any free one", wholeNumber(0, 65_535), PORT)
    .option("--wallet <name>", "who owns the coins of a new chain", "default")
    .option("--keys <folder>", "where keys are", KEYS_FOLDER)
    .option("--supply <coins>", "coins of a new chain", coinsOf, 1_000_000n * RAO_PER_COIN)
    .option("--subnet-cost <coins>", "least cost of a subnet of a new chain", coinsOf, 100n * RAO_PER_COIN);
  const deploy = new Command("deploy")
    .summary("put the contracts onto another EVM chain")
    .description(
      "Deploys the contracts to the chain at --rpc, where the coldkey pays for the gas, and writes their addresses to a " +
        "file that the other commands take as --contracts. The coldkey owns all coins there are at the beginning.",
    )
    .option("--out <file>", "where the addresses are written", "contracts.json")
    .option("--supply <coins>", "coins of the new ledger", coinsOf, 1_000_000n * RAO_PER_COIN)
    .option("--subnet-cost <coins>", "least cost of a subnet", coinsOf, 100n * RAO_PER_COIN)
    .action((flags: DeployFlags) => deployTo(flags));
  command.addCommand(withKeys(withChain(deploy)));
  return withJson(command)
    .addHelpText(
      "after",
      `
Examples:
  skein chain                       run it here; leave it running and use another terminal for:
  skein subnet create --set tempo=30
  skein stake add 1000 --netuid 1
  skein metagraph 1`,
    )
    .action(serve);
}

async function deployTo(flags: DeployFlags): Promise<void> {
  const terminal = processTerminal(flags.json === true);
  const { deployEvm } = await import("../../chain/evm/client.ts");
  const { loadArtifacts } = await import("../../chain/evm/artifacts.node.ts");
  const { addressBookJson } = await import("../../chain/evm/book.ts");
  const artifacts = loadArtifacts();
  const coldkey = await coldkeyOf(flags);
  const genesis = { balances: new Map([[coldkey.account, flags.supply]]), lockMin: flags.subnetCost };
  const rpcUrl = await rpcOf(flags);
  const onStep = (done: number): void => terminal.status(`transaction ${done}`);
  const book = await deployEvm(rpcUrl, coldkey, artifacts, genesis, { onStep });
  await writeWhole(flags.out, utf8(addressBookJson(book)));
  terminal.clear();
  terminal.line(`deployed; the addresses are in ${flags.out}: give it to the other commands as --contracts`);
  terminal.event("deployed", { rpcUrl, out: flags.out, contracts: { ...book } });
}

async function serve(flags: ServeFlags): Promise<void> {
  const terminal = processTerminal(flags.json === true);
  const interrupt = listenForInterrupt(terminal, "\nstopping the chain");
  let tellBlock = (): void => {};
  const { startLocalChain } = await import("../../chain/local/local.node.ts");
  const { contractsGenesis } = await import("../../chain/local/genesis.node.ts");
  try {
    const chain = await startLocalChain({
      folder: flags.folder,
      blockTimeSeconds: flags.blockTime,
      host: flags.host,
      port: flags.port,
      onEvent: (event) => {
        if (event.kind === "block") tellBlock();
        else tell(event, terminal);
      },
      prepareGenesis: async (tools) => {
        const owner = await ownerOf(flags, terminal);
        terminal.status("setting up the contracts");
        const genesis = { balances: new Map([[owner, flags.supply]]), lockMin: flags.subnetCost };
        await contractsGenesis(genesis)(tools);
        terminal.clear();
        terminal.line(
          `new chain in ${flags.folder}: ${inCoins(flags.supply)} coins belong to the wallet ${flags.wallet}`,
        );
      },
    });
    tellBlock = () => terminal.status(`block ${count(chain.head().block)}`);
    await watch(chain, flags, interrupt.signal, terminal);
  } finally {
    interrupt.release();
  }
}

/** The account that a new chain's coins go to; its wallet is made where there is none. */
async function ownerOf({ keys, wallet }: ServeFlags, terminal: Terminal): Promise<`0x${string}`> {
  const folder = keyFolder(keys);
  const known = await folder.find({ name: wallet });
  await folder.ensure({ name: wallet, hotkey: "default" });
  if (known) return known.account;
  const made = await folder.create({ name: wallet });
  tellNewWallet(made, { wallet, keys }, terminal);
  return made.account;
}

async function watch(chain: LocalChain, flags: ServeFlags, signal: AbortSignal, terminal: Terminal): Promise<void> {
  const { block } = chain.head();
  terminal.line(`chain ${chain.chainId} at ${chain.rpcUrl}, block ${count(block)}, a block every ${flags.blockTime} s`);
  terminal.line("Ctrl-C stops it; nothing that is in a block is lost.\n");
  terminal.event("ready", { chainId: chain.chainId, rpcUrl: chain.rpcUrl, block, folder: path.resolve(flags.folder) });
  await stopped(chain, signal).finally(() => chain.stop());
  terminal.clear();
  terminal.line(`stopped at block ${count(chain.head().block)}; \`skein chain\` goes on from there`);
  terminal.event("end", { block: chain.head().block });
}

/** Resolves when the signal comes; rejects when the chain gives up. */
function stopped(chain: LocalChain, signal: AbortSignal): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    const timer = setInterval(() => {
      const { failure } = chain.status();
      if (!failure && !signal.aborted) return;
      clearInterval(timer);
      if (failure) reject(failure);
      else resolve();
    }, 100);
  });
}

function tell(event: LocalChainEvent, terminal: Terminal): void {
  if ("what" in event) terminal.note(event.what);
  if (event.kind === "healed")
    terminal.note(`the chain's process was restarted; ${count(event.replayed)} blocks replayed`);
}
