/** Reports: one form, bounded, read back as written; anything else is a fault. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fromUtf8, utf8 } from "../base/bytes.ts";
import { REPORT_BYTES_MAX, RUN_UIDS_MAX } from "../base/limits.ts";
import { rounded } from "./fields.ts";
import { decodeReport, encodeReport, isReportFault, type ReportedPeer, type ScoreReport } from "./report.ts";

const hash = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString("hex"));
const nats = fc.option(fc.double());
const peerOf = (uid: number): fc.Arbitrary<ReportedPeer> =>
  fc.record({
    uid: fc.constant(uid),
    account: hash.map((hex) => `0x${hex}`),
    bytes: fc.maxSafeNat(),
    fault: fc.option(fc.constantFrom("absent", "wrong base", "stream has trailing bytes", "too long")),
    gainAssigned: nats,
    gainUnassigned: nats,
    rating: nats,
  });
const uidList = fc.uniqueArray(fc.nat(RUN_UIDS_MAX - 1), { maxLength: 12 }).map((uids) => uids.sort((a, b) => a - b));
const reports: fc.Arbitrary<ScoreReport> = fc.tuple(uidList, uidList).chain(([uids, accepted]) =>
  fc.record({
    specHash: hash,
    round: fc.maxSafeNat(),
    root: hash,
    validationLoss: nats,
    peers: fc.tuple(...uids.map(peerOf)),
    accepted: fc.constant(accepted),
  }),
);

const EXAMPLE: ScoreReport = {
  specHash: "ab".repeat(32),
  round: 7,
  root: "cd".repeat(32),
  validationLoss: 2.7654321987,
  peers: [
    {
      uid: 0,
      account: `0x${"01".repeat(32)}`,
      bytes: 5321,
      fault: null,
      gainAssigned: 0.0123456,
      gainUnassigned: -1e-9,
      rating: 0.01,
    },
    {
      uid: 3,
      account: `0x${"02".repeat(32)}`,
      bytes: 0,
      fault: "absent",
      gainAssigned: null,
      gainUnassigned: null,
      rating: null,
    },
  ],
  accepted: [0],
};

describe("a report", () => {
  it("has this form", () => {
    const account = (pair: string): string => `0x${pair.repeat(32)}`;
    expect(fromUtf8(encodeReport(EXAMPLE))).toBe(
      `{"accepted":[0],"peers":[{"account":"${account("01")}","bytes":5321,"fault":null,"gainAssigned":0.012346,` +
        `"gainUnassigned":0,"rating":0.01,"uid":0},{"account":"${account("02")}","bytes":0,"fault":"absent",` +
        `"gainAssigned":null,"gainUnassigned":null,"rating":null,"uid":3}],"root":"${"cd".repeat(32)}","round":7,` +
        `"specHash":"${"ab".repeat(32)}","validationLoss":2.765432}`,
    );
  });

  it("is read back as it was, to the millionth", () => {
    const near = (x: number | null): number | null => (x === null ? null : rounded(x));
    fc.assert(
      fc.property(reports, (report) => {
        const peers = report.peers.map((peer) => ({
          ...peer,
          gainAssigned: near(peer.gainAssigned),
          gainUnassigned: near(peer.gainUnassigned),
          rating: near(peer.rating),
        }));
        const bytes = encodeReport(report);
        const decoded = decodeReport(bytes);
        expect(decoded).toEqual({ ...report, validationLoss: near(report.validationLoss), peers });
        if (!isReportFault(decoded)) expect(encodeReport(decoded)).toEqual(bytes);
      }),
    );
  });

  it("fits its limit with every uid and the longest numbers", () => {
    const uids = Array.from({ length: RUN_UIDS_MAX }, (_, uid) => uid);
    const peers = uids.map((uid) => ({
      uid,
      account: `0x${"ef".repeat(32)}`,
      bytes: Number.MAX_SAFE_INTEGER,
      fault: "x".repeat(64),
      gainAssigned: -99.123457,
      gainUnassigned: -99.123457,
      rating: -99.123457,
    }));
    const report = { ...EXAMPLE, peers, accepted: uids };
    expect(encodeReport(report).length).toBeLessThan(REPORT_BYTES_MAX);
    expect(decodeReport(encodeReport(report))).toEqual({ ...report, validationLoss: 2.765432 });
  });

  it("is not written with what it may not hold", () => {
    const [first] = EXAMPLE.peers;
    for (const change of [
      { round: -1 },
      { round: 0.5 },
      { specHash: `0x${"ab".repeat(32)}` },
      { accepted: [3, 0] },
      { accepted: [256] },
      { peers: [...EXAMPLE.peers].reverse() },
      { peers: [{ ...first, fault: 'a "quote"' }] },
      { peers: [{ ...first, fault: "" }] },
      { peers: [{ ...first, account: "0x1" }] },
      { peers: [{ ...first, bytes: -1 }] },
    ]) {
      const report = { ...EXAMPLE, ...change } as ScoreReport;
      expect(() => encodeReport(report), JSON.stringify(change)).toThrow("a report keeps its own rules");
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
    expect(decodeReport(utf8('{"peers":{"toString":1},"accepted":{"length":1e9}}'))).toEqual({ fault: "wrong fields" });
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
      { numRuns: 2000 },
    );
  });

  it("is a fault in any other spelling", () => {
    const text = fromUtf8(encodeReport(EXAMPLE));
    const changes: [string, string, string][] = [
      ["{", "{ ", "not canonical"],
      ['"round":7', '"round":7.0', "not canonical"],
      ['"round":7', '"round":-0', "wrong fields"],
      ['"rating":0.01', '"rating":1e-2', "not canonical"],
      ['"rating":0.01', '"rating":0.0100001', "wrong fields"],
      ['"rating":0.01', '"rating":1e99', "wrong fields"],
      ['"rating":0.01', '"rating":"0.01"', "wrong fields"],
      ['"rating":0.01,', "", "wrong fields"],
      ['"accepted":[0]', '"accepted":[0,0]', "wrong fields"],
      ['"accepted":[0]', '"accepted":{"0":0}', "wrong fields"],
      ['"uid":3', '"uid":0', "wrong fields"],
      ['"root":', '"more":1,"root":', "not canonical"],
      ['"root":', '"__proto__":{"polluted":1},"root":', "not canonical"],
      ['"fault":null', '"fault":"<b>"', "wrong fields"],
    ];
    for (const [from, to, fault] of changes) {
      expect(text, from).toContain(from);
      expect(decodeReport(utf8(text.replace(from, to))), `${from} → ${to}`).toEqual({ fault });
    }
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  });
});
