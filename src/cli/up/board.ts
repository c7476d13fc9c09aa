/**
 * What `skein up` knows of its network, as a fold over what the nodes tell: who is there, what each does now, how the rounds went. Pure: the
 * view (view/view.ts) and the plain lines (view/lines.ts) are made from it, and after a restart it is made again from the history on disk.
 */

import { lengthIn, numberIn, textIn } from "../../base/log/log.ts";
import type { Told } from "./events.ts";
import { type Background, type Remark, wordsOf } from "./words.ts";

/** What a node is for. */
export type NodeRole = "chain" | "gateway" | "validator" | "trainer";

/** A node as it stands. */
export interface BoardNode {
  readonly name: string;
  readonly role: NodeRole;
  /** The attack that it makes, where it is dishonest. */
  readonly adversary: string | undefined;
  /** Whether its process runs, and got as far as `ready`. */
  state: "off" | "starting" | "ready" | "down";
  now: Remark;
  uid: number | undefined;
  /** What became of its last round. */
  outcome: Remark | undefined;
  sentBytes: number;
  /** What a validator would pay it by, 0 to 1, and what is wrong with it, by the newest report. */
  weight: number | undefined;
  trouble: string | undefined;
  /** Coins, by the epochs that were seen. */
  earned: number;
  /** Share of the time that it computes, by its last two commits. */
  busy: number | undefined;
  trainMs: number | undefined;
  commitMs: number | undefined;
  /** Payloads received in the round. */
  received: { round: number; count: number };
}

/** Something worth telling, and when it was. */
export interface News extends Remark {
  readonly timeMs: number;
}

/** Where the run is, by its newest block. */
export interface Place {
  readonly block: number;
  /** Negative before the run begins: then only `blocksLeft` counts, until it does. */
  readonly round: number;
  readonly phase: "train" | "reveal" | "vote";
  readonly blocksLeft: number;
}

/** A network as it stands. */
export interface Board {
  readonly nodes: ReadonlyMap<string, BoardNode>;
  link: string | undefined;
  place: Place | undefined;
  /** Mean loss on text set aside, by the round whose params it is of; ascending. */
  readonly losses: { readonly round: number; readonly loss: number }[];
  /** The newest round that is over, and what it did. */
  last: RoundEnd | undefined;
  /** Rounds that are over, and those among them that changed nothing. */
  rounds: number;
  nullRounds: number;
  /** State root of the params after the newest round that is over, in hex. */
  root: string | undefined;
  /** What the model wrote, and after how many rounds. */
  sample: { readonly rounds: number; readonly text: string } | undefined;
  /** Bytes of the newest payload. */
  payloadBytes: number | undefined;
  /** The newest epoch whose emission is counted. */
  epoch: number | undefined;
  readonly news: News[];
  /** Who committed in which round. */
  readonly committed: Map<number, Set<string>>;
}

/** A round that is over. */
export interface RoundEnd {
  readonly round: number;
  /** Payloads that moved the params, those that were accepted, and those that were promised. */
  readonly applied: number;
  readonly accepted: number;
  readonly committed: number;
  readonly bytes: number;
}

const NEWS_KEPT = 20;
const ROUNDS_KEPT = 8;

/** A board on which nothing has happened. */
export function newBoard(
  nodes: readonly { readonly name: string; readonly role: NodeRole; readonly adversary?: string }[],
): Board {
  const blank = { uid: undefined, outcome: undefined, sentBytes: 0, weight: undefined, trouble: undefined, earned: 0 };
  const idle = { busy: undefined, trainMs: undefined, commitMs: undefined };
  const entries = nodes.map(({ name, role, adversary }): readonly [string, BoardNode] => [
    name,
    { name, role, adversary, ...blank, ...idle, state: "off", now: NOT_YET, received: { round: -1, count: 0 } },
  ]);
  return {
    nodes: new Map(entries),
    ...{ link: undefined, place: undefined, losses: [], last: undefined, rounds: 0, nullRounds: 0 },
    ...{
      root: undefined,
      sample: undefined,
      payloadBytes: undefined,
      epoch: undefined,
      news: [],
      committed: new Map(),
    },
  };
}

const NOT_YET: Remark = { text: "its turn comes", tone: "dim" };

/** Takes in what was told. Events of nodes that are not on the board count for the run as a whole only. */
export function tellBoard(board: Board, told: Told): void {
  tellRun(board, told);
  const node = board.nodes.get(told.node);
  const trouble = node?.trouble; // by the report before
  if (node !== undefined) tellNode(board, node, told);
  const { now, outcome, news } = wordsOf(told, { ...backgroundOf(board, node), trouble });
  if (node !== undefined) {
    node.now = now ?? node.now;
    node.outcome = outcome ?? node.outcome;
  }
  if (news !== undefined) addNews(board, { ...news, timeMs: told.timeMs });
}

function backgroundOf({ last }: Board, node: BoardNode | undefined): Omit<Background, "trouble"> {
  return {
    inRounds: node?.role === "validator" || node?.role === "trainer",
    received: node?.received.count ?? 0,
    nullRound: last?.applied === 0,
  };
}

/** News that are looked through for the same. */
const SAME_AMONG = 8;

/** Several nodes may tell the same: once is enough. */
function addNews({ news }: Board, item: News): void {
  if (news.slice(-SAME_AMONG).some(({ text }) => text === item.text)) return;
  news.push(item);
  if (news.length > NEWS_KEPT) news.shift();
}

/** Forgets what was true of processes only: for a board that was made from a history. */
export function settleBoard(board: Board): void {
  board.place = undefined;
  board.link = undefined;
  board.news.length = 0;
  for (const node of board.nodes.values()) {
    node.state = "off";
    node.now = NOT_YET;
    forgetPace(node);
  }
}

/** The time in which a node was away is no time in which it waited. */
function forgetPace(node: BoardNode): void {
  node.trainMs = undefined;
  node.commitMs = undefined;
}

function tellRun(board: Board, { node, kind, fields, timeMs }: Told): void {
  const round = numberIn(fields, "round");
  if (kind === "block") board.place = placeOf(fields);
  if (kind === "ready" && node === "gateway") board.link = textIn(fields, "link");
  if (round === undefined) return;
  if (kind === "start") checkRoot(board, node, round, fields, timeMs);
  if (kind === "commit") {
    const who = board.committed.get(round) ?? new Set();
    board.committed.set(round, who.add(node));
    board.committed.delete(round - ROUNDS_KEPT);
  }
  const text = kind === "sample" ? textIn(fields, "text") : undefined;
  if (text !== undefined) board.sample = { rounds: round, text };
  if (kind === "payload") board.payloadBytes = numberIn(fields, "bytes") ?? board.payloadBytes;
  if (kind === "applied") tellRound(board, round, fields, timeMs);
  const loss = kind === "validation" ? numberIn(fields, "loss") : undefined;
  if (loss !== undefined && round > (board.losses.at(-1)?.round ?? -1)) board.losses.push({ round, loss });
}

/** Whether a node that begins has the params that the others had when the newest round was over. */
function checkRoot(board: Board, node: string, round: number, fields: Told["fields"], timeMs: number): void {
  const root = textIn(fields, "root");
  if (board.root === undefined || root === undefined || round !== (board.last?.round ?? -1) + 1) return;
  if (root !== board.root) addNews(board, { text: `${node} has other params than the run`, tone: "bad", timeMs });
}

function tellRound(board: Board, round: number, fields: Told["fields"], timeMs: number): void {
  if (round <= (board.last?.round ?? -1)) return; // another node says the same, or goes over old rounds again
  const [applied, accepted] = [lengthIn(fields, "uids"), lengthIn(fields, "accepted")];
  const committed = Math.max(accepted, board.committed.get(round)?.size ?? 0);
  board.last = { round, applied, accepted, committed, bytes: numberIn(fields, "bytes") ?? 0 };
  board.rounds += 1;
  board.root = textIn(fields, "root") ?? board.root;
  if (applied > 0) return;
  board.nullRounds += 1;
  addNews(board, {
    text: `round ${round} is a null round: nobody was accepted, the params stay`,
    tone: "warn",
    timeMs,
  });
}

function placeOf(fields: Told["fields"]): Place | undefined {
  const [block, round, blocksLeft] = ["block", "round", "blocksLeft"].map((name) => numberIn(fields, name));
  const phase = (["train", "reveal", "vote"] as const).find((each) => each === fields["phase"]);
  if (block === undefined || round === undefined || blocksLeft === undefined || phase === undefined) return undefined;
  return { block, round, phase, blocksLeft };
}

const UID_KINDS: readonly string[] = ["ready", "registered", "seat", "payload", "commit"];

function tellNode(board: Board, node: BoardNode, told: Told): void {
  const { kind, fields, timeMs } = told;
  if (UID_KINDS.includes(kind)) node.uid = numberIn(fields, "uid") ?? node.uid;
  if (kind === "process") {
    node.state = stateOf(textIn(fields, "state"));
    forgetPace(node);
  }
  if (kind === "ready") node.state = "ready";
  if (kind === "emission") {
    node.earned += numberIn(fields, "coins") ?? 0;
    board.epoch = Math.max(board.epoch ?? 0, numberIn(fields, "epoch") ?? 0);
  }
  if (kind === "standing") {
    node.weight = numberIn(fields, "weight");
    node.trouble = textIn(fields, "trouble");
  }
  if (kind === "payload") node.trainMs = numberIn(fields, "trainMs");
  if (kind === "reveal") node.sentBytes += numberIn(fields, "bytes") ?? 0;
  if (kind === "commit") {
    const sinceMs = node.commitMs === undefined ? undefined : timeMs - node.commitMs;
    if (sinceMs !== undefined && sinceMs > 0 && node.trainMs !== undefined)
      node.busy = Math.min(1, node.trainMs / sinceMs);
    node.commitMs = timeMs;
  }
  if (kind === "received") {
    const round = numberIn(fields, "round") ?? -1;
    node.received = { round, count: node.received.round === round ? node.received.count + 1 : 1 };
  }
}

function stateOf(state: string | undefined): BoardNode["state"] {
  if (state === "started") return "starting";
  return state === "down" || state === "given up" ? "down" : "off";
}
