/** The picture, read as a stranger would: whole pictures at two sizes, and what must hold at any size. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { story, storyNodes } from "../../../../test/helpers/up-story.ts";
import { newBoard, tellBoard } from "../board.ts";
import { area, horizon, phaseBars } from "./chart.ts";
import { frameText } from "./screen.ts";
import { cut, pad, plainText, span, terminalText, widthOf } from "./spans.ts";
import { type Scene, view } from "./view.ts";

const SCENE: Scene = {
  name: "laptop",
  params: 807_000,
  timing: { train: 12, reveal: 2, vote: 3 },
  rounds: 60,
  folder: ".skein/up",
};

function picture(rounds: number, columns: number, rows: number, trainers = 4): string[] {
  const board = newBoard(storyNodes(trainers));
  const told = rounds < 0 ? [] : story(rounds, trainers);
  for (const each of told) tellBoard(board, each);
  return view(board, SCENE, { columns, rows, nowMs: 252_000, startMs: 0 }).map(plainText);
}

/** Times of day are the machine's. */
const timeless = (lines: readonly string[]): string[] =>
  lines.map((line) => line.replace(/^ \d\d:\d\d:\d\d /, " hh:mm:ss "));

describe("the picture", () => {
  it("is all of it on 80 × 24", () => {
    expect(timeless(picture(14, 80, 24))).toEqual([
      " Skein  laptop: 807k params learn on this machine      block 1,472   4 min 12 s",
      " join   http://127.0.0.1:8640/r/9f86d0819f86d0819f86d…  whole in .skein/up/link",
      "",
      " round  14 of 60   train █████████░░░░░░  reveal ░░  vote ░░░░  5 blocks left",
      "",
      " loss            █▇▅▄▃▂▁",
      " 5.411           ████████▇▆▅▄▃▂▁",
      " on unseen text  █████████████████▇▇▆▅▅▄▃▃▂▂▁·································",
      "",
      " node         uid  now                        last round   weight  earned  busy",
      " validator-1    0  judged 4 payloads          backed 4/4             8.64",
      " validator-2    1  judged 4 payloads          backed 4/4             8.64",
      " trainer-1      2  step  3/10  loss 4.200     applied        1.00    8.64  53 %",
      " trainer-2      3  step  4/10  loss 4.300     applied        1.00    8.64  53 %",
      " trainer-3      4  revealed its payload       applied        1.00    8.64  53 %",
      " trainer-4      5  step  6/10  loss 4.500     applied        1.00    8.64  53 %",
      "",
      " root   133f2a9c04d1  the params after round 13; 14 rounds over, 1 of them null",
      " bytes  31.2 kB a payload, 103× smaller than the model's 3.23 MB",
      " text   “Returns the first of all values”",
      "",
      " hh:mm:ss  epoch 11 paid 7.4 coins",
      " hh:mm:ss  epoch 13 paid 7.4 coins",
      " Ctrl-C stops and saves; `skein up` goes on",
    ]);
  });

  it("shows of the dishonest what has come out about them", () => {
    const board = newBoard([
      ...storyNodes(2),
      { name: "perturbed-copy", role: "trainer", adversary: "perturbed-copy" },
    ]);
    for (const each of story(3, 2)) tellBoard(board, each);
    const trouble = "repeats uid 4's payload of round 6 (likeness 0.91)";
    tellBoard(board, { node: "perturbed-copy", kind: "standing", fields: { round: 6, weight: 0, trouble }, timeMs: 0 });
    const lines = view(board, SCENE, { columns: 100, rows: 24, nowMs: 0, startMs: 0 });
    const line = lines.find((each) => plainText(each).includes("perturbed-copy"));
    expect(plainText(line ?? [])).toMatch(/^ perturbed-copy {7}repeats uid 4's payload of roun… +0\.00$/);
    expect(line?.filter(({ style }) => style === "bad")).toHaveLength(2);
  });

  it("has the whole link, and more room for all, on 120 columns", () => {
    const lines = picture(14, 120, 34);
    expect(lines[1]).toBe(` join   http://127.0.0.1:8640/r/${"9f86d081".repeat(8)}`);
    expect(lines[3]).toMatch(/^ round {2}14 of 60 {3}train █{25}░{17} {2}reveal ░{7} {2}vote ░{11} {2}5 blocks left$/);
    expect(lines.filter((line) => line.includes("epoch"))).toHaveLength(6);
    expect(Math.max(...lines.map((line) => [...line].length))).toBeLessThan(120);
  });

  it("says what there is before anything is", () => {
    const lines = picture(-1, 80, 24);
    expect(lines.slice(1, 8)).toEqual([
      " join   the gateway is not up yet",
      "",
      " round  none yet",
      "",
      " loss",
      " none yet",
      `${" ".repeat(17)}${"·".repeat(61)}`,
    ]);
    expect(lines.find((line) => line.includes("trainer-4"))).toBe(" trainer-4         its turn comes");
    expect(lines).toContain(" root   no round is over yet");
  });

  it("keeps to its place, whatever its size and however many nodes there are", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 20, max: 250 }),
        fc.integer({ min: 5, max: 80 }),
        fc.integer({ min: 1, max: 30 }),
        fc.integer({ min: -1, max: 6 }),
        (columns, rows, trainers, rounds) => {
          const lines = picture(rounds, columns, rows, trainers);
          expect(lines.length).toBeLessThanOrEqual(rows);
          for (const line of lines) expect([...line].length).toBeLessThanOrEqual(columns);
          if (rows >= 24) expect(lines.at(-1)).toMatch(/^ Ctrl-C/);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe("colours", () => {
  it("are added to the text, and left out where they are not wanted", () => {
    const line = [span(" round ", "dim"), span("3"), span("applied", "good")];
    expect(terminalText(line, true)).toBe("\u001b[2m round \u001b[0m3\u001b[32mapplied\u001b[0m");
    expect(terminalText(line, false)).toBe(" round 3applied");
  });

  it("cannot come from a node's own words", () => {
    expect(plainText([span("a\u001b[31m\nb\u009b")])).toBe("a?[31m?b?");
  });

  it("are drawn over the frame before", () => {
    expect(frameText([[span("a")], []], false)).toBe("\u001b[Ha\u001b[K\r\n\u001b[K\u001b[J");
  });
});

describe("lines of spans", () => {
  it("are cut and padded by what is seen", () => {
    expect(plainText(cut([span("abc"), span("def")], 5))).toBe("abcd…");
    expect(cut([span("abc"), span("de")], 5)).toHaveLength(2);
    expect(plainText(pad([span("ab")], [span("c")], 6))).toBe("ab   c");
    expect(plainText(pad([span("ab")], [span("c")], 3))).toBe("ab");
    expect(widthOf([span("█▄"), span("×")])).toBe(3);
  });
});

describe("the curve", () => {
  it("fills all rows at its greatest and an eighth at its least", () => {
    const points = [8, 4, 0].map((value, at) => ({ at, value }));
    expect(area({ points, places: 4 }, 4, 2)).toEqual(["█▁  ", "██▁·"]);
    expect(area({ points, places: 3 }, 3, 1)).toEqual(["█▅▁"]);
  });

  it("draws a line between places that are far apart, and means where they are close", () => {
    const ends = [
      { at: 0, value: 8 },
      { at: 1, value: 0 },
    ];
    expect(area({ points: ends, places: 2 }, 5, 1)).toEqual(["█▆▅▃▁"]);
    const many = Array.from({ length: 100 }, (_, at) => ({ at, value: 99 - at }));
    const drawn = area({ points: many, places: 100 }, 8, 1)[0] ?? "";
    expect([...drawn]).toEqual([...drawn].sort().reverse());
  });

  it("is as wide as asked, one value or none", () => {
    expect(area({ points: [], places: 60 }, 5, 2)).toEqual(["     ", "·····"]);
    expect(area({ points: [{ at: 0, value: 3 }], places: 60 }, 5, 1)).toEqual(["▁····"]);
    expect(area({ points: [{ at: 0, value: 3 }], places: 1 }, 2, 1)).toEqual(["▁·"]);
  });
});

describe("the axis", () => {
  it("doubles when it is nearly full, and ends with the run", () => {
    expect([1, 25, 26, 50, 51, 250, 251, 300].map((known) => horizon(known, 300))).toEqual([
      30, 30, 60, 60, 120, 300, 300, 300,
    ]);
    expect([horizon(3, 10), horizon(10, 10)]).toEqual([10, 10]);
  });
});

describe("the phases", () => {
  it("are as long as their blocks, and full when they are over", () => {
    const phases = [
      { name: "train", blocks: 12, over: 12 },
      { name: "reveal", blocks: 2, over: 1 },
      { name: "vote", blocks: 2, over: 0 },
    ];
    expect(phaseBars(phases, 32).map(({ bar }) => bar)).toEqual(["█".repeat(24), "██░░", "░░░░"]);
    expect(phaseBars(phases, 8).map(({ bar }) => bar.length)).toEqual([6, 2, 2]);
  });
});
