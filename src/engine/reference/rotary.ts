/** RoPE: turns the pairs (i, i + hd/2) of every head by the angles of ../rope.ts ("rotate half", as Hugging Face's Llama). */
import type { RopeTable } from "../rope.ts";
import type { Numbers } from "./numbers.ts";

/**
 * (a, b) → (a·cos − b·sin, b·cos + a·sin) for each pair, with the angle of position t and pair i.
 *
 * x [length, heads·headDim], rows at positions 0, 1, … → the same dims.
 */
export function ropeForward(x: Numbers, table: RopeTable, heads: number, headDim: number): Float64Array {
  return turn(x, table, heads, headDim, 1);
}

/** The transposed rotation, by the opposite angle: (da, db) → (da·cos + db·sin, db·cos − da·sin). */
export function ropeBackward(dy: Numbers, table: RopeTable, heads: number, headDim: number): Float64Array {
  return turn(dy, table, heads, headDim, -1);
}

function turn(x: Numbers, table: RopeTable, heads: number, headDim: number, sign: 1 | -1): Float64Array {
  const half = headDim / 2;
  const y = new Float64Array(x.length);
  for (let at = 0; at < x.length; at += headDim) {
    const position = Math.floor(at / (heads * headDim));
    for (let i = 0; i < half; i++) {
      const cos = table.cos[position * half + i] as number;
      const sin = sign * (table.sin[position * half + i] as number);
      const a = x[at + i] as number;
      const b = x[at + i + half] as number;
      y[at + i] = a * cos - b * sin;
      y[at + i + half] = b * cos + a * sin;
    }
  }
  return y;
}
