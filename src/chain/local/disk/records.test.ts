import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { concatBytes, utf8 } from "../../../base/bytes.ts";
import type { Hash } from "../../chain.ts";
import { type JournalRecord, lineOf, parseLine, readSegment } from "./records.ts";

const hash = (n: number): Hash => `0x${n.toString(16).padStart(64, "0")}`;
const tx = (n: number): JournalRecord => ({ kind: "tx", hash: hash(n), raw: `0x02${n.toString(16).padStart(8, "0")}` });
const block = (number: number, ...transactions: number[]): JournalRecord => ({
  kind: "block",
  number,
  timestamp: 1000 + number,
  hash: hash(number + 1_000_000),
  transactions: transactions.map(hash),
});
const bytesOf = (records: readonly JournalRecord[]): Uint8Array => utf8(records.map(lineOf).join(""));

/** Three blocks from 5 on; transaction 4 is never mined. */
const RECORDS: readonly JournalRecord[] = [tx(1), tx(2), block(5, 2, 1), block(6), tx(3), tx(4), block(7, 3)];
const WHOLE = bytesOf(RECORDS);

describe("journal records", () => {
  it("come back from their lines", () => {
    for (const record of RECORDS) expect(parseLine(lineOf(record).trimEnd())).toEqual(record);
  });

  it("give blocks with their transactions in order, and what is pending", () => {
    const segment = readSegment(WHOLE, 5);
    expect(segment.blocks.map(({ number, raws }) => [number, raws.length])).toEqual([
      [5, 2],
      [6, 0],
      [7, 1],
    ]);
    expect(segment.blocks[0]?.raws).toEqual(["0x0200000002", "0x0200000001"]);
    expect([...segment.pending.keys()]).toEqual([hash(4)]);
    expect(segment).toMatchObject({ fault: undefined, goodBytes: WHOLE.length });
  });

  it("lose at most the last block to a cut anywhere, and never invent one", () => {
    for (let length = 0; length <= WHOLE.length; length++) {
      const segment = readSegment(WHOLE.subarray(0, length), 5);
      const whole = RECORDS.filter((_, i) => bytesOf(RECORDS.slice(0, i + 1)).length <= length);
      expect(segment.blocks.length).toBe(whole.filter(({ kind }) => kind === "block").length);
      expect(segment.goodBytes).toBe(bytesOf(whole).length);
      expect(segment.fault).toBe(segment.goodBytes === length ? undefined : "torn");
    }
  });

  it("tell a torn end from damage in the middle", () => {
    const firstBlock = bytesOf(RECORDS.slice(0, 2)).length + 20;
    const damaged = WHOLE.slice();
    damaged[firstBlock] = (damaged[firstBlock] ?? 0) ^ 1;
    expect(readSegment(damaged, 5)).toMatchObject({ fault: "damaged", blocks: [] });
    const torn = WHOLE.slice();
    torn[WHOLE.length - 5] = 0;
    expect(readSegment(torn, 5).fault).toBe("torn");
    expect(readSegment(WHOLE, 6)).toMatchObject({ blocks: [], fault: "damaged" });
  });

  it("notice every changed byte", () => {
    fc.assert(
      fc.property(fc.nat(WHOLE.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const changed = WHOLE.slice();
        changed[at] = (changed[at] ?? 0) ^ flip;
        expect(readSegment(changed, 5).fault).not.toBe(undefined);
      }),
    );
  });

  it("survive any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (noise, after) => {
        const segment = readSegment(after ? concatBytes([WHOLE, noise]) : noise, 5);
        expect(segment.blocks.length).toBe(after ? 3 : 0);
      }),
    );
    fc.assert(fc.property(fc.string(), (line) => parseLine(line) === undefined));
  });
});
