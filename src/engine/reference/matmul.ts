/** Matrix product with a PyTorch-style [out, in] matrix: the linear layer without bias. */
import type { Numbers } from "./numbers.ts";

/**
 * y = x·Wᵀ, or y[n,o] = Σᵢ x[n,i]·W[o,i].
 *
 * x [rows, inDim], w [outDim, inDim] → y [rows, outDim].
 */
export function matmulForward(x: Numbers, w: Numbers, inDim: number): Float64Array {
  const rows = x.length / inDim;
  const outDim = w.length / inDim;
  const y = new Float64Array(rows * outDim);
  for (let n = 0; n < rows; n++) {
    for (let o = 0; o < outDim; o++) {
      let dot = 0;
      for (let i = 0; i < inDim; i++) dot += (x[n * inDim + i] as number) * (w[o * inDim + i] as number);
      y[n * outDim + o] = dot;
    }
  }
  return y;
}

/**
 * dx[n,i] = Σₒ dy[n,o]·W[o,i] and dW[o,i] = Σₙ dy[n,o]·x[n,i].
 *
 * dy [rows, outDim], x [rows, inDim], w [outDim, inDim] → dx like x, dw like w.
 */
export function matmulBackward(
  dy: Numbers,
  x: Numbers,
  w: Numbers,
  inDim: number,
): { dx: Float64Array; dw: Float64Array } {
  const rows = x.length / inDim;
  const outDim = w.length / inDim;
  const dx = new Float64Array(x.length);
  const dw = new Float64Array(w.length);
  for (let n = 0; n < rows; n++) {
    for (let o = 0; o < outDim; o++) {
      const d = dy[n * outDim + o] as number;
      for (let i = 0; i < inDim; i++) {
        dx[n * inDim + i] = (dx[n * inDim + i] as number) + d * (w[o * inDim + i] as number);
        dw[o * inDim + i] = (dw[o * inDim + i] as number) + d * (x[n * inDim + i] as number);
      }
    }
  }
  return { dx, dw };
}
