/** `skein join`: trains in a run that others have launched, and is paid for it. */
import { Command, Option } from "commander";
import { SkeinError } from "../../base/errors.ts";
import { BATCH_MAX } from "../../base/limits.ts";
import { runTrainer, type TrainerOptions } from "../../roles/network/trainer/trainer.ts";
import { aloneRing } from "../../sim/adversary/adversary.ts";
import { adversaryNamed } from "../../sim/adversary/registry.ts";
import { folderStore } from "../../store/folder.node.ts";
import { listenForInterrupt } from "../shared/interrupt.ts";
import { wholeNumber } from "../shared/options.ts";
import { count, processTerminal, type Terminal } from "../shared/terminal.ts";
import { type NodeFlags, type OpenedRun, openRun, readyFacts, tellEnd, withNode } from "./open.ts";

/** The verb `join`. */
export function joinCommand(): Command {
  const command = new Command("join")
    .summary("train in somebody's run, given its link")
    .description(
      "Joins a run and trains in it, round after round, until it is over or Ctrl-C. Everything that is missing is made or " +
        "fetched: keys, a uid (paid by the coldkey, or by the gateway's faucet where it has one), the model as it is now, the " +
        "text. Started again after a Ctrl-C, a crash or a kill it goes on where it was. Ctrl-C sends what is promised and " +
        "saves; a second one ends at once.",
    )
    .argument("<link>", "the join link that `skein launch` printed: http://…/r/…")
    .option(
      "--batch <n>",
      "sequences in a step, at most (default: the run's, or what is done in time)",
      wholeNumber(1, BATCH_MAX),
    )
    .addOption(new Option("--adversary <kind>", "attack one's own test network in this way").hideHelp())
    .addOption(new Option("--leak <folder...>", "folders of others that such an attack can read").hideHelp());
  return withNode(command)
    .addHelpText(
      "after",
      `
Examples:
  skein doctor http://192.0.2.7:8640/r/5f0c…            can this machine keep up, and what is in it
  skein join http://192.0.2.7:8640/r/5f0c…              join
  skein join http://192.0.2.7:8640/r/5f0c… --batch 2    with less work in a step
  skein join http://192.0.2.7:8640/r/5f0c… --hotkey b   a second trainer of the same wallet`,
    )
    .action(join);
}

/** Beside what all nodes have: for watching how attacks fare (`skein up --adversary`). */
interface JoinFlags extends NodeFlags {
  readonly adversary?: string;
  readonly leak?: readonly string[];
}

async function join(link: string, flags: JoinFlags): Promise<void> {
  const terminal = processTerminal(flags.json === true);
  const interrupt = listenForInterrupt(terminal, "\nstopping: what was promised is still sent, then all is saved");
  try {
    const run = await openRun(link, flags, "trainer", terminal, interrupt.signal);
    try {
      await train(run, flags, terminal);
    } finally {
      await run.close();
    }
  } finally {
    terminal.clear();
    interrupt.release();
  }
}

async function train(run: OpenedRun, flags: JoinFlags, terminal: Terminal): Promise<void> {
  const { node, engine } = run;
  if (run.over) terminal.line("\nThe run is over: this follows it to its last params, and sends nothing.\n");
  const uid = run.over ? undefined : await run.takeSeat();
  await tellReady(run, uid, terminal);
  const register = async (): Promise<void> => {
    terminal.note("the hotkey has lost its uid to somebody else: getting a new one");
    await run.takeSeat();
  };
  const { batch, replay = false } = flags;
  const honest = { node, engine, replay, register, ...(batch === undefined ? {} : { batch }) };
  const options = attacking(honest, flags);
  const end = await run.persevere(() => runTrainer(options));
  const { payloads, applied } = run.view.tally;
  const words = `${count(payloads)} payloads sent, ${count(applied)} applied`;
  await tellEnd(run, end, { words, fields: { payloads, applied } }, terminal);
  const { wallet, keys, rpc = `${run.served.base}/rpc` } = flags;
  terminal.line(`\nNext, to take what was earned: skein claim --rpc ${rpc} --wallet ${wallet} --keys ${keys}`);
}

/** The same options, or those of a dishonest trainer. Throws SkeinError("usage") for what is no trainer's attack. */
function attacking(honest: TrainerOptions, { adversary, leak = [] }: JoinFlags): TrainerOptions {
  if (adversary === undefined) return honest;
  const { trainer } = adversaryNamed(adversary);
  if (trainer === undefined)
    throw new SkeinError("usage", `${adversary} is no trainer's attack`, { remedy: "`skein up --help` lists those" });
  const ring = aloneRing(honest.node.signer.account, honest.node.signer.account);
  return trainer(honest, { ...ring, leaks: leak.map((folder) => folderStore(folder)) });
}

async function tellReady(run: OpenedRun, uid: number | undefined, terminal: Terminal): Promise<void> {
  const { block } = await run.node.chain.head();
  if (uid !== undefined) terminal.line(`uid     ${uid}\n`);
  run.node.log.event("ready", { ...readyFacts(run, "trainer", block), uid: uid ?? null });
}
