/** What the reference kernels compute on: params arrive as float32, everything between is float64, plain arrays in row-major order. */

/** A vector or matrix to read. Float64Array params occur in tests, where finite differences need the digits. */
export type Numbers = Float32Array | Float64Array;

/** a + b, element by element. */
export function sum(a: Numbers, b: Numbers): Float64Array {
  return Float64Array.from(a, (value, i) => value + (b[i] as number));
}

/** into += values, element by element. */
export function accumulate(into: Float64Array, values: Numbers): void {
  for (let i = 0; i < into.length; i++) into[i] = (into[i] as number) + (values[i] as number);
}
