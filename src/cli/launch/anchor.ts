/**
 * Puts a run on its chain: a subnet whose uid 0 is the owner's hotkey, stake on that, and the run's entry in the round book. Every step is done once, however
 * often this is started and wherever it was stopped: what is on chain already is found again.
 */
import { SkeinError } from "../../base/errors.ts";
import type { Log } from "../../base/log/log.ts";
import type { Chain, Hash, RunRecord, Signer, SubnetParams } from "../../chain/chain.ts";
import { refusalName } from "../../chain/errors.ts";
import { checkTiming } from "../../roles/network/node.ts";
import { KEEPER_LOOKS } from "../../roles/network/validator/validator.ts";
import { specHash } from "../../run/parse.ts";
import { blocksOf } from "../../run/rules.ts";
import type { RunSpec } from "../../run/spec.ts";
import type { Store } from "../../store/store.ts";
import { inCoins } from "../chain/money.ts";
import { type LaunchRecord, readLaunch, writeLaunch } from "./record.ts";

/** What a run's owner brings. */
export interface AnchorOptions {
  readonly chain: Chain;
  readonly coldkey: Signer;
  /** Takes uid 0 of a new subnet, or a uid of an old one. */
  readonly hotkey: Signer;
  readonly spec: RunSpec;
  /** The gateway's own. */
  readonly folder: Store;
  /** An existing subnet; a new one is made unless given. */
  readonly netuid?: number;
  /** Blocks of an epoch of a new subnet. */
  readonly tempo?: number;
  /** Rao that the hotkey is to have at least. */
  readonly stake: bigint;
  /** Blocks until round 0. Left out: some, and more where that lets the first votes count. */
  readonly startIn?: number;
  readonly log: Log;
  readonly signal?: AbortSignal;
}

/** A run on its chain. */
export interface Anchor {
  readonly run: RunRecord;
  /** Whether it was there before. */
  readonly resumed: boolean;
}

/** Blocks until round 0, where nothing else is said: time for the first peers to come. */
export const START_IN_DEFAULT = 10;
/** Blocks of an epoch, at least: each one costs a few transactions. */
const TEMPO_MIN = 20;
/** Entries of the round book that are looked through for a spec. */
const RUNS_MAX = 4096;
const RUNS_AT_ONCE = 64;
/** A validator looks at the epoch KEEPER_LOOKS times in it, but not when votes are about to open; pushing it takes some blocks more. */
const PUSH_BLOCKS = 8;

/**
 * The subnet's settings for a run. Its uids are those that have data; an epoch is at least a round; a newcomer is safe until it has been
 * judged in some rounds and paid in some epochs.
 */
export function subnetParams(
  spec: RunSpec,
  tempo: number = Math.max(TEMPO_MIN, blocksOf(spec)),
): Partial<SubnetParams> {
  const { uids } = spec;
  return {
    tempo,
    maxUids: uids,
    maxValidators: Math.min(64, uids),
    immunityPeriod: Math.min(65_535, Math.max(10 * blocksOf(spec), 4 * tempo)),
    // A newcomer takes over an old uid only while more than this many are old: with few uids nobody could come in at all.
    minNonImmuneUids: uids <= 11 ? 0 : Math.min(10, Math.floor((uids - 1) / 4)),
    // Weights are voted once in every epoch, late in one and early in the next.
    weightsSetRateLimit: Math.floor(tempo / 10),
  };
}

/**
 * The run on its chain, put there where it is not. Throws SkeinError: "chain" where money is missing or somebody else has registered this
 * spec, "config" where the folder belongs to another run, "interrupted" between two steps.
 */
export async function anchorRun(options: AnchorOptions): Promise<Anchor> {
  const { chain, folder, spec, netuid, signal } = options;
  const hash = specHash(spec);
  let record = await ownRecord(options, hash);
  const keep = async (next: LaunchRecord): Promise<void> => {
    record = next;
    await writeLaunch(folder, next);
  };
  const known = await knownRun(options, record, hash);
  if (known !== undefined) {
    if (netuid !== undefined && netuid !== known.netuid) throw otherSubnet(known, netuid);
    await keep({ ...record, netuid: known.netuid, runId: known.runId });
    return { run: known, resumed: true };
  }
  const subnet = netuid ?? record.netuid ?? (await interruptedSubnet(options, record));
  checkTiming(options.spec.timing, chain.lag);
  await checkMoney(options, subnet);
  if (subnet === undefined) {
    await keep({ ...record, subnetFrom: (await chain.head()).block });
    await keep({ ...record, netuid: await makeSubnet(options) });
  } else {
    await settle(options, subnet);
    await keep({ ...record, netuid: subnet });
  }
  throwIfStopped(signal);
  const where = record.netuid ?? 0;
  await stakeUp(options, where);
  throwIfStopped(signal);
  const runId = await makeRun(options, where, hash);
  await keep({ ...record, runId });
  return { run: await chain.run(runId), resumed: false };
}

function throwIfStopped(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true)
    throw new SkeinError("interrupted", "stopped before the run was on chain; the same command goes on from there");
}

/** The record of this folder, checked against what is launched now; a new one where there is none. */
async function ownRecord({ chain, folder }: AnchorOptions, hash: string): Promise<LaunchRecord> {
  const { chainId } = chain;
  const record = await readLaunch(folder);
  if (record !== undefined && record.specHash !== hash) {
    throw new SkeinError("config", "this folder serves another run", {
      details: `it serves ${record.specHash}\nrun.json is   ${hash}`,
      remedy: "give the new run a folder of its own (--dir), or undo the change of run.json",
    });
  }
  if (record !== undefined && record.chainId !== chainId) {
    throw new SkeinError(
      "config",
      `this folder serves a run on chain ${record.chainId}, and this is chain ${chainId}`,
      {
        remedy: "name the other chain with --rpc, or give the run on this one a folder of its own: --dir",
      },
    );
  }
  return record ?? { chainId, specHash: hash };
}

/** The run that is on chain already: the one that this folder serves, or another of this owner with this spec. */
async function knownRun(
  { chain, coldkey }: AnchorOptions,
  { runId }: LaunchRecord,
  hash: string,
): Promise<RunRecord | undefined> {
  if (runId !== undefined) {
    const run = await chain.run(runId);
    if (hasSpec(run, hash)) return run;
    throw new SkeinError("config", `run ${runId} on chain ${chain.chainId} is another one than this folder serves`, {
      remedy: "name the right chain with --rpc, or give this run a new folder: --dir",
    });
  }
  const runs = (await allRuns(chain)).filter((run) => hasSpec(run, hash));
  const own = runs.find(({ owner }) => owner === coldkey.account);
  const [other] = runs;
  if (own !== undefined || other === undefined) return own;
  throw new SkeinError("chain", `this run is on chain already: run ${other.runId}, by another owner`, {
    details: `owner ${other.owner}`,
    remedy: "join it, or make a run of your own: another seed or name in run.json is enough",
  });
}

function otherSubnet({ runId, netuid }: RunRecord, asked: number): SkeinError {
  return new SkeinError("usage", `run ${runId} is on subnet ${netuid}, not on ${asked}`, {
    remedy: "leave --netuid out: a run stays where it is",
  });
}

function hasSpec({ specs }: RunRecord, hash: string): boolean {
  return specs[0]?.specHash === `0x${hash}`;
}

/** The round book's entries, from the first. */
async function allRuns(chain: Chain): Promise<RunRecord[]> {
  const found: RunRecord[] = [];
  while (found.length < RUNS_MAX) {
    const ids = Array.from({ length: RUNS_AT_ONCE }, (_, i) => found.length + i);
    const runs = await Promise.all(ids.map((id) => runOrNone(chain, id)));
    const end = runs.indexOf(undefined);
    found.push(...runs.slice(0, end < 0 ? runs.length : end).filter((run) => run !== undefined));
    if (end >= 0) break;
  }
  return found;
}

async function runOrNone(chain: Chain, runId: number): Promise<RunRecord | undefined> {
  try {
    return await chain.run(runId);
  } catch (thrown) {
    if (refusalName(thrown) === "RunNotExists") return undefined;
    throw thrown;
  }
}

/** A subnet that was made, but not noted, because the process ended in between. */
async function interruptedSubnet(
  { chain, coldkey, hotkey }: AnchorOptions,
  { subnetFrom }: LaunchRecord,
): Promise<number | undefined> {
  if (subnetFrom === undefined) return undefined;
  const mine = (await chain.subnets()).filter(
    ({ owner, ownerHotkey, registrationBlock }) =>
      owner === coldkey.account && ownerHotkey === hotkey.account && registrationBlock >= subnetFrom,
  );
  return mine[0]?.netuid;
}

/** Throws before anything is bought where the money is not enough for all of it. */
async function checkMoney({ chain, coldkey, hotkey, stake }: AnchorOptions, netuid: number | undefined): Promise<void> {
  const { balance, stakes } = await chain.funds(coldkey.account);
  const cost = netuid === undefined ? await chain.subnetCost() : 0n;
  const missing = missingStake(stakes, netuid, hotkey.account, stake);
  if (balance >= cost + missing) return;
  throw new SkeinError(
    "chain",
    `the wallet has ${inCoins(balance)} coins, and a launch takes ${inCoins(cost + missing)}`,
    {
      details: `a subnet: ${inCoins(cost)}\nstake for the validator: ${inCoins(missing)}\nthe wallet: ${coldkey.account}`,
      remedy: "send the wallet coins, take less --stake, or name an existing subnet with --netuid",
    },
  );
}

function missingStake(
  stakes: readonly { readonly hotkey: Hash; readonly netuid: number; readonly rao: bigint }[],
  netuid: number | undefined,
  hotkey: Hash,
  wanted: bigint,
): bigint {
  const rao = stakes.find((each) => each.hotkey === hotkey && each.netuid === netuid)?.rao ?? 0n;
  return wanted > rao ? wanted - rao : 0n;
}

async function makeSubnet({ chain, coldkey, hotkey, spec, tempo, log }: AnchorOptions): Promise<number> {
  const cost = await chain.subnetCost();
  const { netuid, block } = await chain.as(coldkey).createSubnet(hotkey, cost, subnetParams(spec, tempo));
  log.event("subnet", { netuid, cost: String(cost), block });
  return netuid;
}

/** Makes an existing subnet fit for the run: the hotkey gets a uid, and the owner's number of uids becomes the run's. */
async function settle({ chain, coldkey, hotkey, spec, log }: AnchorOptions, netuid: number): Promise<void> {
  const { subnet, neurons } = await chain.metagraph(netuid);
  if (!neurons.some((neuron) => neuron.hotkey === hotkey.account)) {
    const { uid, block } = await chain.as(coldkey).register(netuid, hotkey, (subnet.burn * 11n) / 10n);
    log.event("registered", { uid, block });
  }
  if (subnet.params.maxUids === spec.uids) return;
  if (subnet.owner === coldkey.account && neurons.length <= spec.uids) {
    await chain.as(coldkey).setSubnet(netuid, { maxUids: spec.uids });
    log.event("uids", { netuid, maxUids: spec.uids });
  } else log.event("uids-differ", { netuid, maxUids: subnet.params.maxUids, uids: spec.uids });
}

async function stakeUp({ chain, coldkey, hotkey, stake, log }: AnchorOptions, netuid: number): Promise<void> {
  const { stakes } = await chain.funds(coldkey.account);
  const rao = missingStake(stakes, netuid, hotkey.account, stake);
  if (rao === 0n) return;
  await chain.as(coldkey).addStake(netuid, hotkey.account, rao);
  log.event("staked", { netuid, hotkey: hotkey.account, rao: String(rao) });
}

async function makeRun(options: AnchorOptions, netuid: number, hash: string): Promise<number> {
  const { chain, coldkey, spec, log } = options;
  const startBlock = await startBlockOf(options, netuid);
  const terms = {
    netuid,
    specHash: `0x${hash}`,
    genesisRoot: `0x${spec.genesisRoot}`,
    startBlock,
    ...spec.timing,
  } as const;
  const { runId, block } = await chain.as(coldkey).createRun(terms);
  log.event("run", { runId, netuid, startBlock, block });
  return runId;
}

/**
 * The block of round 0. Validators get their permit in a subnet's first epoch, and votes before that are refused: so round 0 begins no
 * sooner than what makes its votes come after that.
 */
async function startBlockOf({ chain, spec, startIn }: AnchorOptions, netuid: number): Promise<number> {
  const { epoch, params } = (await chain.metagraph(netuid)).subnet;
  const { block } = await chain.head();
  const soonest = block + chain.lag + (startIn ?? START_IN_DEFAULT);
  if (startIn !== undefined || epoch.index > 0) return soonest;
  const permits = epoch.dueBlock + Math.ceil(params.tempo / KEEPER_LOOKS) + PUSH_BLOCKS * (1 + chain.lag);
  return Math.max(soonest, permits - spec.timing.trainBlocks - spec.timing.revealBlocks);
}
