/**
 * HTTP towards a server that may be away, slow, broken or hostile, in Node and in browsers: every request has a longest silence, every body a
 * greatest length, what fails in passing is tried again with growing pauses, and a download that breaks goes on at the byte where it broke
 * (RFC 9110: Range, If-Range, ETag, Retry-After).
 */
import { type ByteSink, byteSink, fromUtf8 } from "../base/bytes.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { messageOf, SkeinError } from "../base/errors.ts";
import { ERROR_BODY_BYTES_MAX, ERROR_CHARS_MAX } from "../base/limits.ts";
import { type Random, systemRandom } from "../base/random.ts";
import type { ByteRange } from "./store.ts";

/** How long to wait for what. */
export interface Patience {
  /** Failures in a row, without progress between them, after which a server counts as away. */
  readonly attempts: number;
  /** Milliseconds without a byte after which a connection is given up. */
  readonly silenceMs: number;
  /** Milliseconds before the second attempt; each further pause is twice as long, up to `pauseMsMax`. */
  readonly pauseMs: number;
  readonly pauseMsMax: number;
  /** Longest pause that a server may ask for (Retry-After); where it asks for more, its answer is final. */
  readonly retryAfterMsMax: number;
  readonly clock: Clock;
  readonly random: Random;
}

/** Patience that bears a gateway's restart: six attempts within some ten seconds. */
export const PATIENCE: Patience = {
  attempts: 6,
  silenceMs: 20_000,
  pauseMs: 300,
  pauseMsMax: 10_000,
  retryAfterMsMax: 30_000,
  clock: systemClock,
  random: systemRandom,
};

/** Requests to servers. All reject with SkeinError("store") or SkeinError("interrupted"). */
export interface Wire {
  /** One request, whose answer is read whole, up to `bytesMax`; tried again where that may help. Any status that is final is given back. */
  ask(url: string, request: Ask): Promise<Answer>;
  /** The bytes at `url`, or the range of them clamped to their end; undefined where nothing is there. At most `bytesMax` are taken. */
  download(url: string, range: ByteRange | undefined, bytesMax: number): Promise<Uint8Array | undefined>;
}

/** A request. */
export interface Ask {
  readonly method?: "GET" | "HEAD" | "PUT" | "POST";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  readonly bytesMax: number;
  /** Milliseconds that the server may be silent over it, where that is more than usual. */
  readonly silenceMs?: number;
  /** A status that says "not now" to this request, and is final to others. */
  readonly passing?: number;
}

/** An answer. */
export interface Answer {
  readonly status: number;
  header(name: string): string | undefined;
  readonly body: Uint8Array;
}

/** Bytes that a connection must have brought to count as progress: otherwise a server could feed us single bytes for ever. */
const PROGRESS_BYTES = 64 << 10;
/** Bytes a second that a transfer is expected to make in the long run; a download that is slower is begun anew where it was. */
const BYTES_PER_SECOND = 4 << 10;
/** The same of uploads, but for their first minute. Nothing is heard while one is under way, so what is slow cannot be told from what is dead. */
const UPLOAD_BYTES_PER_SECOND = 64 << 10;
const UPLOAD_SLOW_MS = 60_000;
/** Milliseconds after which a pause looks whether it was interrupted. */
const LOOK_MS = 200;
/** Statuses that say "not now". */
const PASSING: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);

/** What one attempt came to. */
type Outcome<T> = { readonly value: T } | Again;

/** An attempt that failed in a way that may pass. */
interface Again {
  readonly again: string;
  /** Milliseconds that the server asked for. */
  readonly waitMs?: number;
  readonly progress?: boolean;
}

interface Line {
  readonly patience: Patience;
  readonly signal: AbortSignal | undefined;
}

/** Opens a wire with the given patience; `signal` ends all work on it. */
export function openWire(patience: Partial<Patience> = {}, signal?: AbortSignal): Wire {
  const line: Line = { patience: { ...PATIENCE, ...patience }, signal };
  return {
    ask: (url, request) => insist(line, url, () => askOnce(line, url, request)),
    download: (url, range, bytesMax) => {
      const wanted = { start: range?.start ?? 0, end: range?.end, bytesMax };
      const goal: Download = { url, ...wanted, got: byteSink(roomOf(wanted)), best: 0, tag: undefined };
      return insist(line, url, () => downloadOnce(line, goal));
    },
  };
}

/** Repeats `attempt` until it gives a value or the patience is over. */
async function insist<T>(line: Line, url: string, attempt: () => Promise<Outcome<T>>): Promise<T> {
  const { attempts, pauseMs, pauseMsMax, random } = line.patience;
  for (let failures = 0; ; ) {
    checkInterrupted(line);
    const outcome = await attempt();
    if ("value" in outcome) return outcome.value;
    checkInterrupted(line);
    failures = outcome.progress === true ? 1 : failures + 1;
    if (failures >= attempts) throw away(url, attempts, outcome.again);
    const ownMs = Math.min(pauseMsMax, pauseMs * 2 ** (failures - 1)) * (0.5 + random.uniform() / 2);
    await pause(line, Math.max(ownMs, outcome.waitMs ?? 0));
  }
}

async function pause(line: Line, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= LOOK_MS) {
    await line.patience.clock.sleep(Math.min(left, LOOK_MS));
    checkInterrupted(line);
  }
}

function checkInterrupted({ signal }: Line): void {
  if (signal?.aborted === true) throw new SkeinError("interrupted", "stopped on request");
}

function away(url: string, attempts: number, details: string): SkeinError {
  return new SkeinError("store", `${hostOf(url)} does not answer`, {
    details: `${attempts} attempts; the last one: ${details}`,
    remedy:
      "check the link and this machine's connection; if the gateway is down, ask whoever runs it, and try again later",
  });
}

/** Scheme, name and port, without what else may stand in an address. */
function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).origin : "the server";
}

/** Milliseconds that an upload may take before its answer is waited for: 16 MB have five minutes. */
export function uploadMs(bytes: number): number {
  return 1000 * Math.min(bytes / BYTES_PER_SECOND, UPLOAD_SLOW_MS / 1000 + bytes / UPLOAD_BYTES_PER_SECOND);
}

async function askOnce(line: Line, url: string, ask: Ask): Promise<Outcome<Answer>> {
  const { method = "GET", headers = {}, body, bytesMax } = ask;
  const silenceMs = Math.max(line.patience.silenceMs, ask.silenceMs ?? 0) + uploadMs(body?.length ?? 0);
  return withResponse(
    line,
    silenceMs,
    url,
    { method, headers, ...(body ? { body: body as BodyInit } : {}) },
    async (response, watch) => {
      const isPassing = PASSING.has(response.status) || response.status === ask.passing;
      const bytes = await readAll(response, watch, isPassing ? ERROR_BODY_BYTES_MAX : bytesMax);
      const again = isPassing ? passing(line, response, bytes) : undefined;
      if (again !== undefined) return again;
      return {
        value: { status: response.status, header: (name) => response.headers.get(name) ?? undefined, body: bytes },
      };
    },
  );
}

/** A watchdog over one connection. */
interface Watch {
  /** Bytes have come: the silence begins anew. */
  fed(bytes: number): void;
}

/** Sends one request and works on its response; the connection is closed afterwards, however that ended. */
async function withResponse<T>(
  { patience, signal }: Line,
  silenceMs: number,
  url: string,
  init: RequestInit,
  work: (response: Response, watch: Watch) => Promise<Outcome<T>>,
): Promise<Outcome<T>> {
  const stop = new AbortController();
  const giveUp = (): void => stop.abort(new Error(`no answer within ${Math.round(silenceMs)} ms`));
  const interrupt = (): void => stop.abort(new Error("stopped on request"));
  const { monotonic } = patience.clock;
  const lateMs = monotonic() + silenceMs + patience.silenceMs;
  let timer = setTimeout(giveUp, silenceMs);
  let got = 0;
  signal?.addEventListener("abort", interrupt, { once: true });
  const fed = (bytes: number): void => {
    got += bytes;
    clearTimeout(timer);
    if (monotonic() > lateMs + (got / BYTES_PER_SECOND) * 1000) stop.abort(new Error("the answer drips"));
    timer = setTimeout(giveUp, patience.silenceMs);
  };
  try {
    const redirect = init.method === "GET" || init.method === "HEAD" ? "follow" : "error";
    const response = await fetch(url, { ...init, redirect, signal: stop.signal });
    fed(0);
    return await work(response, { fed });
  } catch (thrown) {
    if (thrown instanceof SkeinError) throw thrown;
    return { again: causeOf(thrown) };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", interrupt);
    stop.abort(new Error("done"));
  }
}

/** What is behind a failed fetch: the cause says more than "fetch failed". */
function causeOf(thrown: unknown): string {
  const cause = thrown instanceof Error && thrown.cause !== undefined ? thrown.cause : thrown;
  return messageOf(cause) || messageOf(thrown);
}

/** Hands the body's parts to `take` until that says false. */
async function eachPart(response: Response, watch: Watch, take: (part: Uint8Array) => boolean): Promise<void> {
  const reader = response.body?.getReader();
  if (reader === undefined) return;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    watch.fed(value.length);
    if (!take(value)) return;
  }
}

/** The body, of which no more than `bytesMax` bytes are taken. */
async function readAll(response: Response, watch: Watch, bytesMax: number): Promise<Uint8Array> {
  const sink = byteSink(bytesMax);
  await eachPart(response, watch, (part) => {
    sink.push(part);
    return sink.length < bytesMax;
  });
  return sink.bytes();
}

/** An answer that says "not now" as a failure that may pass; undefined where it will only after longer than we would wait. */
function passing({ patience }: Line, { status, headers }: Response, body: Uint8Array): Again | undefined {
  const waitMs = retryAfterMs(headers.get("retry-after")) ?? 0;
  if (waitMs > patience.retryAfterMsMax) return undefined;
  const { error } = saidBy(body);
  return { again: `status ${status}${error === undefined ? "" : `: ${error}`}`, waitMs };
}

/** Milliseconds that a Retry-After asks for, where it counts seconds. */
function retryAfterMs(text: string | null): number | undefined {
  return text !== null && /^\d{1,6}$/.test(text) ? Number(text) * 1000 : undefined;
}

/** What a server says about an error, for people: one line each, visible characters only. */
export function saidBy(body: Uint8Array): { readonly error?: string; readonly remedy?: string } {
  try {
    const fields = new Map<string, unknown>(Object.entries(JSON.parse(fromUtf8(body)) as object));
    const line = (name: string): Record<string, string> => {
      const value = fields.get(name);
      return typeof value === "string"
        ? { [name]: value.replace(/[^\p{L}\p{N}\p{P}\p{S}\p{Zs}]/gu, "?").slice(0, ERROR_CHARS_MAX) }
        : {};
    };
    return { ...line("error"), ...line("remedy") };
  } catch {
    return {};
  }
}

/** The error for an answer that is final and not what was asked for. */
export function statusError(url: string, status: number, body: Uint8Array): SkeinError {
  const { error, remedy = "check the link, or ask whoever runs the gateway" } = saidBy(body);
  return new SkeinError("store", `${hostOf(url)} answered ${status}${error === undefined ? "" : `: ${error}`}`, {
    remedy,
  });
}

/** A download under way: what is wanted, and what has come. */
interface Download {
  readonly url: string;
  readonly start: number;
  /** undefined: to the end of the blob. */
  readonly end: number | undefined;
  readonly bytesMax: number;
  got: ByteSink;
  /** Most bytes that have ever come, over all beginnings. */
  best: number;
  /** The strong ETag of what has come. */
  tag: string | undefined;
}

/** Bytes that are wanted at most. */
function roomOf({ start, end, bytesMax }: Pick<Download, "start" | "end" | "bytesMax">): number {
  return end === undefined ? bytesMax : Math.min(bytesMax, end - start);
}

function startOver(goal: Download): void {
  goal.got = byteSink(roomOf(goal));
  goal.tag = undefined;
}

async function downloadOnce(line: Line, goal: Download): Promise<Outcome<Uint8Array | undefined>> {
  if (goal.tag === undefined) startOver(goal); // without a tag nobody knows whether the rest belongs to the same blob
  const from = goal.start + goal.got.length;
  const ranged = goal.end !== undefined || from > 0;
  const headers: Record<string, string> = { "accept-encoding": "identity" };
  if (ranged) headers["range"] = `bytes=${from}-${goal.end === undefined ? "" : goal.end - 1}`;
  if (goal.got.length > 0 && goal.tag !== undefined) headers["if-range"] = goal.tag;
  const outcome = await withResponse<Uint8Array | undefined>(
    line,
    line.patience.silenceMs,
    goal.url,
    { method: "GET", headers },
    (response, watch) => receive(line, goal, from, response, watch),
  );
  if ("value" in outcome) return outcome;
  const progress = goal.got.length - goal.best >= PROGRESS_BYTES;
  goal.best = Math.max(goal.best, goal.got.length);
  return { ...outcome, progress };
}

async function receive(
  line: Line,
  goal: Download,
  from: number,
  response: Response,
  watch: Watch,
): Promise<Outcome<Uint8Array | undefined>> {
  const { status, headers } = response;
  if (status === 404 || status === 410 || status === 416) await readAll(response, watch, ERROR_BODY_BYTES_MAX); // keeps the connection
  if (status === 404 || status === 410) return { value: undefined };
  if (status === 416) {
    if (goal.got.length === 0 && goal.end !== undefined) return { value: new Uint8Array(0) }; // the range begins behind the end
    startOver(goal);
    return { again: "the blob has become shorter" };
  }
  if (status !== 200 && status !== 206) {
    const body = await readAll(response, watch, ERROR_BODY_BYTES_MAX);
    const again = PASSING.has(status) ? passing(line, response, body) : undefined;
    if (again !== undefined) return again;
    throw statusError(goal.url, status, body);
  }
  if (headers.has("content-encoding")) return { again: "the bytes are encoded, which was not asked for" };
  const tag = /^"[^"]*"$/.exec(headers.get("etag") ?? "")?.[0];
  if (status === 200 || (goal.got.length > 0 && tag !== goal.tag)) startOver(goal);
  const part = status === 206 ? contentRange(headers.get("content-range")) : { start: 0, total: lengthOf(headers) };
  if (part === undefined || (status === 206 && part.start !== goal.start + goal.got.length)) {
    startOver(goal);
    return { again: `asked for bytes from ${from} on and got others` };
  }
  goal.tag = tag;
  return take(goal, part, response, watch);
}

/** Takes the bytes of a response that begins at `start` of a blob of `total` bytes (undefined: not said), and drops those not asked for. */
async function take(
  goal: Download,
  { start, total }: Part,
  response: Response,
  watch: Watch,
): Promise<Outcome<Uint8Array | undefined>> {
  const room = roomOf(goal);
  if (goal.end === undefined && total !== undefined && total - goal.start > room) throw tooLong(goal);
  let skip = goal.start + goal.got.length - start; // where a server knows no ranges
  let tooMuch = false;
  await eachPart(response, watch, (bytes) => {
    const wanted = bytes.subarray(Math.min(skip, bytes.length));
    skip -= bytes.length - wanted.length;
    tooMuch = goal.got.push(wanted) < wanted.length;
    return goal.got.length < room || (goal.end === undefined && !tooMuch);
  });
  if (tooMuch && goal.end === undefined) throw tooLong(goal);
  const due = total === undefined ? 0 : Math.min(room, total - goal.start);
  if (goal.got.length < due) return { again: "the connection ended early" };
  const bytes = goal.got.bytes();
  return { value: bytes.length === bytes.buffer.byteLength ? bytes : bytes.slice() };
}

function tooLong({ url, bytesMax }: Download): SkeinError {
  const remedy = "this is not what is expected there: ask whoever runs the gateway";
  return new SkeinError("store", `${hostOf(url)} sends more than ${bytesMax} bytes`, { remedy });
}

function lengthOf(headers: Headers): number | undefined {
  const text = headers.get("content-length");
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** What a response brings: where it begins, and the bytes of the whole blob where that is said. */
interface Part {
  readonly start: number;
  readonly total: number | undefined;
}

/** What a Content-Range says; undefined where there is none. Without a total, the part is taken for the end of the blob. */
function contentRange(text: string | null): Part | undefined {
  const [, first, last, total] = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/.exec(text ?? "") ?? [];
  if (first === undefined || Number(last) < Number(first)) return undefined;
  return { start: Number(first), total: total === "*" ? Number(last) + 1 : Number(total) };
}
