#!/usr/bin/env node
/** The command line: finds the verb, runs it, and turns whatever is thrown into a message and an exit code. */
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { SkeinError } from "../base/errors.ts";
import { dataCommand } from "./data.ts";
import { doctorCommand } from "./doctor.ts";
import { generateCommand } from "./generate.ts";
import { EXIT_HELP, reportOf, tell } from "./shared/errors.ts";
import { processTerminal } from "./shared/terminal.ts";
import { trainCommand } from "./train.ts";
import { upCommand } from "./up.ts";

const INTRO = `Train one language model on many strangers' computers. Today: on one machine; the network comes next.

New here? \`skein up\` prepares text that is already on this disk and trains a small model while you watch.`;

const EXAMPLES = `
Examples:
  skein up                                              the first run
  skein doctor                                          what this machine can train
  skein data books/ --out data/                         texts to tokens
  skein train --data data/ --out run/ --preset 2m       train, or go on
  skein generate run/ --prompt "It was a dark"          write`;

/** The whole command line, ready to parse. */
function skein(): Command {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  const program = new Command("skein").description(INTRO).version(version, "--version", "print the version");
  for (const verb of [upCommand(), doctorCommand(), dataCommand(), trainCommand(), generateCommand()]) {
    program.addCommand(verb.addHelpText("after", EXIT_HELP));
  }
  program.addHelpText("after", EXAMPLES).addHelpText("after", EXIT_HELP);
  for (const command of [program, ...program.commands]) {
    command.exitOverride().helpOption("-h, --help", "print this help");
    command.configureOutput({ outputError: () => {} }).configureHelp({ helpWidth: 110 });
  }
  return program.helpCommand(false);
}

/** What commander threw, as our own error; undefined where it only printed what was asked for. */
function usageError(thrown: CommanderError, args: readonly string[]): SkeinError | undefined {
  if (thrown.exitCode === 0) return undefined;
  const verb = skein().commands.find((command) => command.name() === args[0]);
  const message = thrown.code === "commander.help" ? "no command given" : thrown.message.replace(/^error: /, "");
  return new SkeinError("usage", message, { remedy: `see \`skein ${verb ? `${verb.name()} ` : ""}--help\`` });
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

process.exitCode = await main(process.argv.slice(2));
