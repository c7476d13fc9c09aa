/** Peers that send something else than what training gave: noise, nothing, the opposite, too much. */
import { seededRandom } from "../../base/random.ts";
import type { TrainerOptions } from "../../roles/network/trainer/trainer.ts";
import type { Work } from "../../roles/network/trainer/work.ts";
import type { Adversary, Ring } from "./adversary.ts";
import { noise, normOf, withEngine, withFirstSteps, withTamper } from "./hands.ts";

/** A pseudo-gradient times a number. */
const times = (work: Work, factor: number): Work => ({ ...work, delta: work.delta.map((x) => factor * x) });

/** Noise of about the length that a round's work has, from one step of it. */
function noisy(options: TrainerOptions, ring: Ring): TrainerOptions {
  const { steps } = options.node.spec.inner;
  const random = seededRandom(`${ring.seed} noise ${options.node.signer.account}`);
  return withTamper(withFirstSteps(options, 1), {
    work(work) {
      const made = noise(work.delta.length, random);
      const length = (normOf(work.delta) * steps) / 2;
      return times({ ...work, delta: made }, length / normOf(made));
    },
  });
}

/** Kinds 1 to 4, 15, 20 and 21. */
export const GRADIENTS: readonly Adversary[] = [
  {
    name: "garbage",
    number: 1,
    who: "peer",
    does: "sends noise of an honest payload's size",
    defence: "judged before the vote: what makes the loss worse is not backed; a rating below nothing has no weight",
    trainer: noisy,
  },
  {
    name: "zero",
    number: 2,
    who: "peer",
    does: "trains on nothing and sends zeros",
    defence: "no gain ties with nothing, which plays in every rating; a norm far below the field's is a fault",
    trainer: (options) =>
      withTamper(withFirstSteps(options, 0), {
        work: (work) => ({ ...work, delta: new Float32Array(work.delta.length) }),
      }),
  },
  {
    name: "sign-flip",
    number: 3,
    who: "peer",
    does: "trains, and sends the opposite of what it found",
    defence: "harmful when judged, so not backed; its rating falls below nothing",
    trainer: (options) => withTamper(options, { work: (work) => times(work, -1) }),
  },
  {
    name: "blow-up",
    number: 4,
    who: "peer",
    does: "sends a thousand times what it found",
    defence: "a norm far above the field's is a fault; norms are clipped to the median besides",
    trainer: (options) => withTamper(options, { work: (work) => times(work, 1000) }),
  },
  {
    name: "overfit",
    number: 15,
    who: "peer",
    does: "goes over its own sequences three times, at three times the rate",
    defence: "paid by the gain on sequences that nobody was dealt; an audit's replay does not fit",
    trainer: (options) =>
      withEngine(options, (engine) => ({
        trainStep: async (batch, step) => {
          const result = await engine.trainStep(batch, { ...step, lr: 3 * step.lr });
          for (let more = 0; more < 2; more++) await engine.trainStep(batch, { ...step, lr: 3 * step.lr });
          return result;
        },
      })),
  },
  {
    name: "double-negative",
    number: 20,
    who: "peer",
    does: "sends zeros until it is known, then the opposite of its own gradient, so that two bad marks might multiply to a good one",
    defence: "weight is a product of factors none of which is ever below zero",
    trainer: (options) => withTamper(options, { work: (work) => times(work, work.round < 8 ? 0 : -1) }),
  },
  {
    name: "tiny",
    number: 21,
    who: "peer",
    does: "sends one step's work, a thousandth of it, for a gain barely above zero",
    defence: "a gain below the floor ties with nothing; a norm far below the field's is a fault",
    trainer: (options) => withTamper(withFirstSteps(options, 1), { work: (work) => times(work, 1e-3) }),
  },
];
