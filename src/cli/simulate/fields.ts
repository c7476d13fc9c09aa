/** A simulated plan for machines: the fields of its JSON lines. Seconds, bytes and shares are numbers; what is not known is null. */
import type { LogFields } from "../../base/log/log.ts";
import type { Outcome } from "./measure.ts";
import type { Plan } from "./plan.ts";
import { playedUtilization } from "./schedule.ts";
import { idealOf } from "./view.ts";

/** What was simulated. */
export function planFields(plan: Plan): LogFields {
  const { name, params, rounds, peers, validators, roundTokens, payloadBytes, line, speed, computeS, judgeS } = plan;
  const { blockS, phases, outer, inner } = plan;
  return {
    ...{ name, params, rounds, peers, validators, roundTokens, payloadBytes, speed, computeS, judgeS },
    ...{ blockS, ...phases, delay: outer.delay, cap: outer.cap, innerSteps: inner.steps, ...line },
    ratio: (4 * params) / payloadBytes,
  };
}

/** What came out, beside what arithmetic says. */
export function outcomeFields(plan: Plan, outcome: Outcome): LogFields {
  const { rounds, nodes, ...rest } = outcome;
  const { upS, downS, utilization } = idealOf(plan);
  return {
    ...rest,
    arithmetic: { upS, downS, utilization },
    phasesUtilization: playedUtilization(plan, plan.phases),
    rounds: rounds.map((round) => ({ ...round })),
    nodes: nodes.map((node) => ({ ...node })),
  };
}
