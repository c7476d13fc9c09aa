/**
 * A node's line to the rest of the world: every message takes its time, shares the line's bandwidth with the others, and may be lost, come twice or find
 * nobody there. What a node hears of that is what production's adapters let through: they try again (src/store/transfer.ts, src/chain/evm/link.ts), and
 * only when their patience is over does a SkeinError come.
 *
 * Departures from a real line. A transfer is there as a whole or not at all, so a download that breaks begins anew, where production goes on at the byte
 * where it broke. An outage is felt when a message sets out and when it arrives; what is on its way is not disturbed by one that comes and goes meanwhile.
 * A lost message is a connection that went dead: its sender hears nothing until it gives up. (A lost packet that TCP sends again is jitter.) Latency,
 * jitter and bandwidth are no faults: they stay when the weather heals.
 */
import { SkeinError } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";
import { PATIENCE as STORE_PATIENCE, uploadMs } from "../../store/transfer.ts";
import { happens, type Streams } from "../streams.ts";
import type { Timeline } from "../timeline.ts";
import { bandwidth } from "./bandwidth.ts";
import { type FaultCount, faultCount, type Weather } from "./weather.ts";

/** Whom a line leads to. A mirror is another node's folder: it is cut off only where everything is. */
export type Far = "store" | "chain" | "mirror";

/** How often and how long a request is tried. */
export interface LinePatience {
  readonly attempts: number;
  /** Milliseconds without an answer after which an attempt is given up. */
  readonly silenceMs: number;
  /** Milliseconds before the second attempt; each further pause is twice as long, up to `pauseMsMax`. */
  readonly pauseMs: number;
  readonly pauseMsMax: number;
  /** Share of each pause that is drawn. */
  readonly pauseDrawn: number;
  /** Milliseconds by which the silence may be longer over an upload. */
  readonly uploadMs: (bytes: number) => number;
}

/** Production's: openWire's for stores, viem's as openLink sets it for the chain. */
export const LINE_PATIENCE: Readonly<Record<Far, LinePatience>> = {
  store: storePatience(),
  mirror: storePatience(),
  chain: {
    attempts: 7,
    silenceMs: 20_000,
    pauseMs: 100,
    pauseMsMax: 10_000,
    pauseDrawn: 0,
    uploadMs: () => 0,
  },
};

function storePatience(): LinePatience {
  const { attempts, silenceMs, pauseMs, pauseMsMax } = STORE_PATIENCE;
  return { attempts, silenceMs, pauseMs, pauseMsMax, pauseDrawn: 0.5, uploadMs };
}

/** Bytes of a message beside what it carries: a request's or an answer's head. */
export const MESSAGE_BYTES = 300;
/** Milliseconds after which a connection that brings nothing through is dropped by the machine itself (Linux, tcp_retries2 = 15). */
const DEAD_MS = 924_600;
/** Milliseconds after which nobody is there to connect to, as Node's fetch has it. */
const CONNECT_MS = 10_000;
/** Milliseconds by which a second copy of a request comes late: as likely few as many. Long ones are a queue that was stuck on the way. */
const DUPLICATE_MS_MIN = 1000;
const DUPLICATE_MS_MAX = 600_000;

/** What a line is made of. */
export interface LineOptions {
  /** Of the node, as outages call it. */
  readonly name: string;
  readonly weather: Pick<Weather, "line" | "outages" | "healMs">;
  readonly streams: Streams;
  /** The world's time; a node's own clock may be off. */
  readonly clock: Pick<Timeline, "now" | "sleep" | "at">;
  /** When the simulation began, by the clock; 0 unless given. */
  readonly startMs?: number;
  /** Times that the bytes of blobs count, so that a toy's payload takes as long as a large model's; 1 unless given. */
  readonly scale?: number;
  readonly patience?: Readonly<Partial<Record<Far, Partial<LinePatience>>>>;
}

/** Bytes that a request and its answer carry, without `MESSAGE_BYTES`, as they are to be charged. */
export interface MessageSizes<T> {
  readonly upBytes: number;
  readonly downBytes: (answer: T) => number;
}

/** A node's line, over all its lives. */
export interface Line {
  readonly name: string;
  readonly scale: number;
  /** Bytes charged so far: up, what was sent, arrived or not; down, what arrived. */
  readonly upBytes: number;
  readonly downBytes: number;
  /** Requests under way, those between two attempts too. */
  readonly waiting: number;
  /** Times that each fault was put in, by its name. */
  readonly faults: Readonly<Record<string, number>>;
  /** Whether the node is cut off from it now. */
  isCut(far: Far): boolean;
  /**
   * Has `work` done at the far end and gives what it gives. `work` is done once for every copy of the request that arrives, so more than once where an
   * answer is lost or a request comes twice, and never where none arrives. It rejects with `Passing` for what may pass: then it is tried again.
   *
   * Rejects with what `work` throws for good; with SkeinError("store") or SkeinError("chain") when patience is over; and with SkeinError("interrupted")
   * as soon as `signal` says stop, after which nothing more is sent; what is on its way still arrives.
   */
  ask<T>(
    far: Far,
    what: string,
    sizes: MessageSizes<T>,
    work: () => Promise<T>,
    signal?: AbortSignal | undefined,
  ): Promise<T>;
}

/** Thrown by the far end for what may pass: a connection that broke, a server that says "not now". */
export class Passing extends Error {
  override readonly name = "Passing";
}

interface Wire extends Required<LineOptions>, FaultCount {
  readonly up: ReturnType<typeof bandwidth>;
  readonly down: ReturnType<typeof bandwidth>;
  readonly patienceWith: (far: Far) => LinePatience;
  readonly count: { upBytes: number; downBytes: number; waiting: number };
  /** A stream of this line's own. */
  readonly drawn: (what: "way" | "loss" | "duplicate" | "pause") => Random;
}

interface Request<T> {
  readonly far: Far;
  readonly what: string;
  readonly sizes: MessageSizes<T>;
  readonly work: () => Promise<T>;
  readonly signal: AbortSignal | undefined;
}

/** What one attempt came to; a failure says why, in production's words. */
type Outcome<T> = { readonly value: T } | { readonly again: string };

/** Opens a node's line. */
export function openLine(options: LineOptions): Line {
  const wire = wireOf(options);
  const { name, scale, count, faults } = wire;
  return {
    name,
    scale,
    faults,
    get upBytes() {
      return count.upBytes;
    },
    get downBytes() {
      return count.downBytes;
    },
    get waiting() {
      return count.waiting;
    },
    isCut: (far) => isCut(wire, far),
    async ask(far, what, sizes, work, over) {
      count.waiting += 1;
      const signal = over && AbortSignal.any([over]); // one of its own: a signal warns of more than ten listeners, and a node asks many things at once
      try {
        return await unlessInterrupted(insist(wire, { far, what, sizes, work, signal }), far, signal);
      } finally {
        count.waiting -= 1;
      }
    },
  };
}

function wireOf(options: LineOptions): Wire {
  const { name, weather, streams, clock, startMs = 0, scale = 1, patience = {} } = options;
  return {
    ...{ name, weather, streams, clock, startMs, scale, patience },
    ...faultCount(),
    up: bandwidth(weather.line.upBps, clock),
    down: bandwidth(weather.line.downBps, clock),
    patienceWith: (far) => ({ ...LINE_PATIENCE[far], ...patience[far] }),
    count: { upBytes: 0, downBytes: 0, waiting: 0 },
    drawn: (what) => streams(`line/${name}/${what}`),
  };
}

/** Milliseconds since the simulation began. */
function sinceStart({ clock, startMs }: Wire): number {
  return clock.now() - startMs;
}

function isHealed(wire: Wire): boolean {
  return sinceStart(wire) >= wire.weather.healMs;
}

/** The outage that keeps the node from reaching `far` now: "partition" of this node and others, or "down" for everybody. */
function outageNow(wire: Wire, far: Far): "partition" | "down" | undefined {
  if (isHealed(wire)) return undefined;
  const nowMs = sinceStart(wire);
  const cut = wire.weather.outages.filter(
    ({ what, nodes, fromMs, untilMs }) =>
      (what === "both" || what === far) &&
      nowMs >= fromMs &&
      nowMs < untilMs &&
      (nodes === undefined || nodes.includes(wire.name)),
  );
  if (cut.length === 0) return undefined;
  return cut.some(({ nodes }) => nodes === undefined) ? "down" : "partition";
}

function isCut(wire: Wire, far: Far): boolean {
  return outageNow(wire, far) !== undefined;
}

/** Tries until there is an answer or the patience is over. */
async function insist<T>(wire: Wire, request: Request<T>): Promise<T> {
  const { far, signal } = request;
  const { attempts, pauseMs, pauseMsMax, pauseDrawn } = wire.patienceWith(far);
  for (let failures = 0; ; ) {
    if (signal?.aborted === true) throw interrupted(far);
    const outcome = await attempt(wire, request);
    if ("value" in outcome) return outcome.value;
    failures += 1;
    if (failures >= attempts) throw away(request, attempts, outcome.again);
    const share = pauseDrawn === 0 ? 1 : 1 - pauseDrawn * (1 - wire.drawn("pause").uniform());
    await wire.clock.sleep(Math.ceil(Math.min(pauseMsMax, pauseMs * 2 ** (failures - 1)) * share));
  }
}

/** Sends the request once. */
async function attempt<T>(wire: Wire, request: Request<T>): Promise<Outcome<T>> {
  const { far, sizes, signal } = request;
  const { silenceMs, uploadMs } = wire.patienceWith(far);
  const sentBytes = sizes.upBytes + MESSAGE_BYTES;
  const startMs = wire.clock.now();
  const deadlineMs = startMs + Math.ceil(silenceMs + uploadMs(sizes.upBytes));
  const silence = async (): Promise<Outcome<T>> => {
    const heardMs = Math.min(deadlineMs, startMs + silenceMs + DEAD_MS);
    await wire.clock.sleep(Math.max(0, heardMs - wire.clock.now()));
    return { again: `no answer within ${silenceMs} ms` };
  };
  const outage = outageNow(wire, far);
  if (outage !== undefined) return unreached(wire, outage, Math.min(CONNECT_MS, silenceMs));
  const lost = drawLoss(wire);
  const isSent = await wire.up.transfer(sentBytes, { deadlineMs, signal });
  if (!isSent) return signal?.aborted === true ? { again: "stopped" } : silence();
  wire.count.upBytes += sentBytes;
  await travel(wire);
  if (isBroken(wire, far, lost === "request" ? lost : undefined)) return silence();
  repeatLater(wire, request);
  const result = await settled(request.work());
  if ("broken" in result) return { again: result.broken };
  await wire.down.transfer(MESSAGE_BYTES + ("value" in result ? sizes.downBytes(result.value) : 0), { signal });
  await travel(wire);
  if (isBroken(wire, far, lost === "answer" ? lost : undefined)) return silence();
  if ("thrown" in result) throw result.thrown;
  wire.count.downBytes += MESSAGE_BYTES + sizes.downBytes(result.value);
  return result;
}

/** An attempt that finds nobody there: a server that is down refuses at once, behind a partition there is silence. */
async function unreached(
  wire: Wire,
  outage: "partition" | "down",
  waitMs: number,
): Promise<{ readonly again: string }> {
  wire.fault("outage");
  if (outage === "down") {
    await travel(wire);
    await travel(wire);
    return { again: "connection refused" };
  }
  await wire.clock.sleep(waitMs);
  return { again: `no connection within ${waitMs} ms` };
}

/** One way: messages overtake each other. */
async function travel({ weather, clock, drawn }: Wire): Promise<void> {
  const { latencyMs, jitterMs } = weather.line;
  const ms = latencyMs + (jitterMs > 0 ? jitterMs * drawn("way").uniform() : 0);
  if (ms > 0) await clock.sleep(Math.ceil(ms));
}

/** Whether the request or its answer is to be lost. */
function drawLoss(wire: Wire): "request" | "answer" | undefined {
  const random = wire.drawn("loss");
  if (isHealed(wire) || !happens(random, wire.weather.line.loss)) return undefined;
  return random.below(2) === 0 ? "request" : "answer";
}

/** Whether a message that arrives now does not: because it was `lost`, or because an outage has come meanwhile. */
function isBroken(wire: Wire, far: Far, lost: "request" | "answer" | undefined): boolean {
  if (isHealed(wire)) return false;
  const outage = isCut(wire, far);
  if (outage) wire.fault("outage");
  else if (lost !== undefined) wire.fault(`lost ${lost}`);
  return outage || lost !== undefined;
}

/** Now and then has a request arrive once more later, when nobody waits for its answer any more. */
function repeatLater<T>(wire: Wire, { far, work }: Request<T>): void {
  const { weather, clock, drawn, startMs } = wire;
  const random = drawn("duplicate");
  if (isHealed(wire) || !happens(random, weather.line.duplicate)) return;
  const lateMs = Math.ceil(DUPLICATE_MS_MIN * (DUPLICATE_MS_MAX / DUPLICATE_MS_MIN) ** random.uniform());
  const atMs = clock.now() + lateMs;
  if (atMs - startMs >= weather.healMs) return;
  clock.at(atMs, () => {
    if (isCut(wire, far)) return;
    wire.fault("duplicate");
    void settled(work()); // a bug of ours is heard: it rejects then, and that is nobody's to handle
  });
}

/** What work came to: a refusal is an answer too; what may pass is not. Throws our own mistakes. */
async function settled<T>(
  work: Promise<T>,
): Promise<{ readonly value: T } | { readonly thrown: SkeinError } | { readonly broken: string }> {
  try {
    return { value: await work };
  } catch (thrown) {
    if (thrown instanceof Passing) return { broken: thrown.message };
    if (thrown instanceof SkeinError) return { thrown };
    throw thrown;
  }
}

/** What `work` gives, unless the signal comes first. Throws SkeinError("interrupted") then. */
export async function unlessInterrupted<T>(work: Promise<T>, far: Far, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  let stop = (): void => undefined;
  const stopping = new Promise<never>((_, reject) => {
    stop = () => reject(interrupted(far));
  });
  if (signal.aborted) stop();
  signal.addEventListener("abort", stop, { once: true });
  try {
    return await Promise.race([stopping, work]);
  } finally {
    signal.removeEventListener("abort", stop);
    work.catch(() => undefined); // nobody listens any more
  }
}

function interrupted(far: Far): SkeinError {
  return new SkeinError("interrupted", far === "chain" ? "stopped waiting for the chain" : "stopped on request");
}

/** The error when patience is over, in the words of production's adapters. */
function away<T>({ far, what }: Request<T>, attempts: number, last: string): SkeinError {
  const details = `${attempts} attempts; the last one: ${last}`;
  if (far === "chain") {
    const remedy = "check that the chain is running and that --rpc names it";
    return new SkeinError("chain", `the chain could not be asked (${what}): ${last}`, { details, remedy });
  }
  const whose = far === "store" ? "the shared store" : "the mirror";
  const remedy =
    "check the link and this machine's connection; if the gateway is down, ask whoever runs it, and try again later";
  return new SkeinError("store", `${whose} does not answer (${what})`, { details, remedy });
}
