/**
 * How the peers of a cohort make one model of their work. A method turns what a peer's inner steps did into a message, and the
 * messages of all into new params; nothing else passes from peer to peer.
 *
 * - "sparseloco": the payload as it would cross the network (round/payload.ts: header, top-k body with error feedback, signature),
 *   decoded again under the same expectations as a stranger's, then round/exchange.ts.
 * - "diloco": the dense pseudo-gradient; mean, then Nesterov SGD (optim/outer.ts).
 * - "adamw": data-parallel training exchanges a dense gradient in every step, so at the end of a round nothing is left to agree on.
 *
 * The peers' keys come from the seed: they sign, but keep nothing secret. Work commitments are zeros: nobody here audits.
 */
import { assert } from "../base/assert.ts";
import { bytesOf, utf8 } from "../base/bytes.ts";
import { sha256 } from "../base/hash.ts";
import { bodyEncoder, bodyLayout } from "../codec/body.ts";
import { compressor } from "../codec/feedback.ts";
import { type ModelShape, paramCount, paramLayout } from "../engine/shape.ts";
import { shapeJson } from "../model/parse.ts";
import { meanOf, outerStep, pseudoGradient } from "../optim/outer.ts";
import { exchange } from "../round/exchange.ts";
import type { MeansKernel } from "../round/means.ts";
import { addressOf, contributionOf, decodePayload, encodePayload, isFault } from "../round/payload.ts";
import { stateRoot } from "../round/state-root.ts";
import type { CohortMethod, CohortSettings } from "./cohort-options.ts";

/** The method that `settings` name, before its first round. */
export function cohortMethod(settings: CohortSettings, shape: ModelShape, means?: MeansKernel): CohortMethod {
  switch (settings.method) {
    case "sparseloco":
      return sparseLoCo(settings, shape, means);
    case "diloco":
      return diLoCo(settings, paramCount(shape));
    case "adamw":
      return dataParallel();
  }
}

/** θ' = θ − α · aggregate of sparse payloads, with error feedback in each peer (arXiv 2508.15706). */
function sparseLoCo(
  { seed, peers, codec, aggregation, outerLr }: CohortSettings,
  shape: ModelShape,
  means?: MeansKernel,
): CohortMethod {
  const tensors = paramLayout(shape);
  const layout = bodyLayout(
    tensors.map(({ dims }) => dims),
    codec,
  );
  const runHash = sha256(utf8(`skein cohort ${seed} ${shapeJson(shape)}`));
  const keys = Array.from({ length: peers }, (_, uid) => sha256(utf8(`skein cohort ${seed} key ${uid}`)));
  const residuals = keys.map(() => new Float32Array(paramCount(shape)));
  const { compress } = compressor(codec);
  return {
    memory: Object.fromEntries(residuals.map((residual, uid) => [`residual/${uid}`, residual])),
    send({ round, uid, baseRoot, start, end, tokens, dataDigest }) {
      const [key, residual] = [keys[uid], residuals[uid]];
      assert(key !== undefined && residual !== undefined, `uid ${uid} is one of the peers`);
      const delta = pseudoGradient(start, end);
      const body = bodyEncoder(layout);
      for (const { dims, offset, length } of tensors) {
        const [from, to] = [offset, offset + length];
        body.add(compress(dims, delta.subarray(from, to), residual.subarray(from, to)));
      }
      const header = { runHash, round, uid, baseRoot, tokens, dataDigest, workCommitment: new Uint8Array(32) };
      const message = encodePayload(header, body.finish(), layout, key);
      return { message, bytes: message.length };
    },
    merge(round, params, messages) {
      const baseRoot = stateRoot(params);
      const offers = messages.map((message, uid) => {
        const signer = addressOf(keys[uid] as Uint8Array);
        const payload = decodePayload(message, { runHash, round, uid, baseRoot, layout, signer });
        assert(!isFault(payload), `the payload of uid ${uid} is whole`);
        return { uid, incentive: 0, newcomer: false, contribution: contributionOf(payload) };
      });
      const rules = { aggregation, outerLr, cap: peers, newcomerSlots: 0 };
      const { params: next, tree } = exchange(params, tensors, offers, rules, utf8(`round ${round}`), means);
      return { params: next, root: tree.root() };
    },
  };
}

/** Dense pseudo-gradients through an outer SGD (arXiv 2311.08105). */
function diLoCo({ outerLr, outerMomentum }: CohortSettings, length: number): CohortMethod {
  const sgd = { lr: outerLr, momentum: outerMomentum, nesterov: outerMomentum > 0 };
  const momentum = new Float32Array(length);
  return {
    memory: { momentum },
    send({ start, end }) {
      const message = bytesOf(pseudoGradient(start, end));
      return { message, bytes: message.length };
    },
    merge(_round, params, messages) {
      const outer = outerStep(params, meanOf(messages.map(floatsOf)), { momentum }, sgd);
      if (outer.state.momentum) momentum.set(outer.state.momentum);
      return { params: outer.params, root: stateRoot(outer.params) };
    },
  };
}

/** One optimizer over everybody's batches: all hold the same params after every step, and one says which. */
function dataParallel(): CohortMethod {
  return {
    memory: {},
    send({ end, steps }) {
      const message = bytesOf(end);
      return { message, bytes: steps * message.length };
    },
    merge(_round, _params, [message, ...more]) {
      assert(message !== undefined && more.length === 0, "all peers work as one");
      const params = floatsOf(message);
      return { params, root: stateRoot(params) };
    },
  };
}

function floatsOf(message: Uint8Array): Float32Array {
  return new Float32Array(message.buffer as ArrayBuffer, message.byteOffset, message.length / 4);
}
