/** What a gateway has to do, counted from its log; and that log without the lines that come hundreds of times a minute. */
import { type Clock, systemClock } from "../../base/clock.ts";
import { type Log, type LogFields, numberIn } from "../../base/log/log.ts";

/** Milliseconds between two lines on the same trouble: every node asks every second while a chain is away. */
const SAME_TROUBLE_MS = 10_000;

/** Since the gateway's start. */
export interface Traffic {
  readonly requests: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Requests that were refused or failed; a blob that is not there yet is neither. */
  readonly refused: number;
}

/** A log that counts, and passes the rest on to `next`; of trouble that comes again and again, now and then a line that says how often (`times`). */
export function trafficCounter(next: Log, clock: Clock = systemClock): Log & { readonly traffic: () => Traffic } {
  let [requests, bytesIn, bytesOut, refused] = [0, 0, 0, 0];
  const troubles = new Map<string, { times: number; toldMs: number }>();
  const tellTrouble = (name: string, kind: string, fields: LogFields): void => {
    const nowMs = clock.monotonic();
    const trouble = troubles.get(name) ?? { times: 0, toldMs: Number.NEGATIVE_INFINITY };
    troubles.set(name, trouble);
    trouble.times += 1;
    if (nowMs - trouble.toldMs < SAME_TROUBLE_MS) return;
    next.event(kind, trouble.times > 1 ? { ...fields, times: trouble.times } : fields);
    troubles.set(name, { times: 0, toldMs: nowMs });
  };
  return {
    traffic: () => ({ requests, bytesIn, bytesOut, refused }),
    event(kind, fields = {}) {
      if (/-trouble$/.test(kind)) return tellTrouble(kind, kind, fields);
      if (kind !== "request") return next.event(kind, fields);
      requests += 1;
      bytesIn += numberIn(fields, "received") ?? 0;
      bytesOut += numberIn(fields, "bytes") ?? 0;
      if (isFailure(fields)) {
        refused += 1;
        tellTrouble(`${fields["method"]} ${fields["status"]}`, kind, fields);
      } else if (fields["method"] === "PUT") next.event(kind, fields);
    },
  };
}

function isFailure(fields: LogFields): boolean {
  const status = numberIn(fields, "status") ?? 0;
  return status >= 400 && !(status === 404 && (fields["method"] === "GET" || fields["method"] === "HEAD"));
}
