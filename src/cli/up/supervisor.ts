/**
 * Keeps the nodes of `skein up` running: each is this very program as a process of its own, in a process group of its own, so that a Ctrl-C of
 * the terminal reaches only us and the nodes can be ended in order. What a node says on stdout is events; its stderr is kept in a file. A
 * node that ends unasked is started again, after a pause that doubles; one that cannot work whatever is tried (a wrong setting, three times
 * in a row; or never once ready) is given up. Should we be killed, the channel between us closes, and the nodes end by themselves
 * (shared/leash.ts).
 */
import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { type Clock, systemClock } from "../../base/clock.ts";
import { type ErrorCode, SkeinError } from "../../base/errors.ts";
import { EVENT_LINE_CHARS_MAX } from "../../base/limits.ts";
import { type LogFields, textIn } from "../../base/log/log.ts";
import { EXIT_CODES } from "../shared/errors.ts";
import { STOP_MS_MAX } from "../shared/leash.ts";
import { lineReader, parseEvent } from "./events.ts";

/** Exits with a wrong usage or setting in a row after which a node is given up. */
const SETTINGS_EXITS_MAX = 3;
/** Exits in a row after which a node is given up that was never ready: with the pauses below, after half a minute. */
const NEVER_READY_EXITS_MAX = 6;
/** Milliseconds after which a node that runs counts as healthy. */
const HEALTHY_MS = 60_000;
const PAUSE_FIRST_MS = 1000;
const PAUSE_MAX_MS = 15_000;
/** Milliseconds in which what an ended process still has in its pipes must have come. */
const DRAIN_MS = 1000;
/** Bytes of a stderr file after which it is begun anew at the next start. */
const STDERR_BYTES_MAX = 1 << 20;
/** Lines of it that an error quotes. */
const STDERR_LINES_SHOWN = 5;

/** A node: its name and what the program is given. */
export interface ChildPlan {
  readonly name: string;
  readonly args: readonly string[];
  /** Whether it has no end of its own: then it is started again also where it ends without complaint. */
  readonly forever?: boolean;
}

/** How nodes are run. Pauses, in milliseconds, are for tests. */
export interface SupervisorOptions {
  /** The program, and arguments before those of a node. */
  readonly program: readonly [string, ...string[]];
  /** Where stderr of each node goes: `<name>.err`. */
  readonly folder: string;
  /**
   * Told what nodes say, and, as `process`, what becomes of them: {state: "started", pid} | {state: "down", code, signal, why, restartMs} |
   * {state: "ended"} | {state: "given up", why}.
   */
  readonly onEvent: (name: string, kind: string, fields: LogFields) => void;
  readonly clock?: Clock;
  readonly pauses?: {
    readonly firstMs: number;
    readonly maxMs: number;
    readonly healthyMs: number;
    readonly stopMs: number;
  };
}

/** A node that is looked after. */
export interface Child {
  readonly name: string;
  /** Fields of its first `ready`; undefined where it ended without. Rejects with the node's own SkeinError where it is given up. */
  readonly ready: Promise<LogFields | undefined>;
  /** Resolves when it has ended and stays so: "done" by itself, "stopped" because it was asked to. Rejects where it is given up. */
  readonly ended: Promise<"done" | "stopped">;
  /** Asks it to end, and sees to it. */
  stop(): Promise<void>;
  /** Ends it and whatever it started, at once. */
  kill(): void;
}

/** How one process of a node ended. */
export interface Exit {
  /** undefined where a signal ended it. */
  readonly code: number | undefined;
  readonly ranMs: number;
}

/** What is known of a node's exits. */
export interface Past {
  readonly everReady: boolean;
  /** Exits since it was last healthy, and how many of the newest were for a wrong usage or setting. */
  readonly inRow: number;
  readonly settingsInRow: number;
}

/** A node that has not run yet. */
export const NO_PAST: Past = { everReady: false, inRow: 0, settingsInRow: 0 };

/**
 * What follows from an exit that nobody asked for: a pause before the next start, or undefined to give up. Pauses grow with exits in a row; a node that
 * has worked and was killed from outside has done nothing wrong, and starts again at once.
 */
export function afterExit(
  past: Past,
  { code, ranMs }: Exit,
  { firstMs, maxMs, healthyMs }: { readonly firstMs: number; readonly maxMs: number; readonly healthyMs: number },
): { readonly past: Past; readonly pauseMs: number | undefined } {
  const isVictim = code === undefined && past.everReady;
  const inRow = ranMs >= healthyMs || isVictim ? 1 : past.inRow + 1;
  const settingsInRow = code === EXIT_CODES.usage ? past.settingsInRow + 1 : 0;
  const hopeless = settingsInRow >= SETTINGS_EXITS_MAX || (!past.everReady && inRow >= NEVER_READY_EXITS_MAX);
  const pauseMs = hopeless ? undefined : Math.min(maxMs, firstMs * 2 ** Math.min(inRow - 1, 30));
  return { past: { ...past, inRow, settingsInRow }, pauseMs };
}

/** Starts a node and looks after it until it ends. */
export function superviseChild(plan: ChildPlan, options: SupervisorOptions): Child {
  const keeper = new Keeper(plan, options);
  const ended = keeper.run();
  ended.catch(() => undefined); // whoever asks is told; nobody need ask
  keeper.ready.promise.catch(() => undefined);
  const stopMs = options.pauses?.stopMs ?? STOP_MS_MAX;
  return {
    name: plan.name,
    ready: keeper.ready.promise,
    ended,
    stop: () => keeper.stop(ended, stopMs),
    kill: () => keeper.kill(),
  };
}

interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(reason: unknown): void;
}

function deferred<T>(): Deferred<T> {
  let [resolve, reject]: [(value: T) => void, (reason: unknown) => void] = [() => undefined, () => undefined];
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

/** One node's processes, one after another. */
class Keeper {
  readonly ready: Deferred<LogFields | undefined> = deferred();
  private readonly plan: ChildPlan;
  private readonly options: SupervisorOptions;
  private readonly clock: Clock;
  private process: ChildProcess | undefined;
  private past: Past = NO_PAST;
  /** The newest `error` event: what a node says before it ends with an exit code. */
  private complaint: LogFields | undefined;
  private stopping = false;
  private wake: () => void = () => undefined;

  constructor(plan: ChildPlan, options: SupervisorOptions) {
    this.plan = plan;
    this.options = options;
    this.clock = options.clock ?? systemClock;
  }

  async run(): Promise<"done" | "stopped"> {
    const { firstMs = PAUSE_FIRST_MS, maxMs = PAUSE_MAX_MS, healthyMs = HEALTHY_MS } = this.options.pauses ?? {};
    while (!this.stopping) {
      const { exit, signal } = await this.once();
      if (this.stopping || (exit.code === 0 && this.plan.forever !== true)) break;
      const next = afterExit(this.past, exit, { firstMs, maxMs, healthyMs });
      this.past = next.past;
      const why = this.why(exit.code, signal);
      if (next.pauseMs === undefined) throw this.givenUp(why);
      this.say({ state: "down", code: exit.code ?? null, signal: signal ?? null, why, restartMs: next.pauseMs });
      await this.pause(next.pauseMs);
    }
    this.ready.resolve(undefined);
    this.say({ state: "ended" });
    return this.stopping ? "stopped" : "done";
  }

  async stop(ended: Promise<unknown>, stopMs: number): Promise<void> {
    this.stopping = true;
    this.wake();
    this.process?.kill("SIGINT");
    const timer = setTimeout(() => this.kill(), stopMs);
    try {
      await ended;
    } catch {
      // It was given up before, and said why.
    } finally {
      clearTimeout(timer);
    }
  }

  kill(): void {
    this.stopping = true;
    this.wake();
    const { pid } = this.process ?? {};
    if (pid === undefined) return;
    try {
      process.kill(process.platform === "win32" ? pid : -pid, "SIGKILL"); // the whole group
    } catch {
      // It is gone already.
    }
  }

  /** One process, from its start to its end. */
  private async once(): Promise<{ exit: Exit; signal: NodeJS.Signals | undefined }> {
    const [command, ...before] = this.options.program;
    const startMs = this.clock.monotonic();
    this.complaint = undefined;
    const errors = openErrors(this.errFile());
    const child = spawn(command, [...before, ...this.plan.args], {
      detached: true,
      stdio: ["ignore", "pipe", errors, "ipc"],
    });
    fs.closeSync(errors);
    this.process = child;
    this.say({ state: "started", pid: child.pid ?? null });
    child.stdout?.setEncoding("utf8").on(
      "data",
      lineReader((line) => this.heard(line), EVENT_LINE_CHARS_MAX),
    );
    const { code, signal } = await ending(child);
    this.process = undefined;
    return { exit: { code: code ?? undefined, ranMs: this.clock.monotonic() - startMs }, signal: signal ?? undefined };
  }

  private heard(line: string): void {
    const event = parseEvent(line);
    if (event === undefined) return;
    if (event.kind === "error") this.complaint = event.fields;
    if (event.kind === "ready") {
      this.past = { ...this.past, everReady: true };
      this.ready.resolve(event.fields);
    }
    this.options.onEvent(this.plan.name, event.kind, event.fields);
  }

  private say(fields: LogFields): void {
    this.options.onEvent(this.plan.name, "process", fields);
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
      if (this.stopping) this.wake();
    });
  }

  private why(code: number | undefined, signal: NodeJS.Signals | undefined): string {
    const said = this.complaint && textIn(this.complaint, "message");
    return said ?? (code === undefined ? `ended by ${signal ?? "a signal"}` : `exit status ${code}`);
  }

  private givenUp(why: string): SkeinError {
    this.say({ state: "given up", why });
    const file = this.errFile();
    const said = this.complaint ?? {};
    const details = textIn(said, "details") ?? lastLines(file);
    const error = new SkeinError(codeIn(said), `${this.plan.name}: ${why}`, {
      ...(details === "" ? {} : { details }),
      remedy: textIn(said, "remedy") ?? `see ${file}`,
    });
    this.ready.reject(error);
    return error;
  }

  private errFile(): string {
    return path.join(this.options.folder, `${this.plan.name}.err`);
  }
}

/** How a process ended, once its last words have come. */
function ending(child: ChildProcess): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
  return new Promise((resolve) => {
    child.once("error", () => resolve({ code: 1, signal: null })); // it could not be started
    child.once("exit", (code, signal) => {
      const timer = setTimeout(() => resolve({ code, signal }), DRAIN_MS);
      child.once("close", () => {
        clearTimeout(timer);
        resolve({ code, signal });
      });
    });
  });
}

/** The code of a node's own error; "engine", whose exit status is 1, where it has none. */
function codeIn(fields: LogFields): ErrorCode {
  const code = textIn(fields, "code");
  return code !== undefined && Object.hasOwn(EXIT_CODES, code) ? (code as ErrorCode) : "engine";
}

function openErrors(file: string): number {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const long = (fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0) > STDERR_BYTES_MAX;
  return fs.openSync(file, long ? "w" : "a");
}

function lastLines(file: string): string {
  try {
    return fs.readFileSync(file, "utf8").trimEnd().split("\n").slice(-STDERR_LINES_SHOWN).join("\n");
  } catch {
    return "";
  }
}
