/** Option parsers and the options that several verbs share. What a parser refuses, commander reports with the option's name. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { THREADS_MAX } from "../../base/limits.ts";
import { ENGINE_NAMES, type EngineName } from "../../engine/open.node.ts";

/** What `--engine`, `--threads` and `--json` give. */
export interface SharedOptions {
  readonly engine: EngineName;
  readonly threads?: number;
  readonly json?: boolean;
}

/** Where commands put what nobody named a place for. */
export const HOME = ".skein";

/** A parser of whole numbers in [min, max], with k, M and G as factors of 1e3, 1e6, 1e9. */
export function wholeNumber(min: number, max: number = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const match = /^(\d+(?:\.\d+)?)([kMG]?)$/.exec(text.replace(/[_,]/g, ""));
    const value = Number(match?.[1]) * ({ k: 1e3, M: 1e6, G: 1e9 }[match?.[2] ?? ""] ?? 1);
    if (!Number.isSafeInteger(value) || value < min || value > max) {
      const range = max === Number.MAX_SAFE_INTEGER ? `${min} or more` : `from ${min} to ${max}`;
      throw new InvalidArgumentError(`It must be a whole number, ${range}.`);
    }
    return value;
  };
}

/** A parser of numbers in [min, max]; `open` leaves min itself out. */
export function realNumber(min: number, max: number, open = false): (text: string) => number {
  return (text) => {
    const value = text.trim() === "" ? Number.NaN : Number(text);
    if (!(value >= min && value <= max) || (open && value === min)) {
      const range = Number.isFinite(max) ? `from ${min} to ${max}` : `of ${min} or more`;
      throw new InvalidArgumentError(`It must be a number ${range}${open ? `, ${min} itself excluded` : ""}.`);
    }
    return value;
  };
}

/** Adds `--engine`, `--threads`; `threads` says what holds where none are given. */
export function withEngine(command: Command, threads = "the machine's"): Command {
  return command
    .addOption(
      new Option("--engine <name>", "auto takes native where it is built, else wasm")
        .choices(ENGINE_NAMES)
        .default("auto"),
    )
    .option(
      "--threads <n>",
      `compute threads; never changes a result (default: ${threads})`,
      wholeNumber(1, THREADS_MAX),
    );
}

/** Adds `--json`. */
export function withJson(command: Command): Command {
  return command.option("--json", "JSON lines on stdout and nothing else");
}
