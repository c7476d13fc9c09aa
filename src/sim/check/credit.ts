/**
 * Credit: nobody is accepted without a payload of its own that it promised in time and signed, and every decision is what the votes say.
 *
 * Votes are counted here once more, without the chain's own count: a vote is one permitted validator's, with the stake that it had. The chain changes within a
 * block, so a decision and a vote are right if they are right with the seats before its block or with those after it; where blocks were made again, with those
 * of any of them.
 */
import { concatBytes } from "../../base/bytes.ts";
import { fromHex, sha256 } from "../../base/hash.ts";
import type { Hash, RoundCommit, RoundDecision } from "../../chain/chain.ts";
import { accountOfBytes } from "../../chain/keys/account.ts";
import { type CastVote, phaseAt, roundStart, type Seat } from "../../chain/rounds.ts";
import { stakeOf } from "../../chain/twin/ledger.ts";
import type { RoundState, World } from "../../chain/twin/state.ts";
import { decodeCommitted } from "../../roles/network/follower.ts";
import { isFault, PAYLOAD_SIGNATURE_BYTES } from "../../round/payload.ts";
import { baseRound, roundsOf } from "../../run/rules.ts";
import { recoverAddress } from "../../store/signature.ts";
import type { Checker, Sight } from "./checker.ts";
import { type Again, blobAnywhere, chainState, runAgain } from "./seen.ts";

/** Rounds whose votes or decision a block may change: its own and those before. */
const ROUNDS_OPEN = 2;
/** Blocks whose seats may have counted where some were made again. */
const PAGES_KEPT = 5;

type Tell = (what: string) => void;

/** Who is accepted has earned it. */
export function credit(sight: Sight, violated: Tell): Checker {
  const { runId, record, spec } = sight.network;
  const counted = new Set<string>();
  let pages: readonly Page[] = [];
  return {
    name: "credit",
    onBlock() {
      const { world, blocks } = chainState(sight);
      const { block, hash } = blocks.head;
      const isNext = blocks.hashes.get(block - 1) === pages.at(-1)?.hash;
      pages = [...pages, { hash, seats: seatsOf(world, record.netuid) }].slice(isNext ? -2 : -PAGES_KEPT);
      const seats = pages.map((page) => page.seats);
      const round = phaseAt(record, block)?.round ?? 0;
      for (let of = Math.max(0, round - ROUNDS_OPEN); of <= round; of++) {
        const state = world.runs.get(runId)?.rounds.get(of);
        if (state === undefined) continue;
        checkVotes(of, state, seats, counted, violated);
        if (state.decision !== undefined) checkCount(of, state, state.decision, seats, counted, violated);
      }
    },
    async onEnd() {
      const again = await runAgain(sight);
      for (let round = 0; round < roundsOf(spec); round++) await checkRound(sight, again, round, violated);
    },
  };
}

/** Who sat where after a block. */
interface Page {
  readonly hash: Hash;
  readonly seats: readonly Seat[];
}

function seatsOf(world: World, netuid: number): readonly Seat[] {
  const slots = world.subnets.get(netuid)?.slots ?? [];
  return slots.map(({ hotkey, permit }) => ({ hotkey, permit, stake: stakeOf(world.ledger, hotkey, netuid) }));
}

/** Looks at the votes that are new: `pages` are the seats before and after the block in which they came. */
function checkVotes(
  round: number,
  { votes }: RoundState,
  pages: readonly (readonly Seat[])[],
  counted: Set<string>,
  violated: Tell,
): void {
  for (const { uid, hotkey, stake, bitmap, stateRoot } of votes.values()) {
    const key = `${round} ${uid} ${hotkey} ${stake} ${bitmap} ${stateRoot}`;
    if (counted.has(key)) continue;
    counted.add(key);
    const seats = pages.flatMap((each) => each[uid] ?? []).filter((seat) => seat.hotkey === hotkey);
    if (!seats.some(({ permit }) => permit)) violated(`a vote on round ${round} by uid ${uid}, who has no permit`);
    else if (!seats.some((seat) => seat.stake === stake))
      violated(
        `the vote of uid ${uid} on round ${round} has ${stake} rao behind it, its validator ${seats.at(-1)?.stake}`,
      );
  }
}

/** Counts the votes of a round again. */
function checkCount(
  round: number,
  { votes, commits }: RoundState,
  { accepted, stateRoot, block }: RoundDecision,
  pages: readonly (readonly Seat[])[],
  counted: Set<string>,
  violated: Tell,
): void {
  const told = `${accepted.join()} ${stateRoot}`;
  const key = `${round} ${block} ${told} ${[...votes.values()].map(({ uid, bitmap }) => `${uid}:${bitmap}`).join()}`;
  if (counted.has(key)) return;
  counted.add(key);
  const counts = pages.map((seats) => recount([...votes.values()], [...commits.keys()], seats));
  if (!counts.includes(told)) violated(`round ${round} was decided as ${told}, its votes say ${counts.at(-1)}`);
}

/** What more than half of the permitted stake is for: uids, and the state root. Each hotkey counts once. */
export function recount(votes: readonly CastVote[], committed: readonly number[], seats: readonly Seat[]): string {
  const powers = new Map<Hash, { readonly power: bigint; readonly vote: CastVote }>();
  let total = 0n;
  for (const [uid, { hotkey, permit, stake }] of seats.entries()) {
    if (!permit) continue;
    total += stake;
    const vote = votes.find((each) => each.uid === uid && each.hotkey === hotkey);
    if (vote !== undefined) powers.set(hotkey, { power: vote.stake < stake ? vote.stake : stake, vote });
  }
  const isMost = (backs: (vote: CastVote) => boolean): boolean => {
    let sum = 0n;
    for (const { power, vote } of powers.values()) if (backs(vote)) sum += power;
    return 2n * sum > total;
  };
  const accepted = committed.filter((uid) => isMost(({ bitmap }) => ((bitmap >> BigInt(uid)) & 1n) === 1n));
  const roots = votes.map(({ stateRoot }) => stateRoot).filter((root) => !/^0x0*$/.test(root));
  const root = roots.find((each) => isMost(({ stateRoot }) => stateRoot === each));
  return `${accepted.sort((a, b) => a - b).join()} ${root}`;
}

/** Looks at everybody whom a decision accepts. */
async function checkRound(sight: Sight, again: Again, round: number, violated: Tell): Promise<void> {
  const { runId, record, twin } = sight.network;
  const decision = await twin.decision(runId, round);
  if (decision === undefined || decision.accepted.length === 0) return;
  const commits = await twin.commits(runId, round);
  const slots = chainState(sight).world.subnets.get(record.netuid)?.slots ?? [];
  const hashes = new Set<Hash>();
  for (const uid of decision.accepted) {
    const who = `uid ${uid}, accepted in round ${round},`;
    const commit = commits.find((each) => each.uid === uid);
    if (commit === undefined || commit.block >= roundStart(record, round, "reveal")) {
      violated(`${who} had promised nothing in time`);
      continue;
    }
    const slot = slots[uid];
    if (slot?.hotkey !== commit.hotkey && !(slot && slot.registeredAt > commit.block))
      violated(`${who} is not who promised`);
    if (hashes.has(commit.payloadHash)) violated(`${who} has another's payload`);
    hashes.add(commit.payloadHash);
    const problem = await payloadFault(sight, again, round, commit);
    if (problem !== undefined) violated(`${who} ${problem}`);
  }
}

/** What is wrong with the payload behind a commit; undefined where it is there, its maker's, and sound. */
async function payloadFault(
  sight: Sight,
  { node, roots, applied }: Again,
  round: number,
  commit: RoundCommit,
): Promise<string | undefined> {
  const bytes = await blobAnywhere(sight, commit.payloadHash);
  if (bytes === undefined) return "has a payload that is nowhere";
  if (signerOf(bytes) !== commit.hotkey) return "has a payload that its hotkey did not sign";
  if (applied[round]?.includes(commit.uid)) return undefined; // it was decoded there
  const base = baseRound(node.spec, round);
  const root = roots[base];
  const payload = decodeCommitted(node, { round, roots: new Map(root ? [[base, fromHex(root)]] : []) }, commit, bytes);
  return isFault(payload) ? `has a payload with a fault: ${payload.fault}` : undefined;
}

/** The account whose key signed a payload. */
function signerOf(bytes: Uint8Array): Hash | undefined {
  const end = Math.max(0, bytes.length - PAYLOAD_SIGNATURE_BYTES);
  const signature = concatBytes([bytes.subarray(end, -1), Uint8Array.of(27 + (bytes.at(-1) ?? 0))]);
  const address = recoverAddress(sha256(bytes.subarray(0, end)), signature);
  return address && accountOfBytes(address);
}
