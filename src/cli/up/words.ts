/** What events mean, in a few words: what a node does now, what became of its round, and what is worth telling to whoever watches. */

import { lengthIn, numberIn, textIn } from "../../base/log/log.ts";
import { bytes, duration, figures } from "../shared/terminal.ts";
import type { Told } from "./events.ts";

/** How well something went: for colour. */
export type Tone = "plain" | "good" | "warn" | "bad" | "dim";

/** Words with a tone. */
export interface Remark {
  readonly text: string;
  readonly tone: Tone;
}

/** What of the board is needed to understand an event. */
export interface Background {
  /** Whether the node takes part in rounds. */
  readonly inRounds: boolean;
  /** Payloads that it has received in the round. */
  readonly received: number;
  /** Whether the newest round that is over changed nothing. */
  readonly nullRound: boolean;
  /** What was wrong with the node by the report before. */
  readonly trouble: string | undefined;
}

/** What an event means; what it says nothing about is absent. */
export interface Words {
  readonly now?: Remark;
  readonly outcome?: Remark;
  readonly news?: Remark;
}

const plain = (text: string): Remark => ({ text, tone: "plain" });
const good = (text: string): Remark => ({ text, tone: "good" });
const warn = (text: string): Remark => ({ text, tone: "warn" });
const bad = (text: string): Remark => ({ text, tone: "bad" });
const dim = (text: string): Remark => ({ text, tone: "dim" });

/** How a hash is shown where there is little room. */
export function shortHash(hash: string): string {
  return hash.slice(0, 12);
}

/** The meaning of an event. */
export function wordsOf({ node, kind, fields }: Told, background: Background): Words {
  const meaning = Object.hasOwn(MEANINGS, kind) ? MEANINGS[kind] : undefined;
  return meaning?.({ node, fields, round: numberIn(fields, "round") ?? 0, ...background }) ?? {};
}

interface Case extends Background {
  readonly node: string;
  readonly fields: Told["fields"];
  readonly round: number;
}

type Meaning = (given: Case) => Words;

const MEANINGS: Readonly<Record<string, Meaning>> = {
  process: processWords,
  ready: ({ inRounds }) => ({ now: dim(inRounds ? "waits for a round" : "up") }),
  stopping: () => ({ now: dim("stops") }),
  funded: () => ({ now: plain("was given coins") }),
  "faucet-refused": ({ node, fields }) => ({
    news: warn(`${node} got nothing from the faucet: ${textIn(fields, "why") ?? ""}`),
  }),
  "needs-coins": () => ({ now: warn("waits for coins") }),
  staked: () => ({ now: plain("staked its coins") }),
  away: ({ node, fields }) => ({
    now: warn("chain or gateway away"),
    news: warn(`${node} tries again: ${textIn(fields, "why") ?? ""}`),
  }),
  registered: ({ fields }) => ({ now: plain(`has uid ${numberIn(fields, "uid") ?? "?"}`) }),
  start: ({ node, fields, round }) => {
    const from =
      { saved: "what it saved", checkpoint: "a checkpoint" }[textIn(fields, "from") ?? ""] ?? "the first params";
    const root = shortHash(textIn(fields, "root") ?? "");
    const news = round > 0 ? { news: dim(`${node} goes on with round ${round} from ${from}, state root ${root}`) } : {};
    return { now: plain(`starts from round ${round}`), ...news };
  },
  "checkpoint-fetch": ({ fields }) => {
    const [done = 0, all = 0] = [numberIn(fields, "done"), numberIn(fields, "all")];
    return { now: plain(`takes a checkpoint ${done}/${all}`) };
  },
  step: ({ fields }) => {
    const loss = numberIn(fields, "loss");
    const steps = numberIn(fields, "steps") ?? 0;
    const step = String(numberIn(fields, "step") ?? 0).padStart(String(steps).length);
    return {
      now: plain(`step ${step}/${steps}  ${loss === undefined ? "loss not finite" : `loss ${loss.toFixed(3)}`}`),
    };
  },
  payload: () => ({ now: plain("compressed its work") }),
  commit: () => ({ now: plain("committed its payload") }),
  reveal: () => ({ now: plain("revealed its payload") }),
  "reveal-failed": ({ node, fields }) => ({ news: bad(`${node} could not reveal: ${textIn(fields, "why") ?? ""}`) }),
  late: ({ node, round }) => ({
    now: dim("waits for a round"),
    outcome: warn("too late"),
    news: warn(`${node} came too late in round ${round}`),
  }),
  outcome: ({ fields, nullRound }) => {
    if (fields["applied"] === true) return { outcome: good("applied") };
    return { outcome: warn(nullRound ? "null round" : "not applied") };
  },
  missing: ({ node, fields, round }) => {
    const uid = numberIn(fields, "uid") ?? "?";
    return {
      now: warn(`misses uid ${uid}'s payload`),
      news: warn(`${node} waits for the payload of uid ${uid} in round ${round}`),
    };
  },
  received: ({ fields, received: count, round }) => {
    const fault = textIn(fields, "fault");
    const news = {
      news: warn(`uid ${numberIn(fields, "uid") ?? "?"} sent a bad payload in round ${round}: ${fault}`),
    };
    return {
      now: plain(`received ${count} ${count === 1 ? "payload" : "payloads"}`),
      ...(fault === undefined ? {} : news),
    };
  },
  vote: ({ fields, received }) => {
    const [backed, bad] = [lengthIn(fields, "uids"), lengthIn(fields, "missing")];
    const all = Math.max(backed + bad, received);
    const outcome = `backed ${backed}/${all}`;
    return { now: plain("voted"), outcome: backed < all ? warn(outcome) : good(outcome) };
  },
  "vote-refused": ({ node, fields, round }) => ({
    outcome: warn("vote refused"),
    news: warn(`${node}'s vote on round ${round} was refused: ${textIn(fields, "why") ?? ""}`),
  }),
  challenged: ({ round }) => ({ now: plain(`was asked to show its work of round ${round}`) }),
  again: ({ round }) => ({ now: plain(`works again to show its round ${round}`) }),
  answer: ({ round }) => ({ now: plain(`has shown its work of round ${round}`) }),
  "answer-again": ({ round }) => ({ now: plain(`has shown its work of round ${round} again`) }),
  "bad-answer": ({ node }) => ({ news: warn(`${node} lost an answer: it was damaged on its disk`) }),
  "answer-failed": ({ node, fields }) => ({
    news: warn(`${node} could not show its work: ${textIn(fields, "why") ?? ""}`),
  }),
  unanswered: ({ node, fields, round }) => ({
    news: warn(`${node} cannot show its work of round ${round}: ${textIn(fields, "why") ?? ""}`),
  }),
  judged: ({ fields }) => ({ now: plain(`judged uid ${numberIn(fields, "uid") ?? "?"}`) }),
  "judging-failed": ({ node, fields }) => ({ news: bad(`${node} cannot judge: ${textIn(fields, "why") ?? ""}`) }),
  audited: auditWords,
  unaudited: ({ fields, round }) => ({
    news: warn(`${workOf(fields, round)} was not audited: ${textIn(fields, "why") ?? ""}`),
  }),
  "replay-failed": ({ node, fields, round }) => ({
    news: warn(`${node} cannot replay ${workOf(fields, round)}: ${textIn(fields, "why") ?? ""}`),
  }),
  "check-failed": ({ node, fields, round }) => {
    const uid = numberIn(fields, "uid") ?? "?";
    return { news: warn(`${node} cannot check uid ${uid}'s data of round ${round}: ${textIn(fields, "why") ?? ""}`) };
  },
  validation: ({ fields }) => ({ now: plain(`judged ${numberIn(fields, "judged") ?? 0} payloads`) }),
  checkpoint: ({ fields, round }) => {
    const newBytes = numberIn(fields, "newBytes") ?? 0;
    return newBytes === 0
      ? {}
      : { news: dim(`checkpoint before round ${round} published, ${bytes(newBytes)} of it new`) };
  },
  "checkpoint-fault": ({ node, fields, round }) => ({
    news: warn(`${node} passed over a checkpoint of round ${round}: ${textIn(fields, "fault") ?? ""}`),
  }),
  "bad-mirror": ({ node, fields }) => {
    const [hash, mirror = "", why = ""] = ["hash", "mirror", "why"].map((name) => textIn(fields, name));
    return { news: warn(`no blob ${shortHash(hash ?? "")} from ${mirror.replace("this node", node)}: ${why}`) };
  },
  unusable: ({ fields, round }) => {
    const uid = numberIn(fields, "uid") ?? "?";
    return { news: warn(`uid ${uid}'s payload of round ${round} is unusable: ${textIn(fields, "fault") ?? ""}`) };
  },
  resume: ({ round }) => ({ now: plain(`goes on with its payload of round ${round}`) }),
  resync: ({ node, fields }) => ({
    now: warn("starts over"),
    news: warn(`${node} starts over: ${textIn(fields, "why") ?? ""}`),
  }),
  "store-trouble": ({ node, fields }) => ({
    news: warn(`${node} has trouble with its ${textIn(fields, "what") ?? "store"}: ${textIn(fields, "why") ?? ""}`),
  }),
  "weights-refused": ({ node, fields }) => ({
    news: warn(`${node}'s weights were refused: ${textIn(fields, "why") ?? ""}`),
  }),
  "keeper-failed": ({ node, fields }) => ({ news: bad(`${node}: ${textIn(fields, "why") ?? ""}`) }),
  paid: ({ fields }) => {
    const [epoch = 0, coins = 0] = [numberIn(fields, "epoch"), numberIn(fields, "coins")];
    return { news: dim(`epoch ${epoch} paid ${figures(coins)} coins`) };
  },
  standing: ({ node, fields, round, trouble: before }) => {
    const trouble = textIn(fields, "trouble");
    if (trouble === undefined || kindOf(trouble) === kindOf(before)) return {};
    const weight = (numberIn(fields, "weight") ?? 0).toFixed(2);
    return { news: warn(`${node} in round ${round}: ${trouble}; its weight is ${weight}`) };
  },
  note: ({ fields }) => ({ news: plain(textIn(fields, "text") ?? "") }),
};

function workOf(fields: Told["fields"], round: number): string {
  return `the work of uid ${numberIn(fields, "uid") ?? "?"} in round ${round}`;
}

function auditWords({ fields, round }: Case): Words {
  const [verdict, reason] = [textIn(fields, "verdict") ?? "", textIn(fields, "reason")];
  const what = workOf(fields, round);
  switch (verdict) {
    case "passed":
      return { news: dim(`${what} was replayed, and is what it says`) };
    case "refuted":
      return { news: bad(`${what} was replayed, and is not what it says: ${reason ?? ""}`) };
    default:
      return { news: warn(`${what} was to be shown, and was not`) };
  }
}

/** The words of a trouble without numbers and particulars: the same again is no news. */
function kindOf(trouble: string | undefined): string | undefined {
  return trouble?.replace(/:.*|\d+(\.\d+)?/g, "");
}

function processWords({ node, fields }: Case): Words {
  const why = textIn(fields, "why") ?? "";
  switch (textIn(fields, "state")) {
    case "started":
      return { now: dim("starts") };
    case "down": {
      const pause = duration(numberIn(fields, "restartMs") ?? 0);
      return { now: bad(`gone; again in ${pause}`), news: bad(`${node} ended: ${why}; starts again in ${pause}`) };
    }
    case "given up":
      return { now: bad("given up"), news: bad(`${node} cannot work: ${why}`) };
    default:
      return { now: dim("ended") };
  }
}
