/** Small helpers over byte arrays; every number on disk or wire is little-endian. */

/** True where this machine stores numbers little-endian, as every supported platform does. */
export const littleEndian: boolean = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/** The bytes behind any typed array, without a copy. */
export function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

/** UTF-8 bytes of `text`. */
export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Text of UTF-8 `bytes`; invalid sequences become U+FFFD. */
export function fromUtf8(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** One array holding all `parts` in order. */
export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Bytes that arrive in pieces of any size, however small, in little more memory than they have. */
export interface ByteSink {
  readonly length: number;
  /** Appends a copy of `part`, as far as there is room; gives how many bytes that was. */
  push(part: Uint8Array): number;
  /** Everything pushed so far; the next push may write on into the same memory behind it. */
  bytes(): Uint8Array;
}

/** A sink for at most `bytesMax` bytes; `expected` (at most so many) have their place from the beginning. */
export function byteSink(bytesMax: number, expected = 0): ByteSink {
  let buffer = new Uint8Array(Math.min(expected, bytesMax));
  let length = 0;
  return {
    get length() {
      return length;
    },
    push(part) {
      const taken = part.subarray(0, bytesMax - length);
      if (length + taken.length > buffer.length) {
        const grown = new Uint8Array(Math.min(bytesMax, Math.max(1024, 2 * (length + taken.length))));
        grown.set(buffer.subarray(0, length));
        buffer = grown;
      }
      buffer.set(taken, length);
      length += taken.length;
      return taken.length;
    },
    bytes: () => buffer.subarray(0, length),
  };
}

/** One array of copies of all that `source` yields. */
export async function gatherBytes(
  source: Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<Uint8Array> {
  if (source instanceof Uint8Array) return source.slice();
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(part.slice());
  return concatBytes(parts);
}

/** True where `a` and `b` hold the same bytes. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
