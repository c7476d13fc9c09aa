import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AssertionError } from "../base/assert.ts";
import { concatBytes, utf8 } from "../base/bytes.ts";
import { sha256, toHex } from "../base/hash.ts";
import { HASH_BYTES, leafHasher, merkleTree, rootOfPath } from "./merkle.ts";

const leaf = (text: string): Uint8Array => leafHasher().update(utf8(text)).digest();
const leaves = (count: number): Uint8Array[] => Array.from({ length: count }, (_, i) => leaf(`leaf ${i}`));

/** RFC 6962, section 2.1, as it stands there. */
function rootByDefinition(hashes: readonly Uint8Array[]): Uint8Array {
  if (hashes.length === 1) return hashes[0] as Uint8Array;
  let k = 1;
  while (2 * k < hashes.length) k *= 2;
  return sha256(
    concatBytes([new Uint8Array([1]), rootByDefinition(hashes.slice(0, k)), rootByDefinition(hashes.slice(k))]),
  );
}

describe("merkleTree", () => {
  it("is RFC 6962's tree for every count up to 70, with paths that lead to its root", () => {
    for (let count = 1; count <= 70; count++) {
      const hashes = leaves(count);
      const tree = merkleTree(hashes);
      const root = toHex(tree.root());
      expect(root).toBe(toHex(rootByDefinition(hashes)));
      for (let i = 0; i < count; i++) {
        const path = tree.path(i);
        expect(path.length / HASH_BYTES).toBeLessThanOrEqual(Math.ceil(Math.log2(count)));
        expect(toHex(rootOfPath(hashes[i] as Uint8Array, i, count, path) ?? utf8("none"))).toBe(root);
      }
    }
  });

  it("hashes leaves and nodes apart: the RFC's own prefixes", () => {
    expect(toHex(leaf(""))).toBe("6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"); // sha256(00)
    const [a, b] = [leaf("a"), leaf("b")];
    expect(toHex(merkleTree([a, b]).root())).toBe(toHex(sha256(concatBytes([new Uint8Array([1]), a, b]))));
  });

  it("after leaves change is the tree built anew", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), fc.array(fc.tuple(fc.nat(39), fc.nat(1000))), (count, changes) => {
        const hashes = leaves(count);
        const tree = merkleTree(hashes);
        for (const [at, text] of changes) {
          hashes[at % count] = leaf(`changed ${text}`);
          tree.setLeaf(at % count, hashes[at % count] as Uint8Array);
        }
        const anew = merkleTree(hashes);
        expect(toHex(tree.root())).toBe(toHex(anew.root()));
        for (let i = 0; i < count; i++) expect(toHex(tree.path(i))).toBe(toHex(anew.path(i)));
      }),
    );
  });

  it("keeps its own copies", () => {
    const tree = merkleTree(leaves(2));
    const before = toHex(tree.root());
    tree.root().fill(0);
    const hash = leaf("leaf 1");
    tree.setLeaf(1, hash);
    hash.fill(0);
    tree.path(0).fill(0);
    expect(toHex(tree.root())).toBe(before);
    expect(toHex(tree.path(0))).toBe(toHex(leaf("leaf 1")));
  });

  it("refuses what is not there", () => {
    expect(() => merkleTree([])).toThrow(AssertionError);
    const tree = merkleTree(leaves(3));
    for (const index of [-1, 3, 0.5, Number.NaN]) expect(() => tree.path(index)).toThrow(AssertionError);
    expect(() => tree.setLeaf(3, leaf(""))).toThrow(AssertionError);
    expect(() => tree.setLeaf(0, new Uint8Array(31))).toThrow(AssertionError);
  });
});

describe("rootOfPath", () => {
  it("leads elsewhere, or nowhere, after any change of path, place or count", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.nat(39),
        fc.nat(60),
        fc.nat(60),
        fc.integer({ min: -3, max: 3 }),
        fc.option(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 }))),
        (count, at, otherIndex, otherCount, hashesMore, flip) => {
          const hashes = leaves(count);
          const tree = merkleTree(hashes);
          const index = at % count;
          const path = tree.path(index);
          const size = Math.max(0, path.length + hashesMore * HASH_BYTES);
          const changed = new Uint8Array(size);
          changed.set(path.subarray(0, size));
          if (flip && size > 0) changed[flip[0] % size] = (changed[flip[0] % size] as number) ^ flip[1];
          const found = rootOfPath(hashes[index] as Uint8Array, otherIndex, otherCount, changed);
          const samePath = toHex(changed) === toHex(path);
          // the path alone does not fix the count where the tree grows to the right of it: state-root.ts seals the count
          if (!samePath || otherIndex !== index) {
            expect(found && toHex(found)).not.toBe(toHex(tree.root()));
          } else if (otherCount === count) expect(found && toHex(found)).toBe(toHex(tree.root()));
        },
      ),
      { numRuns: 2000 },
    );
  });

  it("never throws", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.double(), fc.double(), (path, index, count) => {
        rootOfPath(leaf("x"), index, count, path);
        rootOfPath(leaf("x"), Math.floor(index), 2 ** 53 - 1, path);
      }),
    );
  });
});
