/** A simulated plan for people: what was simulated, what it came to, who earned what, how arithmetic compares; and a sweep as a table. */
import { blocksOf } from "../../run/rules.ts";
import { bytes, duration, figures, short, table } from "../shared/terminal.ts";
import { LAW_PARAMS } from "./law.ts";
import type { NodeOutcome, Outcome } from "./measure.ts";
import type { Plan } from "./plan.ts";
import { type Ideal, ideal, playedUtilization } from "./schedule.ts";

/** Nodes of one kind that are shown one by one; of more, the mean. */
const SHOWN_MAX = 8;

/** "72.7 %". */
export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

/** A loss, or that there is none. */
export function lossText(loss: number | null): string {
  return loss === null ? "–" : loss.toFixed(3);
}

/** What papers' arithmetic says of the plan. */
export function idealOf(plan: Plan): Ideal {
  const { computeS, payloadBytes, peers, outer, line } = plan;
  return ideal({ computeS, payloadBytes, applied: Math.min(peers, outer.cap), line, delay: outer.delay });
}

/** What is simulated, a line a fact: name and words. */
export function planFacts(plan: Plan): [string, string][] {
  const { name, params, rounds, inner, phases, blockS, line, peers, validators, roundTokens, speed, outer, uids } =
    plan;
  const { trainBlocks, revealBlocks, voteBlocks } = phases;
  const roundS = blocksOf({ timing: phases }) * blockS;
  const ratio = figures((4 * params) / plan.payloadBytes);
  return [
    [
      "plan",
      `${name}: ${short(params)} params, ${short(rounds)} rounds of ${inner.steps} steps with ${inner.batch} × ${inner.seqLen} tokens`,
    ],
    ["peers", `${peers} trainers with ${short(speed)} tokens/s each, ${validators} validators`],
    ...(peers + validators > uids
      ? [["", `more than its ${uids} uids: the run as it is has no room for them`] as [string, string]]
      : []),
    ["line", `${figures(line.upMbps)} Mb/s up, ${figures(line.downMbps)} down, ${figures(line.latencyMs)} ms`],
    [
      "payload",
      `${bytes(plan.payloadBytes)}, ${ratio}× smaller than the model; at most ${Math.min(peers, outer.cap)} a round applied`,
    ],
    [
      "round",
      `${duration(1000 * roundS)}: ${trainBlocks} blocks to train, ${revealBlocks} to reveal, ${voteBlocks} to vote, of ${figures(blockS)} s each`,
    ],
    [
      "",
      `${short(roundTokens)} tokens a peer, which take ${duration(1000 * plan.computeS)}${outer.delay === 1 ? "; applied a round later" : ""}`,
    ],
  ];
}

/** What came out, a line a fact; a fact without a name goes with the one before. */
export function outcomeFacts(plan: Plan, outcome: Outcome): [string, string][] {
  const { rounds, utilization, nullRounds, judged, applyS, roundTokens, secondsToEnd } = outcome;
  const losses = rounds.map(({ toyLoss }) => toyLoss).filter((loss) => loss !== null);
  const all = `${short(plan.rounds)} rounds`;
  return [
    ["utilization", `${percent(utilization)} of a trainer's time`],
    ["", `${percent(playedUtilization(plan, plan.phases))} if it trained fully in these phases`],
    ["", `${percent(idealOf(plan).utilization)} by arithmetic, without blocks and votes`],
    ["tokens", `${short(roundTokens)} a round in applied payloads`],
    ["", `${short(roundTokens * plan.rounds)} in all ${all}, which take ${duration(1000 * secondsToEnd)}`],
    ...lawFacts(plan, outcome),
    [
      "loss of toy",
      `${lossText(losses[0] ?? null)} → ${lossText(losses.at(-1) ?? null)}: it stands in the model's place and only shows that it learns`,
    ],
    ["null rounds", `${nullRounds} of ${rounds.length}`],
    ["judged in time", `${percent(judged)} of the payloads that came; who is not judged is paid late`],
    ["commit → apply", applyS === null ? "–" : duration(1000 * applyS)],
  ];
}

/** What the law promises, and of whom it knows. */
function lawFacts(plan: Plan, { rounds, lossNow, lossAtEnd }: Outcome): [string, string][] {
  if (plan.params < LAW_PARAMS.min)
    return [["loss by law", `none is known for fewer than ${short(LAW_PARAMS.min)} params`]];
  const caution = plan.params > LAW_PARAMS.max ? "; fitted to smaller models" : "";
  return [
    [
      "loss by law",
      `${lossText(lossNow)} after ${rounds.length} rounds, ${lossText(lossAtEnd)} after ${short(plan.rounds)} rounds`,
    ],
    ["", `(Hoffmann et al. 2022${caution}: no measurement)`],
  ];
}

const HEAD = ["node", "payloads", "applied", "trains", "pay", "of an honest peer's", "up a round", "down a round"];

/** One row of a node's numbers. */
function nodeRow(label: string, node: Omit<NodeOutcome, "name" | "role" | "attack">, isTrainer: boolean): string[] {
  const { payloads, applied, utilization, paidShare, paidOfHonest, upBytes, downBytes } = node;
  return [
    label,
    ...(isTrainer ? [figures(payloads), figures(applied)] : ["", ""]),
    percent(utilization),
    ...(isTrainer ? [percent(paidShare), paidOfHonest === null ? "–" : `${paidOfHonest.toFixed(2)}×`] : ["", ""]),
    bytes(Math.round(upBytes)),
    bytes(Math.round(downBytes)),
  ];
}

const rankOf = (kind: string): number => (kind === "trainer" ? 0 : kind === "validator" ? 2 : 1);

/** Trainers, attackers and validators in rows: one by one where they are few. */
export function nodeRows(nodes: readonly NodeOutcome[]): string[][] {
  const kinds = [...new Set(nodes.map(({ role, attack }) => attack ?? role))];
  const groups = kinds
    .sort((a, b) => rankOf(a) - rankOf(b))
    .map((kind) => ({
      kind,
      members: nodes.filter(({ role, attack }) => (attack ?? role) === kind),
    }));
  const rows = groups.flatMap(({ kind, members }) => {
    const isTrainer = members[0]?.role === "trainer";
    const label = (name: string): string => (kind === "trainer" || kind === "validator" ? name : `${name} (${kind})`);
    if (members.length <= SHOWN_MAX) return members.map((each) => nodeRow(label(each.name), each, isTrainer));
    return [nodeRow(`${members.length} × ${kind}, mean`, meanOf(members), isTrainer)];
  });
  return [HEAD, ...rows];
}

function meanOf(members: readonly NodeOutcome[]): Omit<NodeOutcome, "name" | "role" | "attack"> {
  const over = (value: (node: NodeOutcome) => number): number =>
    members.reduce((sum, each) => sum + value(each), 0) / members.length;
  const known = members.filter(({ paidOfHonest }) => paidOfHonest !== null);
  return {
    payloads: over((each) => each.payloads),
    applied: over((each) => each.applied),
    paidShare: over((each) => each.paidShare),
    paidOfHonest: known.length === 0 ? null : over((each) => each.paidOfHonest ?? 0),
    upBytes: over((each) => each.upBytes),
    downBytes: over((each) => each.downBytes),
    utilization: over((each) => each.utilization),
  };
}

/** Everything about one plan. */
export function outcomeLines(plan: Plan, outcome: Outcome): string[] {
  return [
    ...table(planFacts(plan)),
    "",
    ...table(outcomeFacts(plan, outcome)),
    "",
    ...table(nodeRows(outcome.nodes), [1, 2, 3, 4, 5, 6, 7]),
  ];
}

/** One value of a sweep, and what came of it. */
export interface Swept {
  readonly value: string;
  readonly plan: Plan;
  readonly outcome: Outcome;
}

/** Attackers' largest pay, in honest ones'; null where there are none. */
function worstOf({ nodes }: Outcome): number | null {
  const pays = nodes.filter(({ attack }) => attack !== null).map(({ paidOfHonest }) => paidOfHonest ?? 0);
  return pays.length === 0 ? null : Math.max(...pays);
}

/** A sweep, a row a value, under a heading. */
export function sweepRows(name: string, swept: readonly Swept[]): string[][] {
  const attacked = swept.some(({ outcome }) => worstOf(outcome) !== null);
  const head = [
    name,
    "round",
    "utilization",
    "in phases",
    "arithmetic",
    "tokens a round",
    "loss at end",
    "null",
    "up",
    "down",
  ];
  const rows = swept.map(({ value, plan, outcome }) => {
    const trainers = outcome.nodes.filter(({ role, attack }) => role === "trainer" && attack === null);
    const bytesOf = (of: "upBytes" | "downBytes"): string => bytes(Math.round(meanOf(trainers)[of]));
    return [
      ...[value, duration(1000 * outcome.roundS), percent(outcome.utilization)],
      ...[percent(playedUtilization(plan, plan.phases)), percent(idealOf(plan).utilization)],
      ...[short(outcome.roundTokens), lossText(outcome.lossAtEnd), String(outcome.nullRounds)],
      ...[bytesOf("upBytes"), bytesOf("downBytes")],
      ...(attacked ? [`${(worstOf(outcome) ?? 0).toFixed(2)}×`] : []),
    ];
  });
  return [[...head, ...(attacked ? ["best attacker"] : [])], ...rows];
}
