/** Findings and reports of every kind, for the tests of scoring: by hand, and at random. */
import fc from "fast-check";
import { RUN_UIDS_MAX } from "../../src/base/limits.ts";
import { rounded, roundedUnit } from "../../src/score/fields.ts";
import type { Report } from "../../src/score/report.ts";
import {
  ABSENT,
  type Finding,
  isSuspended,
  MISSING,
  NO_STANDINGS,
  type Standing,
  type Standings,
  standingsAfter,
} from "../../src/score/standing.ts";

/** A made-up account. */
export const accountOf = (n: number): string => `0x${n.toString(16).padStart(64, "0")}`;

/** What is found of an honest peer with all its tokens, but for `facts`. */
export function findingOf(uid: number, facts: Partial<Finding> = {}): Finding {
  const honest = { bytes: 1000, fault: null, share: 1, drawn: true, copyOf: null, audit: null };
  const gains = { gainAssigned: 0.03, gainUnassigned: 0.02, noise: 0.002, noiseAssigned: 0.003 };
  return { uid, account: accountOf(uid), ...honest, ...gains, ...facts };
}

/** What is found of a payload that is not judged. */
export const unjudged = (uid: number, facts: Partial<Finding> = {}): Finding =>
  findingOf(uid, {
    drawn: false,
    gainAssigned: null,
    gainUnassigned: null,
    noise: null,
    noiseAssigned: null,
    ...facts,
  });

/** What is found where there is no good payload. */
export const faulty = (uid: number, fault: string, facts: Partial<Finding> = {}): Finding =>
  unjudged(uid, { fault, share: 0, bytes: fault === ABSENT || fault === MISSING ? 0 : 9, drawn: true, ...facts });

/** Accounts of uids 0 to 15. */
export const ACCOUNTS: readonly string[] = Array.from({ length: 16 }, (_, uid) => accountOf(uid));

/** Rounds one after another, each counted as a validator counts it. */
export function counted(story: readonly (readonly Finding[])[], before: Standings = NO_STANDINGS): Standings {
  return story.reduce((last, found) => {
    const suspended = isSuspended(last, found);
    return standingsAfter(last, { round: last.round + 1, accounts: ACCOUNTS, findings: found, suspended });
  }, before);
}

/** The same, so often. */
export const times = <T>(n: number, each: T): T[] => Array.from({ length: n }, () => each);

const nats = fc.double({ min: -1, max: 1, noNaN: true }).map(rounded);
const unit = fc.double({ min: 0, max: 1, noNaN: true }).map(roundedUnit);
const reason = fc.constantFrom("state after span 3 is another", "compression", "other data");
const audits: fc.Arbitrary<Finding["audit"]> = fc.oneof(
  fc.record({
    round: fc.nat(99),
    part: fc.nat(64),
    verdict: fc.constantFrom("passed", "unanswered"),
    reason: fc.constant(null),
  }),
  fc.record({ round: fc.nat(99), part: fc.nat(64), verdict: fc.constant("refuted" as const), reason }),
);
const copies = fc.record({ uid: fc.nat(RUN_UIDS_MAX - 1), round: fc.nat(99), likeness: unit });

/** Any finding that a report can hold, of `uid`. */
export function findings(
  uid: number,
  account: fc.Arbitrary<string> = fc.constant(accountOf(uid)),
): fc.Arbitrary<Finding> {
  const kind = fc.record({
    fault: fc.option(fc.constantFrom(MISSING, ABSENT, "wrong base", "stream has trailing bytes"), { freq: 4 }),
    judged: fc.boolean(),
    drawn: fc.boolean(),
  });
  const noises = { noise: nats.map(Math.abs), noiseAssigned: nats.map(Math.abs) };
  const numbers = fc.record({ share: unit, gainAssigned: nats, gainUnassigned: nats, ...noises });
  const others = fc.record({
    copyOf: fc.option(copies, { freq: 1, nil: null }).map((copy) => (copy && copy.likeness > 0.9 ? copy : null)),
    audit: fc.option(audits, { freq: 1, nil: null }),
    bytes: fc.nat(1 << 20),
    account,
  });
  return fc
    .tuple(kind, numbers, others)
    .map(([{ fault, judged, drawn }, found, { copyOf, audit, bytes, account: who }]) => {
      const facts = { account: who, fault, copyOf, audit };
      if (fault !== null) return faulty(uid, fault, { ...facts, drawn });
      return judged
        ? findingOf(uid, { ...facts, ...found, bytes })
        : unjudged(uid, { ...facts, share: found.share, drawn });
    });
}

/** Findings of some of the uids below `most`, ascending. */
export function rounds(most: number): fc.Arbitrary<Finding[]> {
  const uids = fc.uniqueArray(fc.nat(most - 1), { maxLength: most }).map((list) => list.sort((a, b) => a - b));
  return uids.chain((list) => fc.tuple(...list.map((uid) => findings(uid))));
}

/** Any standing that a report can hold, of `uid`. */
export function standings(uid: number): fc.Arbitrary<Standing> {
  return fc.record({
    uid: fc.constant(uid),
    account: fc.constant(accountOf(uid)),
    mu: fc.double({ min: 10, max: 40, noNaN: true }).map(rounded),
    sigma: fc.double({ min: 0.5, max: 9, noNaN: true }).map(rounded),
    effort: unit,
    gate: nats,
    judged: fc.nat(999),
    strikes: fc.nat(20).map((quarters) => quarters / 4),
    banned: fc.option(reason, { freq: 4 }),
  });
}

const hash = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString("hex"));
const uidList = fc.uniqueArray(fc.nat(RUN_UIDS_MAX - 1), { maxLength: 12 }).map((uids) => uids.sort((a, b) => a - b));

/** Any report that can be written; what should follow from its findings need not. */
export const reports: fc.Arbitrary<Report> = fc.tuple(uidList, uidList, uidList, uidList).chain(([a, b, c, d]) =>
  fc.record({
    version: fc.constant(2 as const),
    specHash: hash,
    round: fc.maxSafeNat(),
    root: hash,
    previous: fc.option(hash),
    validationLoss: fc.option(nats),
    suspended: fc.boolean(),
    backed: fc.constant(a),
    findings: fc.tuple(...b.map((uid) => findings(uid))),
    standings: fc.tuple(...c.map(standings)),
    votes: fc.tuple(...d.map(() => fc.integer({ min: 1, max: 65_535 }))).map((values) => ({ uids: d, values })),
  }),
);
