/** Conditions and ranges of a GET (RFC 9110, sections 13 and 14), as far as stores need them: one range of bytes, strong ETags. */
import type { ByteRange } from "../../store/store.ts";

/** What of a blob a GET is answered with. */
export type Selection =
  | { readonly status: 200; readonly range: ByteRange }
  | { readonly status: 206; readonly range: ByteRange }
  | { readonly status: 304 }
  | { readonly status: 416 };

/** The headers that matter here, each absent or as it came. */
export interface Conditions {
  readonly range?: string | undefined;
  readonly ifRange?: string | undefined;
  readonly ifNoneMatch?: string | undefined;
}

/** What to send of a blob of `size` bytes whose ETag is `tag` (with its quotes). Several ranges, or other units, give the whole. */
export function select({ range, ifRange, ifNoneMatch }: Conditions, size: number, tag: string): Selection {
  if (ifNoneMatch !== undefined && matches(ifNoneMatch, tag)) return { status: 304 };
  const whole = { status: 200, range: { start: 0, end: size } } as const;
  if (range === undefined || !/^bytes\s*=/i.test(range) || range.includes(",")) return whole;
  if (ifRange !== undefined && ifRange.trim() !== tag) return whole;
  const part = rangeOf(range, size);
  return part === undefined ? { status: 416 } : { status: 206, range: part };
}

/** Whether a list of ETags has `tag` in it; weak ones compare like strong ones here (section 13.1.2). */
function matches(list: string, tag: string): boolean {
  return list.split(",").some((each) => each.trim() === "*" || each.trim().replace(/^W\//, "") === tag);
}

/** The bytes that "bytes=a-b", "bytes=a-" or "bytes=-n" names of `size`; undefined where that is malformed or none. */
export function rangeOf(text: string, size: number): ByteRange | undefined {
  const [, first, last] = /^bytes\s*=\s*(\d{0,15})\s*-\s*(\d{0,15})\s*$/i.exec(text) ?? [];
  if (first === undefined || last === undefined || (first === "" && last === "")) return undefined;
  if (first === "")
    return last === "0" || size === 0 ? undefined : { start: Math.max(0, size - Number(last)), end: size };
  const start = Number(first);
  const end = last === "" ? size : Math.min(size, Number(last) + 1);
  return start < end ? { start, end } : undefined;
}
