/**
 * Peers that live on others' work. What a peer has found is on chain as a hash until nobody can commit any more, so a thief must either take what
 * is a round old or read a disk that it should not be able to read; the ring's leaks let it do that.
 */
import { seededRandom } from "../../base/random.ts";
import { roundStart } from "../../chain/rounds.ts";
import type { SentTensor } from "../../codec/feedback.ts";
import type { ActingNode } from "../../roles/network/node.ts";
import type { TrainerOptions } from "../../roles/network/trainer/trainer.ts";
import { payloadBytesMax } from "../../round/payload.ts";
import { getBlob } from "../../store/blobs.ts";
import type { Store } from "../../store/store.ts";
import type { Adversary, Ring } from "./adversary.ts";
import {
  compressed,
  denseOf,
  honestDigest,
  noise,
  normOf,
  tensorsIn,
  withEngine,
  withFirstSteps,
  withNode,
  withTamper,
} from "./hands.ts";

/** Length of the noise that hides a copy, relative to what is copied: just enough that it does not count as one (score/likeness.ts). */
const DISGUISE = 1.25;

/** Bytes that others committed to in a round and that can be read somewhere; each member begins with another victim. */
async function bytesOfOthers(
  node: ActingNode,
  round: number,
  stores: readonly Store[],
  ring: Ring,
): Promise<readonly Uint8Array[]> {
  const commits = (await node.chain.commits(node.runId, round)).filter(({ hotkey }) => !ring.members.includes(hotkey));
  const first = ring.members.indexOf(node.signer.account) % Math.max(1, commits.length);
  const found: Uint8Array[] = [];
  for (const { payloadHash } of [...commits.slice(first), ...commits.slice(0, first)]) {
    const bytes = await getBlob(stores, payloadHash.slice(2), payloadBytesMax(node.body));
    if (bytes !== undefined) found.push(bytes);
  }
  return found;
}

/** A payload of this very round, from the leaks, as soon as its maker has committed to it; undefined where none comes in time. */
async function stolen(node: ActingNode, round: number, ring: Ring): Promise<Uint8Array | undefined> {
  const { chain, record, signal } = node;
  const lastCall = roundStart(record, round, "reveal") - 2;
  for (let { block } = await chain.head(); ring.leaks.length > 0; ) {
    const [bytes] = await bytesOfOthers(node, round, ring.leaks, ring);
    if (bytes !== undefined) return bytes;
    if (block >= lastCall) break;
    ({ block } = await chain.waitForBlock(block + 1, signal));
  }
  return undefined;
}

/** What others sent in the round before, public by now. */
async function publicOf(node: ActingNode, round: number, ring: Ring): Promise<Uint8Array | undefined> {
  return round === 0 ? undefined : (await bytesOfOthers(node, round - 1, [node.shared], ring))[0];
}

/** A peer that does no work and sends what `change` makes of the tensors that `source` finds; zeros where it finds none. */
function thief(
  options: TrainerOptions,
  source: (round: number) => Promise<Uint8Array | undefined>,
  change: (tensors: readonly SentTensor[], round: number) => readonly SentTensor[] = (tensors) => tensors,
): TrainerOptions {
  return withTamper(withFirstSteps(options, 0), {
    async sent(own, round) {
      const bytes = await source(round);
      const tensors = bytes && tensorsIn(options.node, bytes);
      return tensors === undefined ? own : change(tensors, round);
    },
  });
}

/** Noise over all that is copied, and the largest of the sum: other places, other values, much the same direction. */
function disguised(node: ActingNode, tensors: readonly SentTensor[], seed: string): readonly SentTensor[] {
  const dense = denseOf(node, tensors);
  const random = seededRandom(seed);
  const kept = dense.reduce((count, x) => count + (x === 0 ? 0 : 1), 0);
  const size = (DISGUISE * normOf(dense)) / Math.sqrt(Math.max(1, kept));
  const over = noise(dense.length, random);
  // On what is kept as much as DISGUISE says; elsewhere less, or the noise alone would be the largest.
  return compressed(
    node,
    dense.map((x, i) => x + (x === 0 ? size / 3 : size) * (over[i] as number)),
  );
}

/** A peer that does no work and sends what the last round did to the params. */
function echo(options: TrainerOptions): TrainerOptions {
  let [before, now] = [new Float32Array(0), new Float32Array(0)];
  const heard = withEngine(withFirstSteps(options, 0), (engine) => ({
    write(vector, values, offset) {
      if (vector === "params" && offset === undefined) [before, now] = [now, values.slice()];
      return engine.write(vector, values, offset);
    },
  }));
  return withTamper(heard, {
    work: (work) => ({
      ...work,
      delta: work.delta.map((x, i) => (before.length === 0 ? x : (before[i] as number) - (now[i] as number))),
    }),
  });
}

/** The same trained on the data of uid 0, claiming its own. */
function onOneData(options: TrainerOptions): TrainerOptions {
  const { assigned } = options.node;
  const at: typeof assigned.at = (round, _uid, ...rest) => assigned.at(round, 0, ...rest);
  return withTamper(withNode(options, { assigned: { ...assigned, at } }), {
    work: async (work) => ({ ...work, dataDigest: await honestDigest(options.node, work) }),
  });
}

/** Sends not the largest values of a chunk but those that come after so many helpings of them. */
function helping(options: TrainerOptions, number: number): TrainerOptions {
  const { node, tamper } = options;
  let dense = new Float32Array(0);
  return withTamper(options, {
    async work(work) {
      dense = work.delta.slice();
      return (await tamper?.work?.(work)) ?? work;
    },
    sent(tensors) {
      let sent = tensors;
      for (let before = 0; before < number; before++) {
        for (const [i, { offset }] of node.layout.entries()) {
          for (const index of sent[i]?.indices ?? []) dense[offset + index] = 0;
        }
        sent = compressed(node, dense);
      }
      return sent;
    },
  });
}

/** Kinds 9 to 13. */
export const COPIES: readonly Adversary[] = [
  {
    name: "stale-copy",
    number: 9,
    who: "peer",
    does: "does no work and sends what another peer sent in the round before, under its own name",
    defence: "likeness to the payloads of the round before; an audit's challenge cannot be met",
    trainer: (options, ring) => thief(options, (round) => publicOf(options.node, round, ring)),
  },
  {
    name: "echo",
    number: 9,
    who: "peer",
    does: "does no work and sends what the last round did to the params, once more",
    defence: "its gain on its own data is no better than on others'; an audit's challenge cannot be met",
    trainer: echo,
  },
  {
    name: "copycat",
    number: 10,
    who: "peer",
    leak: true,
    does: "does no work and sends what another peer has just committed to, read from its disk; else what was sent a round ago",
    defence: "nothing is uploaded before the commits close; of two alike the later commit is the copy; audits",
    trainer: (options, ring) =>
      thief(options, async (round) => (await stolen(options.node, round, ring)) ?? publicOf(options.node, round, ring)),
  },
  {
    name: "perturbed-copy",
    number: 11,
    who: "peer",
    leak: true,
    does: "the same under noise, so that places and values differ",
    defence: "likeness of places and values; its gain on its own data is no better than on others'; audits",
    trainer: (options, ring) =>
      thief(
        options,
        async (round) => (await stolen(options.node, round, ring)) ?? publicOf(options.node, round, ring),
        (tensors, round) =>
          disguised(options.node, tensors, `${ring.seed} disguise ${round} ${options.node.signer.account}`),
      ),
  },
  {
    name: "framing",
    number: 12,
    who: "peer",
    leak: true,
    does: "commits to another peer's very payload and uploads it first, so that the other one looks like the copier",
    defence: "order is that of commits on chain, and a payload is signed for one uid",
    trainer: (options, ring) =>
      withTamper(withFirstSteps(options, 0), {
        bytes: async (bytes, round) => (await stolen(options.node, round, ring)) ?? bytes,
      }),
  },
  {
    name: "sybil",
    number: 13,
    who: "peer",
    does: "several uids send one computation: all of them train on the data of uid 0, and claim their own",
    defence: "payloads that are alike count once; an audit replays on the data that the uid was dealt",
    trainer: onOneData,
  },
  {
    name: "second-helping",
    number: 13,
    who: "peer",
    does: "the same, but each uid sends other values of the one computation: the largest, the next largest, and so on",
    defence:
      "its gain on its own data is no better than on others'; an audit replays on the data that the uid was dealt",
    trainer: (options, ring) =>
      helping(onOneData(options), Math.max(0, ring.members.indexOf(options.node.signer.account))),
  },
];
