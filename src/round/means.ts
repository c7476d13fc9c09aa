/**
 * The outer step under the means, in a WebAssembly kernel (kernels/means.c): docs/protocol/apply.md, as apply-reference.ts has it.
 * WebAssembly's arithmetic is IEEE 754 to the bit, so this costs no determinism; on two million values among seven million
 * params it took 12 ms where the same loops in TypeScript took 26 (AMD EPYC, Node 20).
 *
 * The tensor goes through the kernel's memory block by block. Indices ascend, so each contribution is cut at the block's borders
 * and copied once. A block is as long as fits in 16 MiB if every peer sent every element.
 */
import { AssertionError, assert } from "../base/assert.ts";
import { CONTRIBUTIONS_MAX } from "../base/limits.ts";
import { checkSparse, positionOf, type SparseTensor } from "./contribution.ts";
import { meansBase64 } from "./kernels/means.wasm.ts";

/** Elements in a block at most; fewer where there are many contributions. */
const BLOCK = 1 << 18;
/** Pairs of index and value in the kernel's memory at most: 16 MiB. */
const PAIRS = 1 << 21;
/** Elements in a window of means.c. */
const WINDOW = 8192;
const PAGE_BYTES = 65_536;

interface Kernel {
  check(indices: number, values: number, count: number, last: number): number;
  means(
    params: number,
    n: number,
    first: number,
    count: number,
    indices: number,
    values: number,
    counts: number,
    factors: number,
    steps: number,
    cursors: number,
    sums: number,
    senders: number,
  ): void;
}

/** The kernel, its memory seen as numbers, and where in it (in bytes) things lie. */
interface Instance {
  readonly kernel: Kernel;
  readonly ints: Int32Array;
  readonly floats: Float32Array;
  readonly doubles: Float64Array;
  readonly at: Readonly<
    Record<
      "sums" | "senders" | "factors" | "steps" | "cursors" | "indices" | "values" | "counts" | "params" | "pairs",
      number
    >
  >;
}

let instance: Instance | undefined;

/** Compiled at first use and kept: a call leaves its scratch memory as it found it. */
function open(): Instance {
  const sizes = {
    sums: 8 * WINDOW,
    senders: 2 * WINDOW,
    factors: 8 * CONTRIBUTIONS_MAX,
    steps: 8 * (CONTRIBUTIONS_MAX + 1),
    cursors: 4 * CONTRIBUTIONS_MAX,
    indices: 4 * CONTRIBUTIONS_MAX,
    values: 4 * CONTRIBUTIONS_MAX,
    counts: 4 * CONTRIBUTIONS_MAX,
    params: 4 * BLOCK,
    pairs: 8 * PAIRS,
  };
  let top = PAGE_BYTES * 2; // above the kernel's stack
  const place = (bytes: number): number => {
    const from = top;
    top += Math.ceil(bytes / 64) * 64;
    return from;
  };
  const at = Object.fromEntries(Object.entries(sizes).map(([name, bytes]) => [name, place(bytes)])) as Instance["at"];
  const memory = new WebAssembly.Memory({ initial: Math.ceil(top / PAGE_BYTES) });
  const bytes = Uint8Array.from(atob(meansBase64), (c) => c.charCodeAt(0));
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } });
  assert(
    (exports["__heap_base"] as WebAssembly.Global).value <= PAGE_BYTES * 2,
    "the kernel's stack is larger than thought",
  );
  const { buffer } = memory;
  return {
    kernel: exports as unknown as Kernel,
    ints: new Int32Array(buffer),
    floats: new Float32Array(buffer),
    doubles: new Float64Array(buffer),
    at,
  };
}

/**
 * Applies `contributions`, at least one, to one tensor in place: each value times its contribution's factor; the step of an element
 * is steps[number of its senders] if `bySenders`, else steps' last. Throws AssertionError where a contribution breaks the rules of
 * `SparseTensor`; the tensor is then partly changed.
 */
export function applyMean(
  params: Float32Array,
  contributions: readonly SparseTensor[],
  factors: Float64Array,
  steps: Float64Array,
  bySenders: boolean,
): void {
  instance ??= open();
  const { kernel, floats, doubles, at } = instance;
  const count = contributions.length;
  doubles.set(factors, at.factors / 8);
  doubles.set(steps, at.steps / 8);
  const cursors = new Int32Array(count);
  const block = Math.min(BLOCK, Math.floor(PAIRS / count));
  for (let start = 0; start < params.length; start += block) {
    const part = params.subarray(start, start + block);
    if (!fill(instance, contributions, cursors, start, start + part.length)) complain(contributions, params.length);
    floats.set(part, at.params / 4);
    const senders = bySenders ? at.senders : 0;
    const { params: here, indices, values, counts } = at;
    kernel.means(
      here,
      part.length,
      start,
      count,
      indices,
      values,
      counts,
      at.factors,
      at.steps,
      at.cursors,
      at.sums,
      senders,
    );
    part.set(floats.subarray(here / 4, here / 4 + part.length));
  }
  if (contributions.some(({ indices }, r) => cursors[r] !== indices.length)) complain(contributions, params.length);
}

/** Says what is wrong with the contributions. */
function complain(contributions: readonly SparseTensor[], length: number): never {
  for (const sparse of contributions) checkSparse(sparse, length);
  throw new AssertionError("the kernel and checkSparse disagree");
}

/** Copies what lies in [start, end) into the kernel's memory and moves the cursors; false where something is wrong with it. */
function fill(
  { kernel, ints, floats, at }: Instance,
  contributions: readonly SparseTensor[],
  cursors: Int32Array,
  start: number,
  end: number,
): boolean {
  let top = at.pairs / 4;
  for (let r = 0; r < contributions.length; r++) {
    const { indices, values } = contributions[r] as SparseTensor;
    const from = cursors[r] as number;
    const to = positionOf(indices, from, end);
    const n = to - from;
    if (indices.length !== values.length || n > end - start || (n > 0 && (indices[to - 1] as number) >= end))
      return false;
    ints.set(indices.subarray(from, to), top);
    floats.set(values.subarray(from, to), top + n);
    ints[at.indices / 4 + r] = 4 * top;
    ints[at.values / 4 + r] = 4 * (top + n);
    ints[at.counts / 4 + r] = n;
    if (kernel.check(4 * top, 4 * (top + n), n, start - 1) < 0) return false;
    top += 2 * n;
    cursors[r] = to;
  }
  return true;
}
