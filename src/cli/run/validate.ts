/** `skein validate`: checks and judges what a run's peers send, and votes on it. */
import { Command } from "commander";
import { runValidator } from "../../roles/network/validator/validator.ts";
import { coinsOf, inCoins } from "../chain/money.ts";
import { raiseStake } from "../node/seat.ts";
import { listenForInterrupt } from "../shared/interrupt.ts";
import { count, processTerminal, type Terminal } from "../shared/terminal.ts";
import { type NodeFlags, type OpenedRun, openRun, readyFacts, tellEnd, withNode } from "./open.ts";

interface ValidateFlags extends NodeFlags {
  readonly stake?: bigint;
}

/** The verb `validate`. */
export function validateCommand(): Command {
  const command = new Command("validate")
    .summary("check, judge and vote in somebody's run, given its link")
    .description(
      "Validates a run until it is over or Ctrl-C: fetches what the peers of a round have sent, votes for what is there and in " +
        "order, measures what it is worth, and votes weights by which peers are paid. A vote counts by the stake on the hotkey, " +
        "from the epoch after it was staked on. Gets a uid where the hotkey has none. Started again it goes on.",
    )
    .argument("<link>", "the join link that `skein launch` printed: http://…/r/…")
    .option("--stake <coins>", "stake from the coldkey until the hotkey has this", coinsOf);
  return withNode(command)
    .addHelpText(
      "after",
      `
Examples:
  skein validate http://192.0.2.7:8640/r/5f0c… --stake 1000
  skein validate http://192.0.2.7:8640/r/5f0c… --hotkey v --replay   after recomputing the run from its first params`,
    )
    .action(validate);
}

async function validate(link: string, flags: ValidateFlags): Promise<void> {
  const terminal = processTerminal(flags.json === true);
  const interrupt = listenForInterrupt(terminal, "\nstopping");
  try {
    const run = await openRun(link, flags, "validator", terminal, interrupt.signal);
    try {
      await work(run, flags, terminal);
    } finally {
      await run.close();
    }
  } finally {
    terminal.clear();
    interrupt.release();
  }
}

async function work(run: OpenedRun, { stake, replay = false }: ValidateFlags, terminal: Terminal): Promise<void> {
  const { node, engine } = run;
  if (run.over) terminal.line("\nThe run is over: there is nothing left to vote on.\n");
  else {
    await run.takeSeat();
    if (stake !== undefined) await raiseStake(run.seat, stake);
  }
  await tellReady(run, terminal);
  const end = await run.persevere(() => runValidator({ node, engine, replay }));
  const { votes } = run.view.tally;
  await tellEnd(run, end, { words: `${count(votes)} votes`, fields: { votes } }, terminal);
}

/** Says what this validator's word is worth, as things stand. */
async function tellReady(run: OpenedRun, terminal: Terminal): Promise<void> {
  const { node, wallet } = run;
  const { account } = wallet.hotkey;
  const { block, neurons, subnet } = await node.chain.metagraph(node.record.netuid);
  const mine = neurons.find(({ hotkey }) => hotkey === account);
  const others = neurons.filter((each) => each.permit && each.stake > 0n && each.hotkey !== account).length;
  const own = { stake: mine?.stake ?? 0n, permit: mine?.permit === true, others, due: subnet.epoch.dueBlock - block };
  if (mine)
    terminal.line(
      `uid     ${mine.uid}, with ${inCoins(own.stake)} coins of stake; ${count(others)} other validators\n`,
    );
  for (const warning of run.over ? [] : warningsOf(own)) terminal.note(`WARNING: ${warning}\n`);
  node.log.event("ready", {
    ...readyFacts(run, "validator", block),
    ...{ uid: mine?.uid ?? null, stake: String(own.stake), permit: own.permit, validators: others + 1 },
  });
}

/** What a validator must know of its own position. */
export function warningsOf(own: {
  readonly stake: bigint;
  readonly permit: boolean;
  /** Other validators with a permit and stake. */
  readonly others: number;
  /** Blocks until the next epoch. */
  readonly due: number;
}): string[] {
  const out: string[] = [];
  if (own.stake === 0n) out.push("nothing is staked on this hotkey: its votes count for nothing. Give --stake.");
  if (!own.permit) {
    const when = own.due > 0 ? `in ${count(own.due)} ${own.due === 1 ? "block" : "blocks"}` : "due now";
    out.push(`this hotkey has no validator permit yet: its votes count from the next epoch on, which is ${when}.`);
  }
  if (own.others === 0) {
    out.push(
      "this is the run's only validator. Nobody checks what it votes: peers must trust it for what is accepted and what is " +
        "paid, and while it is away every round is a null round. Find others to validate too.",
    );
  }
  return out;
}
