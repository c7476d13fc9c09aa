import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { copiesToKeep, replayOrder, type StateCopy } from "./copies.node.ts";

const copy = (block: number): StateCopy => ({ block, file: String(block), sha256: "" });
const blocks = (copies: readonly StateCopy[]): number[] => copies.map(({ block }) => block);

describe("state copies", () => {
  it("are tried from those that make BLOCKHASH right, the newest first", () => {
    expect(blocks(replayOrder([0, 256, 512, 600].map(copy), 650))).toEqual([256, 0, 600, 512]);
    expect(blocks(replayOrder([0, 256, 512, 768, 1024].map(copy), 1100))).toEqual([768, 512, 256, 0, 1024]);
    expect(blocks(replayOrder([0, 40].map(copy), 40))).toEqual([0, 40]);
    expect(blocks(replayOrder([0, 9000].map(copy), 9100))).toEqual([9000, 0]);
    expect(replayOrder([], 0)).toEqual([]);
  });

  it("stay few, and one from which a start is near and exact among them", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 300 }),
        fc.integer({ min: 1, max: 40 }),
        fc.nat(99),
        (every, count, gap) => {
          let copies = [copy(0)];
          for (let i = 1; i <= count; i++) {
            copies.push(copy(i * every + (i % 3 === 0 ? gap % every : 0)));
            const head = copies.at(-1)?.block ?? 0;
            const keep = copiesToKeep(copies, head, 0);
            copies = copies.filter(({ block }) => keep.has(block));
            expect(copies.length).toBeLessThanOrEqual(9);
            const start = replayOrder(copies, head)[0]?.block ?? 0;
            expect(head - start).toBeLessThanOrEqual(3 * 256 + every);
            expect(start === 0 || head - start >= 256).toBe(true);
            // another one where the first does not do
            const next = replayOrder(copies, head)[1]?.block ?? 0;
            expect(start === 0 || (head - next > head - start && head - next <= 5 * 256 + every)).toBe(true);
            expect(blocks(copies)).toEqual(expect.arrayContaining([0, head]));
          }
        },
      ),
    );
  });
});
