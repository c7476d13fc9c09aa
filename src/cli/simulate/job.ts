/**
 * From a plan to a simulation of it. What is simulated is the protocol: the production roles, the codec, the chain, scores and pay. In the model's place
 * stands a toy, and what takes time or lines is charged as if it were the plan's: a token of the toy takes as long as its share of a planned round does, a
 * byte of its payloads counts as many as a planned payload is larger.
 *
 * What is not in proportion: checkpoints, which are left out, and answers to audits, which count for too few bytes where a plan has audits.
 */
import { SkeinError } from "../../base/errors.ts";
import { RUN_UIDS_MAX } from "../../base/limits.ts";
import { seededRandom } from "../../base/random.ts";
import { encodeBody } from "../../codec/body.ts";
import { compressor } from "../../codec/feedback.ts";
import type { Engine } from "../../engine/engine.ts";
import { openReference } from "../../engine/reference/reference.ts";
import { paramLayout } from "../../engine/shape.ts";
import { PAYLOAD_HEADER_BYTES, PAYLOAD_SIGNATURE_BYTES } from "../../round/payload.ts";
import { bodyLayoutOf, peerTokensOf } from "../../run/rules.ts";
import type { RunSpec } from "../../run/spec.ts";
import type { SimulationOptions } from "../../sim/simulation.ts";
import { openLinear } from "../../sim/world/linear.ts";
import { linearDataset, linearSpec, smallDataset, smallSpec } from "../../sim/world/toys.ts";
import { CALM } from "../../sim/world/weather.ts";
import type { Attackers } from "./flags.ts";
import { FORWARD_SHARE, judgedTokens, type Plan } from "./plan.ts";

/** What stands in the planned model's place. */
export const MODELS = ["linear", "small"] as const;

/** Its name. */
export type ModelName = (typeof MODELS)[number];

/** What is asked beside the plan. */
export interface Question {
  readonly seed: string;
  readonly rounds: number;
  readonly attackers: readonly Attackers[];
  readonly model: ModelName;
}

/** How the linear toy's round looks: a batch of many sequences, so that slower machines can take smaller ones. */
const LINEAR_INNER = { steps: 4, batch: 16 } as const;
/** The small model is real, and slow. */
const SMALL_INNER = { steps: 4, batch: 4 } as const;
/** Text for the small model: enough for 256 uids. */
const SMALL_TOKENS = 2 ** 17;
/** Uids of the smallest network. */
export const UIDS_MIN = 4;
/** Share of the least latency by which a message may take longer. */
const JITTER_SHARE = 0.5;

/** Everybody in a network. */
export function membersOf(
  { peers, validators }: Pick<Plan, "peers" | "validators">,
  attackers: readonly Attackers[],
): number {
  return peers + validators + attackers.reduce((sum, each) => sum + each.count, 0);
}

/** What opens an engine for the toy of a run. */
export function engineFor(model: ModelName, spec: RunSpec): () => Promise<Engine> {
  const options = { shape: spec.model, seqLen: spec.inner.seqLen, microBatch: spec.inner.batch };
  return () => (model === "linear" ? openLinear(options) : openReference(options));
}

/** The toy's run: the plan's phases, exchange and judges, its own model and steps. */
export function toySpec(plan: Plan, { seed, rounds, attackers, model }: Question): RunSpec {
  const { phases, outer, score, audit } = plan;
  const members = membersOf(plan, attackers);
  if (members > RUN_UIDS_MAX) {
    throw new SkeinError("usage", `a network has at most ${RUN_UIDS_MAX} uids, not ${members}`, {
      remedy: "name fewer: --peers, --validators, --adversary",
    });
  }
  const uids = Math.max(UIDS_MIN, members);
  const cap = Math.min(outer.cap, uids);
  const inner = model === "linear" ? LINEAR_INNER : SMALL_INNER;
  const run = {
    ...{ rounds, uids, seed, timing: phases, inner },
    checkpointEvery: rounds + 1,
    outer: { ...outer, cap, newcomerSlots: Math.min(outer.newcomerSlots, cap) },
    score: { peers: Math.min(score.peers, uids) },
    audit: { ...audit, spans: Math.min(audit.spans, inner.steps) },
  };
  return model === "linear"
    ? linearSpec({ ...run, dataset: linearDataset() })
    : smallSpec({ ...run, dataset: smallDataset(1, SMALL_TOKENS) });
}

/**
 * Bytes of a payload of the toy, measured on noise: the estimate for plans is made for payloads of few values in many, which a toy's are not.
 */
export function toyPayloadBytes(spec: RunSpec): number {
  const random = seededRandom("toy payload");
  const { compress } = compressor(spec.codec);
  const tensors = paramLayout(spec.model).map(({ dims, length }) => {
    const noise = (): number => random.uniform() + random.uniform() + random.uniform() - 1.5;
    return compress(dims, Float32Array.from({ length }, noise), new Float32Array(length));
  });
  return PAYLOAD_HEADER_BYTES + encodeBody(tensors, bodyLayoutOf(spec)).length + PAYLOAD_SIGNATURE_BYTES;
}

/** The simulation of a plan. */
export function jobOf(plan: Plan, question: Question): SimulationOptions {
  const spec = toySpec(plan, question);
  const { line, peers, validators } = plan;
  const trainMs = (1000 * plan.computeS) / peerTokensOf(spec);
  const judgeMs = (1000 * plan.judgeS) / (FORWARD_SHARE * judgedTokens(spec, peers));
  const weather = {
    ...CALM,
    line: {
      ...CALM.line,
      latencyMs: line.latencyMs,
      jitterMs: JITTER_SHARE * line.latencyMs,
      upBps: line.upMbps * 1e6,
      downBps: line.downMbps * 1e6,
    },
  };
  return {
    ...{ seed: question.seed, spec, trainers: peers, validators, attackers: question.attackers, weather },
    dataset: question.model === "linear" ? linearDataset() : smallDataset(1, SMALL_TOKENS),
    openEngine: engineFor(question.model, spec),
    blockSeconds: plan.blockS,
    msPerToken: (name) => (name.startsWith("v") ? judgeMs : trainMs),
    scale: plan.payloadBytes / toyPayloadBytes(spec),
    late: 0,
  };
}
