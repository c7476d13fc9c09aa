/**
 * A validator: sees who sent what, finds out what it is worth, and says so on chain. One round, top to bottom:
 *
 *   follow → audit → collect and judge → write down → vote → report
 *
 * Slow checks come before the vote, so what would harm the model never reaches it; and the vote comes in time, whatever they take. What follows from the
 * findings (whom to back, everybody's standing, the weights) is score/standing.ts's, and nothing but the newest report is remembered. Beside the
 * rounds a keeper pushes epochs that are due and votes weights.
 */
import { must } from "../../../base/assert.ts";
import type { Clock } from "../../../base/clock.ts";
import { messageOf } from "../../../base/errors.ts";
import { toHex } from "../../../base/hash.ts";
import { refusalName } from "../../../chain/errors.ts";
import { roundStart } from "../../../chain/rounds.ts";
import type { Engine } from "../../../engine/engine.ts";
import { turnstile } from "../../../engine/turnstile.ts";
import { validationLoss } from "../../../evaluate/validation.ts";
import { roundsOf } from "../../../run/rules.ts";
import { ABSENT, votesOf } from "../../../score/standing.ts";
import { decisionOf, rootOf, type State } from "../follower.ts";
import { type ActingNode, attempt, chainHash, orStopped, reached, roundNow, stopped, until } from "../node.ts";
import { type Following, follow, startingState, tellStart } from "../sync.ts";
import { type Audit, type Auditing, auditRound, keepBase, newAuditing } from "./audit.ts";
import { type Checkpoints, openCheckpoints } from "./checkpoints.ts";
import { forget, oldestHeld } from "./collect.ts";
import { lastCall, openDocket } from "./docket.ts";
import { draftOf, findingsOf } from "./findings.ts";
import { hear, type Judging, unlessBroken } from "./judge.ts";
import { keep } from "./keeper.ts";
import { openRecords, type Records } from "./records.ts";

export { KEEPER_LOOKS } from "./keeper.ts";

/** What a validator is given beside its footing. */
export interface ValidatorOptions {
  readonly node: ActingNode;
  readonly engine: Engine;
  /** Recompute the run from its first params instead of taking a checkpoint. */
  readonly replay?: boolean;
}

/** How a validator ended. */
export interface ValidatorEnd {
  readonly state: State;
  readonly votes: number;
  readonly stopped: boolean;
}

interface Validator extends Judging {
  readonly following: Following;
  readonly records: Records;
  readonly auditing: Auditing;
  readonly checkpoints: Checkpoints;
  /** Audits that ended and are in no report yet. */
  audits: readonly Audit[];
  votes: number;
  /** The oldest round whose payloads its folder still has. */
  held: number;
}

/** Validates until the run is over or `node.signal` says stop. Throws SkeinError: "chain", "store", "data". */
export async function runValidator(options: ValidatorOptions): Promise<ValidatorEnd> {
  const { node } = options;
  const validator = await openValidator(options);
  const { following, records, checkpoints } = validator;
  const rounds = roundsOf(node.spec);
  const over = new AbortController();
  const keeping = keep(node, () => votesOf(records.standings()), over.signal);
  keeping.catch(() => over.abort()); // what it met is thrown below; until then the rounds end
  try {
    for (let round = await roundNow(node); round < rounds; round = Math.max(round + 1, await roundNow(node))) {
      await follow(following, round);
      checkpoints.publish(following.state);
      await validateRound(validator);
      if (over.signal.aborted) break;
    }
    if (!over.signal.aborted) await follow(following, rounds);
  } catch (thrown) {
    if (!stopped(node)) throw thrown;
  } finally {
    over.abort();
    await checkpoints.idle();
  }
  await keeping;
  return { state: following.state, votes: validator.votes, stopped: stopped(node) };
}

async function openValidator({ node, engine, replay = false }: ValidatorOptions): Promise<Validator> {
  const start = await startingState(node, { replay });
  tellStart(node, start);
  const { neurons } = await node.chain.metagraph(node.record.netuid);
  const seniors = neurons.filter(({ permit, hotkey }) => permit && hotkey !== node.signer.account);
  const uid = neurons.find(({ hotkey }) => hotkey === node.signer.account)?.uid ?? 0;
  const turn = seniors.filter((other) => other.uid < uid).length; // validators count votes one after another, not all at once
  const shared = polite(engine, node.clock);
  const records = await openRecords(node);
  const { inTurn } = turnstile();
  return {
    node,
    engine: shared,
    inTurn,
    following: { node, state: start.state, turn, replay },
    records,
    auditing: newAuditing(node, shared, inTurn),
    checkpoints: openCheckpoints(node),
    audits: [],
    votes: 0,
    held: oldestHeld(node.spec, records.last()?.round ?? start.state.round),
  };
}

/** An engine that lets others have their turn between two pieces of work: some run on the thread that also hears of blocks. */
function polite(engine: Engine, clock: Clock): Engine {
  const turn = (): Promise<void> => clock.sleep(0);
  return {
    ...engine,
    gradients: (batch) => turn().then(() => engine.gradients(batch)),
    losses: (batch) => turn().then(() => engine.losses(batch)),
    trainStep: (batch, options) => turn().then(() => engine.trainStep(batch, options)),
  };
}

/** One round, from its first block to the count of its votes. */
async function validateRound(validator: Validator): Promise<void> {
  const { node, following, records } = validator;
  const { round } = following.state;
  const auditing = audit(validator);
  auditing.catch(() => undefined); // thrown below
  await reached(node, round, "reveal");
  const last = records.last()?.round ?? -1;
  const isNew = last < round && (await writeDown(validator));
  if (isNew || last === round) {
    await reached(node, round, "vote");
    await vote(validator);
  }
  const counted = decisionOf(node, round, following.turn); // counts the votes when they close, whatever the rest takes
  await Promise.all([counted, auditing, report(validator, isNew)]);
  validator.held = await forget(node, validator.held, round);
}

/** Audits the round before, while this round's peers train. */
async function audit(validator: Validator): Promise<void> {
  const { node, following, auditing } = validator;
  const { round } = following.state;
  keepBase(auditing, following.state);
  if (round === 0) return;
  const work = async (signal: AbortSignal): Promise<void> => {
    const found = await unlessBroken(node, round, () => auditRound(auditing, round - 1, signal));
    for (const { uid, round: of, part, verdict, reason } of found ?? [])
      node.log.event("audited", { round: of, uid, part, verdict, reason });
    validator.audits = [...validator.audits, ...(found ?? [])];
  };
  const end = roundStart(node.record, round, "reveal");
  await until(node, end, (signal) => orStopped(signal, work(signal)));
}

/** Finds out what the round's payloads are worth, as far as there is time, and writes down what it will vote. False where it is too late to vote. */
async function writeDown(validator: Validator): Promise<boolean> {
  const { node, following, records } = validator;
  const { state } = following;
  const { round } = state;
  const end = await lastCall(node, round);
  if (end === undefined) {
    node.log.event("late", { round });
    return false;
  }
  const before = records.standings();
  const docket = await openDocket(node, round, before);
  const heard = await until(node, end, (signal) => hear(validator, state, docket, signal));
  const { neurons } = await node.chain.metagraph(node.record.netuid);
  const accounts = neurons.map(({ hotkey }) => hotkey);
  const audits = firstOfEach(validator.audits);
  const findings = findingsOf(
    node.spec,
    before,
    docket,
    heard,
    audits.filter(({ uid, account }) => accounts[uid] === account),
  );
  for (const { uid, copyOf } of findings) if (copyOf) node.log.event("copy", { round, uid, of: copyOf });
  const facts = { specHash: node.specHash, round, root: toHex(rootOf(state)), previous: records.lastHash() };
  await records.keep(draftOf(facts, before, accounts, findings));
  validator.audits = validator.audits.filter((each) => !audits.includes(each)); // one may have ended meanwhile
  return true;
}

/** Casts the vote that is written down. */
async function vote(validator: Validator): Promise<void> {
  const { node, following, records } = validator;
  const { round } = following.state;
  const { backed, findings } = must(records.last(), "a vote that is written down");
  const root = rootOf(following.state);
  const missing = findings.filter(({ fault }) => fault !== null && fault !== ABSENT).map(({ uid }) => uid);
  try {
    const { block } = await node.acting.vote(node.runId, round, backed, chainHash(root));
    validator.votes += 1;
    node.log.event("vote", { round, uids: backed, missing, root: toHex(root), block });
  } catch (thrown) {
    if (refusalName(thrown) === undefined) throw thrown;
    node.log.event("vote-refused", { round, why: messageOf(thrown) });
  }
}

/** Publishes what is written down, with the validation loss where it `isNew`; what was written before a restart stays as it was. */
async function report(validator: Validator, isNew: boolean): Promise<void> {
  const { node, records } = validator;
  const last = records.last();
  if (isNew && last !== undefined) await records.keep({ ...last, validationLoss: await measure(validator) });
  await attempt(node, "report", () => records.publish());
}

/** The validation loss of the params before the round; null where it was not through when the next payloads came in. */
async function measure({ node, engine, following, inTurn, records }: Validator): Promise<number | null> {
  const { spec, record, dataset, log } = node;
  const { round, params } = following.state;
  const size = { sequences: spec.score.validationSequences, length: spec.inner.seqLen };
  const measured = await until(node, roundStart(record, round + 1, "reveal"), (signal) =>
    orStopped(
      signal,
      unlessBroken(node, round, () =>
        inTurn(async () => {
          if (signal.aborted) return undefined;
          await engine.write("params", params);
          return validationLoss(engine, dataset.split("valid"), size);
        }),
      ),
    ),
  );
  if (measured === undefined) return null;
  const judged = records.last()?.findings.filter(({ noise }) => noise !== null).length ?? 0;
  log.event("validation", { round, loss: measured.loss, root: toHex(rootOf(following.state)), judged });
  return measured.loss;
}

/** The first audit of each account; the others the next reports will tell. */
function firstOfEach(audits: readonly Audit[]): readonly Audit[] {
  const seen = new Set<string>();
  return audits.filter(({ account }) => !seen.has(account) && seen.add(account));
}
