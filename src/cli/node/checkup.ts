/**
 * `skein doctor <link>`: everything that joining a run would run into, found out before it, without keys and without money: is the gateway there, does
 * the chain go on, does the run fit into memory, is this machine fast enough, what goes over the line, what may be earned.
 */
import { systemClock } from "../../base/clock.ts";
import { type ErrorCode, SkeinError } from "../../base/errors.ts";
import type { Chain, Head, Metagraph, RunRecord } from "../../chain/chain.ts";
import { isOpen } from "../../chain/metagraph.ts";
import { roundBlocks } from "../../chain/rounds.ts";
import { openDataset } from "../../data/dataset.ts";
import type { EngineName } from "../../engine/open.node.ts";
import { paramCount } from "../../engine/shape.ts";
import { askInfo } from "../../gateway/client.ts";
import { newFit } from "../../roles/network/trainer/fit.ts";
import { payloadEstimate, peerTokensOf, roundsOf } from "../../run/rules.ts";
import type { RunSpec } from "../../run/spec.ts";
import { httpStore } from "../../store/http.ts";
import { shortCoins } from "../chain/money.ts";
import type { Machine } from "../shared/machine.ts";
import { measureSpeed } from "../shared/speed.ts";
import { bytes, count, duration, figures, short, type Terminal } from "../shared/terminal.ts";
import { fitRun, type RunFit } from "./fit.ts";
import { below } from "./mirror.ts";
import {
  blockSecondsOf,
  connectRun,
  headTrouble,
  isOver,
  reachRun,
  recordOf,
  type ServedRun,
  standingOf,
} from "./reach.ts";

/** What is examined, and with what. */
export interface Checkup {
  readonly link: string;
  readonly rpc?: string | undefined;
  readonly engine: EngineName;
  readonly threads: number;
  readonly machine: Machine;
  /** Milliseconds that the measurement of speed may take, about. */
  readonly budgetMs: number;
}

/** Why this machine cannot join. */
interface Reason {
  readonly code: ErrorCode;
  readonly words: string;
  readonly remedy: string;
}

const ASKED_TIMES = 5;
const DAY_SECONDS = 86_400;
/** Milliseconds to wait for a block, and blocks to see, for the time of a block. */
const BLOCK_WAIT_MS = 60_000;
const BLOCKS_SEEN = 3;

/** Examines, tells, and throws SkeinError unless this machine can join. */
export async function checkRun(checkup: Checkup, terminal: Terminal): Promise<void> {
  terminal.status("asking the gateway");
  const served = await reachRun(checkup.link);
  await tellGateway(served, terminal);
  const chain = await connectRun(served, checkup.rpc);
  try {
    const reasons: Reason[] = [];
    const first = await chain.head();
    const record = await recordOf(served, chain);
    await tellStore(served, terminal);
    const fit = tellMemory(checkup, served.spec, reasons, terminal);
    const speed = fit && (await speedOf(checkup, fit, served.spec, terminal));
    const { head, blockSeconds } = await blocksOf(chain, first, terminal);
    tellChain(served, record, head, blockSeconds, reasons, terminal);
    if (speed) tellSpeed(served.spec, speed, blockSeconds, reasons, terminal);
    tellTraffic(served.spec, record, blockSeconds, terminal);
    tellMoney(served, await chain.metagraph(record.netuid), blockSeconds, reasons, terminal);
    tellVerdict(checkup, reasons, terminal);
  } finally {
    terminal.clear();
    await chain.close();
  }
}

async function tellGateway({ spec, base, link, specHash, info }: ServedRun, terminal: Terminal): Promise<void> {
  const times: number[] = [];
  for (let i = 0; i < ASKED_TIMES; i++) {
    const startMs = systemClock.monotonic();
    await askInfo({ base, specHash });
    times.push(systemClock.monotonic() - startMs);
  }
  const latencyMs = [...times].sort((a, b) => a - b)[ASKED_TIMES >> 1] ?? 0;
  terminal.clear();
  terminal.line(`\nThe run: ${spec.name}`);
  terminal.line(`  ${link}`);
  terminal.line(`  ${short(paramCount(spec.model))} params, ${count(roundsOf(spec))} rounds, up to ${spec.uids} uids`);
  terminal.line(`  the gateway answers in ${figures(latencyMs)} ms`);
  terminal.event("gateway", { link, base, specHash, name: spec.name, runId: info.runId, latencyMs });
}

/** Reads one piece of the dataset, as training would. */
async function tellStore({ spec, base }: ServedRun, terminal: Terminal): Promise<void> {
  let read = 0;
  const remote = below(httpStore({ base }), "data/");
  const counting = {
    ...remote,
    get: async (key: string, range?: { readonly start: number; readonly end: number }) => {
      const got = await remote.get(key, range);
      read += got?.length ?? 0;
      return got;
    },
  };
  const dataset = await openDataset(counting, { manifestSha256: spec.data.manifest });
  const startMs = systemClock.monotonic();
  read = 0;
  await dataset.split("train").sequence(0, spec.inner.seqLen);
  const seconds = Math.max(1e-3, (systemClock.monotonic() - startMs) / 1000);
  terminal.line(
    `  the store sent ${bytes(read)} of data in ${figures(1000 * seconds)} ms: ${bytes(read / seconds)} a second`,
  );
  terminal.event("store", { bytes: read, seconds, bytesPerSecond: Math.round(read / seconds) });
}

function tellMemory(checkup: Checkup, spec: RunSpec, reasons: Reason[], terminal: Terminal): RunFit | undefined {
  const { engine, threads, machine } = checkup;
  terminal.line("\nThis machine in it");
  try {
    const fit = fitRun({ spec, role: "trainer", engine, threads, machine });
    const { microBatch, recompute = false } = fit.options;
    const settings = `${microBatch} sequences at a time${recompute ? ", recomputing" : ""}`;
    terminal.line(`  memory  ${bytes(fit.totalBytes)} of the ${bytes(fit.availableBytes)} available, with ${settings}`);
    terminal.event("memory", {
      totalBytes: fit.totalBytes,
      planBytes: fit.planBytes,
      availableBytes: fit.availableBytes,
      microBatch,
      recompute,
    });
    return fit;
  } catch (thrown) {
    if (!(thrown instanceof SkeinError) || thrown.code !== "memory") throw thrown;
    terminal.line(`  memory  does not fit: ${thrown.message}`);
    terminal.event("memory", { totalBytes: null, planBytes: null, availableBytes: machine.availableBytes });
    reasons.push({ code: "memory", words: thrown.message, remedy: thrown.remedy ?? "" });
    return undefined;
  }
}

async function speedOf(
  { engine, budgetMs }: Checkup,
  { options }: RunFit,
  { inner }: RunSpec,
  terminal: Terminal,
): Promise<{ readonly tokensPerSecond: number; readonly backend: string }> {
  terminal.status("measuring how fast this machine trains", true);
  const speed = await measureSpeed({ engine, ...options }, inner.batch, budgetMs);
  terminal.clear();
  return speed;
}

async function blocksOf(
  chain: Chain,
  first: Head,
  terminal: Terminal,
): Promise<{ readonly head: Head; readonly blockSeconds: number | undefined }> {
  terminal.status("watching the chain's blocks", true);
  try {
    await chain.waitForBlock(first.block + BLOCKS_SEEN, AbortSignal.timeout(BLOCK_WAIT_MS));
  } catch (thrown) {
    if (!(thrown instanceof SkeinError) || thrown.code !== "interrupted") throw thrown;
  }
  const head = await chain.head();
  terminal.clear();
  return { head, blockSeconds: blockSecondsOf(first, head) };
}

function tellChain(
  { spec, info }: ServedRun,
  record: RunRecord,
  head: Head,
  blockSeconds: number | undefined,
  reasons: Reason[],
  terminal: Terminal,
): void {
  const pace = blockSeconds === undefined ? "no new block was seen" : `a block every ${figures(blockSeconds)} s`;
  const standing = standingOf(spec, record, head.block, blockSeconds);
  terminal.line(`  chain   ${info.chainId}, block ${count(head.block)}, ${pace}`);
  terminal.line(`  run     ${standing}`);
  terminal.event("chain", {
    chainId: info.chainId,
    block: head.block,
    timestamp: head.timestamp,
    blockSeconds: blockSeconds ?? null,
    standing,
  });
  const trouble = headTrouble(head, systemClock, blockSeconds);
  if (trouble !== undefined) terminal.line(`  NOTE    ${trouble}`);
  if (blockSeconds === undefined)
    reasons.push({
      code: "chain",
      words: "the chain makes no blocks",
      remedy: "ask whoever runs it, and try again later",
    });
  if (isOver(spec, record, head.block))
    reasons.push({ code: "config", words: "the run is over", remedy: "ask its owner for the next one" });
}

/** How much of the run's batch a machine does in time. */
export interface Pace {
  /** Sequences of a step that fit a round; at least 1. */
  readonly batch: number;
  /** Whether even one sequence a step takes longer than a round gives. */
  readonly tooSlow: boolean;
  /** Seconds that a round gives, and that its steps take with `batch`. */
  readonly givenSeconds: number;
  readonly takenSeconds: number;
}

/** What `tokensPerSecond` come to in a run whose blocks take `blockSeconds`. */
export function paceIn({ inner, timing }: RunSpec, tokensPerSecond: number, blockSeconds: number): Pace {
  const givenSeconds = timing.trainBlocks * blockSeconds;
  const sequenceSeconds = inner.seqLen / tokensPerSecond;
  const fit = newFit();
  fit.took(1, 1000 * sequenceSeconds);
  const batch = fit.batch(inner.steps, inner.batch, 1000 * givenSeconds);
  const takenSeconds = inner.steps * batch * sequenceSeconds;
  return { batch, tooSlow: takenSeconds > givenSeconds, givenSeconds, takenSeconds };
}

function tellSpeed(
  spec: RunSpec,
  { tokensPerSecond, backend }: { readonly tokensPerSecond: number; readonly backend: string },
  blockSeconds: number | undefined,
  reasons: Reason[],
  terminal: Terminal,
): void {
  terminal.line(`  speed   ${count(tokensPerSecond)} tokens a second (${backend})`);
  const pace = blockSeconds === undefined ? undefined : paceIn(spec, tokensPerSecond, blockSeconds);
  terminal.event("speed", {
    tokensPerSecond: Math.round(tokensPerSecond),
    backend,
    batch: pace?.batch ?? null,
    tooSlow: pace?.tooSlow ?? null,
  });
  if (pace === undefined) return;
  const { steps, batch, seqLen } = spec.inner;
  const time = `${secondsWord(pace.takenSeconds)} of the ${secondsWord(pace.givenSeconds)} that a round gives`;
  terminal.line(
    `  batch   ${pace.batch} of the run's ${batch} sequences: ${steps} steps of ${pace.batch} × ${seqLen} tokens take ${time}`,
  );
  if (!pace.tooSlow) return;
  const remedy = "use more threads or a faster machine, or look for a run with a smaller model";
  reasons.push({ code: "engine", words: `too slow: a round's steps take ${time} even with one sequence each`, remedy });
}

function secondsWord(seconds: number): string {
  return seconds < 60 ? `${figures(seconds)} s` : duration(1000 * seconds);
}

function tellTraffic(spec: RunSpec, record: RunRecord, blockSeconds: number | undefined, terminal: Terminal): void {
  const up = payloadEstimate(spec);
  const down = up * spec.outer.cap;
  const seconds = roundBlocks(record) * (blockSeconds ?? 0);
  const perDay = (n: number): string => (seconds > 0 ? `, ${bytes((n * DAY_SECONDS) / seconds)} a day` : "");
  const tokens = peerTokensOf(spec);
  const round = seconds > 0 ? ` of ${duration(1000 * seconds)}` : "";
  terminal.line(
    `  traffic in a round${round}: about ${bytes(up)} up${perDay(up)}; up to ${bytes(down)} down${perDay(down)}`,
  );
  terminal.line(
    `          at first up to ${bytes(4 * paramCount(spec.model))} of params; text as it is needed, ${short(tokens)} tokens a round`,
  );
  terminal.event("traffic", {
    upBytes: up,
    downBytes: down,
    roundSeconds: seconds > 0 ? seconds : null,
    paramBytes: 4 * paramCount(spec.model),
  });
}

/** What peers were paid in a subnet's last epoch, and how many of them. */
export function paidOf({ neurons }: Pick<Metagraph, "neurons">): { readonly rao: bigint; readonly peers: number } {
  const paid = neurons.filter(({ incentive, permit }) => incentive > 0 && !permit);
  return { rao: paid.reduce((sum, { emission }) => sum + emission, 0n), peers: paid.length };
}

function tellMoney(
  { info }: ServedRun,
  metagraph: Metagraph,
  blockSeconds: number | undefined,
  reasons: Reason[],
  terminal: Terminal,
): void {
  const { burn, params } = metagraph.subnet;
  const faucet = info.faucet ? "; the gateway gives it to newcomers" : "";
  terminal.line(`  price   a uid costs ${shortCoins(burn)} coins now${faucet}`);
  const { rao, peers } = paidOf(metagraph);
  const share = rao / BigInt(peers + 1);
  const epoch = `an epoch of ${params.tempo} blocks${blockSeconds === undefined ? "" : ` (${duration(1000 * params.tempo * blockSeconds)})`}`;
  const among = `${peers} ${peers === 1 ? "peer" : "peers"}`;
  if (rao === 0n) terminal.line("  pay     unknown: the last epoch paid no peers");
  else
    terminal.line(
      `  pay     an estimate: ${shortCoins(share)} coins ${epoch}, if ${shortCoins(rao)} as in the last one were shared evenly by ${among} and this one; validators decide by what the work is worth`,
    );
  terminal.event("money", {
    ...{
      burn: String(burn),
      faucet: info.faucet,
      epochRao: String(rao),
      peers,
      estimateRao: rao === 0n ? null : String(share),
    },
    ...{ tempo: params.tempo, open: isOpen(metagraph) },
  });
  if (!isOpen(metagraph)) {
    const words = "the subnet takes no newcomers: all uids are held, or its owner has closed it";
    reasons.push({ code: "chain", words, remedy: "a hotkey that has a uid may go on; else try again later" });
  }
}

function tellVerdict({ link }: Checkup, reasons: readonly Reason[], terminal: Terminal): void {
  terminal.event("verdict", { canJoin: reasons.length === 0, reasons: reasons.map(({ words }) => words) });
  const [first] = reasons;
  if (first === undefined) {
    terminal.line(`\nThis machine can join: skein join ${link}`);
    return;
  }
  throw new SkeinError(first.code, `this machine cannot join the run: ${first.words}`, {
    ...(reasons.length > 1 ? { details: reasons.map(({ words }) => words).join("\n") } : {}),
    remedy: first.remedy,
  });
}
