/**
 * The golden rounds: a small model through ten rounds of real payloads, from first params to the last state root, with every
 * rule of aggregation in turn. vectors/rounds.json holds what came out; vectors/rounds.ts wrote it, test/golden-rounds.test.ts and
 * scripts/exact-everywhere.ts run it again: in several versions of Node, in a browser, and with the slow reference.
 *
 * Six peers compress pseudo-gradients drawn from seeded streams, keep their error feedback from round to round, and sign. One payload
 * arrives broken in one round, one is sent a second time in another, and once nobody sends. What a peer computes depends
 * on the params before it, so whatever differs once differs ever after.
 */
import { must } from "../../src/base/assert.ts";
import { utf8 } from "../../src/base/bytes.ts";
import { sha256, sha256Hex, toHex } from "../../src/base/hash.ts";
import { type Random, seededRandom } from "../../src/base/random.ts";
import { type BodyLayout, bodyLayout, encodeBody } from "../../src/codec/body.ts";
import { compressor } from "../../src/codec/feedback.ts";
import { type ModelShape, type ParamEntry, paramLayout } from "../../src/engine/shape.ts";
import { initParams } from "../../src/model/init.ts";
import {
  AGGREGATION_NAMES,
  AGGREGATIONS,
  type Aggregation,
  type AggregationName,
} from "../../src/round/aggregation.ts";
import { applyTensorReference } from "../../src/round/apply-reference.ts";
import { type ExchangeSettings, exchange, type Offer } from "../../src/round/exchange.ts";
import { addressOf, contributionOf, decodePayload, encodePayload, isFault } from "../../src/round/payload.ts";
import { selectContributors } from "../../src/round/select.ts";
import { stateRoot } from "../../src/round/state-root.ts";

/** What one round came to. */
export interface GoldenRound {
  readonly rule: AggregationName;
  /** By uid: the payload's sha256, and the fault where it was none. */
  readonly payloads: readonly string[];
  /** Who was applied, in order. */
  readonly uids: readonly number[];
  /** State root after the round. */
  readonly root: string;
}

/** What the sequence came to. */
export interface GoldenSequence {
  /** Bits of a value in the payloads. */
  readonly bits: 1 | 2;
  /** State root of the first params. */
  readonly first: string;
  readonly rounds: readonly GoldenRound[];
}

/** A way to do a round: new params, state root and uids from params and offers. */
export type RoundStep = (
  params: Float32Array,
  layout: readonly ParamEntry[],
  offers: readonly Offer[],
  settings: ExchangeSettings,
  seed: Uint8Array,
) => { readonly params: Float32Array; readonly root: Uint8Array; readonly uids: readonly number[] };

/** The product's way: `exchange`, on any of its kernels. */
export const fastRound = (...round: Parameters<typeof exchange>): ReturnType<RoundStep> => {
  const { params, tree, uids } = exchange(...round);
  return { params, root: tree.root(), uids };
};

/** The slow way, by apply-reference.ts. */
export const slowRound: RoundStep = (params, layout, offers, settings, seed) => {
  const uids = selectContributors(offers, settings, seed);
  const chosen = uids.map((uid) => must(offers[offers.findIndex((offer) => offer.uid === uid)], "the offer"));
  const next = params.slice();
  layout.forEach(({ offset, length }, t) => {
    const sparse = chosen.map(({ contribution }) => contribution.tensor(t));
    next.set(applyTensorReference(params.subarray(offset, offset + length), sparse, settings), offset);
  });
  return { params: next, root: stateRoot(next), uids };
};

/** The embedding alone is longer than a block of the kernel and a piece of the state root; no dim is a multiple of 64. */
const SHAPE: ModelShape = {
  ...{ vocabSize: 1013, dim: 260, layers: 1, heads: 2, kvHeads: 1, headDim: 34, ffnDim: 70 },
  ...{ ropeTheta: 1e4, normEps: 1e-5, tied: true },
};
const PEERS = 6;
const BROKEN = { round: 2, uid: 3 };
const REPEATED = { round: 4, uid: 1 };
const SILENT_ROUND = 6;
/** Each rule once, then a round in which nobody sends, then the means again on what the others left. */
const RULES: readonly AggregationName[] = [
  ...AGGREGATION_NAMES,
  "mean-all",
  "mean-all",
  "clipped-mean-all",
  "clipped-mean-senders",
];

/** The rule of that name, but trimming so much that one of five at either end goes. */
function ruleNamed(name: AggregationName): Aggregation {
  const named = AGGREGATIONS[name];
  return named.rule === "trimmed-mean" ? { ...named, trimPercent: 25 } : named;
}

const hashOf = (text: string): Uint8Array => sha256(utf8(`skein golden rounds: ${text}`));

/** A draw from (−1/8, 1/8) with most of its mass near zero. */
function peaked(random: Random): number {
  const x = random.uniform() - 0.5;
  return x * x * x;
}

/** What a round's peers have in common: the same for all of them, so that their payloads meet in many places. */
function commonGradient(params: Float32Array, round: number): Float32Array {
  const random = seededRandom(`golden rounds ${round}`);
  return params.map((param) => 0.02 * param + 0.03 * peaked(random));
}

interface Peer {
  readonly uid: number;
  readonly secretKey: Uint8Array;
  readonly residual: Float32Array;
  /** Its payload of the round before. */
  last?: Uint8Array;
}

function payloadOf(
  peer: Peer,
  params: Float32Array,
  common: Float32Array,
  round: number,
  layout: BodyLayout,
): Uint8Array {
  const random = seededRandom(`golden rounds ${round} ${peer.uid}`);
  const delta = common.map((value) => value + 0.02 * peaked(random));
  const { compress } = compressor(layout.params);
  const tensors = paramLayout(SHAPE).map(({ dims, offset, length }) =>
    compress(dims, delta.subarray(offset, offset + length), peer.residual.subarray(offset, offset + length)),
  );
  const header = {
    ...{ runHash: hashOf("run"), round, uid: peer.uid, baseRoot: stateRoot(params), tokens: 1000 + random.below(1000) },
    ...{ dataDigest: hashOf(`data ${round} ${peer.uid}`), workCommitment: hashOf(`work ${round} ${peer.uid}`) },
  };
  return encodePayload(header, encodeBody(tensors, layout), layout, peer.secretKey);
}

/** What arrives in a round from a peer that sent `payload`. */
function arriving(payload: Uint8Array, { uid, last }: Peer, round: number): Uint8Array {
  if (round === REPEATED.round && uid === REPEATED.uid) return must(last, "a payload of the round before");
  if (round !== BROKEN.round || uid !== BROKEN.uid) return payload;
  return payload.map((byte, i) => (i === 300 ? byte ^ 4 : byte));
}

/** Runs the sequence; `step` does the rounds. */
export function goldenSequence(bits: 1 | 2, step: RoundStep = fastRound): GoldenSequence {
  const entries = paramLayout(SHAPE);
  const layout = bodyLayout(
    entries.map(({ dims }) => dims),
    { chunkSide: 64, k: 64, bits, beta: 0.95 },
  );
  let params: Float32Array = initParams(SHAPE, "golden rounds");
  const first = toHex(stateRoot(params));
  const peers = Array.from({ length: PEERS }, (_, uid): Peer => {
    return { uid, secretKey: hashOf(`key ${uid}`), residual: new Float32Array(params.length) };
  });
  const rounds = RULES.map((rule, round): GoldenRound => {
    const common = commonGradient(params, round);
    const offers: Offer[] = [];
    const payloads = peers.flatMap((peer) => {
      if (round === SILENT_ROUND) return [];
      const payload = payloadOf(peer, params, common, round, layout);
      const bytes = arriving(payload, peer, round);
      peer.last = payload;
      const expected = {
        ...{ runHash: hashOf("run"), round, uid: peer.uid, baseRoot: stateRoot(params), layout },
        signer: addressOf(peer.secretKey),
      };
      const result = decodePayload(bytes, expected);
      if (isFault(result)) return [`${sha256Hex(bytes)} ${result.fault}`];
      const incentive = ((peer.uid + round) * 5) % 7;
      offers.push({ uid: peer.uid, incentive, newcomer: peer.uid >= 4, contribution: contributionOf(result) });
      return [sha256Hex(bytes)];
    });
    const settings = { aggregation: ruleNamed(rule), outerLr: 0.65, cap: 5, newcomerSlots: 1 };
    const done = step(params, entries, offers, settings, hashOf(`block ${round}`));
    params = done.params;
    return { rule, payloads, uids: done.uids, root: toHex(done.root) };
  });
  return { bits, first, rounds };
}

/** State root at the end. */
export function lastRoot({ first, rounds }: GoldenSequence): string {
  return rounds.at(-1)?.root ?? first;
}

/** Where two sequences first part, for people; nothing where they are the same. */
export function firstDifference(found: GoldenSequence, golden: GoldenSequence): string | undefined {
  if (found.bits !== golden.bits || found.rounds.length !== golden.rounds.length) return "another sequence";
  if (found.first !== golden.first) return "first params";
  for (const [round, expected] of golden.rounds.entries()) {
    const got = must(found.rounds[round], "round");
    const uid = expected.payloads.findIndex((payload, i) => payload !== got.payloads[i]);
    if (uid >= 0) return `round ${round} (${expected.rule}): payload of uid ${uid}`;
    if (String(got.uids) !== String(expected.uids)) return `round ${round} (${expected.rule}): who was selected`;
    if (got.root !== expected.root) return `round ${round} (${expected.rule}): state root`;
  }
  return undefined;
}
