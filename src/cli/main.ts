#!/usr/bin/env node
/** The command line: finds the verb, runs it, and turns whatever is thrown into a message and an exit code. */
import { Command, CommanderError } from "commander";
import { SkeinError } from "../base/errors.ts";
import { chainCommand } from "./chain/chain.ts";
import { keysCommand } from "./chain/keys.ts";
import { metagraphCommand } from "./chain/metagraph.ts";
import { registerCommand } from "./chain/register.ts";
import { stakeCommand } from "./chain/stake.ts";
import { subnetCommand } from "./chain/subnet.ts";
import { claimCommand, transferCommand } from "./chain/transfer.ts";
import { dataCommand } from "./data.ts";
import { doctorCommand } from "./doctor.ts";
import { generateCommand } from "./generate.ts";
import { initCommand } from "./run/init.ts";
import { joinCommand } from "./run/join.ts";
import { launchCommand } from "./run/launch.ts";
import { statusCommand } from "./run/status.ts";
import { validateCommand } from "./run/validate.ts";
import { EXIT_HELP, reportOf, tell } from "./shared/errors.ts";
import { endWithParent } from "./shared/leash.ts";
import { processTerminal } from "./shared/terminal.ts";
import { packageVersion } from "./shared/version.ts";
import { simulateCommand } from "./simulate.ts";
import { trainCommand } from "./train.ts";
import { upCommand } from "./up.ts";
import { whyCommand } from "./why.ts";

const INTRO = `Train one language model on many strangers' computers.

New here? \`skein up\` starts a whole network on this machine and shows how it trains a small model.`;

const EXAMPLES = `
Examples:
  skein up                                              the first run
  skein join http://203.0.113.7:8640/r/6b1f…            lend this machine to somebody's run
  skein simulate run.json --peers 64                    what your run would come to
  skein init && skein launch run.json                   a run of your own
  skein why 3                                           why uid 3 is paid what it is
  skein doctor                                          what this machine can train
  skein data books/ --out data/                         texts to tokens
  skein train --data data/ --out run/ --preset 2m       train, or go on
  skein generate run/ --prompt "It was a dark"          write`;

/** The whole command line, ready to parse. */
function skein(): Command {
  const program = new Command("skein")
    .enablePositionalOptions()
    .description(INTRO)
    .version(packageVersion(), "--version", "print the version");
  const training = [upCommand(), doctorCommand(), dataCommand(), trainCommand(), generateCommand()];
  const network = [
    initCommand(),
    launchCommand(),
    joinCommand(),
    validateCommand(),
    statusCommand(),
    whyCommand(),
    simulateCommand(),
  ];
  const chain = [
    chainCommand(),
    keysCommand(),
    subnetCommand(),
    registerCommand(),
    stakeCommand(),
    transferCommand(),
    claimCommand(),
    metagraphCommand(),
  ];
  for (const verb of training) program.addCommand(verb.helpGroup("Training:"));
  for (const verb of network) program.addCommand(verb.helpGroup("Network:"));
  for (const verb of chain) program.addCommand(verb.helpGroup("Chain:"));
  program.addHelpText("after", EXAMPLES);
  for (const command of everyCommand(program)) {
    command.addHelpText("after", EXIT_HELP);
    command.exitOverride().helpOption("-h, --help", "print this help");
    command.configureOutput({ outputError: () => {} }).configureHelp({ helpWidth: 110 });
  }
  return program.helpCommand(false);
}

function everyCommand(command: Command): Command[] {
  return [command, ...command.commands.flatMap(everyCommand)];
}

/** What commander threw, as our own error; undefined where it only printed what was asked for. */
function usageError(thrown: CommanderError, args: readonly string[]): SkeinError | undefined {
  if (thrown.exitCode === 0) return undefined;
  const verb = skein().commands.find((command) => command.name() === args[0]);
  const part = verb?.commands.find((command) => command.name() === args[1]);
  const names = [verb, part].map((command) => (command ? `${command.name()} ` : "")).join("");
  const message = thrown.code === "commander.help" ? "no command given" : thrown.message.replace(/^error: /, "");
  return new SkeinError("usage", message, { remedy: `see \`skein ${names}--help\`` });
}

async function main(args: readonly string[]): Promise<number> {
  try {
    await skein().parseAsync(args, { from: "user" });
    return 0;
  } catch (thrown) {
    const cause = thrown instanceof CommanderError ? usageError(thrown, args) : thrown;
    if (cause === undefined) return 0;
    const report = reportOf(cause);
    tell(report, processTerminal(args.includes("--json")), process.stderr);
    return report.exitCode;
  }
}

endWithParent();
process.exitCode = await main(process.argv.slice(2));
