/**
 * The stream of a payload, written and read by a WebAssembly kernel (kernels/entropy.c): model.ts and rangecoder.ts in one loop, equal to
 * them to the bit, since WebAssembly's arithmetic is IEEE 754 like JavaScript's. Those two stay as the reference that is tested
 * against. Measured on real pseudo-gradients (bench/codec-speed.ts): see bench/RESULTS.md.
 *
 * The kernel's memory holds one tensor's statistics by column and windows of its values and of the stream; values and bytes go through
 * the windows in groups of rows. So memory follows from the widest tensor of the layout (about 50 bytes a column), whatever the bytes say.
 * What outlives a tensor (256 contexts, the coder's interval) is copied out after each, so several streams may be under way.
 */
import { assert } from "../base/assert.ts";
import type { Grid } from "./chunks.ts";
import { entropyBase64 } from "./kernels/entropy.wasm.ts";
import { type OpenKernel, openKernel } from "./kernels/open.ts";
import type { SparseCodes } from "./model.ts";
import type { CodecParams } from "./params.ts";
import { type StreamEnd, streamTooLong } from "./rangecoder.ts";

/** Values and bytes in a window beyond those of one row. */
const WINDOW = 1 << 14;
/** What a row may take of the stream at most, in bytes: as kernels/entropy.c has it. */
const rowBytesMax = (cols: number): number => 6 * cols + 16;

interface Exports {
  streamAt(): number;
  streamBytes(): number;
  tensorAt(): number;
  begin(k0: number, n0: number): void;
  open(): void;
  encodeRows(row: number): number;
  decodeRows(row: number): number;
  endEncoder(): void;
  beginDecoder(): number;
  canonicalEnd(): number;
}

/** Fields of the kernel's Tensor, in order; all but the last seven are set once for a tensor. */
const FORM_FIELDS = 7 + 9;
const FIELD = { valueAt: 16, valueEnd: 17, byteAt: 18, byteEnd: 19, lastValues: 20, lastBytes: 21, carry: 22 } as const;

let opened: OpenKernel<Exports> | undefined;

/** The kernel set up for one tensor of one stream. */
interface Session {
  readonly call: Exports;
  /** The kernel's Tensor as numbers. */
  readonly fields: Int32Array;
  readonly indices: Int32Array;
  readonly codes: Uint8Array;
  readonly bytes: Uint8Array;
}

/** Lays the kernel's memory out for a tensor and tells it where things lie. */
function sessionFor({ rows, cols, blockHeight, blockWidth }: Grid, { k, chunkSide, bits }: CodecParams): Session {
  opened ??= openKernel<Exports>(entropyBase64);
  const { call, heapBase } = opened;
  let top = heapBase;
  const place = (bytes: number): number => {
    const at = Math.ceil(top / 64) * 64;
    top = at + bytes;
    return at;
  };
  const [valueRoom, byteRoom] = [cols + WINDOW, rowBytesMax(cols) + WINDOW];
  const blocks = Math.ceil(cols / blockWidth);
  const at = {
    ...{ counts: place(4 * cols), highs: place(4 * cols), balance: place(4 * cols), buckets: place(cols) },
    ...{ left: place(4 * blocks), keptLeft: place(4 * blocks), indices: place(4 * valueRoom), codes: place(valueRoom) },
    bytes: place(byteRoom),
  };
  opened.reserve(top);
  const buffer = opened.buffer();
  const fields = new Int32Array(buffer, call.tensorAt(), Object.keys(FIELD).length + FORM_FIELDS);
  const pointers = [at.counts, at.highs, at.balance, at.buckets, at.left, at.keptLeft];
  const windows = [at.indices, at.codes, at.bytes];
  fields.set([rows, cols, blockHeight, blockWidth, k, chunkSide * chunkSide, bits, ...pointers, ...windows]);
  call.open();
  return {
    ...{ call, fields, indices: new Int32Array(buffer, at.indices, valueRoom) },
    ...{ codes: new Uint8Array(buffer, at.codes, valueRoom), bytes: new Uint8Array(buffer, at.bytes, byteRoom) },
  };
}

/** A stream's own state: `enter` puts it into the kernel, `leave` takes it out again. */
function streamState(params: CodecParams): { enter(): void; leave(): void } {
  opened ??= openKernel<Exports>(entropyBase64);
  const kernel = opened;
  const own = new Uint8Array(kernel.call.streamBytes());
  const inside = (): Uint8Array => new Uint8Array(kernel.buffer(), kernel.call.streamAt(), own.length);
  kernel.call.begin(params.k, params.chunkSide * params.chunkSide);
  own.set(inside());
  return {
    enter: () => inside().set(own),
    leave: () => own.set(inside()),
  };
}

function setWindow(fields: Int32Array, window: Readonly<Record<Exclude<keyof typeof FIELD, "carry">, number>>): void {
  fields[FIELD.carry] = 0;
  for (const name of Object.keys(window) as (keyof typeof window)[]) fields[FIELD[name]] = window[name];
}

/** Writes a stream, tensor by tensor. */
export interface StreamEncoder {
  /** The next tensor; its values are those of `grid`. */
  add(grid: Grid, tensor: SparseCodes): void;
  /** The stream. Throws SkeinError("diverged") where it is longer than it may be. */
  finish(): Uint8Array;
}

/** An encoder of streams of at most `bytesMax` bytes; holds the bytes so far. */
export function streamEncoder(params: CodecParams, bytesMax: number): StreamEncoder {
  const state = streamState(params);
  let out = new Uint8Array(Math.min(bytesMax, WINDOW));
  let length = 0;
  /** Takes over what the kernel wrote. */
  const append = ({ fields, bytes }: Session): void => {
    const count = fields[FIELD.byteAt] as number;
    if (length + count > bytesMax) throw streamTooLong(bytesMax);
    if (length + count > out.length) {
      const grown = new Uint8Array(Math.min(Math.max(length + count, 2 * length), bytesMax));
      grown.set(out.subarray(0, length));
      out = grown;
    }
    if (fields[FIELD.carry] === 1) addOne(out, length);
    out.set(bytes.subarray(0, count), length);
    length += count;
  };
  return {
    add(grid, { indices, codes }) {
      const session = sessionFor(grid, params);
      state.enter();
      let done = 0;
      for (let row = 0; row < grid.rows; ) {
        const end = Math.min(done + session.indices.length, indices.length);
        session.indices.set(indices.subarray(done, end));
        session.codes.set(codes.subarray(done, end));
        const lastValues = end === indices.length ? 1 : 0;
        const window = { valueAt: 0, valueEnd: end - done, lastValues };
        setWindow(session.fields, { ...window, byteAt: 0, byteEnd: session.bytes.length, lastBytes: 0 });
        const next = session.call.encodeRows(row);
        assert(next > row, "kept values ascend, and each chunk has as many as the layout says");
        row = next;
        done += session.fields[FIELD.valueAt] as number;
        append(session);
      }
      assert(done === indices.length, "as many values as the layout says");
      state.leave();
    },
    finish() {
      const session = sessionFor(EMPTY, params);
      state.enter();
      const window = { valueAt: 0, valueEnd: 0, lastValues: 1, byteAt: 0, byteEnd: 1, lastBytes: 0 };
      setWindow(session.fields, window);
      session.call.endEncoder();
      append(session);
      return out.slice(0, length);
    },
  };
}

const EMPTY: Grid = { rows: 0, cols: 0, blockHeight: 1, blockWidth: 1, chunkCount: 0, keptCount: 0 };

/** Adds one to the number whose last digit is before `end`. */
function addOne(bytes: Uint8Array, end: number): void {
  let at = end - 1;
  while (bytes[at] === 255) bytes[at--] = 0;
  bytes[at] = (bytes[at] as number) + 1;
}

/** Reads a stream, tensor by tensor. */
export interface StreamDecoder {
  /** Fills in the next tensor, whose arrays have the grid's keptCount elements; false where the bytes end too early. */
  read(grid: Grid, tensor: SparseCodes): boolean;
  /** After the last tensor: whether these were all the bytes and the only ones with this meaning. */
  end(): StreamEnd;
}

/** A decoder of `bytes`, which may be any. */
export function streamDecoder(params: CodecParams, bytes: Uint8Array): StreamDecoder {
  const state = streamState(params);
  let taken = 0;
  /** Shows the kernel the next bytes and this room for values, lets it work, and counts the bytes it took. */
  const work = (session: Session, valueEnd: number, lastValues: boolean, what: () => number): number => {
    const from = Math.min(taken, bytes.length);
    const shown = bytes.subarray(from, from + session.bytes.length);
    session.bytes.set(shown);
    setWindow(session.fields, {
      ...{ valueAt: 0, valueEnd, lastValues: lastValues ? 1 : 0 },
      ...{ byteAt: taken - from, byteEnd: shown.length, lastBytes: from + shown.length === bytes.length ? 1 : 0 },
    });
    const result = what();
    taken = from + (session.fields[FIELD.byteAt] as number);
    return result;
  };
  const first = sessionFor(EMPTY, params);
  state.enter();
  const inside = work(first, 0, true, first.call.beginDecoder) === 1; // false: at the one beginning that no message has
  state.leave();
  return {
    read(grid, { indices, codes }) {
      const session = sessionFor(grid, params);
      state.enter();
      let done = 0;
      for (let row = 0; row < grid.rows; ) {
        const room = Math.min(session.indices.length, indices.length - done);
        const from = row;
        row = work(session, room, done + room === indices.length, () => session.call.decodeRows(from));
        if (taken > bytes.length + 3) return false;
        assert(row > from, "the windows suffice for a row");
        const count = session.fields[FIELD.valueAt] as number;
        indices.set(session.indices.subarray(0, count), done);
        codes.set(session.codes.subarray(0, count), done);
        done += count;
      }
      assert(done === grid.keptCount, "as many values as the layout says");
      state.leave();
      return true;
    },
    end() {
      if (taken > bytes.length + 3) return "truncated";
      if (taken < bytes.length + 3) return "trailing";
      state.enter();
      return inside && first.call.canonicalEnd() === 1 ? "ok" : "not canonical";
    },
  };
}
