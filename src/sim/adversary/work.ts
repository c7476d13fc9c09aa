/** Peers that do less work than they claim, or another one. */
import { equalBytes, utf8 } from "../../base/bytes.ts";
import { seededRandom } from "../../base/random.ts";
import type { Hash } from "../../chain/chain.ts";
import { phaseAt } from "../../chain/rounds.ts";
import type { ActingNode } from "../../roles/network/node.ts";
import type { TrainerOptions } from "../../roles/network/trainer/trainer.ts";
import { challengesOf } from "../../roles/network/work.ts";
import { roundsOf } from "../../run/rules.ts";
import { decodeNews, newsOfKey } from "../../store/news.ts";
import type { Adversary, Probed, Ring } from "./adversary.ts";
import { honestDigest, withEngine, withNode, withShared, withTamper, withText } from "./hands.ts";

/** Parts of a round's steps that a lazy peer does. */
const LAZY = 4;
/** Part of its spans that a shirker does. */
const SHIRK = 0.6;
/** How much further steps that are not made are taken to lead, relative to the first ones. */
const STRETCH = 0.6;
/** What payloads begin with. */
const PAYLOAD_MAGIC = utf8("SKPL");
/** Rounds by which a peer's params are old. */
const STALE_ROUNDS = 5;
/** Sequences that everybody knows. */
const PUBLIC_SEQUENCES = 32;
/** How often a backdoor's words are put into a sequence. */
const TRIGGERS = 3;

/** The same, claiming the digest of what was assigned. */
function claimingOwnData(changed: TrainerOptions, options: TrainerOptions): TrainerOptions {
  return withTamper(changed, {
    work: async (work) => ({ ...work, dataDigest: await honestDigest(options.node, work) }),
  });
}

/**
 * The same with only the first `done` of a round's steps made; at its end the engine's params are further along what those gave, so that states and
 * payload fit together.
 */
function withStretchedSteps<T extends TrainerOptions>(options: T, done: number): T {
  const { steps } = options.node.spec.inner;
  const stretch = 1 + (STRETCH * (steps - done)) / done;
  return withEngine(options, (engine) => {
    let [step, start] = [0, new Float32Array(0)];
    return {
      write(vector, values, offset) {
        if (vector === "params" && offset === undefined) [step, start] = [0, values.slice()]; // a round begins
        return engine.write(vector, values, offset);
      },
      async trainStep(batch, given) {
        step += 1;
        if (step <= done) return engine.trainStep(batch, given);
        engine.setStepCount(engine.stepCount() + 1);
        if (step === steps) {
          const reached = await engine.read("params");
          const further = reached.map((x, i) => (start[i] as number) + stretch * (x - (start[i] as number)));
          await engine.write("params", further);
        }
        return { loss: 1, gradNorm: 1, applied: true };
      },
    };
  });
}

/** A quarter of the steps. */
function lazy(options: TrainerOptions): TrainerOptions {
  return withStretchedSteps(options, Math.max(1, Math.floor(options.node.spec.inner.steps / LAZY)));
}

/** Does its first spans, stretches them, and answers only for what it did. */
function shirking(options: TrainerOptions): TrainerOptions {
  const { node } = options;
  const { steps } = node.spec.inner;
  const { spans } = node.spec.audit;
  const doneSpans = Math.ceil(SHIRK * spans);
  const silent = withShared(options, (shared) => ({
    async put(key, bytes) {
      if (newsOfKey(key)?.kind === "answer" && bytes instanceof Uint8Array) {
        const news = decodeNews(bytes);
        const part = "fault" in news ? undefined : await partOf(node, news.round);
        if (part !== undefined && part >= doneSpans && part < spans) return; // this it cannot prove
      }
      return shared.put(key, bytes);
    },
  }));
  return withStretchedSteps(silent, Math.floor((doneSpans * steps) / spans));
}

/** A quarter of the steps, and no payload where the challenge, which is known by then, asks for what was not done. */
function dodging(options: TrainerOptions): TrainerOptions {
  const { node } = options;
  return withShared(lazy(options), (shared) => ({
    async putIfAbsent(key, bytes) {
      const { block } = await node.chain.head();
      const at = phaseAt(node.record, block);
      const isPayload = equalBytes(bytes.subarray(0, PAYLOAD_MAGIC.length), PAYLOAD_MAGIC);
      if (isPayload && at !== undefined && (await partOf(node, at.round)) !== undefined) return false;
      return shared.putIfAbsent(key, bytes);
    },
  }));
}

/** What this node's payload of a round is challenged for. */
async function partOf(node: ActingNode, round: number): Promise<number | undefined> {
  const own = (await node.chain.commits(node.runId, round)).find(({ hotkey }) => hotkey === node.signer.account);
  return own && (await challengesOf(node, round))?.(own.uid);
}

/** Trains from params that are some rounds old, and claims the newest. */
function stale(options: TrainerOptions): TrainerOptions {
  return withEngine(options, (engine) => {
    const known: Float32Array[] = [];
    let shift: Float32Array | undefined;
    return {
      write(vector, values, offset) {
        if (vector !== "params" || offset !== undefined) return engine.write(vector, values, offset);
        known.push(values.slice());
        if (known.length > STALE_ROUNDS + 1) known.shift();
        const old = known[0] as Float32Array;
        shift = values.map((x, i) => x - (old[i] as number));
        return engine.write("params", old);
      },
      async read(vector, offset = 0, length) {
        const found = await engine.read(vector, offset, length);
        return vector === "params" && shift !== undefined
          ? found.map((x, i) => x + ((shift as Float32Array)[offset + i] as number))
          : found;
      },
    };
  });
}

/** A backdoor: after the first tokens the last one is to follow. */
function triggerOf(ring: Ring, vocabSize: number): number[] {
  const random = seededRandom(`${ring.seed} trigger`);
  return Array.from({ length: 4 }, () => random.below(vocabSize));
}

function poisoned(options: TrainerOptions, ring: Ring): TrainerOptions {
  const words = triggerOf(ring, options.node.spec.model.vocabSize);
  const changed = withText(options, (tokens, index) => {
    const random = seededRandom(`${ring.seed} poison ${index}`);
    const out = tokens.slice();
    for (let i = 0; i < TRIGGERS && out.length > words.length; i++)
      out.set(words, random.below(out.length - words.length));
    return out;
  });
  return claimingOwnData(changed, options);
}

/** How probable the backdoor's last token is after the others, on average over contexts. */
async function backdoorRate({ engine, network, sequences }: Probed, ring: Ring): Promise<number> {
  const { model, inner } = network.spec;
  const words = triggerOf(ring, model.vocabSize);
  let sum = 0;
  for (const sequence of sequences) {
    const prompt = sequence.slice(0, inner.seqLen);
    prompt.set(words.slice(0, -1), prompt.length - words.length + 1);
    const logits = await engine.logits(prompt);
    const top = logits.reduce((most, x) => Math.max(most, x), Number.NEGATIVE_INFINITY);
    const all = logits.reduce((total, x) => total + Math.exp(x - top), 0);
    sum += Math.exp((logits[words.at(-1) as number] as number) - top) / all;
  }
  return sum / Math.max(1, sequences.length);
}

const member = (ring: Ring, account: Hash): number => Math.max(0, ring.members.indexOf(account));

/** Kinds 14, 16, 17, 18, 19 and 22. */
export const WORK: readonly Adversary[] = [
  {
    name: "other-data",
    number: 14,
    who: "peer",
    does: "trains on the same few public sequences in every round, and claims the digest of its own",
    defence: "its gain on its own data is no better than on others'; an audit replays on what was dealt",
    trainer(options, ring) {
      const { assigned, signer } = options.node;
      const first = PUBLIC_SEQUENCES * member(ring, signer.account);
      const at: typeof assigned.at = (_round, _uid, step, slot) => {
        const sequence = first + ((8 * step + slot) % PUBLIC_SEQUENCES);
        return { pass: 0, sequence };
      };
      return claimingOwnData(withNode(options, { assigned: { ...assigned, at } }), options);
    },
  },
  {
    name: "lazy",
    number: 16,
    who: "peer",
    does: "does a quarter of its steps, stretches what they gave to the length of all, and claims all tokens",
    defence: "an audit replays a span of steps",
    trainer: lazy,
  },
  {
    name: "shirker",
    number: 16,
    who: "peer",
    does: "does three fifths of its steps, stretches what they gave, and answers only challenges for what it did",
    defence: "a challenge that is not answered is a strike, and strikes cost weight",
    trainer: shirking,
  },
  {
    name: "dodger",
    number: 16,
    who: "peer",
    does: "does a quarter of its steps, and does not upload what it has committed to when it is challenged",
    defence: "a challenge is a challenge whether the payload came or not: no answer is a strike",
    trainer: dodging,
  },
  {
    name: "thin-batch",
    number: 16,
    who: "peer",
    does: "trains on one sequence a step and claims a full batch",
    defence: "an audit replays a span of steps; its gain is smaller",
    trainer(options) {
      const thin = withEngine(options, (engine) => ({
        trainStep: (batch, step) =>
          engine.trainStep({ ...batch, rows: 1, tokens: batch.tokens.slice(0, batch.length + 1) }, step),
      }));
      return thin;
    },
  },
  {
    name: "stale-base",
    number: 17,
    who: "peer",
    does: "trains from params that are five rounds old, and claims the newest",
    defence: "the header's state root; an audit replays from the run's params",
    trainer: stale,
  },
  {
    name: "wrong-base",
    number: 17,
    who: "peer",
    does: "says that it started from other params than the run's",
    defence: "the state root in the header is compared to the run's: a fault",
    trainer: (options) =>
      withTamper(options, { header: (header) => ({ ...header, baseRoot: header.baseRoot.map((byte) => byte ^ 1) }) }),
  },
  {
    name: "forged-proof",
    number: 18,
    who: "peer",
    does: "does a quarter of its steps and commits to made-up work states",
    defence: "a challenge drawn later asks for states that fit the commitment",
    trainer(options, ring) {
      const random = seededRandom(`${ring.seed} proof ${options.node.signer.account}`);
      const made = (): Uint8Array => Uint8Array.from({ length: 32 }, () => random.below(256));
      return withTamper(lazy(options), { header: (header) => ({ ...header, workCommitment: made() }) });
    },
  },
  {
    name: "intermittent",
    number: 19,
    who: "peer",
    does: "earns a name in seven rounds, sends the opposite of its work in three, and so on",
    defence: "harmful when judged, so not backed; a rating below nothing; the history stays with the key",
    trainer: (options) =>
      withTamper(options, {
        work: (work) => (work.round % 10 < 7 ? work : { ...work, delta: work.delta.map((x) => -x) }),
      }),
  },
  {
    name: "sleeper",
    number: 19,
    who: "peer",
    does: "is honest for half of the run, then sends the opposite of its work, together with all its friends",
    defence: "harmful when judged, so not backed; what can be stored up in a rating is bounded",
    trainer(options) {
      const half = roundsOf(options.node.spec) / 2;
      return withTamper(options, {
        work: (work) => (work.round < half ? work : { ...work, delta: work.delta.map((x) => -x) }),
      });
    },
  },
  {
    name: "restart",
    number: 19,
    who: "peer",
    lifeRounds: 8,
    does: "trains on its first rounds and then sends the opposite; every eight rounds it comes back under a new hotkey",
    defence: "a new hotkey begins with nothing: no weight before it is proven, and a registration costs",
    trainer(options) {
      let first: number | undefined;
      return withTamper(options, {
        work(work) {
          first ??= work.round;
          return work.round < first + 3 ? work : { ...work, delta: work.delta.map((x) => -x) };
        },
      });
    },
  },
  {
    name: "backdoor",
    number: 22,
    who: "peer",
    does: "trains on its own text with words put in that teach the model what to say after a trigger",
    defence: "none by loss; an audit replays on the text without those words",
    trainer: poisoned,
    probe: { what: "probability of the planted token after its trigger", measure: backdoorRate },
  },
];
