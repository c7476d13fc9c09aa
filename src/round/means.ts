/**
 * The outer step under the means, in a WebAssembly kernel (kernels/means.c): docs/protocol/apply.md, as apply-reference.ts has it.
 * WebAssembly's arithmetic is IEEE 754 to the bit, so this costs no determinism; on two million values among seven million
 * params it took 12 ms where the same loops in TypeScript took 26 (AMD EPYC, Node 20). The same C as a native library
 * (native/native.node.ts) needs no copies and takes less than half.
 *
 * The tensor goes through the kernel's memory block by block. Indices ascend, so each contribution is cut at the block's borders
 * and copied once. A block is as long as fits in 16 MiB if every peer sent every element.
 */
import { assert } from "../base/assert.ts";
import { bytesOf } from "../base/bytes.ts";
import { CONTRIBUTIONS_MAX } from "../base/limits.ts";
import { type Coded, positionOf, type SparseTensor, squaredNorms } from "./contribution.ts";
import { meansBase64 } from "./kernels/means.wasm.ts";

/** Elements in a block at most; fewer where there are many contributions. */
const BLOCK = 1 << 18;
/** Pairs of index and value in the kernel's memory at most: 16 MiB. */
const PAIRS = 1 << 21;
/** Elements in a window of means.c. */
const WINDOW = 8192;
/** A `Contribution` of means.c: five words. */
const CONTRIBUTION_BYTES = 20;
const PAGE_BYTES = 65_536;

/** A way to do the sums behind a round; all give the same bits. */
export interface MeansKernel {
  /** For people: "wasm", "native". */
  readonly name: string;
  /** Σ v² of each contribution, as `squaredNorm` has it. */
  squaredNorms(contributions: readonly SparseTensor[]): Float64Array;
  /**
   * Applies `contributions`, at least one, to one tensor in place: each value times its contribution's factor; an element's step is
   * `rate`, or `rate` by the number of its senders if `bySenders`. False where a contribution breaks the rules of `SparseTensor`;
   * the tensor is then perhaps partly changed.
   */
  applyMean(
    params: Float32Array,
    contributions: readonly SparseTensor[],
    factors: Float64Array,
    rate: number,
    bySenders: boolean,
  ): boolean;
}

/** Contributions as a kernel reads them. */
export interface KernelInputs {
  /** Whether codes are read. */
  readonly coded: boolean;
  /** For each contribution its codes or its values. */
  readonly data: readonly (Uint8Array | Float32Array)[];
  /** For each contribution its factor; or, coded, its factor times each of the four values of its book. */
  readonly tables: Float64Array;
}

/** Codes if all contributions have them, else values. The product of factor and value is the same float64 either way. */
export function kernelInputs(contributions: readonly SparseTensor[], factors: Float64Array): KernelInputs {
  const usable = ({ indices, coded }: SparseTensor): boolean =>
    coded?.codes.length === indices.length && finiteBook(coded.book);
  if (!contributions.every(usable))
    return { coded: false, data: contributions.map(({ values }) => values), tables: factors };
  const tables = new Float64Array(4 * contributions.length);
  const data = contributions.map(({ coded }, r) => {
    const { codes, book } = coded as Coded;
    for (let i = 0; i < 4; i++) tables[4 * r + i] = (factors[r] as number) * (book[i] as number);
    return codes;
  });
  return { coded: true, data, tables };
}

function finiteBook(book: Float32Array): boolean {
  if (book.length !== 4) return false;
  for (let i = 0; i < 4; i++) if (!Number.isFinite(book[i])) return false;
  return true;
}

interface Exports {
  ascending(indices: number, count: number, last: number): number;
  all_finite(values: number, count: number): number;
  means(
    params: number,
    n: number,
    first: number,
    contributions: number,
    count: number,
    coded: number,
    rate: number,
    sums: number,
    senders: number,
  ): void;
}

/** The kernel, its memory seen as numbers, and where in it (in bytes) things lie. */
interface Instance {
  readonly kernel: Exports;
  readonly bytes: Uint8Array;
  readonly ints: Int32Array;
  readonly floats: Float32Array;
  readonly doubles: Float64Array;
  readonly at: Readonly<Record<"sums" | "senders" | "tables" | "contributions" | "params" | "pairs", number>>;
}

let instance: Instance | undefined;

/** Compiled at first use and kept: a call leaves its scratch memory as it found it. */
function open(): Instance {
  const sizes = {
    sums: 8 * WINDOW,
    senders: 2 * WINDOW,
    tables: 32 * CONTRIBUTIONS_MAX,
    contributions: CONTRIBUTION_BYTES * CONTRIBUTIONS_MAX,
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
  const module = new WebAssembly.Module(Uint8Array.from(atob(meansBase64), (c) => c.charCodeAt(0)));
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  assert(
    (exports["__heap_base"] as WebAssembly.Global).value <= PAGE_BYTES * 2,
    "the kernel's stack is larger than thought",
  );
  const { buffer } = memory;
  return {
    kernel: exports as unknown as Exports,
    bytes: new Uint8Array(buffer),
    ints: new Int32Array(buffer),
    floats: new Float32Array(buffer),
    doubles: new Float64Array(buffer),
    at,
  };
}

function applyMean(
  params: Float32Array,
  contributions: readonly SparseTensor[],
  factors: Float64Array,
  rate: number,
  bySenders: boolean,
): boolean {
  instance ??= open();
  const { kernel, floats, doubles, at } = instance;
  const inputs = kernelInputs(contributions, factors);
  doubles.set(inputs.tables, at.tables / 8);
  const count = contributions.length;
  const indices = contributions.map((sparse) => sparse.indices);
  if (indices.some(({ length }, r) => length !== inputs.data[r]?.length)) return false;
  const cursors = new Int32Array(count);
  const block = Math.min(BLOCK, Math.floor(PAIRS / count) - 1);
  const senders = bySenders ? at.senders : 0;
  for (let start = 0; start < params.length; start += block) {
    const part = params.subarray(start, start + block);
    if (!fill(instance, indices, inputs, cursors, start, start + part.length)) return false;
    floats.set(part, at.params / 4);
    kernel.means(at.params, part.length, start, at.contributions, count, Number(inputs.coded), rate, at.sums, senders);
    part.set(floats.subarray(at.params / 4, at.params / 4 + part.length));
  }
  return indices.every(({ length }, r) => cursors[r] === length);
}

/** The WebAssembly kernel. */
export const wasmMeans: MeansKernel = { name: "wasm", squaredNorms, applyMean };

/** Copies what lies in [start, end) into the kernel's memory and moves the cursors; false where something is wrong with it. */
function fill(
  { kernel, bytes, ints, at }: Instance,
  indices: readonly Int32Array[],
  { coded, data, tables }: KernelInputs,
  cursors: Int32Array,
  start: number,
  end: number,
): boolean {
  let top = at.pairs;
  for (let r = 0; r < indices.length; r++) {
    const all = indices[r] as Int32Array;
    const from = cursors[r] as number;
    const to = positionOf(all, from, end);
    const n = to - from;
    if (n > end - start || (n > 0 && (all[to - 1] as number) >= end)) return false;
    const values = bytesOf((data[r] as Uint8Array).subarray(from, to));
    const place = top + 4 * n;
    ints.set(all.subarray(from, to), top / 4);
    bytes.set(values, place);
    if (kernel.ascending(top, n, start - 1) < 0 || (!coded && kernel.all_finite(place, n) < 0)) return false;
    const table = at.tables + ((8 * tables.length) / indices.length) * r;
    ints.set([top, place, table, n, 0], (at.contributions + CONTRIBUTION_BYTES * r) / 4);
    top = place + Math.ceil(values.length / 4) * 4;
    cursors[r] = to;
  }
  return true;
}
