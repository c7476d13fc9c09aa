import { describe, expect, it } from "vitest";
import { story, storyNodes } from "../../../../test/helpers/up-story.ts";
import { openTerminal } from "../../shared/terminal.ts";
import { newBoard, tellBoard } from "../board.ts";
import { openShow } from "./show.ts";

const SCENE = {
  ...{ name: "laptop", params: 807_000, timing: { train: 12, reveal: 2, vote: 3 } },
  ...{ rounds: 60, folder: ".skein/up" },
};

const BOLD = "\u001b[1m";

/** What is written to the terminal and to the glass (the same stream in life) while a story is told. */
function shown(given: { json?: boolean; tty?: boolean; env?: Record<string, string> }): { out: string; glass: string } {
  let [out, drawn] = ["", ""];
  const sink = { write: (text: string) => (out += text), isTTY: given.tty ?? false, columns: 80 };
  const glass = { write: (text: string) => (drawn += text), isTTY: given.tty ?? false, columns: 80, rows: 24 };
  const { json = false, env = {} } = given;
  const terminal = openTerminal({ json, stdout: sink, stderr: sink, env });
  const board = newBoard(storyNodes());
  const show = openShow(board, SCENE, { terminal, glass, env });
  for (const told of story(3)) {
    tellBoard(board, told);
    show.told(told);
  }
  show.close();
  return { out, glass: drawn };
}

describe("the show", () => {
  it("is a picture on a terminal, which gets its first page back, with the last state on it", () => {
    const { out, glass } = shown({ tty: true });
    expect(glass.startsWith("\u001b[?1049h\u001b[?25l")).toBe(true);
    expect(glass.endsWith("\u001b[?25h\u001b[?1049l")).toBe(true);
    expect(glass).toContain("the gateway is not up yet"); // the first frame; the next is a quarter of a second away
    expect(out).toContain("the params after round 2; 3 rounds over, 1 of them null");
    expect(out).not.toContain("Ctrl-C");
  });

  it("has no colours where NO_COLOR is set", () => {
    const { out, glass } = shown({ tty: true, env: { NO_COLOR: "1" } });
    expect(out + glass).not.toContain(BOLD);
    expect(shown({ tty: true }).glass).toContain(BOLD);
  });

  it("is lines elsewhere", () => {
    for (const given of [{}, { tty: true, env: { TERM: "dumb" } }]) {
      const { out, glass } = shown(given);
      expect(glass).toBe("");
      expect(out).not.toContain("\u001b");
      expect(out.split("\n").filter((line) => line.startsWith("round "))).toHaveLength(3);
    }
  });

  it("is all events but blocks under --json, with who told them", () => {
    const { out, glass } = shown({ json: true, tty: true });
    expect(glass).toBe("");
    const events = out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    const told = story(3).filter(({ kind }) => kind !== "block");
    expect(events).toEqual(told.map(({ node, kind, fields }) => ({ event: kind, ...fields, node })));
  });
});
