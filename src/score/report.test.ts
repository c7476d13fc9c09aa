/** Reports: one form, bounded, read back as written; anything else is a fault. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { accountOf, faulty, findingOf, reports, unjudged } from "../../test/helpers/findings.ts";
import { fromUtf8, utf8 } from "../base/bytes.ts";
import { REPORT_BYTES_MAX, RUN_UIDS_MAX } from "../base/limits.ts";
import { decodeReport, encodeReport, isReportFault, type Report } from "./report.ts";
import { MISSING, NO_STANDINGS, standingsAfter, votesOf } from "./standing.ts";

const FINDINGS = [
  findingOf(0, { gainAssigned: 0.0123456, gainUnassigned: 0.0098765, noise: 0.001, share: 0.5 }),
  faulty(3, MISSING, { audit: { round: 5, part: 2, verdict: "unanswered", reason: null } }),
  unjudged(4, { copyOf: { uid: 0, round: 7, likeness: 0.97 } }),
];
const ACCOUNTS = Array.from({ length: 5 }, (_, uid) => accountOf(uid));
const AFTER = standingsAfter(NO_STANDINGS, { round: 7, accounts: ACCOUNTS, findings: FINDINGS, suspended: false });
const EXAMPLE: Report = {
  version: 2,
  specHash: "ab".repeat(32),
  round: 7,
  root: "cd".repeat(32),
  previous: null,
  validationLoss: 2.7654321987,
  suspended: false,
  backed: [0],
  findings: FINDINGS,
  standings: AFTER.peers,
  votes: votesOf(AFTER),
};
const DECODED = {
  ...EXAMPLE,
  validationLoss: 2.765432,
  findings: [{ ...FINDINGS[0], gainAssigned: 0.012346, gainUnassigned: 0.009877 }, ...FINDINGS.slice(1)],
};

describe("a report", () => {
  it("has this form", () => {
    const text = fromUtf8(encodeReport(EXAMPLE));
    expect(text.startsWith('{"backed":[0],"findings":[{"account":"0x')).toBe(true);
    expect(text).toContain(
      '"audit":null,"bytes":1000,"copyOf":null,"drawn":true,"fault":null,"gainAssigned":0.012346,"gainUnassigned":0.009877,"noise":0.001,"noiseAssigned":0.003,"share":0.5,"uid":0}',
    );
    expect(text).toContain('"audit":{"part":2,"reason":null,"round":5,"verdict":"unanswered"},"bytes":0');
    expect(text).toContain('"copyOf":{"likeness":0.97,"round":7,"uid":0}');
    expect(text).toContain('"previous":null,"root":"cdcd');
    expect(text).toContain('"banned":null,"effort":0.1,"gate":0.26');
    expect(
      text.endsWith('"suspended":false,"validationLoss":2.765432,"version":2,"votes":{"uids":[],"values":[]}}'),
    ).toBe(true);
  });

  it("is read back as it was, to the millionth", () => {
    expect(decodeReport(encodeReport(EXAMPLE))).toEqual(DECODED);
    fc.assert(
      fc.property(reports, (report) => {
        expect(decodeReport(encodeReport(report))).toEqual(report);
      }),
    );
  });

  it("fits its limit with every uid and the longest numbers", () => {
    const uids = Array.from({ length: RUN_UIDS_MAX }, (_, uid) => uid);
    const audit = {
      round: Number.MAX_SAFE_INTEGER,
      part: Number.MAX_SAFE_INTEGER,
      verdict: "refuted",
      reason: "x".repeat(64),
    } as const;
    const copyOf = { uid: 255, round: Number.MAX_SAFE_INTEGER, likeness: 0.123457 };
    const gains = { gainAssigned: -99.123457, gainUnassigned: -99.123457, noise: 99.123457, noiseAssigned: 99.123457 };
    const findings = uids.map((uid) =>
      findingOf(uid, { ...gains, copyOf, audit, bytes: Number.MAX_SAFE_INTEGER, fault: "x".repeat(64), share: 0 }),
    );
    const standings = uids.map((uid) => ({
      ...{ uid, account: accountOf(uid), mu: 36.123457, sigma: 8.123457, effort: 0.123457, gate: -0.123457 },
      ...{ judged: Number.MAX_SAFE_INTEGER, strikes: 99.123457, banned: "x".repeat(64) },
    }));
    const votes = { uids, values: uids.map(() => 65_535) };
    const report = {
      ...EXAMPLE,
      previous: "ef".repeat(32),
      backed: uids,
      findings,
      standings,
      votes,
      validationLoss: -99.123457,
    };
    expect(encodeReport(report).length).toBeLessThan(REPORT_BYTES_MAX);
    expect(decodeReport(encodeReport(report))).toEqual(report);
  });

  it("is not written with what it may not hold", () => {
    const [first] = EXAMPLE.findings;
    const [peer] = EXAMPLE.standings;
    const finding = (change: object): object => ({ findings: [{ ...first, ...change }] });
    const standing = (change: object): object => ({ standings: [{ ...peer, ...change }] });
    const audit = { round: 1, part: 1, verdict: "passed", reason: null };
    const changes: object[] = [
      { version: 1 },
      { round: -1 },
      { round: 0.5 },
      { specHash: `0x${"ab".repeat(32)}` },
      { previous: "" },
      { suspended: 1 },
      { backed: [3, 0] },
      { backed: [256] },
      { findings: [...EXAMPLE.findings].reverse() },
      { standings: [...EXAMPLE.standings].reverse() },
      { votes: { uids: [0], values: [] } },
      { votes: { uids: [0], values: [0] } },
      { votes: { uids: [0], values: [65_536] } },
      finding({ fault: 'a "quote"', share: 0 }),
      finding({ fault: "", share: 0 }),
      finding({ fault: "wrong base" }), // with tokens
      finding({ account: "0x1" }),
      finding({ bytes: -1 }),
      finding({ uid: 256 }),
      finding({ drawn: null }),
      finding({ noise: -0.1 }),
      finding({ noiseAssigned: -0.1 }),
      finding({ noise: null }), // judged by half
      finding({ copyOf: { uid: 256, round: 1, likeness: 1 } }),
      finding({ audit: { ...audit, reason: "not refuted" } }),
      finding({ audit: { ...audit, verdict: "refuted" } }), // why?
      finding({ audit: { ...audit, verdict: "maybe" } }),
      standing({ sigma: 0 }),
      standing({ effort: 1.5 }),
      standing({ gate: -1.5 }),
      standing({ judged: -1 }),
      standing({ strikes: -1 }),
      standing({ banned: 5 }),
    ];
    for (const change of changes) {
      const report = { ...EXAMPLE, ...change } as Report;
      expect(() => encodeReport(report), JSON.stringify(change)).toThrow();
    }
  });
});

describe("a stranger's report", () => {
  it("of any bytes is a fault, never an exception", () => {
    const isFault = (bytes: Uint8Array): boolean => isReportFault(decodeReport(bytes));
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), isFault));
    fc.assert(fc.property(fc.json(), (json) => isFault(utf8(json))));
    expect(decodeReport(new Uint8Array(REPORT_BYTES_MAX + 1))).toEqual({ fault: "too long" });
    expect(decodeReport(utf8("[".repeat(100_000)))).toEqual({ fault: "not JSON" });
    expect(decodeReport(utf8('{"version":2,"findings":{"length":1e9}}'))).toEqual({ fault: "wrong fields" });
  });

  it("is a fault or the very bytes after any edit", () => {
    const bytes = encodeReport(EXAMPLE);
    const edit = fc.tuple(fc.nat(bytes.length - 1), fc.nat(3), fc.uint8Array({ maxLength: 4 }));
    fc.assert(
      fc.property(edit, ([at, cut, put]) => {
        const edited = Uint8Array.from([...bytes.subarray(0, at), ...put, ...bytes.subarray(at + cut)]);
        const decoded = decodeReport(edited);
        if (!isReportFault(decoded)) expect(encodeReport(decoded)).toEqual(edited);
      }),
      { numRuns: 400 },
    );
  });

  it("is a fault or canonical with any field replaced by anything", () => {
    const json = JSON.parse(fromUtf8(encodeReport(EXAMPLE)));
    const paths: (string | number)[][] = [];
    const walk = (value: unknown, path: (string | number)[]): void => {
      if (path.length > 0) paths.push(path);
      if (Array.isArray(value)) for (const [i, each] of value.entries()) walk(each, [...path, i]);
      else if (typeof value === "object" && value !== null)
        for (const [key, each] of Object.entries(value)) walk(each, [...path, key]);
    };
    walk(json, []);
    fc.assert(
      fc.property(fc.constantFrom(...paths), fc.jsonValue(), (path, put) => {
        const edited = structuredClone(json);
        const last = path.at(-1) as string;
        const parent = path.slice(0, -1).reduce((value, key) => value[key], edited);
        parent[last] = put;
        const bytes = utf8(JSON.stringify(edited));
        const decoded = decodeReport(bytes);
        if (!isReportFault(decoded)) expect(encodeReport(decoded)).toEqual(bytes);
      }),
      { numRuns: 500 },
    );
  });

  it("is a fault in any other spelling", () => {
    const text = fromUtf8(encodeReport(EXAMPLE));
    const changes: [string, string, string][] = [
      ["{", "{ ", "not canonical"],
      ['"round":7,"specHash"', '"round":7.0,"specHash"', "not canonical"],
      ['"round":7,"specHash"', '"round":-0,"specHash"', "wrong fields"],
      ['"effort":0.1', '"effort":1e-1', "not canonical"],
      ['"effort":0.1', '"effort":0.1000001', "wrong fields"],
      ['"effort":0.1', '"effort":1e99', "wrong fields"],
      ['"effort":0.1', '"effort":"0.1"', "wrong fields"],
      ['"effort":0.1,', "", "wrong fields"],
      ['"backed":[0]', '"backed":[0,0]', "wrong fields"],
      ['"backed":[0]', '"backed":{"0":0}', "wrong fields"],
      ['"version":2', '"version":3', "wrong fields"],
      ['"root":', '"more":1,"root":', "not canonical"],
      ['"root":', '"__proto__":{"polluted":1},"root":', "not canonical"],
      ['"drawn":true', '"drawn":true,"drawn":true', "not canonical"],
      ['"fault":null', '"fault":"<b>"', "wrong fields"],
    ];
    for (const [from, to, fault] of changes) {
      expect(text, from).toContain(from);
      expect(decodeReport(utf8(text.replace(from, to))), `${from} → ${to}`).toEqual({ fault });
    }
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  });
});
