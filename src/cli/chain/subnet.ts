/** `skein subnet`: makes a subnet, lists and shows them, sets hyperparameters. */
import { Argument, Command } from "commander";
import { SkeinError } from "../../base/errors.ts";
import type { Subnet } from "../../chain/chain.ts";
import { burnPrices } from "../../chain/metagraph.ts";
import { count, processTerminal, table } from "../shared/terminal.ts";
import { type ChainFlags, coldkeyOf, hotkeyOf, withChain, withConnection, withKeys } from "./connection.ts";
import { coinsOf, inCoins, shortCoins } from "./money.ts";
import { isMoney, netuidOf, PARAM_NAMES, paramsFrom } from "./values.ts";

interface CreateFlags extends ChainFlags {
  readonly maxCost?: bigint;
  readonly set?: string[];
}

/** The verb `subnet`. */
export function subnetCommand(): Command {
  const netuid = new Argument("<netuid>", "the subnet's number").argParser(netuidOf);
  const create = new Command("create")
    .summary("make a subnet and own it")
    .description("Makes a subnet: burns its cost from the coldkey, which becomes the owner; the hotkey gets uid 0.")
    .option("--max-cost <coins>", "pay at most this (default: what it costs now)", coinsOf)
    .option("--set <name=value...>", "hyperparameters to begin with, as in `skein subnet set`")
    .action((flags: CreateFlags) => createSubnet(flags));
  const list = new Command("list")
    .summary("all subnets")
    .description("Lists the subnets: uids, price of one, stake, what waits for the next epoch.")
    .action((flags: ChainFlags) => listSubnets(flags));
  const show = new Command("show")
    .summary("one subnet with its hyperparameters")
    .description("Shows a subnet with all its hyperparameters, named and in units as subtensor has them.")
    .addArgument(netuid)
    .action((number: number, flags: ChainFlags) => showSubnet(number, flags));
  const set = new Command("set")
    .summary("change hyperparameters")
    .description(`Changes hyperparameters of a subnet; only its owner can. Names: ${PARAM_NAMES.join(", ")}.`)
    .addArgument(netuid)
    .argument("<name=value...>", "what to change, e.g. tempo=30 minBurn=0.1 commitReveal=false")
    .action((number: number, assignments: string[], flags: ChainFlags) => setSubnet(number, assignments, flags));
  return new Command("subnet")
    .summary("make, list, show and set up subnets")
    .description(
      "A subnet is a run's place on the chain: uids, stake, weights, emission, under its owner's hyperparameters.",
    )
    .addCommand(withKeys(withChain(create)))
    .addCommand(withChain(list))
    .addCommand(withChain(show))
    .addCommand(withKeys(withChain(set)));
}

async function createSubnet(flags: CreateFlags): Promise<void> {
  const terminal = processTerminal(flags.json === true);
  const params = paramsFrom(flags.set ?? []);
  await withConnection(flags, terminal, async (chain) => {
    const [coldkey, hotkey] = [await coldkeyOf(flags), await hotkeyOf(flags)];
    const cost = await chain.subnetCost();
    const { netuid, hash } = await chain.as(coldkey).createSubnet(hotkey, flags.maxCost ?? cost, params);
    terminal.line(`made subnet ${netuid} for ${inCoins(cost)} coins; uid 0 is ${flags.hotkey}`);
    terminal.event("created", { netuid, cost: String(cost), transaction: hash });
  });
}

async function listSubnets(flags: ChainFlags): Promise<void> {
  const terminal = processTerminal(flags.json === true);
  await withConnection(flags, terminal, async (chain) => {
    const subnets = await chain.subnets();
    const cost = await chain.subnetCost();
    const heading = ["netuid", "uids", "registration", "staked", "pending", "epoch", "tempo"];
    const rows = subnets.map(({ netuid, neurons, burn, stake, pending, epoch, params }) => [
      String(netuid),
      `${neurons}/${params.maxUids}`,
      shortCoins(burn),
      shortCoins(stake),
      shortCoins(pending),
      String(epoch.index),
      String(params.tempo),
    ]);
    if (subnets.length > 0) for (const line of table([heading, ...rows], [0, 1, 2, 3, 4, 5, 6])) terminal.line(line);
    terminal.line(`${subnets.length === 0 ? "no subnets yet; " : "\n"}making one burns ${inCoins(cost)} coins`);
    for (const subnet of subnets) terminal.event("subnet", subnetFields(subnet));
    terminal.event("cost", { cost: String(cost) });
  });
}

async function showSubnet(netuid: number, flags: ChainFlags): Promise<void> {
  const terminal = processTerminal(flags.json === true);
  await withConnection(flags, terminal, async (chain) => {
    const { subnet, block } = await chain.metagraph(netuid);
    const [now, next] = burnPrices(subnet);
    terminal.line(`subnet ${netuid}, block ${count(block)}`);
    const facts = [
      ["owner", subnet.owner],
      ["owner's hotkey", subnet.ownerHotkey],
      ["since block", count(subnet.registrationBlock)],
      ["uids", `${subnet.neurons} of ${subnet.params.maxUids}`],
      ["registration", `${inCoins(now)} coins now, ${inCoins(next)} after the next one`],
      ["staked", `${inCoins(subnet.stake)} coins`],
      [
        "pending",
        `${inCoins(subnet.pending)} coins for epoch ${subnet.epoch.index}, due at block ${count(subnet.epoch.dueBlock)}`,
      ],
    ];
    for (const line of table(facts)) terminal.line(`  ${line}`);
    terminal.line("\nhyperparameters");
    const values = Object.entries(subnet.params).map(([name, value]) => [name, shown(name, value)]);
    for (const line of table(values)) terminal.line(`  ${line}`);
    terminal.event("subnet", subnetFields(subnet));
  });
}

function shown(name: string, value: number | bigint | boolean): string {
  return isMoney(name) && typeof value === "bigint" ? `${inCoins(value)} coins` : String(value);
}

function subnetFields(subnet: Subnet) {
  const { params, burn, stake, pending, ...rest } = subnet;
  const plain = Object.entries(params).map(([name, value]) => [
    name,
    typeof value === "bigint" ? String(value) : value,
  ]);
  return {
    ...rest,
    epoch: { ...rest.epoch },
    burn: String(burn),
    stake: String(stake),
    pending: String(pending),
    params: Object.fromEntries(plain) as Readonly<Record<string, string | number | boolean>>,
  };
}

async function setSubnet(netuid: number, assignments: readonly string[], flags: ChainFlags): Promise<void> {
  const terminal = processTerminal(flags.json === true);
  const params = paramsFrom(assignments);
  if (Object.keys(params).length === 0)
    throw new SkeinError("usage", "nothing to change", { remedy: "write name=value" });
  await withConnection(flags, terminal, async (chain) => {
    const { hash } = await chain.as(await coldkeyOf(flags)).setSubnet(netuid, params);
    terminal.line(`subnet ${netuid}: ${assignments.join(", ")}`);
    terminal.event("set", { netuid, names: Object.keys(params), transaction: hash });
  });
}
