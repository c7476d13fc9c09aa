/** Run specs for tests: one that is small and fixed, any that is valid, and a manifest to make one from. */
import fc from "fast-check";
import { RUN_UIDS_MAX } from "../../src/base/limits.ts";
import type { CodecParams } from "../../src/codec/params.ts";
import type { Manifest } from "../../src/data/shards/manifest.ts";
import type { ModelShape } from "../../src/engine/shape.ts";
import type { Schedule } from "../../src/optim/schedule.ts";
import type { Aggregation } from "../../src/round/aggregation.ts";
import type { RunSpec } from "../../src/run/spec.ts";
import { TOY_SHAPE, toyDataset } from "./toy.ts";

/** A valid spec over the toy model, with round numbers and no meaning. */
export const TOY_SPEC: RunSpec = {
  protocol: 1,
  name: "toy",
  model: TOY_SHAPE,
  seed: "1",
  genesisRoot: "a".repeat(64),
  data: { manifest: "b".repeat(64), tokenizer: "c".repeat(64) },
  uids: 8,
  inner: {
    steps: 4,
    batch: 2,
    seqLen: 16,
    adamw: { beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.1, clipNorm: 1 },
    schedule: { kind: "cosine", lr: 0.008, warmupSteps: 3, steps: 30, floorLr: 0.0008, annealSteps: 0 },
    resetMoments: false,
  },
  codec: { chunkSide: 64, k: 64, bits: 2, beta: 0.95 },
  outer: { lr: 1, aggregation: { rule: "mean-all", clip: "median-norm" }, cap: 6, newcomerSlots: 2, delay: 1 },
  timing: { trainBlocks: 4, revealBlocks: 2, voteBlocks: 3 },
  checkpointEvery: 2,
  score: { sequences: 2, unassigned: 4, peers: 8, validationSequences: 8 },
  audit: { spans: 2, perMille: 100, tolerance: 0 },
};

/** The toy dataset's manifest, as if it had so many training tokens and such a vocabulary. */
export function manifestWith(trainTokens: number, vocabSize = 257): Manifest {
  const { manifest } = toyDataset();
  const { train, valid } = manifest.splits;
  return {
    ...manifest,
    tokenizer: { ...manifest.tokenizer, vocabSize },
    splits: { train: { ...train, tokens: trainTokens }, valid },
  };
}

const whole = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min, max });
/** −0 has no canonical form. */
const real = (min: number, max: number, open = false): fc.Arbitrary<number> =>
  fc.double({ min, max, noNaN: true, minExcluded: open }).map((x) => x + 0);
const hash = fc.string({ unit: fc.constantFrom(..."0123456789abcdef"), minLength: 64, maxLength: 64 });
const visible = (max: number): fc.Arbitrary<string> =>
  fc
    .string({ unit: fc.constantFrom(..."abcXYZ019 -_.\"\\'/é中ß😀{}:,"), minLength: 1, maxLength: max / 2 })
    .map((text) => text.trim() || "//");

const model: fc.Arbitrary<ModelShape> = fc
  .record({
    sizes: fc.record({ vocabSize: whole(1, 5000), dim: whole(1, 300), layers: whole(1, 4), ffnDim: whole(1, 500) }),
    kvHeads: whole(1, 4),
    group: whole(1, 4),
    half: whole(1, 40),
    rest: fc.record({ ropeTheta: real(2, 1e12), normEps: real(1e-12, 0.5), tied: fc.boolean() }),
  })
  .map(({ sizes, kvHeads, group, half, rest }) => ({
    ...{ ...sizes, ...rest, kvHeads },
    ...{ heads: kvHeads * group, headDim: 2 * half },
  }));

const schedule: fc.Arbitrary<Schedule> = fc
  .record({
    lr: real(0, 100, true),
    shares: fc.tuple(real(0, 1), real(0, 0.5), real(0, 0.5)),
    steps: whole(1, 1_000_000),
    cosine: fc.boolean(),
  })
  .map(({ lr, shares: [floor, warmup, anneal], steps, cosine }): Schedule => {
    const common = { lr, warmupSteps: Math.floor(warmup * steps), steps };
    if (!cosine) return { kind: "constant", ...common };
    return { kind: "cosine", ...common, floorLr: floor * lr, annealSteps: Math.floor(anneal * steps) };
  });

const codec: fc.Arbitrary<CodecParams> = fc
  .record({ log: whole(3, 8), share: real(0, 1), bits: fc.constantFrom(1 as const, 2 as const), beta: real(0, 1) })
  .map(({ log, share, bits, beta }) => ({
    ...{ chunkSide: 2 ** log, k: 1 + Math.floor(share * (4 ** log - 1)) },
    ...{ bits, beta },
  }));

const clip = fc.constantFrom("none" as const, "median-norm" as const);
const aggregation: fc.Arbitrary<Aggregation> = fc.oneof(
  fc.record({ rule: fc.constantFrom("mean-all" as const, "mean-senders" as const), clip }),
  fc.record({ rule: fc.constant("trimmed-mean" as const), clip, trimPercent: whole(0, 49) }),
);

/** Any valid spec of a model that is not too large, with steps and batches of any size that fits. */
export const anySpec: fc.Arbitrary<RunSpec> = fc
  .record({
    names: fc.record({ name: visible(60), seed: visible(200), genesisRoot: hash, manifest: hash, tokenizer: hash }),
    parts: fc.record({ model, codec, aggregation, schedule }),
    adamw: fc.record({
      ...{ beta1: real(0, 0.999), beta2: real(0, 0.999), eps: real(1e-12, 0.5) },
      ...{ weightDecay: real(0, 1000), clipNorm: real(0, 1e9, true) },
    }),
    uids: whole(1, RUN_UIDS_MAX),
    work: fc.record({ steps: whole(1, 1000), batch: whole(1, 64), seqLen: whole(1, 131_072) }),
    shares: fc.record({ cap: real(0, 1), newcomers: real(0, 1), peers: real(0, 1), sequences: real(0, 1) }),
    outer: fc.record({ lr: real(0, 1000, true), delay: fc.constantFrom(0 as const, 1 as const) }),
    timing: fc.record({ trainBlocks: whole(1, 60), revealBlocks: whole(1, 12), voteBlocks: whole(1, 13) }),
    checkpointEvery: whole(1, 1_000_000),
    validationSequences: whole(1, 65_536),
    audit: fc.record({
      spans: real(0, 1),
      perMille: whole(0, 1000),
      tolerance: real(0, 0.99),
      resetMoments: fc.boolean(),
    }),
  })
  .map(
    ({
      names,
      parts,
      adamw,
      uids,
      work,
      shares,
      outer,
      timing,
      checkpointEvery,
      validationSequences,
      audit,
    }): RunSpec => {
      const { resetMoments, perMille, tolerance } = audit;
      const upTo = (share: number, max: number): number => 1 + Math.floor(share * (max - 1));
      const cap = upTo(shares.cap, uids);
      const newcomerSlots = Math.floor(shares.newcomers * cap);
      return {
        ...{ protocol: 1, name: names.name, model: parts.model, seed: names.seed, genesisRoot: names.genesisRoot },
        ...{ data: { manifest: names.manifest, tokenizer: names.tokenizer }, uids },
        ...{ inner: { ...work, adamw, schedule: parts.schedule, resetMoments }, codec: parts.codec },
        ...{ outer: { ...outer, aggregation: parts.aggregation, cap, newcomerSlots }, timing, checkpointEvery },
        score: {
          sequences: upTo(shares.sequences, Math.min(4096, work.steps * work.batch)),
          unassigned: upTo(shares.sequences, 4096),
          peers: upTo(shares.peers, uids),
          validationSequences,
        },
        audit: { spans: upTo(audit.spans, Math.min(work.steps, 64)), perMille, tolerance },
      };
    },
  );
