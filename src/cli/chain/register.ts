/** `skein register`: buys a uid for a hotkey. */
import { Argument, Command } from "commander";
import { processTerminal } from "../shared/terminal.ts";
import { type ChainFlags, coldkeyOf, hotkeyOf, withChain, withConnection, withKeys } from "./connection.ts";
import { coinsOf, inCoins } from "./money.ts";
import { netuidOf } from "./values.ts";

interface RegisterFlags extends ChainFlags {
  readonly maxBurn?: bigint;
}

/** The verb `register`. */
export function registerCommand(): Command {
  const command = new Command("register")
    .summary("buy a uid for a hotkey")
    .description(
      "Registers the wallet's hotkey on a subnet: burns the price of a uid from the coldkey. The hotkey signs that it " +
        "agrees. Registered already is fine: then it says the uid and burns nothing.",
    )
    .addArgument(new Argument("<netuid>", "the subnet's number").argParser(netuidOf))
    .option("--max-burn <coins>", "burn at most this (default: the price now, and a tenth)", coinsOf);
  return withKeys(withChain(command)).action((netuid: number, flags: RegisterFlags) => register(netuid, flags));
}

async function register(netuid: number, flags: RegisterFlags): Promise<void> {
  const terminal = processTerminal(flags.json === true);
  await withConnection(flags, terminal, async (chain) => {
    const [coldkey, hotkey] = [await coldkeyOf(flags), await hotkeyOf(flags)];
    const { subnet, neurons } = await chain.metagraph(netuid);
    const mine = neurons.find((neuron) => neuron.hotkey === hotkey.account);
    if (mine) {
      terminal.line(`${flags.hotkey} has uid ${mine.uid} on subnet ${netuid} already`);
      terminal.event("registered", { netuid, uid: mine.uid, burned: "0", already: true });
      return;
    }
    const before = (await chain.funds(coldkey.account)).balance;
    const { uid, hash } = await chain.as(coldkey).register(netuid, hotkey, flags.maxBurn ?? (subnet.burn * 11n) / 10n);
    const burned = before - (await chain.funds(coldkey.account)).balance;
    terminal.line(`${flags.hotkey} has uid ${uid} on subnet ${netuid}; ${inCoins(burned)} coins were burned`);
    terminal.event("registered", { netuid, uid, burned: String(burned), already: false, transaction: hash });
  });
}
