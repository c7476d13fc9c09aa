import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Hash } from "./chain.ts";
import type { CastVote, Seat } from "./rounds.ts";
import { ballotsOf, bitmapOf, phaseAt, roundBlocks, roundStart, seedBlock, specAt, tally, uidsOf } from "./rounds.ts";

const timing = { startBlock: 100, trainBlocks: 5, revealBlocks: 2, voteBlocks: 3 };
const hash = (n: number): Hash => `0x${n.toString(16).padStart(64, "0")}`;

describe("a run's timetable", () => {
  it("divides blocks into rounds and phases", () => {
    expect(phaseAt(timing, 99)).toBeUndefined();
    expect(phaseAt(timing, 100)).toEqual({ round: 0, phase: "train", blocksLeft: 5 });
    expect(phaseAt(timing, 104)).toEqual({ round: 0, phase: "train", blocksLeft: 1 });
    expect(phaseAt(timing, 105)).toEqual({ round: 0, phase: "reveal", blocksLeft: 2 });
    expect(phaseAt(timing, 107)).toEqual({ round: 0, phase: "vote", blocksLeft: 3 });
    expect(phaseAt(timing, 110)).toEqual({ round: 1, phase: "train", blocksLeft: 5 });
    expect(roundStart(timing, 7, "vote")).toBe(177);
  });

  it("has no gaps: each phase ends where the next begins", () => {
    fc.assert(
      fc.property(fc.integer({ min: 100, max: 1e9 }), (block) => {
        const at = phaseAt(timing, block);
        if (!at) return false;
        const next = phaseAt(timing, block + at.blocksLeft);
        const before = roundStart(timing, at.round, at.phase) <= block;
        return before && next?.phase !== at.phase && next?.round === at.round + (at.phase === "vote" ? 1 : 0);
      }),
    );
    expect(roundBlocks(timing)).toBe(10);
  });

  it("takes a round's seed from its last block, while the EVM knows that one's hash", () => {
    expect(seedBlock(timing, 0, 110)).toBe(109);
    expect(seedBlock(timing, 0, 109 + 256)).toBe(109);
    expect(seedBlock(timing, 0, 109 + 257)).toBe(109 + 256);
    expect(seedBlock(timing, 7, 5000)).toBe(4999);
    expect(() => seedBlock(timing, 0, 109)).toThrow("after its last block");
  });

  it("knows the spec of a round", () => {
    const specs = [
      { fromRound: 0, specHash: hash(1) },
      { fromRound: 5, specHash: hash(2) },
    ];
    expect([0, 4, 5, 900].map((round) => specAt(specs, round))).toEqual([hash(1), hash(1), hash(2), hash(2)]);
  });
});

describe("bitmaps", () => {
  it("hold uids below 256", () => {
    expect(bitmapOf([])).toBe(0n);
    expect(bitmapOf([0, 2, 2])).toBe(5n);
    expect(bitmapOf([255])).toBe(1n << 255n);
    expect(() => bitmapOf([256])).toThrow("256");
    expect(() => bitmapOf([-1])).toThrow("-1");
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(255)), (uids) => {
        expect(uidsOf(bitmapOf(uids))).toEqual(uids.toSorted((a, b) => a - b));
      }),
    );
  });
});

describe("the count", () => {
  const seat = (uid: number, stake: bigint, permit = true): Seat => ({ hotkey: hash(uid + 1), stake, permit });
  const vote = (uid: number, stake: bigint, uids: readonly number[], root = 9): CastVote => ({
    uid,
    hotkey: hash(uid + 1),
    stake,
    bitmap: bitmapOf(uids),
    stateRoot: hash(root),
  });
  const count = (votes: readonly CastVote[], seats: readonly Seat[], committed: readonly number[]) => {
    const { ballots, total } = ballotsOf(votes, seats);
    return tally(ballots, total, committed);
  };

  it("wants more than half of all permitted stake, absent validators included", () => {
    const seats = [seat(0, 50n), seat(1, 50n), seat(2, 1000n, false)];
    expect(count([vote(0, 50n, [5])], seats, [5])).toEqual({ accepted: [], stateRoot: undefined });
    const more = [seat(0, 51n), ...seats.slice(1)];
    expect(count([vote(0, 51n, [5])], more, [5])).toEqual({ accepted: [5], stateRoot: hash(9) });
    expect(count([vote(0, 50n, [5, 6]), vote(1, 50n, [6, 7], 8)], seats, [5, 6, 7])).toEqual({
      accepted: [6],
      stateRoot: undefined,
    });
  });

  it("accepts only what was committed, and takes no root for a root", () => {
    const seats = [seat(0, 1n)];
    expect(count([vote(0, 1n, [3, 200], 0)], seats, [200])).toEqual({ accepted: [200], stateRoot: undefined });
    expect(count([], seats, [1])).toEqual({ accepted: [], stateRoot: undefined });
    expect(count([vote(0, 0n, [1])], [seat(0, 0n)], [1])).toEqual({ accepted: [], stateRoot: undefined });
  });

  it("leaves out who lost the permit or the uid", () => {
    const votes = [vote(0, 60n, [5])];
    expect(count(votes, [seat(0, 60n, false), seat(1, 40n)], [5]).accepted).toEqual([]);
    expect(count(votes, [{ ...seat(0, 60n), hotkey: hash(77) }, seat(1, 40n)], [5]).accepted).toEqual([]);
  });

  it("counts no rao twice, wherever stake moves between votes and decision", () => {
    const stakes = fc.array(fc.bigInt(0n, 100n), { minLength: 2, maxLength: 6 });
    fc.assert(
      fc.property(stakes, fc.array(fc.tuple(fc.nat(5), fc.nat(5), fc.bigInt(0n, 100n))), (start, moves) => {
        const now = [...start];
        const votes: CastVote[] = [];
        for (const [from, to, rao] of moves) {
          const [a, b] = [from % now.length, to % now.length];
          if (!votes.some(({ uid }) => uid === a)) votes.push(vote(a, now[a] ?? 0n, [1]));
          const moved = rao < (now[a] ?? 0n) ? rao : (now[a] ?? 0n);
          now[a] = (now[a] ?? 0n) - moved;
          now[b] = (now[b] ?? 0n) + moved;
        }
        const { ballots, total } = ballotsOf(
          votes,
          now.map((stake, uid) => seat(uid, stake)),
        );
        expect(total).toBe(start.reduce((a, b) => a + b, 0n));
        expect(ballots.reduce((sum, { power }) => sum + power, 0n)).toBeLessThanOrEqual(total);
      }),
    );
  });
});
