/**
 * What a round puts before a validator: who committed, whom it judges and on what. All of it follows from the chain once the commits are closed, and
 * from what the validator has published before; from nothing that comes later, such as which payloads turned up. So two validators judge a payload on
 * the same data, with the same step, and their numbers can be compared to the bit.
 */
import type { RoundCommit } from "../../../chain/chain.ts";
import { roundStart } from "../../../chain/rounds.ts";
import { assignmentPlan } from "../../../run/rules.ts";
import { unassignedSample } from "../../../score/samples.ts";
import { judgedUids, type Standings } from "../../../score/standing.ts";
import { blockHash, drawSeed, type Node, nextBlock, roundSeed } from "../node.ts";

/** A round, before anything of it was seen. */
export interface Docket {
  readonly round: number;
  /** As they came: by block, then by uid. */
  readonly commits: readonly RoundCommit[];
  /** Those of them whose uid has data in this run. */
  readonly seated: readonly RoundCommit[];
  /** From what the round's samples are drawn: nobody knew it before the commits were closed. */
  readonly seed: string;
  /** What the round's data were dealt by. */
  readonly roundSeed: string;
  /** Uids that this validator judges. */
  readonly drawn: ReadonlySet<number>;
  /** Sequences that nobody trains on in this round. */
  readonly unassigned: readonly number[];
}

/** A quarter of the votes' blocks is left for a vote to get into one of them. */
const ROOM = 4;

/**
 * The block in which a validator votes at the latest, with what it has; undefined where it is too late to vote. What is sent now gets into
 * the next block that may take it, which must not be beyond the round's last. A validator that comes late takes one block more.
 */
export async function lastCall(node: Node, round: number): Promise<number | undefined> {
  const { chain, record } = node;
  const end = roundStart(record, round + 1);
  const { block } = await chain.head();
  if (nextBlock(node, block) >= end) return undefined;
  const planned = Math.max(
    roundStart(record, round, "vote"),
    end - 2 - chain.lag - Math.floor(record.voteBlocks / ROOM),
  );
  return Math.max(planned, block + 1);
}

/** The docket of a round whose commits are closed. Throws SkeinError("chain") where the node has forgotten the round's blocks. */
export async function openDocket(node: Node, round: number, standings: Standings): Promise<Docket> {
  const { spec, chain, runId, record, dataset } = node;
  const commits = [...(await chain.commits(runId, round))].sort((a, b) => a.block - b.block || a.uid - b.uid);
  const seated = commits.filter(({ uid }) => uid < spec.uids);
  const seed = drawSeed(`skein judge ${runId} ${round}`, await blockHash(node, roundStart(record, round, "reveal")));
  const dealt = await roundSeed(node, round);
  const asked = seated.map(({ uid, hotkey }) => ({ uid, account: hotkey }));
  const plan = assignmentPlan(spec, dataset.split("train").sequences(spec.inner.seqLen));
  const takers = { uids: seated.map(({ uid }) => uid), roundSeed: dealt };
  const { sequences } = unassignedSample(plan, round, spec.score.unassigned, seed, takers);
  const drawn = new Set(judgedUids(standings, asked, spec.score.peers, seed));
  return { round, commits, seated, seed, roundSeed: dealt, drawn, unassigned: sequences };
}
