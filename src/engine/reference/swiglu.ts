/** SwiGLU's gate (Shazeer 2020, eq. 6, with β = 1): silu(gate) ⊙ up, where silu(x) = x·σ(x). */
import { exactExp } from "../../base/exactmath.ts";
import type { Numbers } from "./numbers.ts";

/** σ(x) = 1 / (1 + e^−x). */
function sigmoid(x: number): number {
  return 1 / (1 + exactExp(-x));
}

/** y = gate·σ(gate)·up, element by element. */
export function swigluForward(gate: Numbers, up: Numbers): Float64Array {
  return Float64Array.from(gate, (g, i) => g * sigmoid(g) * (up[i] as number));
}

/** dgate = dy·up·σ(g)·(1 + g·(1 − σ(g))) and dup = dy·g·σ(g), element by element. */
export function swigluBackward(dy: Numbers, gate: Numbers, up: Numbers): { dgate: Float64Array; dup: Float64Array } {
  const dgate = new Float64Array(gate.length);
  const dup = new Float64Array(up.length);
  for (let i = 0; i < gate.length; i++) {
    const g = gate[i] as number;
    const d = dy[i] as number;
    const s = sigmoid(g);
    dgate[i] = d * (up[i] as number) * s * (1 + g * (1 - s));
    dup[i] = d * g * s;
  }
  return { dgate, dup };
}
