/** `skein stake`: puts coins on a hotkey, takes them off, lists what is where. */
import { Argument, Command, Option } from "commander";
import { SkeinError } from "../../base/errors.ts";
import type { Chain, Hash } from "../../chain/chain.ts";
import { processTerminal, table } from "../shared/terminal.ts";
import { type ChainFlags, coldkeyOf, hotkeyOf, withChain, withConnection, withKeys } from "./connection.ts";
import { coinsOf, inCoins } from "./money.ts";
import { accountFrom, netuidOf } from "./values.ts";

interface StakeFlags extends ChainFlags {
  readonly netuid: number;
  /** Another's hotkey. */
  readonly to?: Hash;
  readonly from?: Hash;
  readonly all?: boolean;
}

/** The verb `stake`. */
export function stakeCommand(): Command {
  const amount = new Argument("[coins]", "how much").argParser(coinsOf);
  const netuid = (): Option => new Option("--netuid <n>", "the subnet").argParser(netuidOf).makeOptionMandatory();
  const add = new Command("add")
    .summary("put coins on a hotkey")
    .description("Stakes coins of the coldkey on its own hotkey, or with --to on anybody's: its dividends are shared.")
    .addArgument(amount)
    .addOption(netuid())
    .option("--to <hotkey>", "account or address of another's hotkey", accountFrom)
    .option("--all", "everything the coldkey has")
    .action((rao: bigint | undefined, flags: StakeFlags) => change("add", rao, flags));
  const remove = new Command("remove")
    .summary("take coins off a hotkey")
    .description("Takes staked coins back to the coldkey, at once.")
    .addArgument(amount)
    .addOption(netuid())
    .option("--from <hotkey>", "account or address of another's hotkey", accountFrom)
    .option("--all", "everything staked there")
    .action((rao: bigint | undefined, flags: StakeFlags) => change("remove", rao, flags));
  const list = new Command("list")
    .summary("what the coldkey has, and where")
    .description("Lists the coldkey's free coins, what it has earned and not yet claimed, and its stakes.")
    .action((flags: ChainFlags) => listStakes(flags));
  return new Command("stake")
    .summary("put coins on hotkeys, take them off, list them")
    .description("Stake gives a validator its say, and shares its dividends with whoever staked.")
    .addCommand(withKeys(withChain(add)))
    .addCommand(withKeys(withChain(remove)))
    .addCommand(withKeys(withChain(list)));
}

async function change(direction: "add" | "remove", given: bigint | undefined, flags: StakeFlags): Promise<void> {
  const terminal = processTerminal(flags.json === true);
  if ((given === undefined) === (flags.all !== true)) {
    throw new SkeinError("usage", "either an amount of coins or --all is needed", { remedy: "write one of the two" });
  }
  await withConnection(flags, terminal, async (chain) => {
    const coldkey = await coldkeyOf(flags);
    const hotkey = flags.to ?? flags.from ?? (await hotkeyOf(flags)).account;
    const rao = given ?? (await allOf(chain, direction, coldkey.account, hotkey, flags.netuid));
    const account = chain.as(coldkey);
    const { hash } = await (direction === "add"
      ? account.addStake(flags.netuid, hotkey, rao)
      : account.removeStake(flags.netuid, hotkey, rao));
    const verb = direction === "add" ? "staked" : "unstaked";
    const { balance } = await chain.funds(coldkey.account);
    terminal.line(`${verb} ${inCoins(rao)} coins; ${inCoins(balance)} are free`);
    terminal.event(verb, {
      netuid: flags.netuid,
      hotkey,
      rao: String(rao),
      balance: String(balance),
      transaction: hash,
    });
  });
}

async function allOf(
  chain: Chain,
  direction: "add" | "remove",
  coldkey: Hash,
  hotkey: Hash,
  netuid: number,
): Promise<bigint> {
  const { balance, stakes } = await chain.funds(coldkey);
  if (direction === "add") return balance;
  return stakes.find((stake) => stake.hotkey === hotkey && stake.netuid === netuid)?.rao ?? 0n;
}

async function listStakes(flags: ChainFlags): Promise<void> {
  const terminal = processTerminal(flags.json === true);
  await withConnection(flags, terminal, async (chain) => {
    const { account } = await coldkeyOf(flags);
    const { balance, earned, stakes } = await chain.funds(account);
    const staked = stakes.reduce((sum, { rao }) => sum + rao, 0n);
    const money = [
      ["free", inCoins(balance)],
      ["earned, to be claimed", inCoins(earned)],
      ["staked", inCoins(staked)],
      ["together", inCoins(balance + earned + staked)],
    ];
    for (const line of table(money, [1])) terminal.line(line);
    if (stakes.length > 0) terminal.line("");
    const rows = stakes.map(({ netuid, hotkey, rao }) => [String(netuid), hotkey, inCoins(rao)]);
    if (rows.length > 0)
      for (const line of table([["netuid", "hotkey", "coins"], ...rows], [0, 2])) terminal.line(line);
    terminal.event("funds", {
      account,
      balance: String(balance),
      earned: String(earned),
      stakes: stakes.map(({ netuid, hotkey, rao }) => ({ netuid, hotkey, rao: String(rao) })),
    });
  });
}
