/**
 * A binary range coder: turns yes/no decisions with known probabilities into bits, and back, at their information content plus about
 * a thousandth (Martin 1979, "Range encoding"; carries as in LZMA: a byte is held back until it can no longer change, with the
 * 0xFF bytes after it). 32-bit integers only, so every machine writes the same bytes.
 *
 * A message is one number V in [0, 1), written as base-256 digits. The end is tight and has one form: V is the smallest
 * multiple of 2^−8 of the last digit's weight in the final interval, so exactly one digit follows those already fixed. Hence a
 * decoder that ends where the bytes end, and with its offset below 2^24, has seen the only encoding of what it decoded
 * (docs/protocol/payload.md gives the argument).
 */
import { SkeinError } from "../base/errors.ts";

/** Codes decisions in one direction; the model (model.ts) is the same code for both. */
export interface BitCoder {
  /** Encodes `bit`, or decodes and returns it, where 1 has probability `p16` / 65536; p16 in [1, 65535]. */
  code(p16: number, bit: number): number;
  /** Decoder: whether it asked for more bytes than there are. Its decisions are meaningless from then on. */
  exhausted(): boolean;
}

/** Writes a message. */
export interface RangeEncoder extends BitCoder {
  /** Ends the message. The encoder is done. */
  finish(): Uint8Array;
}

/** How a message ended. */
export type StreamEnd = "ok" | "truncated" | "trailing" | "not canonical";

/** Reads a message. */
export interface RangeDecoder extends BitCoder {
  /** After the last decision: whether these were all the bytes and the only ones with this meaning. */
  end(): StreamEnd;
}

/** A message that would not fit a payload. */
export function streamTooLong(bytesMax: number): SkeinError {
  const text = `the pseudo-gradient takes more than the ${bytesMax} bytes a payload may have`;
  return new SkeinError("diverged", text, {
    remedy: "drop this round's work: its values are not like those of training",
  });
}

const TOP = 1 << 24;

/** An encoder with room for `bytesMax` bytes; where that was too little, `finish` throws SkeinError("diverged"). */
export function rangeEncoder(bytesMax: number): RangeEncoder {
  let out = new Uint8Array(Math.min(bytesMax, 1 << 16) + 1);
  let length = 0;
  const low = Float64Array.of(0); // below 2^33: bit 32 is a carry
  let cache = -1; // −1: the byte before the message, which no carry can reach
  let pending = 0; // bytes 0xFF behind the cache
  const range = Uint32Array.of(0xffffffff);

  const put = (byte: number): void => {
    if (length === out.length) {
      const grown = new Uint8Array(Math.min(out.length * 2, bytesMax + 1) + 1);
      grown.set(out);
      out = grown;
    }
    if (length <= bytesMax) out[length++] = byte;
  };

  const shift = (): void => {
    const digits = low[0] as number;
    if (digits >= 0x1_0000_0000 || digits < 0xff00_0000) {
      const carry = digits >= 0x1_0000_0000 ? 1 : 0;
      if (cache >= 0) put(cache + carry);
      for (; pending > 0; pending--) put(255 + carry);
      cache = (digits >>> 24) & 255;
    } else {
      pending++;
    }
    low[0] = (digits & 0xff_ffff) * 256;
  };

  return {
    code(p16, bit) {
      let size = range[0] as number;
      const bound = (size >>> 16) * p16;
      if (bit === 1) {
        size = bound;
      } else {
        low[0] = (low[0] as number) + bound;
        size -= bound;
      }
      while (size < TOP) {
        size *= 256;
        shift();
      }
      range[0] = size;
      return bit;
    },
    exhausted: () => false,
    finish() {
      low[0] = Math.ceil((low[0] as number) / TOP) * TOP;
      shift();
      shift();
      if (length > bytesMax) throw streamTooLong(bytesMax);
      return out.slice(0, length);
    },
  };
}

/** A decoder of `bytes`. Never reads beyond them. */
export function rangeDecoder(bytes: Uint8Array): RangeDecoder {
  let at = 0;
  const state = Uint32Array.of(0xffffffff, 0); // size of the interval, offset of V in it
  const next = (): number => {
    const byte = at < bytes.length ? (bytes[at] as number) : 0;
    at++;
    return byte;
  };
  for (let i = 0; i < 4; i++) state[1] = ((state[1] as number) << 8) | next();
  const outside = state[1] === 0xffffffff; // the one beginning that no message has
  if (outside) state[1] = 0;
  return {
    code(p16) {
      let size = state[0] as number;
      let offset = state[1] as number;
      const bound = (size >>> 16) * p16;
      let bit = 0;
      if (offset < bound) {
        size = bound;
        bit = 1;
      } else {
        offset -= bound;
        size -= bound;
      }
      while (size < TOP) {
        size *= 256;
        offset = offset * 256 + next();
      }
      state[0] = size;
      state[1] = offset;
      return bit;
    },
    exhausted: () => at > bytes.length + 3,
    end() {
      if (at > bytes.length + 3) return "truncated";
      if (at < bytes.length + 3) return "trailing";
      return !outside && (state[1] as number) < TOP ? "ok" : "not canonical";
    },
  };
}
