/**
 * Opening a run for whoever takes part in it: from a join link to a node that can work. What needs no trust and costs nothing comes first (the
 * spec, this machine's memory), then keys, the chain, the folder, the data; money is spent last, by the verbs.
 */
import * as path from "node:path";
import type { Command } from "commander";
import { systemClock } from "../../base/clock.ts";
import { SkeinError } from "../../base/errors.ts";
import { toHex } from "../../base/hash.ts";
import { fileLog } from "../../base/log/file.node.ts";
import { type Log, type LogFields, teeLog } from "../../base/log/log.ts";
import type { Chain, RunRecord } from "../../chain/chain.ts";
import { type FolderLock, takeLock } from "../../chain/local/disk/lock.node.ts";
import { phaseAt } from "../../chain/rounds.ts";
import { type Dataset, openDataset } from "../../data/dataset.ts";
import type { Engine } from "../../engine/engine.ts";
import { type EngineName, openEngine } from "../../engine/open.node.ts";
import { paramCount } from "../../engine/shape.ts";
import { rootOf, type State } from "../../roles/network/follower.ts";
import { type ActingNode, acting, openNode } from "../../roles/network/node.ts";
import { bestMeans } from "../../round/native/native.node.ts";
import { folderStore } from "../../store/folder.node.ts";
import { httpStore } from "../../store/http.ts";
import { withKeys } from "../chain/connection.ts";
import { coinsOf, shortCoins } from "../chain/money.ts";
import { fitRun, type Role, type RunFit } from "../node/fit.ts";
import { type DataSources, dataSources } from "../node/mirror.ts";
import {
  blockSecondsOf,
  connectRun,
  headTrouble,
  isOver,
  reachRun,
  recordOf,
  type ServedRun,
  standingOf,
} from "../node/reach.ts";
import { gatewayFaucet, type SeatRequest, takeSeat } from "../node/seat.ts";
import { trainerView, type View, validatorView } from "../node/view.ts";
import { openWallet, type Wallet, type WalletFlags } from "../node/wallet.ts";
import { earningsTeller, persevere, watchBlocks, watched } from "../node/watch.ts";
import { thisMachine } from "../shared/machine.ts";
import { HOME, type SharedOptions, withEngine, withJson } from "../shared/options.ts";
import { bytes, count, short, type Terminal } from "../shared/terminal.ts";

/** The flags that all who take part in a run have. */
export interface NodeFlags extends SharedOptions, WalletFlags {
  readonly rpc?: string;
  readonly dir?: string;
  /** Addresses of more stores to read from. */
  readonly mirror?: readonly string[];
  readonly replay?: boolean;
  readonly maxBurn?: bigint;
  /** Sequences of a step, at most. */
  readonly batch?: number;
}

/** A run that is ready to be worked in. */
export interface OpenedRun {
  readonly served: ServedRun;
  readonly node: ActingNode;
  readonly engine: Engine;
  readonly wallet: Wallet;
  readonly folder: string;
  readonly fit: RunFit;
  /** Whether all rounds were done when it was opened. */
  readonly over: boolean;
  readonly view: View;
  /** What getting a uid takes. */
  readonly seat: SeatRequest;
  /** Gets the hotkey a uid, where it has none. */
  readonly takeSeat: () => Promise<number>;
  /** Does a role's work, beginning anew where chain or gateway were away. */
  readonly persevere: <T>(work: () => Promise<T>) => Promise<T>;
  /** Lets go of everything. */
  close(): Promise<void>;
}

/** Adds the flags of `NodeFlags`, all but --batch. */
export function withNode(command: Command): Command {
  const run = command
    .option("--rpc <url>", "a node of the run's chain (default: through the gateway)")
    .option("--dir <folder>", `where this node keeps its state (default: in ${HOME}/runs, by run, role and hotkey)`)
    .option(
      "--mirror <url...>",
      "more places for payloads, checkpoints and training data, each as <url>/store/<key>; nothing they say is believed",
    )
    .option("--replay", "recompute the run from its first params instead of taking a checkpoint")
    .option("--max-burn <coins>", "wait rather than pay more for a uid", coinsOf);
  return withJson(withEngine(withKeys(run)));
}

/** Lets go of what was opened, the last first. */
type Closing = (() => Promise<void> | void)[];

/**
 * Opens the run behind `link`. Throws SkeinError: "usage" for what is no link, "store" and "chain" where gateway or chain do not answer, "config"
 * where they contradict each other or the folder is in use, "memory" where the run does not fit, "data", "engine".
 */
export async function openRun(
  link: string,
  flags: NodeFlags,
  role: Role,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<OpenedRun> {
  const closing: Closing = [];
  const close = async (): Promise<void> => {
    for (const each of closing.splice(0).reverse()) await each();
  };
  try {
    terminal.status("asking the gateway");
    const served = await reachRun(link, {}, signal);
    const machine = thisMachine();
    const { engine, threads, batch } = flags;
    const fit = fitRun({
      ...{ spec: served.spec, role, engine, machine },
      ...(threads === undefined ? {} : { threads }),
      ...(batch === undefined ? {} : { batch }),
    });
    terminal.clear();
    const wallet = await openWallet(flags, terminal);
    const chain = await connectRun(served, flags.rpc);
    closing.push(() => chain.close());
    return await openOn({ served, flags, role, terminal, signal, fit, wallet, chain, closing, close });
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

interface Opening {
  readonly served: ServedRun;
  readonly flags: NodeFlags;
  readonly role: Role;
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
  readonly fit: RunFit;
  readonly wallet: Wallet;
  readonly chain: Chain;
  readonly closing: Closing;
  readonly close: () => Promise<void>;
}

/** The second half, on a chain. */
async function openOn(opening: Opening): Promise<OpenedRun> {
  const { served, flags, role, terminal, signal, fit, wallet, closing, close } = opening;
  const { spec, specHash, base, info } = served;
  const record = await recordOf(served, opening.chain);
  const first = await opening.chain.head();
  const { chain, newest } = watched(opening.chain, first);
  const folder = flags.dir ?? path.join(HOME, "runs", specHash.slice(0, 12), `${role}-${flags.hotkey}`);
  const lock = await lockOf(folder);
  closing.push(() => lock.release());
  const local = folderStore(folder);
  const shared = httpStore({ base, writer: { signer: wallet.hotkey, specHash } });
  const mirrors = (flags.mirror ?? []).map((url) => httpStore({ base: url }));
  const data = dataSources(shared, mirrors, local);
  const dataset = await datasetOf(served, data);
  const view = { trainer: trainerView, validator: validatorView }[role]({
    ...{ terminal, record, block: () => newest().block },
    liveFrom: phaseAt(record, first.block)?.round ?? 0,
  });
  const plain = teeLog(fileOf(folder), { event: (kind, fields) => terminal.event(kind, fields) });
  const earnings = earningsTeller(chain, record.netuid, wallet.coldkey.account, terminal, plain);
  const log = teeLog(plain, view, { event: (kind) => (kind === "applied" ? earnings() : undefined) });
  checkEngine(flags.engine, spec);
  const engine = await openEngine({ engine: flags.engine, ...fit.options });
  closing.push(() => engine.close());
  const options = {
    spec,
    runId: info.runId,
    chain,
    signer: wallet.hotkey,
    shared,
    mirrors,
    local,
    dataset,
    log,
    signal,
  };
  const node = acting(await openNode({ ...options, clock: systemClock, means: bestMeans() }));
  closing.push(watchBlocks(opening.chain, terminal, plain));
  const head = await chain.head();
  const trouble = headTrouble(head, systemClock, blockSecondsOf(first, head));
  if (trouble !== undefined) {
    terminal.note(trouble);
    plain.event("head-trouble", { why: trouble, block: head.block, timestamp: head.timestamp });
  }
  const standing = standingOf(spec, record, head.block, blockSecondsOf(first, head));
  tellHeader({ served, record, dataset, engine, fit, wallet, flags, folder, standing }, terminal);
  const faucet = info.faucet ? gatewayFaucet(served, signal) : undefined;
  const { maxBurn } = flags;
  const seat = { chain, netuid: record.netuid, wallet, faucet, maxBurn, log: plain, terminal, signal };
  const progress = (): number => view.tally.rounds;
  return {
    ...{ served, node, engine, wallet, folder, fit, view, seat, close },
    over: isOver(spec, record, head.block),
    takeSeat: () => takeSeat(seat),
    persevere: (work) => persevere(work, { terminal, log: plain, signal, progress, dataAway: data.isAway }),
  };
}

function lockOf(folder: string): Promise<FolderLock> {
  return takeLock(path.join(folder, "lock"), {
    code: "config",
    message: `another process works in ${folder}`,
    remedy: "stop that one, or give this one a folder and a hotkey of its own: --dir, --hotkey",
  });
}

/** Opens a run's dataset. Throws SkeinError("data"), and "config" where it has another tokenizer than the spec says. */
export async function datasetOf({ spec }: ServedRun, { pieces, others }: DataSources): Promise<Dataset> {
  const dataset = await openDataset(pieces, { mirrors: others, manifestSha256: spec.data.manifest });
  const { tokenizer } = dataset.manifest;
  if (tokenizer.sha256 === spec.data.tokenizer && tokenizer.vocabSize === spec.model.vocabSize) return dataset;
  throw new SkeinError("config", "the run's dataset has another tokenizer than its spec says", {
    details: `dataset: ${tokenizer.sha256}, ${tokenizer.vocabSize} tokens\nspec: ${spec.data.tokenizer}, ${spec.model.vocabSize} tokens`,
    remedy: "ask the run's owner",
  });
}

/** The node's own log, without what comes several times a second. */
function fileOf(folder: string): Log {
  const file = fileLog(path.join(folder, "log.jsonl"));
  const isFrequent = (kind: string): boolean => kind === "step" || kind === "checkpoint-fetch";
  return { event: (kind, fields) => (isFrequent(kind) ? undefined : file.event(kind, fields)) };
}

/** Where work is replayed, an engine with bits of its own is of no use: what it does would be refuted, and it can judge nobody. */
function checkEngine(engine: EngineName, { audit }: ServedRun["spec"]): void {
  if (engine !== "reference" || audit.perMille === 0) return;
  const message = "this run replays work, and the reference engine computes other bits than the exact one";
  throw new SkeinError("config", message, { remedy: "leave --engine away" });
}

interface Header extends Pick<OpenedRun, "served" | "engine" | "fit" | "wallet" | "folder"> {
  readonly record: RunRecord;
  readonly dataset: Dataset;
  readonly flags: NodeFlags;
  readonly standing: string;
}

function tellHeader(header: Header, terminal: Terminal): void {
  const { served, record, dataset, engine, fit, wallet, flags, folder, standing } = header;
  const { spec, info, link } = served;
  const { model, inner } = spec;
  const { threads, microBatch, recompute } = engine.options;
  const { tokens } = dataset.split("train");
  const lines = [
    `run     ${spec.name}: ${link}`,
    `chain   ${info.chainId}, subnet ${record.netuid}, run ${info.runId}; ${standing}`,
    `model   ${short(paramCount(model))} params (vocabulary ${count(model.vocabSize)}, width ${model.dim}, ${model.layers} layers)`,
    `data    ${short(tokens)} tokens to train on; ${inner.steps} steps of up to ${inner.batch} × ${inner.seqLen} in a round`,
    `engine  ${engine.name} (${engine.backend}), ${threads} ${threads === 1 ? "thread" : "threads"}, ${microBatch} sequences at a time${recompute ? ", recomputing" : ""}`,
    `memory  ${bytes(fit.totalBytes)} of the ${bytes(fit.availableBytes)} available`,
    `keys    ${flags.wallet}/${flags.hotkey} in ${flags.keys}: coldkey ${wallet.coldkey.address}, hotkey ${wallet.hotkey.address}`,
    `folder  ${folder}`,
  ];
  for (const line of lines) terminal.line(line);
}

/** What a node says of itself once it is up. */
export function readyFacts({ node, served, wallet, folder, engine }: OpenedRun, role: Role, block: number): LogFields {
  const { threads, microBatch, recompute } = engine.options;
  return {
    ...{ role, link: served.link, specHash: served.specHash, runId: node.runId, netuid: node.record.netuid },
    ...{ chainId: node.chain.chainId, hotkey: wallet.hotkey.account, coldkey: wallet.coldkey.account, folder },
    ...{ engine: engine.name, backend: engine.backend, threads, microBatch, recompute },
    ...{ block, round: phaseAt(node.record, block)?.round ?? null },
  };
}

/** What a node has come to. */
export interface Ending {
  readonly state: State;
  /** Whether it was asked to stop; otherwise the run is over. */
  readonly stopped: boolean;
}

/**
 * Tells how a node's work ended, with `facts` of its own, in words and as fields. Throws SkeinError("interrupted") where it was stopped.
 */
export async function tellEnd(
  { node, wallet, folder, view }: OpenedRun,
  { state, stopped }: Ending,
  facts: { readonly words: string; readonly fields: LogFields },
  terminal: Terminal,
): Promise<void> {
  const funds = await node.chain.funds(wallet.coldkey.account).catch(() => undefined); // may be what is away
  const root = toHex(rootOf(state));
  node.log.event("end", {
    ...{ round: state.round, rounds: view.tally.rounds, ...facts.fields, root, stopped, folder },
    ...{ earned: funds ? String(funds.earned) : null, balance: funds ? String(funds.balance) : null },
  });
  terminal.clear();
  const earned = funds ? `; earned ${shortCoins(funds.earned)} coins, not yet claimed` : "";
  const said = `${facts.words}${earned}; state root ${root.slice(0, 12)}`;
  if (!stopped) terminal.line(`the run is over after ${count(state.round)} rounds: ${said}`);
  else
    throw new SkeinError(
      "interrupted",
      `stopped before round ${state.round}: ${said}\nsaved in ${folder}; the same command goes on from there`,
    );
}
