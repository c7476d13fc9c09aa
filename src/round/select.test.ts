import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AssertionError } from "../base/assert.ts";
import { utf8 } from "../base/bytes.ts";
import { type Candidate, candidatesOf, selectContributors } from "./select.ts";

const seed = utf8("block hash");
const established = (uid: number, incentive: number): Candidate => ({ uid, incentive, newcomer: false });
const newcomer = (uid: number): Candidate => ({ uid, incentive: 0, newcomer: true });

const candidates: fc.Arbitrary<Candidate[]> = fc.uniqueArray(
  fc.record({ uid: fc.nat(300), incentive: fc.nat(5), newcomer: fc.boolean() }),
  { selector: ({ uid }) => uid, maxLength: 40 },
);

describe("candidatesOf", () => {
  it("takes for a newcomer who has no incentive", () => {
    expect(candidatesOf([2, 5], [7, 0])).toEqual([established(2, 7), newcomer(5)]);
    expect(candidatesOf([], [])).toEqual([]);
  });

  it("wants an incentive for each uid", () => {
    expect(() => candidatesOf([2, 5], [7])).toThrow(AssertionError);
  });
});

describe("selectContributors", () => {
  it("takes the largest incentives first, ties by uid, and keeps places for newcomers", () => {
    const peers = [
      established(1, 5),
      established(2, 9),
      established(3, 5),
      established(4, 1),
      newcomer(7),
      newcomer(8),
    ];
    const settings = { cap: 4, newcomerSlots: 1 };
    expect(selectContributors(peers, settings, seed).slice(0, 3)).toEqual([2, 1, 3]);
    expect([7, 8]).toContain(selectContributors(peers, settings, seed)[3]);
    expect(selectContributors(peers, { cap: 4, newcomerSlots: 0 }, seed)).toEqual([2, 1, 3, 4]);
  });

  it("lets either kind fill what the other leaves free", () => {
    expect(selectContributors([established(1, 1), established(2, 2)], { cap: 2, newcomerSlots: 1 }, seed)).toEqual([
      2, 1,
    ]);
    expect(selectContributors([newcomer(3), newcomer(4)], { cap: 2, newcomerSlots: 0 }, seed)).toHaveLength(2);
    expect(selectContributors([], { cap: 2, newcomerSlots: 1 }, seed)).toEqual([]);
    expect(selectContributors([established(1, 1)], { cap: 0, newcomerSlots: 0 }, seed)).toEqual([]);
  });

  it("draws newcomers by the seed: every one is drawn under some", () => {
    const peers = [newcomer(1), newcomer(2), newcomer(3)];
    const drawn = new Set<number>();
    for (let i = 0; i < 50; i++) {
      const [uid] = selectContributors(peers, { cap: 1, newcomerSlots: 1 }, utf8(`seed ${i}`));
      drawn.add(uid as number);
    }
    expect(drawn.size).toBe(3);
  });

  it("is full, without repeats, independent of the candidates' order, and keeps the newcomers' places", () => {
    fc.assert(
      fc.property(candidates, fc.nat(25), fc.nat(25), fc.nat(), (peers, cap, slots, turn) => {
        const settings = { cap, newcomerSlots: Math.min(slots, cap) };
        const uids = selectContributors(peers, settings, seed);
        expect(uids).toHaveLength(Math.min(cap, peers.length));
        expect(new Set(uids).size).toBe(uids.length);
        const turned = [...peers.slice(turn % (peers.length + 1)), ...peers.slice(0, turn % (peers.length + 1))];
        expect(selectContributors(turned, settings, seed)).toEqual(uids);
        const newcomers = peers.filter((peer) => peer.newcomer).map(({ uid }) => uid);
        const taken = uids.filter((uid) => newcomers.includes(uid)).length;
        expect(taken).toBeGreaterThanOrEqual(Math.min(settings.newcomerSlots, newcomers.length));
      }),
    );
  });

  it("refuses a uid twice, impossible incentives and caps", () => {
    const settings = { cap: 2, newcomerSlots: 1 };
    expect(() => selectContributors([newcomer(1), established(1, 1)], settings, seed)).toThrow(AssertionError);
    for (const incentive of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => selectContributors([established(1, incentive)], settings, seed)).toThrow(AssertionError);
    }
    expect(() => selectContributors([established(0.5, 1)], settings, seed)).toThrow(AssertionError);
    expect(() => selectContributors([], { cap: 1, newcomerSlots: 2 }, seed)).toThrow(AssertionError);
    expect(() => selectContributors([], { cap: 1e6, newcomerSlots: 2 }, seed)).toThrow(AssertionError);
  });
});
