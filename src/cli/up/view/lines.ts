/** What `skein up` says where it cannot draw: a line for each round, and for what is worth telling besides. Pure. */

import { numberIn, textIn } from "../../../base/log/log.ts";
import { bytes } from "../../shared/terminal.ts";
import type { Board, News } from "../board.ts";
import type { Told } from "../events.ts";
import { shortHash } from "../words.ts";

/** Gives the lines that an event is worth, given the board after it. */
export function lineTeller(board: Board): (told: Told) => string[] {
  let shownRound = board.last?.round;
  let shownNews: News | undefined = board.news.at(-1);
  return (told) => {
    const lines: string[] = [];
    for (const line of [readyLine(told), sampleLine(told)]) if (line !== undefined) lines.push(line);
    const news = board.news.at(-1);
    if (news !== shownNews && news !== undefined && !isNullRound(board, told)) lines.push(news.text);
    shownNews = news;
    if (board.last !== undefined && board.last.round !== shownRound) lines.push(roundLine(board, board.last));
    shownRound = board.last?.round;
    return lines;
  };
}

/** A null round has its line; its news say the same. */
function isNullRound({ last }: Board, { kind }: Told): boolean {
  return kind === "applied" && last?.applied === 0;
}

function readyLine({ node, kind, fields }: Told): string | undefined {
  if (kind !== "ready") return undefined;
  const uid = numberIn(fields, "uid");
  const link = textIn(fields, "link");
  if (node === "gateway" && link !== undefined) return `gateway is up: ${link}`;
  return `${node} is up${uid === undefined ? "" : `, uid ${uid}`}`;
}

function sampleLine({ kind, fields }: Told): string | undefined {
  const text = kind === "sample" ? textIn(fields, "text") : undefined;
  return text && `    after ${numberIn(fields, "round") ?? 0} rounds it writes: “${text}”`;
}

function roundLine(
  { losses, root }: Board,
  { round, applied, committed, bytes: sent }: NonNullable<Board["last"]>,
): string {
  const loss = losses.at(-1)?.loss; // of this round, or of the one before where judging takes longer
  const parts = [
    `round ${String(round).padEnd(4)}`,
    applied === 0 ? "null round, params stay" : `applied ${applied} of ${committed}`,
    ...(loss === undefined ? [] : [`loss ${loss.toFixed(3)} on unseen text`]),
    ...(applied === 0 ? [] : [bytes(sent)]),
    ...(root === undefined ? [] : [`state root ${shortHash(root)}`]),
  ];
  return parts.join("  ");
}
