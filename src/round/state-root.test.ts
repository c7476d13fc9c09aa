import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AssertionError } from "../base/assert.ts";
import { bytesOf } from "../base/bytes.ts";
import { toHex } from "../base/hash.ts";
import {
  PIECE_PARAMS,
  pieceCount,
  pieceLength,
  stateRoot,
  stateTree,
  stateTreeBuilder,
  verifyPiece,
} from "./state-root.ts";

const COUNT = 5 * PIECE_PARAMS + 1234; // six pieces, the last one short
const params = new Float32Array(COUNT).map((_, i) => ((i * 7919) % 65_537) / 65_537);
const tree = stateTree(params);
const root = tree.root();
const piece = (index: number, of = params): Uint8Array =>
  bytesOf(of.subarray(index * PIECE_PARAMS, index * PIECE_PARAMS + pieceLength(of.length, index)));

describe("stateRoot", () => {
  it("is the same however the params arrive", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(COUNT), { maxLength: 12 }), (cuts) => {
        const builder = stateTreeBuilder(COUNT);
        let from = 0;
        for (const cut of [...cuts.sort((a, b) => a - b), COUNT]) {
          builder.update(params.subarray(from, cut));
          from = cut;
        }
        expect(toHex(builder.finish().root())).toBe(toHex(root));
      }),
      { numRuns: 20 },
    );
  });

  it("changes with any bit, a zero's sign and the number of params", () => {
    const seen = new Set([toHex(root)]);
    const other = params.slice();
    for (const at of [0, PIECE_PARAMS - 1, PIECE_PARAMS, COUNT - 1]) {
      const bytes = bytesOf(other);
      bytes[4 * at + 1] = (bytes[4 * at + 1] as number) ^ 1;
      seen.add(toHex(stateRoot(other)));
    }
    expect(seen.size).toBe(5);
    expect(toHex(stateRoot(new Float32Array([0])))).not.toBe(toHex(stateRoot(new Float32Array([-0]))));
    expect(toHex(stateRoot(params.subarray(0, COUNT - 1)))).not.toBe(toHex(root));
  });

  it("counts: too many, too few, none", () => {
    expect(() => stateRoot(new Float32Array())).toThrow(AssertionError);
    expect(() => stateTreeBuilder(3).update(new Float32Array(2)).finish()).toThrow(AssertionError);
    expect(() => stateTreeBuilder(3).update(new Float32Array(4))).toThrow(AssertionError);
    const whole = PIECE_PARAMS;
    expect(() => stateTreeBuilder(whole).update(params.subarray(0, whole + 1))).toThrow(AssertionError);
    expect(stateTreeBuilder(whole).update(params.subarray(0, whole)).finish().pieceCount).toBe(1);
  });
});

describe("replacePiece", () => {
  it("gives the root and proofs of the new params", () => {
    const next = params.slice();
    const changing = stateTree(next);
    for (const index of [3, 5, 0]) {
      next[index * PIECE_PARAMS + 17] = -1;
      const from = index * PIECE_PARAMS;
      changing.replacePiece(index, next.subarray(from, from + pieceLength(COUNT, index)));
      const anew = stateTree(next);
      expect(toHex(changing.root())).toBe(toHex(anew.root()));
      for (let i = 0; i < anew.pieceCount; i++) expect(toHex(changing.pieceProof(i))).toBe(toHex(anew.pieceProof(i)));
    }
  });

  it("takes whole pieces that exist", () => {
    const fresh = stateTree(params);
    expect(() => fresh.replacePiece(5, params.subarray(0, PIECE_PARAMS))).toThrow(AssertionError);
    expect(() => fresh.replacePiece(0, params.subarray(0, 5))).toThrow(AssertionError);
    expect(() => fresh.replacePiece(6, new Float32Array())).toThrow(AssertionError);
    expect(() => fresh.pieceProof(6)).toThrow(AssertionError);
  });
});

describe("verifyPiece", () => {
  it("accepts every piece with its proof, at any place in memory, and no piece elsewhere", () => {
    expect(tree.pieceCount).toBe(pieceCount(COUNT));
    for (let index = 0; index < tree.pieceCount; index++) {
      const shifted = new Uint8Array(piece(index).length + 1);
      shifted.set(piece(index), 1);
      expect(verifyPiece(root, index, shifted.subarray(1), tree.pieceProof(index))).toBe(true);
      for (let other = -1; other <= tree.pieceCount; other++) {
        if (other !== index) expect(verifyPiece(root, other, piece(index), tree.pieceProof(index))).toBe(false);
      }
    }
  });

  const short = 5; // the last piece, cheap to hash
  const proof = tree.pieceProof(short);

  it("refuses every changed bit of root, piece length and proof", () => {
    for (let bit = 0; bit < 8 * proof.length; bit++) {
      const changed = proof.slice();
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(verifyPiece(root, short, piece(short), changed)).toBe(false);
    }
    for (let bit = 0; bit < 256; bit++) {
      const changed = root.slice();
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(verifyPiece(changed, short, piece(short), proof)).toBe(false);
    }
    for (const length of [0, 1, 4, piece(short).length - 4, piece(short).length - 1]) {
      expect(verifyPiece(root, short, piece(short).subarray(0, length), proof)).toBe(false);
    }
    for (const length of [0, 31, 33])
      expect(verifyPiece(new Uint8Array(length), short, piece(short), proof)).toBe(false);
  });

  it("refuses truncated, longer and random proofs, and numbers that are no index, without throwing", () => {
    for (let length = 0; length < proof.length; length++) {
      expect(verifyPiece(root, short, piece(short), proof.subarray(0, length))).toBe(false);
    }
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 2500 }),
          fc.uint8Array({ minLength: 1, maxLength: 99 }).map((more) => {
            const longer = new Uint8Array(proof.length + more.length);
            longer.set(proof);
            longer.set(more, proof.length);
            return longer;
          }),
        ),
        fc.oneof(fc.constant(short), fc.double(), fc.maxSafeInteger()),
        fc.uint8Array({ maxLength: 40 }),
        (bytes, index, otherRoot) => {
          expect(verifyPiece(root, index, piece(short), bytes)).toBe(false);
          expect(verifyPiece(otherRoot, index, bytes, bytes)).toBe(false);
        },
      ),
      { numRuns: 2000 },
    );
    for (const index of [Number.NaN, 0.5, -1, 2 ** 53, Number.POSITIVE_INFINITY]) {
      expect(verifyPiece(root, index, piece(short), proof)).toBe(false);
    }
  });

  it("is not fooled by a node passed off as a piece, or by another count", () => {
    const two = new Float32Array(16); // 64 bytes: as long as two hashes
    const count = new DataView(proof.slice().buffer);
    count.setBigUint64(0, 0n, true);
    expect(verifyPiece(root, 0, new Uint8Array(), new Uint8Array(count.buffer))).toBe(false);
    const small = stateTree(two);
    expect(verifyPiece(small.root(), 0, bytesOf(two), small.pieceProof(0))).toBe(true);
    for (const claimed of [15n, 17n, 32n, 2n ** 53n, 2n ** 64n - 1n]) {
      const lying = new DataView(small.pieceProof(0).buffer);
      lying.setBigUint64(0, claimed, true);
      expect(verifyPiece(small.root(), 0, bytesOf(two), new Uint8Array(lying.buffer))).toBe(false);
    }
  });
});
