/**
 * SparseLoCo with the 4-bin code of Templar's implementation in place of sign and magnitude levels, to compare how they learn: of a
 * tensor's kept values, minus their mean, four uniform bins over six standard deviations, each bin rebuilt as the mean of its
 * values. Positions, error feedback and the mean over all peers are those of ours; nothing is encoded, since 2 bits a value are 2 bits
 * under either code.
 */
import { bytesOf } from "../src/base/bytes.ts";
import { compressor, valuesOf } from "../src/codec/feedback.ts";
import { CODEC_DEFAULTS, type CodecParams } from "../src/codec/params.ts";
import { type ModelShape, paramCount, paramLayout } from "../src/engine/shape.ts";
import { pseudoGradient } from "../src/optim/outer.ts";
import type { CohortMethod } from "../src/roles/cohort.ts";
import { stateRoot } from "../src/round/state-root.ts";

const BINS = 4;

/** What the 4-bin code makes of `values`. */
export function fourBinValues(values: Float32Array): Float32Array {
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
  const centred = values.map((v) => v - mean);
  const std = Math.sqrt(centred.reduce((sum, c) => sum + c * c, 0) / Math.max(1, values.length - 1));
  const scale = (6 * std) / BINS || 1;
  const bins = centred.map((c) => Math.max(0, Math.min(BINS - 1, Math.round(c / scale + BINS / 2))));
  const [sums, counts] = [new Float64Array(BINS), new Float64Array(BINS)];
  bins.forEach((b, i) => {
    sums[b] = (sums[b] as number) + (centred[i] as number);
    counts[b] = (counts[b] as number) + 1;
  });
  return Float32Array.from(bins, (b) => mean + (sums[b] as number) / (counts[b] as number));
}

/** The method, for `peers` peers. A message is the dense update that a payload would decode to. */
export function fourBinMethod(
  shape: ModelShape,
  peers: number,
  outerLr: number,
  codec: Partial<CodecParams>,
): CohortMethod {
  const tensors = paramLayout(shape);
  const { compress } = compressor({ ...CODEC_DEFAULTS, ...codec });
  const residuals = Array.from({ length: peers }, () => new Float32Array(paramCount(shape)));
  return {
    memory: {},
    send({ uid, start, end }) {
      const delta = pseudoGradient(start, end);
      const sent = new Float32Array(delta.length);
      const residual = residuals[uid] as Float32Array;
      for (const { dims, offset, length } of tensors) {
        const left = residual.subarray(offset, offset + length);
        const tensor = compress(dims, delta.subarray(offset, offset + length), left);
        const ours = valuesOf(tensor);
        const kept = ours.map((v, j) => v + (left[tensor.indices[j] as number] as number)); // what stood there before
        fourBinValues(kept).forEach((value, j) => {
          const i = tensor.indices[j] as number;
          left[i] = (kept[j] as number) - value;
          sent[offset + i] = value;
        });
      }
      return { message: bytesOf(sent), bytes: sent.byteLength };
    },
    merge(_round, params, messages) {
      const all = messages.map((m) => new Float32Array(m.buffer as ArrayBuffer, m.byteOffset, m.length / 4));
      const next = params.map((p, i) => p - (outerLr * all.reduce((sum, m) => sum + (m[i] as number), 0)) / all.length);
      return { params: next, root: stateRoot(next) };
    },
  };
}
