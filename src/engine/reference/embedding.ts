/** The embedding: a row of the table for each token. */
import { accumulate, type Numbers } from "./numbers.ts";

/** x[n] = table[token n]. tokens [rows], table [vocab, dim] → x [rows, dim]. */
export function embeddingForward(tokens: Int32Array, table: Numbers, dim: number): Float64Array {
  const x = new Float64Array(tokens.length * dim);
  tokens.forEach((token, n) => {
    x.set(table.subarray(token * dim, (token + 1) * dim), n * dim);
  });
  return x;
}

/** dtable[j] = Σ of dx[n] over the n whose token is j. dx [rows, dim] → dtable [vocab, dim]. */
export function embeddingBackward(dx: Numbers, tokens: Int32Array, vocab: number, dim: number): Float64Array {
  const dtable = new Float64Array(vocab * dim);
  tokens.forEach((token, n) => {
    accumulate(dtable.subarray(token * dim, (token + 1) * dim), dx.subarray(n * dim, (n + 1) * dim));
  });
  return dtable;
}
