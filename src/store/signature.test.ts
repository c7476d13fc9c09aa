import { secp256k1 } from "@noble/curves/secp256k1.js";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { utf8 } from "../base/bytes.ts";
import { fromHex, sha256, toHex } from "../base/hash.ts";
import { signerOf } from "../chain/keys/signer.ts";
import { recoverAddress } from "./signature.ts";

const signer = signerOf(new Uint8Array(32).fill(7));
const digest = sha256(utf8("something"));

describe("recoverAddress", () => {
  it("names who signed, and nobody for any other digest or a changed signature", async () => {
    const signature = await signer.sign(digest);
    expect(`0x${toHex(recoverAddress(digest, signature) ?? new Uint8Array())}`).toBe(signer.address);
    await fc.assert(
      fc.asyncProperty(fc.nat(64), fc.integer({ min: 1, max: 255 }), async (at, change) => {
        const changed = signature.slice();
        changed[at] = (changed[at] ?? 0) ^ change;
        const found = recoverAddress(digest, changed);
        expect(found === undefined || `0x${toHex(found)}` !== signer.address).toBe(true);
      }),
    );
  });

  it("knows one form only: lower s, v as 27 or 28", async () => {
    const signature = await signer.sign(digest);
    const v = signature[64] ?? 0;
    for (const other of [v - 27, v + 2, 0, 255]) {
      expect(recoverAddress(digest, Uint8Array.from([...signature.subarray(0, 64), other]))).toBeUndefined();
    }
    const s = BigInt(`0x${toHex(signature.subarray(32, 64))}`);
    const high = (secp256k1.Point.Fn.ORDER - s).toString(16).padStart(64, "0");
    const twin = Uint8Array.from([...signature.subarray(0, 32), ...fromHex(high), 55 - v]);
    expect(recoverAddress(digest, twin)).toBeUndefined();
  });

  it("takes any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 70 }), fc.uint8Array({ maxLength: 34 }), (signature, hash) => {
        const found = recoverAddress(hash, signature);
        return found === undefined || found.length === 20;
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 64, maxLength: 64 }), fc.constantFrom(27, 28), (rs, v) => {
        const found = recoverAddress(digest, Uint8Array.from([...rs, v]));
        return found === undefined || found.length === 20;
      }),
    );
  });
});
