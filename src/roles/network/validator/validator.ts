/**
 * A validator: sees who sent what, says so on chain, and judges it. One round, top to bottom:
 *
 *   follow → collect → vote → judge → report
 *
 * A vote is about facts (is the payload there, does it decode, which params came before); a judgement is about worth, and ends in weights. Beside
 * the rounds a keeper pushes epochs that are due and votes weights.
 */
import { messageOf, SkeinError } from "../../../base/errors.ts";
import { toHex } from "../../../base/hash.ts";
import { RATINGS_BYTES_MAX } from "../../../base/limits.ts";
import type { Hash, RunRecord } from "../../../chain/chain.ts";
import { refusalName } from "../../../chain/errors.ts";
import { phaseAt, roundStart } from "../../../chain/rounds.ts";
import { publishCheckpoint } from "../../../checkpoint/shared/publish.ts";
import type { Engine } from "../../../engine/engine.ts";
import { validationLoss } from "../../../evaluate/validation.ts";
import { roundsOf } from "../../../run/rules.ts";
import { decodeRatings, encodeRatings, NO_RATINGS, type Ratings } from "../../../score/rating.ts";
import { encodeReport, type ReportedPeer } from "../../../score/report.ts";
import { gainScoring, type Scoring } from "../../../score/scoring.ts";
import { blobKey, putBlob } from "../../../store/blobs.ts";
import { putNews } from "../../../store/news.ts";
import { decisionOf, rootOf, type State } from "../follower.ts";
import { type ActingNode, chainHash, reached, roundNow, stopped } from "../node.ts";
import { type Following, follow, startingState, tellStart } from "../sync.ts";
import { collect, type Found } from "./collect.ts";
import { judge } from "./judge.ts";
import { type WeightVoter, weightVoter } from "./weights.ts";

/** What a validator is given beside its footing. */
export interface ValidatorOptions {
  readonly node: ActingNode;
  readonly engine: Engine;
  /** How it judges: by gain unless given. */
  readonly scoring?: Scoring;
  /** Recompute the run from its first params instead of taking a checkpoint. */
  readonly replay?: boolean;
}

/** How a validator ended. */
export interface ValidatorEnd {
  readonly state: State;
  readonly votes: number;
  readonly stopped: boolean;
}

interface Validator extends ValidatorOptions {
  readonly scoring: Scoring;
  readonly following: Following;
  ratings: Ratings;
  votes: number;
  /** Payloads that lie in this node's folder, by round. */
  readonly received: Map<number, readonly string[]>;
  /** A checkpoint that was published and not told of yet. */
  unannounced: { readonly round: number; readonly manifest: string; readonly root: Hash } | undefined;
}

const RATINGS_KEY = "ratings.json";
/** Looks at the epoch in every so many parts of it. */
export const KEEPER_LOOKS = 8;
/** Blocks that the keeper's transactions take at most, one each: pages of an epoch, a reveal, a commit. */
const KEEPER_BLOCKS = 5;

/** Validates until the run is over or `node.signal` says stop. Throws SkeinError: "chain", "store", "data". */
export async function runValidator(options: ValidatorOptions): Promise<ValidatorEnd> {
  const { node } = options;
  const validator = await openValidator(options);
  const { following } = validator;
  const rounds = roundsOf(node.spec);
  const over = new AbortController();
  const keeping = keep(validator, over.signal);
  keeping.catch(() => over.abort()); // what it met is thrown below; until then the rounds end
  try {
    for (let round = await roundNow(node); round < rounds; round = Math.max(round + 1, await roundNow(node))) {
      await follow(following, round);
      await publish(validator);
      await reached(node, round, "reveal");
      const found = await collect(node, following.state);
      await vote(validator, found);
      const counted = decisionOf(node, round, following.turn); // counts the votes when they close, whatever the judging takes
      await Promise.all([counted, report(validator, found)]);
      await forget(validator, found);
      if (over.signal.aborted) break;
    }
    if (!over.signal.aborted) await follow(following, rounds);
  } catch (thrown) {
    if (!stopped(node)) throw thrown;
  } finally {
    over.abort();
  }
  await keeping;
  return { state: following.state, votes: validator.votes, stopped: stopped(node) };
}

async function openValidator(options: ValidatorOptions): Promise<Validator> {
  const { node, replay = false, scoring = gainScoring } = options;
  const start = await startingState(node, { replay });
  tellStart(node, start);
  const saved = await node.local.get(RATINGS_KEY, { start: 0, end: RATINGS_BYTES_MAX + 1 });
  const ratings = (saved && decodeRatings(saved)) ?? NO_RATINGS;
  const { neurons } = await node.chain.metagraph(node.record.netuid);
  const seniors = neurons.filter(({ permit, hotkey }) => permit && hotkey !== node.signer.account);
  const uid = neurons.find(({ hotkey }) => hotkey === node.signer.account)?.uid ?? 0;
  const turn = seniors.filter((other) => other.uid < uid).length; // validators count votes one after another, not all at once
  return {
    ...options,
    scoring,
    following: { node, state: start.state, turn, replay },
    ratings,
    votes: 0,
    received: new Map(),
    unannounced: undefined,
  };
}

async function vote(validator: Validator, found: readonly Found[]): Promise<void> {
  const { node, following } = validator;
  const { round } = following.state;
  const uids = found.filter(({ payload }) => payload !== undefined).map(({ commit }) => commit.uid);
  const root = rootOf(following.state);
  try {
    const { block } = await node.acting.vote(node.runId, round, uids, chainHash(root));
    validator.votes += 1;
    const missing = found.filter(({ payload }) => payload === undefined).map(({ commit }) => commit.uid);
    node.log.event("vote", { round, uids, missing, root: toHex(root), block });
  } catch (thrown) {
    if (refusalName(thrown) === undefined) throw thrown;
    node.log.event("vote-refused", { round, why: messageOf(thrown) });
  }
}

/** Judges what was found, while there is time, and publishes the numbers. */
async function report(validator: Validator, found: readonly Found[]): Promise<void> {
  const { node, engine, scoring, following } = validator;
  const { spec, specHash, log, dataset, signer, shared } = node;
  const { round, params } = following.state;
  await engine.write("params", params);
  const size = { sequences: spec.score.validationSequences, length: spec.inner.seqLen };
  const { loss } = await validationLoss(engine, dataset.split("valid"), size);
  const evaluations = new Map((await judge(validator, following.state, found)).map((each) => [each.uid, each]));
  const results = found.flatMap(({ commit: { uid }, payload }) => {
    const gain = payload === undefined ? null : evaluations.get(uid)?.gainUnassigned;
    return gain === undefined ? [] : [{ uid, gain }];
  });
  const { neurons } = await node.chain.metagraph(node.record.netuid);
  const accounts = neurons.map(({ hotkey }) => hotkey);
  const present = results.filter(({ uid }) => uid < accounts.length);
  validator.ratings = scoring.rate(validator.ratings, { round, accounts, results: present });
  await node.local.put(RATINGS_KEY, encodeRatings(validator.ratings));
  const peers = found.map(({ commit: { uid, hotkey }, bytes, fault }): ReportedPeer => {
    const { gainAssigned = null, gainUnassigned = null } = evaluations.get(uid) ?? {};
    const rating = validator.ratings.peers.find((each) => each.uid === uid)?.value ?? null;
    return { uid, account: hotkey, bytes, fault: fault ?? null, gainAssigned, gainUnassigned, rating };
  });
  peers.sort((a, b) => a.uid - b.uid);
  const accepted = peers.filter(({ fault }) => fault === null).map(({ uid }) => uid);
  const root = toHex(rootOf(following.state));
  log.event("validation", { round, loss, root, judged: evaluations.size });
  await attempt(node, "report", async () => {
    const facts = { specHash, round, root, validationLoss: loss, peers, accepted };
    const hash = await putBlob(shared, encodeReport(facts));
    await putNews(shared, { kind: "report", round, hash, account: signer.account }, signer.sign);
  });
}

/** Publishes a checkpoint of rounds that are due for one, and tells of it a round later, when the votes have confirmed its root. */
async function publish(validator: Validator): Promise<void> {
  const { node, following, unannounced } = validator;
  const { spec, specHash, shared, signer, log, chain, runId } = node;
  const { round, params } = following.state;
  if (unannounced !== undefined && unannounced.round < round) {
    validator.unannounced = undefined;
    const decision = await chain.decision(runId, unannounced.round);
    const isVoted = decision?.stateRoot === unannounced.root;
    const news = {
      kind: "checkpoint",
      round: unannounced.round,
      hash: unannounced.manifest,
      account: signer.account,
    } as const;
    if (isVoted) await attempt(node, "checkpoint", async () => void (await putNews(shared, news, signer.sign)));
  }
  if (round === 0 || round % spec.checkpointEvery !== 0) return;
  await attempt(node, "checkpoint", async () => {
    const made = await publishCheckpoint(shared, { specHash, round, params });
    const { manifest, newBytes } = made;
    validator.unannounced = { round, manifest, root: chainHash(made.root) };
    log.event("checkpoint", { round, manifest, newBytes });
  });
}

/** Drops this validator's copies of payloads that everybody who follows has long had: the shared store keeps them, and a checkpoint has them in it. */
async function forget({ node, received, following }: Validator, found: readonly Found[]): Promise<void> {
  const { round } = following.state;
  received.set(
    round,
    found.filter(({ bytes }) => bytes > 0).map(({ commit }) => commit.payloadHash.slice(2)),
  );
  const oldest = round - 2 * node.spec.checkpointEvery - 1;
  for (const [old, hashes] of received) {
    if (old >= oldest) break;
    for (const hash of hashes) await node.local.delete(blobKey(hash));
    received.delete(old);
  }
}

/** What nobody must wait for: where the store is away, the round goes on without it. */
async function attempt({ log }: ActingNode, what: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (thrown) {
    if (!(thrown instanceof SkeinError) || thrown.code !== "store") throw thrown;
    log.event("store-trouble", { what, why: thrown.message });
  }
}

/** Pushes epochs that are due, and votes weights. */
async function keep(validator: Validator, over: AbortSignal): Promise<void> {
  const { node } = validator;
  const { chain, record, log } = node;
  const signal = node.signal ? AbortSignal.any([node.signal, over]) : over;
  const voter: WeightVoter = await weightVoter(node);
  const { subnet } = await chain.metagraph(record.netuid);
  const pause = Math.max(1, Math.floor(subnet.params.tempo / KEEPER_LOOKS));
  try {
    for (let { block } = await chain.head(); !signal.aborted; ) {
      const free = keeperBlock(record, block);
      if (free === block) {
        await pushEpoch(validator);
        await voter.step(() => validator.scoring.weights(validator.ratings));
      }
      ({ block } = await chain.waitForBlock(free === block ? block + pause : free, signal));
    }
  } catch (thrown) {
    if (signal.aborted) return;
    log.event("keeper-failed", { why: messageOf(thrown) });
    throw thrown;
  }
}

/**
 * The first block from `block` on in which the keeper may begin. Transactions of one key go into blocks one after another: where the keeper's came shortly
 * before the votes open, the vote would wait behind them, and be too late.
 */
function keeperBlock(record: RunRecord, block: number): number {
  const at = phaseAt(record, block);
  if (at === undefined) return block;
  const left = roundStart(record, at.round, "vote") - block;
  return left >= Math.min(KEEPER_BLOCKS, record.trainBlocks + record.revealBlocks)
    ? block
    : roundStart(record, at.round + 1);
}

async function pushEpoch({ node }: Validator): Promise<void> {
  const { acting, record, log } = node;
  for (;;) {
    try {
      const page = await acting.stepEpoch(record.netuid);
      if (page === undefined) return;
      log.event("epoch", { block: page.block });
    } catch (thrown) {
      if (refusalName(thrown) === undefined) throw thrown;
      return; // somebody else was faster
    }
  }
}
