/** `skein metagraph`: all uids of a subnet, what they earn, who goes next, what a uid costs, when the epoch comes. */
import { Argument, Command } from "commander";
import type { Chain, Metagraph, Neuron } from "../../chain/chain.ts";
import { burnPrices, epochLeft, immunityLeft, isOpen, nextPruned, singleValidator } from "../../chain/metagraph.ts";
import { count, processTerminal, table } from "../shared/terminal.ts";
import { type ChainFlags, withChain, withConnection } from "./connection.ts";
import { inCoins, shortCoins } from "./money.ts";
import { netuidOf } from "./values.ts";

/** The verb `metagraph`. */
export function metagraphCommand(): Command {
  const command = new Command("metagraph")
    .summary("who is on a subnet, and what they earn")
    .description(
      "Shows every uid of a subnet as of the newest block: stake, permit, shares by consensus, what the last epoch " +
        "paid, and how long a newcomer is still immune; below it what a registration burns now and after the next " +
        "one, who would make room for it, and when the next epoch is due.",
    )
    .addArgument(new Argument("<netuid>", "the subnet's number").argParser(netuidOf));
  return withChain(command).action((netuid: number, flags: ChainFlags) => show(netuid, flags));
}

async function show(netuid: number, flags: ChainFlags): Promise<void> {
  const terminal = processTerminal(flags.json === true);
  await withConnection(flags, terminal, async (chain: Chain) => {
    const metagraph = await chain.metagraph(netuid);
    for (const line of metagraphLines(metagraph)) terminal.line(line);
    terminal.event("metagraph", metagraphFields(metagraph));
  });
}

const share = (u16: number): string => (u16 / 65_535).toFixed(4);
const short = (hash: string): string => `${hash.slice(0, 8)}…${hash.slice(-4)}`;

/** The table and the lines below it. */
export function metagraphLines(metagraph: Metagraph): string[] {
  const { block, subnet, neurons } = metagraph;
  const next = nextPruned(metagraph);
  const heading = ["uid", "hotkey", "coldkey", "stake", "validator", "consensus", "incentive", "dividends", "emission"];
  const rows = neurons.map((neuron) => [...cellsOf(neuron), noteOf(metagraph, neuron, next)]);
  const [now, after] = burnPrices(subnet);
  const left = epochLeft(metagraph);
  const due = subnet.epoch.open ? "being computed" : left === 0 ? "due" : `due in ${blocks(left)}`;
  return [
    `subnet ${subnet.netuid}, block ${count(block)}: ${neurons.length} of ${subnet.params.maxUids} uids, ` +
      `${inCoins(subnet.stake)} coins staked`,
    "",
    ...table([[...heading, ""], ...rows], [0, 3, 5, 6, 7, 8]),
    "",
    isOpen(metagraph)
      ? `registration  burns ${inCoins(now)} coins now, ${inCoins(after)} right after the next one` +
        (next === undefined ? "" : `; it takes over uid ${next}`)
      : "registration  is closed",
    `epoch         ${subnet.epoch.index} is ${due}; ${inCoins(subnet.pending)} coins wait for it`,
    ...(singleValidator(metagraph)
      ? ["", "One validator alone has stake here: what it says is what everybody is paid."]
      : []),
  ];
}

function cellsOf(neuron: Neuron): string[] {
  const { uid, hotkey, coldkey, stake, permit, active, consensus, incentive, dividends, emission } = neuron;
  const validator = permit ? (active ? "yes" : "inactive") : "";
  const shares = [share(consensus), share(incentive), share(dividends)];
  return [String(uid), short(hotkey), short(coldkey), shortCoins(stake), validator, ...shares, shortCoins(emission)];
}

function noteOf(metagraph: Metagraph, neuron: Neuron, next: number | undefined): string {
  if (neuron.hotkey === metagraph.subnet.ownerHotkey) return "owner";
  if (neuron.uid === next) return "next to be pruned";
  const left = immunityLeft(metagraph, neuron);
  return left > 0 ? `immune for ${blocks(left)}` : "";
}

function blocks(n: number): string {
  return `${count(n)} ${n === 1 ? "block" : "blocks"}`;
}

/** Everything as plain JSON; amounts are rao, as text. */
function metagraphFields(metagraph: Metagraph) {
  const { block, subnet, neurons } = metagraph;
  const [burn, burnAfterNext] = burnPrices(subnet);
  return {
    netuid: subnet.netuid,
    block,
    burn: String(burn),
    burnAfterNext: String(burnAfterNext),
    nextPruned: nextPruned(metagraph) ?? null,
    epoch: { ...subnet.epoch, blocksLeft: epochLeft(metagraph) },
    pending: String(subnet.pending),
    stake: String(subnet.stake),
    neurons: neurons.map((neuron) => ({
      ...neuron,
      stake: String(neuron.stake),
      emission: String(neuron.emission),
      immunityLeft: immunityLeft(metagraph, neuron),
    })),
  };
}
