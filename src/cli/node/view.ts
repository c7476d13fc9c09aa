/**
 * What a node's events look like to whoever runs it: one line a round, a live line in between, remarks where something went wrong. A view is a
 * log like any other; it keeps the counts that the command tells at its end.
 */
import { type Clock, systemClock } from "../../base/clock.ts";
import { type JsonField, type Log, type LogFields, lengthIn, textIn } from "../../base/log/log.ts";
import type { RunRecord } from "../../chain/chain.ts";
import { roundStart } from "../../chain/rounds.ts";
import { bar, bytes, count, type Terminal } from "../shared/terminal.ts";

/** What a view is told about its run. */
export interface ViewOptions {
  readonly terminal: Terminal;
  readonly record: RunRecord;
  /** The round in which the node came; earlier ones are only caught up with. */
  readonly liveFrom: number;
  /** The newest block that is known. */
  readonly block: () => number;
  readonly clock?: Clock;
}

/** What a node has come to. */
export interface Tally {
  /** Rounds whose outcome was seen. */
  rounds: number;
  /** A trainer's payloads, and those of them that moved the params. */
  payloads: number;
  applied: number;
  /** A validator's votes. */
  votes: number;
  /** State root of the newest params. */
  root: string;
}

/** A log for people. */
export interface View extends Log {
  readonly tally: Readonly<Tally>;
}

/** Digits of a hash that people are shown. */
const HASH_DIGITS = 12;

/** Does something with an event's fields. */
type Handler = (fields: Fields) => void;

/** An event's fields, by their types. */
interface Fields {
  number(name: string): number;
  text(name: string): string;
  length(name: string): number;
  raw(name: string): JsonField | undefined;
}

function fieldsOf(fields: LogFields): Fields {
  return {
    number: (name) => {
      const value = fields[name];
      return typeof value === "number" ? value : Number.NaN;
    },
    text: (name) => textIn(fields, name) ?? "",
    length: (name) => lengthIn(fields, name),
    raw: (name) => fields[name],
  };
}

function viewOf(tally: Tally, handlers: Readonly<Record<string, Handler>>): View {
  const byKind = new Map(Object.entries(handlers));
  return { tally, event: (kind, fields = {}) => byKind.get(kind)?.(fieldsOf(fields)) };
}

/** What all roles have to say. */
function common({ terminal, liveFrom }: ViewOptions, tally: Tally): Record<string, Handler> {
  const note =
    (words: (fields: Fields) => string): Handler =>
    (fields) =>
      terminal.note(words(fields));
  const said = new Set<string>(); // what is tried again in every block is told once, until something moves
  const noteOnce =
    (words: (fields: Fields) => string): Handler =>
    (fields) => {
      const text = words(fields);
      if (!said.has(text)) terminal.note(text);
      said.add(text);
    };
  const begun = { saved: "where this node stopped", checkpoint: "a checkpoint", genesis: "the first params" };
  return {
    start: (fields) => {
      const from = new Map(Object.entries(begun)).get(fields.text("from")) ?? fields.text("from");
      tally.root = fields.text("root");
      terminal.line(`from    ${from}: round ${fields.number("round")}, state root ${tally.root.slice(0, HASH_DIGITS)}`);
    },
    applied: (fields) => {
      said.clear();
      tally.root = fields.text("root");
      tally.rounds += 1;
      const round = fields.number("round");
      if (round < liveFrom) terminal.status(`catching up: round ${count(round)} of ${count(liveFrom)}`);
    },
    "checkpoint-fetch": (fields) => {
      const [done, all] = [fields.number("done"), fields.number("all")];
      terminal.status(`${bar(done / all)} checkpoint of round ${fields.number("round")}: ${done} of ${all} pieces`);
    },
    "checkpoint-fault": note((f) => `passed over a checkpoint of round ${f.number("round")}: ${f.text("fault")}`),
    resync: note((f) => `starting over at round ${f.number("round")}: ${f.text("why")}`),
    missing: noteOnce((f) => `round ${f.number("round")}: waiting for the payload of uid ${f.number("uid")}`),
    "bad-mirror": noteOnce(
      (f) => `no blob ${f.text("hash").slice(0, HASH_DIGITS)} from ${f.text("mirror")}: ${f.text("why")}`,
    ),
    unusable: note(
      (f) => `round ${f.number("round")}: the payload of uid ${f.number("uid")} is unusable: ${f.text("fault")}`,
    ),
    "store-trouble": noteOnce((f) => `trouble with the ${f.text("what")}: ${f.text("why")}`),
  };
}

/** What a trainer knows of a payload of its own. */
interface Sent {
  readonly loss: number;
  readonly bytes: number;
  readonly trainMs: number;
  /** Share of the time between two commits that was spent on training. */
  utilization?: number;
}

/** A trainer's view. */
export function trainerView(options: ViewOptions): View {
  const { terminal, record, liveFrom, block, clock = systemClock } = options;
  const tally: Tally = { rounds: 0, payloads: 0, applied: 0, votes: 0, root: "" };
  const sent = new Map<number, Sent | undefined>(); // of a payload from before a restart only the round is known
  let lastCommitMs: number | undefined;
  let peers = "";
  const shared = common(options, tally);
  return viewOf(tally, {
    ...shared,
    step: (fields) => {
      const [round, step, steps] = [fields.number("round"), fields.number("step"), fields.number("steps")];
      const left = roundStart(record, round, "reveal") - block();
      terminal.status(
        `round ${round}  ${bar(step / steps)}  step ${step}/${steps}  loss ${fields.number("loss").toFixed(3)}  ${blocksWord(left)} left`,
      );
    },
    payload: (fields) => {
      const [loss, size, trainMs] = [fields.number("loss"), fields.number("bytes"), fields.number("trainMs")];
      sent.set(fields.number("round"), { loss, bytes: size, trainMs });
    },
    commit: (fields) => {
      const round = fields.number("round");
      tally.payloads += 1;
      const nowMs = clock.monotonic();
      const mine = sent.get(round);
      if (mine && lastCommitMs !== undefined) mine.utilization = Math.min(1, mine.trainMs / (nowMs - lastCommitMs));
      lastCommitMs = nowMs;
      terminal.status(`round ${round}  committed, ${blocksWord(fields.number("blocksLeft"))} before the deadline`);
    },
    reveal: (fields) => terminal.status(`round ${fields.number("round")}  revealed, waiting for the votes`),
    applied: (fields) => {
      shared["applied"]?.(fields);
      const round = fields.number("round");
      peers = `${fields.length("uids")} of ${fields.length("accepted")} peers`;
      if (fields.length("uids") === 0) peers = "no payload applied";
      if (round >= liveFrom && !sent.has(round)) terminal.line(`${roundWord(round)}  took no part  (${peers})`);
    },
    outcome: (fields) => {
      const round = fields.number("round");
      const applied = fields.raw("applied") === true;
      if (applied) tally.applied += 1;
      const mine = sent.get(round);
      sent.delete(round);
      const what = `${roundWord(round)}  ${applied ? "applied" : "not applied"} (${peers})`;
      terminal.line(mine === undefined ? what : `${what}  ${wordsOf(mine)}`);
    },
    late: (fields) => {
      const round = fields.number("round");
      const step = fields.number("step");
      const how = Number.isNaN(step)
        ? fields.text("why")
        : `after step ${step} of ${fields.number("steps")}; the next one will have fewer sequences`;
      terminal.note(`${roundWord(round)}  too late: ${how}`);
    },
    "reveal-failed": (fields) =>
      terminal.note(`${roundWord(fields.number("round"))}  the payload could not be uploaded: ${fields.text("why")}`),
    answer: (fields) => terminal.status(`round ${fields.number("round")}  showed the part that was asked for`),
    "answer-failed": (fields) => terminal.note(`what a challenge asks for could not be shown: ${fields.text("why")}`),
    "answer-again": (fields) =>
      terminal.status(`round ${fields.number("round")}  told again what was asked for: the store had lost it`),
    "bad-answer": () => terminal.note("an answer that was still to be sent was damaged, and is dropped"),
    challenged: (fields) => terminal.status(`round ${fields.number("round")}  is asked to show a part of the work`),
    again: (fields) =>
      terminal.status(`round ${fields.number("round")}  works again for what is asked for from before the restart`),
    unanswered: (fields) =>
      terminal.note(`${roundWord(fields.number("round"))}  cannot show what was asked for: ${fields.text("why")}`),
    resume: (fields) => {
      sent.set(fields.number("round"), undefined);
      terminal.note(`${roundWord(fields.number("round"))}  sending what was made before the restart`);
    },
  });
}

function wordsOf({ loss, bytes: size, utilization }: Sent): string {
  const share = utilization === undefined ? "" : `  utilization ${Math.round(100 * utilization)} %`;
  return `loss ${loss.toFixed(3)}  ${bytes(size)}${share}`;
}

/** A validator's view. */
export function validatorView(options: ViewOptions): View {
  const { terminal } = options;
  const tally: Tally = { rounds: 0, payloads: 0, applied: 0, votes: 0, root: "" };
  const shared = common(options, tally);
  let voted = "did not vote";
  return viewOf(tally, {
    ...shared,
    received: (fields) => {
      const fault = fields.text("fault");
      const round = fields.number("round");
      if (fault !== "")
        terminal.note(`${roundWord(round)}  the payload of uid ${fields.number("uid")} is unusable: ${fault}`);
      else terminal.status(`round ${round}  payload of uid ${fields.number("uid")}: ${bytes(fields.number("bytes"))}`);
    },
    judged: (fields) => {
      const gain = fields.number("gainUnassigned").toFixed(4);
      terminal.status(`round ${fields.number("round")}  judged uid ${fields.number("uid")}: gain ${gain}`);
    },
    copy: (fields) =>
      terminal.note(`${roundWord(fields.number("round"))}  the payload of uid ${fields.number("uid")} repeats another`),
    audited: (fields) => {
      const [verdict, reason] = [fields.text("verdict"), fields.text("reason")];
      const why = reason === "" ? "" : `: ${reason}`;
      terminal.line(`${roundWord(fields.number("round"))}  the work of uid ${fields.number("uid")}: ${verdict}${why}`);
    },
    unaudited: (fields) => {
      const [round, uid] = [fields.number("round"), fields.number("uid")];
      terminal.note(`${roundWord(round)}  the work of uid ${uid} was not audited: ${fields.text("why")}`);
    },
    "replay-failed": (fields) => {
      const [round, uid] = [fields.number("round"), fields.number("uid")];
      terminal.note(`${roundWord(round)}  the work of uid ${uid} cannot be replayed here: ${fields.text("why")}`);
    },
    "check-failed": (fields) => {
      const [round, uid] = [fields.number("round"), fields.number("uid")];
      terminal.note(`${roundWord(round)}  the data of uid ${uid} cannot be checked here: ${fields.text("why")}`);
    },
    "judging-failed": (fields) => terminal.note(`judging does not work: ${fields.text("why")}`),
    late: (fields) => terminal.note(`${roundWord(fields.number("round"))}  too late to vote`),
    vote: (fields) => {
      tally.votes += 1;
      tally.root = fields.text("root");
      const [found, missing] = [fields.length("uids"), fields.length("missing")];
      voted = `voted for ${found} of ${found + missing}`;
      terminal.status(`round ${fields.number("round")}  ${voted}; judging`);
    },
    "vote-refused": (fields) => {
      voted = "did not vote";
      terminal.note(`${roundWord(fields.number("round"))}  the chain did not take the vote: ${fields.text("why")}`);
    },
    validation: (fields) => {
      const loss = fields.number("loss").toFixed(3);
      terminal.line(
        `${roundWord(fields.number("round"))}  ${voted}  validation ${loss}  (judged ${fields.number("judged")})`,
      );
      voted = "did not vote";
    },
    checkpoint: (fields) => {
      const [round, size] = [fields.number("round"), fields.number("newBytes")];
      terminal.line(
        `${roundWord(round)}  published a checkpoint of the params before it: ${bytes(size)} that were new`,
      );
    },
    "weights-refused": (fields) =>
      terminal.note(`the chain did not take the ${fields.text("what")}: ${fields.text("why")}`),
    "keeper-failed": (fields) => terminal.note(`epochs and weights: ${fields.text("why")}`),
  });
}

function roundWord(round: number): string {
  return `round ${String(round).padEnd(4)}`;
}

function blocksWord(blocks: number): string {
  const left = Math.max(0, blocks);
  return `${count(left)} ${left === 1 ? "block" : "blocks"}`;
}
