/** What is asked of JSON that a stranger or an older process wrote, wherever it is read: one answer for each question. Nothing here throws. */

/** The JSON value in `bytes`; undefined where they are no JSON in UTF-8. */
export function jsonIn(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    return undefined;
  }
}

/** The fields of a JSON object; none for anything else. */
export function fieldsIn(json: unknown): ReadonlyMap<string, unknown> {
  return new Map(typeof json === "object" && json !== null ? Object.entries(json) : []);
}

/** Whether `value` is a whole number from 0 to 2^53 − 1, and not −0. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && !Object.is(value, -0);
}

/** Whether `value` is bytes in lower-case hex: two digits each, at most `bytesMax` of them. */
export function isHex(value: unknown, bytesMax: number): value is string {
  return typeof value === "string" && value.length <= 2 * bytesMax && /^(?:[0-9a-f]{2})*$/.test(value);
}

/** Whether `value` is a sha256 in the form that names things: 64 lower-case hex digits. */
export function isHash(value: unknown): value is string {
  return typeof value === "string" && /^[0-9a-f]{64}$/.test(value);
}

/** Whether `value` is an account as the chain writes them: 0x and 64 lower-case hex digits. */
export function isAccount(value: unknown): value is `0x${string}` {
  return typeof value === "string" && value.startsWith("0x") && isHash(value.slice(2));
}
