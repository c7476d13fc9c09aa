/** `skein transfer` and `skein claim`: moves coins to another account; moves what was earned to one's own. */
import { Argument, Command } from "commander";
import type { Hash } from "../../chain/chain.ts";
import { processTerminal } from "../shared/terminal.ts";
import { type ChainFlags, coldkeyOf, withChain, withConnection, withKeys } from "./connection.ts";
import { coinsOf, inCoins } from "./money.ts";
import { accountFrom } from "./values.ts";

/** The verb `transfer`. */
export function transferCommand(): Command {
  const command = new Command("transfer")
    .summary("send coins")
    .description("Sends coins from the coldkey to an account or an address.")
    .addArgument(new Argument("<to>", "account or address").argParser(accountFrom))
    .addArgument(new Argument("<coins>", "how much").argParser(coinsOf));
  return withKeys(withChain(command)).action((to: Hash, rao: bigint, flags: ChainFlags) => transfer(to, rao, flags));
}

async function transfer(to: Hash, rao: bigint, flags: ChainFlags): Promise<void> {
  const terminal = processTerminal(flags.json === true);
  await withConnection(flags, terminal, async (chain) => {
    const { hash } = await chain.as(await coldkeyOf(flags)).transfer(to, rao);
    terminal.line(`sent ${inCoins(rao)} coins to ${to}`);
    terminal.event("sent", { to, rao: String(rao), transaction: hash });
  });
}

/** The verb `claim`. */
export function claimCommand(): Command {
  const command = new Command("claim")
    .summary("take what was earned")
    .description(
      "Moves everything that the coldkey has earned (incentive, take, a subnet owner's cut) to its free coins.",
    );
  return withKeys(withChain(command)).action(claim);
}

async function claim(flags: ChainFlags): Promise<void> {
  const terminal = processTerminal(flags.json === true);
  await withConnection(flags, terminal, async (chain) => {
    const coldkey = await coldkeyOf(flags);
    const { earned } = await chain.funds(coldkey.account);
    const receipt = earned > 0n ? await chain.as(coldkey).claim() : undefined;
    const { balance } = await chain.funds(coldkey.account);
    terminal.line(`claimed ${inCoins(earned)} coins; ${inCoins(balance)} are free`);
    terminal.event("claimed", { rao: String(earned), balance: String(balance), transaction: receipt?.hash ?? null });
  });
}
