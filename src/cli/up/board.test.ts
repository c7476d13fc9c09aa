import { describe, expect, it } from "vitest";
import { story, storyNodes } from "../../../test/helpers/up-story.ts";
import { type Board, newBoard, settleBoard, tellBoard } from "./board.ts";
import type { Told } from "./events.ts";
import { lineTeller } from "./view/lines.ts";

function boardOf(told: readonly Told[], trainers = 4): Board {
  const board = newBoard(storyNodes(trainers));
  for (const each of told) tellBoard(board, each);
  return board;
}

const at = (node: string, kind: string, fields: Told["fields"] = {}): Told => ({ node, kind, fields, timeMs: 0 });

describe("the board", () => {
  it("counts each round once, whoever tells it and however often", () => {
    const told = story(5);
    const board = boardOf([...told, ...told.filter(({ kind }) => kind === "applied")]);
    expect(board).toMatchObject({ rounds: 5, nullRounds: 1, root: "43f2a9c04d1e5b7" });
    expect(board.last).toEqual({ round: 4, applied: 4, accepted: 4, committed: 4, bytes: 4 * 31_234 });
    expect(board.losses.map(({ round }) => round)).toEqual([0, 1, 2, 3, 4]);
  });

  it("knows what each node does, sent, earned and how busy it was", () => {
    const { nodes } = boardOf(story(5));
    expect(nodes.get("trainer-1")).toMatchObject({
      ...{
        uid: 2,
        state: "ready",
        now: { text: "step  3/10  loss 4.200" },
        outcome: { text: "applied", tone: "good" },
      },
      sentBytes: 4 * 31_234, // not in the null round
    });
    expect(nodes.get("trainer-1")?.earned).toBeCloseTo(2 * 1.234);
    expect(nodes.get("trainer-1")?.busy).toBeCloseTo(9 / 17);
    expect(nodes.get("trainer-3")?.now.text).toBe("revealed its payload");
    expect(nodes.get("validator-2")).toMatchObject({ uid: 1, outcome: { text: "backed 4/4", tone: "good" } });
  });

  it("tells a null round, a late trainer, a bad payload, a node that ended", () => {
    const told = [
      ...story(4),
      at("validator-1", "received", { round: 4, uid: 5, bytes: 9, fault: "its signature is wrong" }),
      at("trainer-1", "process", { state: "down", code: 1, signal: null, why: "out of memory", restartMs: 2000 }),
    ];
    const board = boardOf(told);
    expect(board.news.map(({ text }) => text)).toEqual([
      ...["trainer-1", "trainer-2", "trainer-3", "trainer-4"].map((name) => `${name} came too late in round 1`),
      "round 1 is a null round: nobody was accepted, the params stay",
      "epoch 1 paid 7.4 coins",
      "trainer-2 came too late in round 3",
      "epoch 3 paid 7.4 coins",
      "uid 5 sent a bad payload in round 4: its signature is wrong",
      "trainer-1 ended: out of memory; starts again in 2 s",
    ]);
    expect(board.nodes.get("trainer-1")).toMatchObject({
      state: "down",
      now: { text: "gone; again in 2 s", tone: "bad" },
    });
    expect(board.nodes.get("trainer-2")?.outcome).toEqual({ text: "too late", tone: "warn" });
  });

  it("tells what comes out about the dishonest, once for each kind of trouble", () => {
    const board = newBoard([...storyNodes(), { name: "copycat", role: "trainer", adversary: "copycat" }]);
    const told = (round: number, weight: number, trouble: string | null): void =>
      tellBoard(board, at("copycat", "standing", { round, uid: 6, weight, trouble }));
    told(1, 0, null);
    told(2, 0.1, "repeats uid 4's payload of round 2 (likeness 1.00)");
    told(3, 0, "repeats uid 5's payload of round 3 (likeness 0.99)");
    told(4, 0, "banned: compression");
    expect(board.news.map(({ text }) => text)).toEqual([
      "copycat in round 2: repeats uid 4's payload of round 2 (likeness 1.00); its weight is 0.10",
      "copycat in round 4: banned: compression; its weight is 0.00",
    ]);
    expect(board.nodes.get("copycat")).toMatchObject({
      adversary: "copycat",
      weight: 0,
      trouble: "banned: compression",
    });
  });

  it("tells troubles of stores and audits, and what is tried again in every block once", () => {
    const board = newBoard(storyNodes());
    const why = "http://127.0.0.1:8640 does not answer";
    const told = [
      at("trainer-1", "store-trouble", { what: "payload", why }),
      at("trainer-1", "store-trouble", { what: "payload", why }),
      at("validator-1", "unaudited", { round: 3, uid: 4, part: 0, why: "half of the payloads are missing" }),
      at("validator-2", "unaudited", { round: 3, uid: 4, part: 0, why: "half of the payloads are missing" }),
      at("validator-1", "replay-failed", { round: 3, uid: 5, part: 0, why: "a shard is away" }),
      at("validator-1", "check-failed", { round: 3, uid: 5, why: "a shard is away" }),
      at("trainer-2", "bad-mirror", { hash: "ab".repeat(32), mirror: "this node's folder", why: "other bytes" }),
      at("trainer-2", "checkpoint-fault", { round: 2, hash: "ab".repeat(32), fault: "wrong root" }),
      at("trainer-2", "unusable", { round: 3, uid: 5, fault: "too long" }),
      at("trainer-2", "bad-answer", { key: "answers/3" }),
      at("trainer-2", "answer-again", { round: 3 }),
      at("trainer-3", "resume", { round: 4, hash: "ab".repeat(32) }),
      at("trainer-4", "again", { round: 3, uid: 5 }),
    ];
    for (const each of told) tellBoard(board, each);
    expect(board.news.map(({ text }) => text)).toEqual([
      `trainer-1 has trouble with its payload: ${why}`,
      "the work of uid 4 in round 3 was not audited: half of the payloads are missing",
      "validator-1 cannot replay the work of uid 5 in round 3: a shard is away",
      "validator-1 cannot check uid 5's data of round 3: a shard is away",
      "no blob abababababab from trainer-2's folder: other bytes",
      "trainer-2 passed over a checkpoint of round 2: wrong root",
      "uid 5's payload of round 3 is unusable: too long",
      "trainer-2 lost an answer: it was damaged on its disk",
    ]);
    expect(["trainer-2", "trainer-3", "trainer-4"].map((name) => board.nodes.get(name)?.now.text)).toEqual([
      "has shown its work of round 3 again",
      "goes on with its payload of round 4",
      "works again to show its round 3",
    ]);
  });

  it("says when a node begins with other params than the others ended with", () => {
    const board = boardOf(story(3));
    tellBoard(board, at("trainer-1", "start", { from: "saved", round: 3, root: board.root ?? "" }));
    tellBoard(board, at("trainer-2", "start", { from: "saved", round: 3, root: "00" }));
    expect(board.news.filter(({ tone }) => tone === "bad").map(({ text }) => text)).toEqual([
      "trainer-2 has other params than the run",
    ]);
  });

  it("keeps sums and history, and forgets processes, when it is settled", () => {
    const board = boardOf(story(5));
    settleBoard(board);
    expect(board).toMatchObject({ rounds: 5, root: "43f2a9c04d1e5b7", news: [] });
    expect(board.place).toBeUndefined();
    expect([...board.nodes.values()].map(({ state }) => state)).toEqual(Array(8).fill("off"));
    tellBoard(board, { ...at("trainer-1", "payload", { round: 5, uid: 2, bytes: 1, trainMs: 9000 }), timeMs: 1e12 });
    tellBoard(board, { ...at("trainer-1", "commit", { round: 5, uid: 2 }), timeMs: 1e12 });
    expect(board.nodes.get("trainer-1")?.busy).toBeCloseTo(9 / 17); // the night between is no waiting
  });

  it("counts no time in which a node was away as waiting", () => {
    const board = boardOf(story(2));
    const later = (kind: string, fields: Told["fields"] = {}): Told => ({
      ...at("trainer-1", kind, fields),
      timeMs: 1e15,
    });
    for (const told of [later("process", { state: "started" }), later("payload", { round: 2, uid: 2, trainMs: 9 })])
      tellBoard(board, told);
    tellBoard(board, later("commit", { round: 2, uid: 2 }));
    expect(board.nodes.get("trainer-1")?.busy).toBeUndefined();
  });

  it("keeps to a few news, and takes anything for fields", () => {
    const odd = [
      "constructor",
      "step",
      "vote",
      "received",
      "applied",
      "process",
      "block",
      "start",
      "emission",
      "note",
      "unaudited",
    ];
    const told = odd.flatMap((kind) => [
      at("trainer-1", kind),
      at("nobody", kind, { round: "x", uids: 3, state: null }),
    ]);
    const board = boardOf([...Array(10)].flatMap(() => told));
    expect(board.news.length).toBeLessThanOrEqual(20);
  });
});

describe("the lines", () => {
  function linesOf(told: readonly Told[]): string[] {
    const board = newBoard(storyNodes());
    const lines = lineTeller(board);
    return told.flatMap((each) => {
      tellBoard(board, each);
      return lines(each);
    });
  }

  it("are one for each round and each piece of news", () => {
    const lines = linesOf(story(4));
    expect(lines.slice(0, 4)).toEqual([
      "chain is up",
      `gateway is up: http://127.0.0.1:8640/r/${"9f86d081".repeat(8)}`,
      "validator-1 is up, uid 0",
      "validator-2 is up, uid 1",
    ]);
    expect(lines.filter((line) => line.startsWith("round"))).toEqual([
      "round 0     applied 4 of 4  loss 7.625 on unseen text  125 kB  state root 03f2a9c04d1e",
      "round 1     null round, params stay  loss 7.371 on unseen text  state root 13f2a9c04d1e",
      "round 2     applied 4 of 4  loss 7.135 on unseen text  125 kB  state root 23f2a9c04d1e",
      "round 3     applied 3 of 3  loss 6.916 on unseen text  93.7 kB  state root 33f2a9c04d1e",
    ]);
    expect(lines).toContain("trainer-2 came too late in round 3");
    expect(lines.filter((line) => line.includes("null round"))).toHaveLength(1);
  });
});
