/**
 * Replay audits, a validator's side (docs/protocol/work.md). While a round's peers train, the validator takes those payloads of the round before that are
 * challenged, fetches their answers, and does the part that was asked for again. Who is challenged for what follows from the chain, so nothing is to be
 * remembered over a restart.
 *
 *   const auditing = newAuditing(node, engine, inTurn);
 *   keepBase(auditing, following.state);                           // after every follow: audits begin from these params
 *   const audits = await auditRound(auditing, round - 1, signal);  // leaves other params and moments in the engine, which it has in turn
 */
import { assert, must } from "../../../base/assert.ts";
import { messageOf, SkeinError } from "../../../base/errors.ts";
import { inLanes } from "../../../checkpoint/shared/lanes.ts";
import type { Engine } from "../../../engine/engine.ts";
import { turnstile } from "../../../engine/turnstile.ts";
import { baseRound } from "../../../run/rules.ts";
import type { VectorRole } from "../../../score/audit/answer.ts";
import { type AuditTerms, isVerdict, unanswered, type Verdict } from "../../../score/audit/claim.ts";
import { replayed } from "../../../score/audit/replay.ts";
import { committedBlob, type State, soughtBlob } from "../follower.ts";
import { type ActingNode, roundSeed, stopped } from "../node.ts";
import { answerDeadline, auditTerms, challengesOf, stepBatch, vectorOf } from "../work.ts";
import { type Answered, type Case, look } from "./case.ts";
import { atMost, together } from "./many.ts";

/** What an audit came to. */
export interface Audit extends Verdict {
  /** Round of the payload. */
  readonly round: number;
  readonly uid: number;
  /** Its hotkey: 0x and 64 hex digits. */
  readonly account: string;
  /** Which span of the round's steps, or, if it is the number of spans, the compression. */
  readonly part: number;
}

/** Does work when it is its turn. */
type InTurn = <T>(work: () => Promise<T>) => Promise<T>;

/** A validator's audits under way. */
export interface Auditing {
  readonly node: ActingNode;
  readonly engine: Engine;
  readonly terms: AuditTerms;
  /** For who has the engine. */
  readonly inTurn: InTurn;
  /** The newest params, by round. */
  readonly bases: Map<number, State>;
  /** Answers of the round before that came in time and could not be replayed in it. */
  backlog: readonly Answered[];
}

/** Rounds whose params are kept: the newest, that of the round under audit, and under a delay the one before. */
const BASES = 3;
/** Answers that wait for the next round, at most; each has its payload with it. */
const BACKLOG_MAX = 32;
/** Blocks for which what was told of in time is looked for afterwards: what a store gives may be some seconds old. */
const GRACE_BLOCKS = 2;
/** Cases that are looked at, and answers that are fetched and replayed, at once: two, so that the engine need not wait for a store. */
const LOOKS = 16;
const REPLAYS = 2;

/** Audits that have not begun. `inTurn`: where others use the engine too. */
export function newAuditing(node: ActingNode, engine: Engine, inTurn: InTurn = turnstile().inTurn): Auditing {
  return { node, engine, terms: auditTerms(node), inTurn, bases: new Map(), backlog: [] };
}

/** Remembers params that audits may begin from. They must not be changed. */
export function keepBase({ bases }: Auditing, state: State): void {
  bases.set(state.round, state);
  for (const round of bases.keys()) if (round <= state.round - BASES) bases.delete(round);
}

/**
 * Audits the challenged payloads of `round`, and first what an earlier call could not finish. To be called once in the next round, after `keepBase`. Resolves when
 * nothing is left to be done, at the latest when answers come too late or `signal` is given, and what is asked of a store then has come; answers that came in
 * time are kept for the next call. Gives no verdict on whom the store being away, or this validator's own lack of time, params or data kept from being judged.
 */
export async function auditRound(auditing: Auditing, round: number, signal: AbortSignal): Promise<readonly Audit[]> {
  const { node } = auditing;
  assert(round >= 0, "there is a round to audit");
  if (node.spec.audit.perMille === 0) return [];
  const watch = watchOf(node, round, node.signal ? AbortSignal.any([signal, node.signal]) : signal);
  const [ended, silent, left]: [Audit[], Case[], Answered[]] = [[], [], []];
  const judge = async (each: Answered): Promise<void> => {
    const verdict = await verdictOn(auditing, watch, each);
    if (verdict === "later") left.push(each);
    else if (verdict !== undefined) ended.push(auditOf(each, verdict));
  };
  const settle = async (each: Case): Promise<void> => {
    const found = await answerTo(auditing, watch, each);
    if (found === "silent") silent.push(each);
    else if (found !== undefined && isVerdict(found)) ended.push(auditOf(each, found));
    else if (found !== undefined) await judge(found);
  };
  const waiting = takeBacklog(auditing, round).map(judge);
  const fresh = casesOf(auditing, round).then((cases) => Promise.all(cases.map(settle)));
  await Promise.all([...waiting, fresh]);
  ended.push(...(await endUnanswered(node, round, silent)));
  keepBacklog(auditing, round, left);
  return ended.sort((a, b) => a.round - b.round || a.uid - b.uid);
}

/** How far the audits of a round have time. */
interface Watch {
  /** The first block in which an answer comes too late. */
  readonly deadline: number;
  readonly over: AbortSignal;
  /** The next block; undefined where it is over before the deadline. From there on it goes on: answers have until then, and are looked at once more. */
  readonly blockAfter: (block: number) => Promise<number | undefined>;
  /** For looks, and for replays. */
  readonly looks: InTurn;
  readonly replays: InTurn;
}

function watchOf(node: ActingNode, round: number, over: AbortSignal): Watch {
  const { chain } = node;
  const deadline = answerDeadline(node, round);
  const blockAfter = async (block: number): Promise<number | undefined> => {
    try {
      if (!over.aborted) return (await chain.waitForBlock(block + 1, over)).block;
    } catch (thrown) {
      if (stopped(node) || !over.aborted) throw thrown;
    }
    const now = (await chain.head()).block;
    if (now < deadline || stopped(node)) return undefined;
    return block < deadline ? now : (await chain.waitForBlock(block + 1, node.signal)).block;
  };
  return { deadline, over, blockAfter: together(blockAfter), looks: atMost(LOOKS), replays: atMost(REPLAYS) };
}

/** Looks for an answer from block to block; "silent" where none came in time, undefined where there was no time to look until then. */
async function answerTo(
  auditing: Auditing,
  { deadline, blockAfter, looks }: Watch,
  each: Case,
): Promise<Answered | Verdict | "silent" | undefined> {
  let block: number | undefined = (await auditing.node.chain.head()).block;
  while (block !== undefined) {
    const found = await looks(() => look(auditing, each));
    if (found !== undefined) return found;
    if (block >= deadline + (each.told ? GRACE_BLOCKS : 0)) return "silent";
    block = await blockAfter(block);
  }
  return undefined;
}

/** The verdict on an answer, tried from block to block where its pieces cannot be had; "later" where it is over before. */
async function verdictOn(
  auditing: Auditing,
  { deadline, over, blockAfter, replays }: Watch,
  each: Answered,
): Promise<Verdict | "later" | undefined> {
  for (;;) {
    const verdict = await replays(async () => (over.aborted ? "later" : replay(auditing, each, over)));
    if (verdict !== "later") return verdict;
    const { block } = await auditing.node.chain.head();
    if (block >= deadline || (await blockAfter(block)) === undefined) return "later";
  }
}

function auditOf({ round, commit, part }: Case, verdict: Verdict): Audit {
  return { round, uid: commit.uid, account: commit.hotkey, part, ...verdict };
}

/** Nobody hears of who is audited without an end; so it is said. */
function tellUnaudited({ log }: ActingNode, { round, commit, part }: Case, why: string): void {
  log.event("unaudited", { round, uid: commit.uid, part, why });
}

/** The challenged payloads of a round; none where this validator does not know what the round began with. */
async function casesOf({ node, bases }: Auditing, round: number): Promise<readonly Case[]> {
  const base = bases.get(baseRound(node.spec, round));
  if (base === undefined) return [];
  const commits = await seatedCommits(node, round);
  const challenges = await challengesOf(node, round, commits);
  if (challenges === undefined) return [];
  const seed = await roundSeed(node, round);
  return commits.flatMap((commit): Case[] => {
    const part = challenges(commit.uid);
    if (part === undefined) return [];
    assert(part <= node.spec.audit.spans, "a challenge is for a part that there is");
    return [{ round, commit, part, base, seed, reason: "the payload was not shown" }];
  });
}

async function seatedCommits({ spec, chain, runId }: ActingNode, round: number) {
  return (await chain.commits(runId, round)).filter(({ uid }) => uid < spec.uids);
}

/**
 * The end of those who did not answer in time. Who is challenged is known when payloads are to be shown; so one that is not shown, or is none, counts as a
 * challenge without answer, unless half of the round's are not there: then it is the world's fault.
 */
async function endUnanswered(node: ActingNode, round: number, open: readonly Case[]): Promise<readonly Audit[]> {
  const isWithheld = ({ shown, reason }: Case): boolean => shown === undefined && reason !== undefined;
  const isWorld = open.some(isWithheld) && !(await areMostShown(node, round));
  const ended: Audit[] = [];
  for (const each of open) {
    if (each.reason === undefined) tellUnaudited(node, each, "the shared store was away, or gave something else");
    else if (isWorld && isWithheld(each)) tellUnaudited(node, each, "half of the payloads are missing");
    else ended.push(auditOf(each, unanswered(each.reason)));
  }
  return ended;
}

/** Whether more than half of a round's payloads can be had. */
async function areMostShown(node: ActingNode, round: number): Promise<boolean> {
  const commits = await seatedCommits(node, round);
  let shown = 0;
  const isOpen = await inLanes(commits.length, async (index) => {
    const { payloadHash } = must(commits[index], "a commit");
    if ((await committedBlob(node, payloadHash)) !== undefined) shown += 1;
    return 2 * shown <= commits.length;
  });
  return !isOpen;
}

/** What waits from the round before; what waited longer had its time, and would hold older and older params. */
function takeBacklog(auditing: Auditing, round: number): readonly Answered[] {
  const { node, backlog } = auditing;
  auditing.backlog = [];
  return keptOf(
    node,
    backlog,
    backlog.filter((each) => each.round >= round - 1),
  );
}

/** Keeps answers to `round` for the next call; those of an earlier one had two. */
function keepBacklog(auditing: Auditing, round: number, left: readonly Answered[]): void {
  const { node } = auditing;
  const kept = left.filter((each) => each.round === round).slice(0, BACKLOG_MAX);
  auditing.backlog = [...auditing.backlog, ...keptOf(node, left, kept)];
}

/** `kept`; of the others of `all` it is told. */
function keptOf(node: ActingNode, all: readonly Answered[], kept: readonly Answered[]): readonly Answered[] {
  for (const each of all)
    if (!kept.includes(each)) tellUnaudited(node, each, "there was no time, or pieces were not to be had");
  return kept;
}

/** Does again what was asked for: a verdict, "later" where `over` came first or pieces cannot be had, undefined where this validator cannot judge it. */
async function replay(auditing: Auditing, each: Answered, over: AbortSignal): Promise<Verdict | "later" | undefined> {
  const { node, engine, terms, inTurn } = auditing;
  const { claim, shown, base, round, part } = each;
  const { uid } = each.commit;
  const startMs = node.clock.monotonic();
  const vectors = await vectorsOf(auditing, each);
  if (vectors === undefined || over.aborted) return "later";
  try {
    const batchAt = (step: number) => stepBatch(node, shown.dealt, step);
    const work = { engine, terms, base: base.params, vectors, batchAt, signal: over };
    const verdict = await inTurn(async () => (over.aborted ? undefined : replayed(claim, shown.challenged, work)));
    if (verdict === undefined && over.aborted) return "later";
    node.log.event("replay", { round, uid, part, ms: Math.round(node.clock.monotonic() - startMs) });
    return verdict;
  } catch (thrown) {
    if (!(thrown instanceof SkeinError) || (thrown.code !== "data" && thrown.code !== "store")) throw thrown;
    node.log.event("replay-failed", { round, uid, part, why: messageOf(thrown) });
    return undefined;
  }
}

/** The vectors of an answer. All their pieces were there; where one cannot be had now, that is a store's doing. */
async function vectorsOf(
  { node, terms }: Auditing,
  { claim, answer }: Answered,
): Promise<ReadonlyMap<VectorRole, Float32Array> | undefined> {
  const vectors = new Map<VectorRole, Float32Array>();
  const fetched = [...claim.expected.keys()].map(async (role, i) => {
    const pieceOf = async (hash: string, bytesMax: number) => (await soughtBlob(node, hash, bytesMax)).bytes;
    const vector = await vectorOf(answer.vectors[i] ?? null, terms.paramCount, pieceOf);
    if (vector !== undefined) vectors.set(role, vector);
  });
  await Promise.all(fetched);
  return vectors.size === fetched.length ? vectors : undefined;
}
