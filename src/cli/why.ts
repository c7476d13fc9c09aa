/** `skein why`: why a peer is paid what it is, in words and numbers, recomputed here. */
import { Argument, Command } from "commander";
import { httpStore } from "../store/http.ts";
import { connectRun, reachRun, recordOf } from "./node/reach.ts";
import { linkOfUp, PATIENCE, UP_LINK } from "./run/status.ts";
import { listenForInterrupt } from "./shared/interrupt.ts";
import { type SharedOptions, wholeNumber, withEngine, withJson } from "./shared/options.ts";
import { processTerminal } from "./shared/terminal.ts";
import { type Again, measureAgain, measuredFields, measuredLines } from "./why/again.ts";
import { whyEvents } from "./why/fields.ts";
import { inquire } from "./why/gather.ts";
import { whyLines } from "./why/view.ts";
import { type Asked, askedOf } from "./why/who.ts";

interface WhyFlags extends SharedOptions {
  readonly round?: number;
  readonly rpc?: string;
  readonly measure?: boolean;
}

/** The verb `why`. */
export function whyCommand(): Command {
  const command = new Command("why")
    .summary("why a peer is paid what it is: score, rating, weight, incentive, emission")
    .description(
      "Says in words what holds a peer's pay back and what to do about it, and shows how it came about: what each validator found in its " +
        "payload, what it thinks of the peer since, how it votes, and what the chain makes of the votes. Everything that follows from " +
        "something else is computed again here, from the validators' signed reports; a validator whose records do not add up is named.",
    )
    .addArgument(new Argument("<peer>", "its uid, or its hotkey's address or account").argParser(askedOf))
    .argument("[link]", `the join link (default: the run of \`skein up\`, from ${UP_LINK})`)
    .option("--round <n>", "as things stood after this round (default: the newest reports)", wholeNumber(0))
    .option("--measure", "replay the run to that round and measure the payload again, on this machine")
    .option("--rpc <url>", "a node of the run's chain (default: through the gateway)");
  return withJson(withEngine(command))
    .addHelpText(
      "after",
      `
Examples:
  skein why 3
  skein why 3 --round 12
  skein why 3 --measure                                  do not believe the validators either
  skein why 0x5f0c… http://192.0.2.7:8640/r/5f0c… --json`,
    )
    .action(why);
}

async function why(asked: Asked, link: string | undefined, flags: WhyFlags): Promise<void> {
  const { round, rpc, json } = flags;
  const terminal = processTerminal(json === true);
  terminal.status("asking the gateway");
  const served = await reachRun(link ?? (await linkOfUp("why <uid>")), PATIENCE);
  const { spec, specHash, base } = served;
  const chain = await connectRun(served, rpc);
  try {
    const record = await recordOf(served, chain);
    const store = httpStore({ base, patience: PATIENCE });
    const onStatus = (text: string): void => terminal.status(text);
    const question = { specHash, store, chain, record, asked, onStatus, ...(round === undefined ? {} : { round }) };
    const inquiry = await inquire(question);
    terminal.clear();
    for (const line of whyLines({ spec, inquiry })) terminal.line(line);
    for (const [kind, fields] of whyEvents(inquiry)) terminal.event(kind, fields);
    if (flags.measure === true) await again({ served, chain, rpc, inquiry, flags, terminal });
  } finally {
    await chain.close();
  }
}

async function again(given: Omit<Again, "signal">): Promise<void> {
  const { terminal, inquiry } = given;
  const interrupt = listenForInterrupt(terminal, "stopping");
  try {
    const measured = await measureAgain({ ...given, signal: interrupt.signal });
    if (measured === undefined) return;
    for (const line of measuredLines(measured, inquiry)) terminal.line(line);
    terminal.event("measured", measuredFields(measured));
  } finally {
    interrupt.release();
  }
}
