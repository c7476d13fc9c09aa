/** What a gateway says where it does not do what it was asked, and whom it says it to. */
import { SkeinError } from "../../base/errors.ts";

/** A "no": the HTTP status, what is wrong, what to do, and when trying again may help. */
export interface Refusal {
  readonly status: number;
  readonly error: string;
  readonly remedy: string;
  readonly retryAfterSeconds?: number;
}

/** Whether something is a refusal. */
export function isRefusal(value: object): value is Refusal {
  return "status" in value && "error" in value && "remedy" in value;
}

/** The refusal for something that was thrown while a request was worked on. Says nothing of this machine's paths. */
export function refusalOf(thrown: unknown): Refusal {
  const cause = thrown instanceof SkeinError ? thrown.cause : thrown;
  const code = typeof cause === "object" && cause !== null && "code" in cause ? String(cause.code) : "";
  if (code === "ENOSPC" || code === "EDQUOT") {
    const remedy = "ask the run's owner to free some disk space; what was sent before is not lost";
    return { status: 507, error: "the gateway's disk is full", remedy, retryAfterSeconds: 60 };
  }
  if (thrown instanceof SkeinError && thrown.code === "chain") {
    const remedy = "try again in some seconds";
    return { status: 503, error: "the gateway does not reach its chain", remedy, retryAfterSeconds: 5 };
  }
  return { status: 500, error: "the gateway failed", remedy: "try again; if it stays so, tell whoever runs it" };
}

/**
 * Who a client is, for counting: an IPv4 address, or the first 64 bits of an IPv6 address, which is what one customer has. `forwarded` is the
 * X-Forwarded-For of a proxy that can be trusted: its last entry is the one that this proxy saw.
 */
export function clientOf(remoteAddress: string, forwarded?: string): string {
  const address = (forwarded?.split(",").at(-1)?.trim() || remoteAddress).slice(0, 64).replace(/^::ffff:/i, "");
  if (!address.includes(":")) return address;
  const [head = "", tail] = address.toLowerCase().split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => "0");
  const groups = tail === undefined ? left : [...left, ...zeros, ...right];
  return groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ""))
    .join(":");
}
