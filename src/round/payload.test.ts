/** Payloads: round trip, one test a fault, no throw for any bytes, and a golden vector. */
import { readFileSync } from "node:fs";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { describe, expect, it } from "vitest";
import { fuzzPayloads, goldenPayload } from "../../test/helpers/payload-fuzz.ts";
import { must } from "../base/assert.ts";
import { bytesOf, concatBytes, utf8 } from "../base/bytes.ts";
import { sha256, sha256Hex, toHex } from "../base/hash.ts";
import {
  addressOf,
  contributionOf,
  decodePayload,
  encodePayload,
  type Fault,
  type FaultKind,
  isFault,
  PAYLOAD_HEADER_BYTES,
  PAYLOAD_SIGNATURE_BYTES,
  payloadBytesMax,
} from "./payload.ts";

const { bytes, header, tensors, expected, body, secretKey } = goldenPayload();
const layout = expected.layout;
const vector = JSON.parse(readFileSync(new URL("../../vectors/payload.json", import.meta.url), "utf8")) as {
  bytes: string;
  sha256: string;
  tensorsSha256: string;
};

const faultOf = (changed: Uint8Array, expectations = expected): FaultKind | "none" => {
  const result = decodePayload(changed, expectations);
  return isFault(result) ? result.fault : "none";
};

/** `bytes` with the byte at `at` flipped, its signature left as it is. */
const flipped = (at: number, bit = 1): Uint8Array => bytes.map((b, i) => (i === at ? b ^ bit : b));

/** A correctly signed payload with another body. */
const signedWith = (other: Uint8Array): Uint8Array => encodePayload(header, other, layout, secretKey);

describe("payload", () => {
  it("decodes to what was encoded", () => {
    expect(decodePayload(bytes, expected)).toEqual({ header, tensors });
    expect(bytes.length).toBe(PAYLOAD_HEADER_BYTES + body.length + PAYLOAD_SIGNATURE_BYTES);
    expect(bytes.length).toBeLessThanOrEqual(payloadBytesMax(layout));
    expect(encodePayload(header, body, layout, secretKey)).toEqual(bytes);
  });

  it("has the bytes of the committed vector", () => {
    expect(sha256Hex(bytes)).toBe(vector.sha256);
    expect(toHex(bytes)).toBe(vector.bytes);
  });

  it("is read by aggregation as ascending indices and values", () => {
    const result = decodePayload(bytes, expected) as Exclude<ReturnType<typeof decodePayload>, Fault>;
    const all = tensors.map((_, t) => contributionOf(result).tensor(t));
    expect(sha256Hex(concatBytes(all.flatMap(({ indices, values }) => [bytesOf(indices), bytesOf(values)])))).toBe(
      vector.tensorsSha256,
    );
  });

  it("addresses keys as EVM chains do", () => {
    const one = new Uint8Array(32);
    one[31] = 1;
    expect(toHex(addressOf(one))).toBe("7e5f4552091a69125d5dfcb7b8c2659029395bdf");
  });

  it.each<[FaultKind, number]>([
    ["bad magic", 0],
    ["unknown version", 4],
    ["wrong uid", 6],
    ["wrong round", 8],
    ["wrong round", 15],
    ["wrong run", 24],
    ["wrong base", 56],
    ["wrong layout", 152],
    ["wrong signer", 16],
    ["wrong signer", 88],
    ["wrong signer", 120],
    ["wrong signer", PAYLOAD_HEADER_BYTES],
  ])("faults with %s where byte %i is changed", (fault, at) => {
    expect(faultOf(flipped(at))).toBe(fault);
  });

  it("faults at lengths", () => {
    expect(faultOf(new Uint8Array(0))).toBe("too short");
    expect(faultOf(bytes.subarray(0, PAYLOAD_HEADER_BYTES + PAYLOAD_SIGNATURE_BYTES - 1))).toBe("too short");
    expect(faultOf(bytes.subarray(0, bytes.length - 1))).toBe("truncated");
    expect(faultOf(Uint8Array.of(...bytes, 0))).toBe("trailing bytes");
    expect(faultOf(new Uint8Array(payloadBytesMax(layout) + 1))).toBe("too long");
    const bomb = bytes.slice();
    new DataView(bomb.buffer).setUint32(184, 0xffffffff, true);
    expect(faultOf(bomb)).toBe("truncated");
  });

  it("faults at a count of tokens that is none", () => {
    const absurd = bytes.slice();
    new DataView(absurd.buffer).setBigUint64(16, 2n ** 53n, true);
    expect(faultOf(absurd)).toBe("absurd tokens");
  });

  it("faults at what it does not expect: run, round, uid, base, layout, signer", () => {
    const other = new Uint8Array(32).fill(9);
    expect(faultOf(bytes, { ...expected, runHash: other })).toBe("wrong run");
    expect(faultOf(bytes, { ...expected, round: header.round + 1 })).toBe("wrong round");
    expect(faultOf(bytes, { ...expected, uid: header.uid + 1 })).toBe("wrong uid");
    expect(faultOf(bytes, { ...expected, baseRoot: other })).toBe("wrong base");
    expect(faultOf(bytes, { ...expected, layout: { ...layout, hash: other } })).toBe("wrong layout");
    expect(faultOf(bytes, { ...expected, signer: other.subarray(0, 20) })).toBe("wrong signer");
    const { baseRoot: _, ...anyBase } = expected;
    expect(faultOf(flipped(56), anyBase)).toBe("wrong signer");
    expect(faultOf(bytes, anyBase)).toBe("none");
  });

  it("has one signature only: no other half, no other recovery bit, no numbers out of range", () => {
    const at = bytes.length - PAYLOAD_SIGNATURE_BYTES;
    const withSignature = (r: Uint8Array, s: Uint8Array, v: number): FaultKind | "none" =>
      faultOf(concatBytes([bytes.subarray(0, at), r, s, Uint8Array.of(v)]));
    const r = bytes.slice(at, at + 32);
    const s = bytes.slice(at + 32, at + 64);
    const v = must(bytes.at(-1), "recovery bit");
    expect(withSignature(r, s, v)).toBe("none");
    const order = secp256k1.Point.Fn.ORDER;
    const mirrored = (order - BigInt(`0x${toHex(s)}`)).toString(16).padStart(64, "0");
    expect(withSignature(r, Uint8Array.from(Buffer.from(mirrored, "hex")), v ^ 1)).toBe("bad signature");
    expect(withSignature(r, s, v ^ 1)).toBe("wrong signer");
    expect(withSignature(r, s, v + 2)).toBe("bad signature");
    expect(withSignature(r, s, v + 27)).toBe("bad signature");
    expect(withSignature(new Uint8Array(32), s, v)).toBe("bad signature");
    expect(withSignature(r, new Uint8Array(32), v)).toBe("bad signature");
    expect(withSignature(new Uint8Array(32).fill(255), s, v)).toBe("bad signature");
    const other = encodePayload(header, body, layout, sha256(utf8("another key")));
    expect(faultOf(other)).toBe("wrong signer");
  });

  it("passes on the faults of an authentic payload's body", () => {
    expect(faultOf(signedWith(body.subarray(0, 3)))).toBe("levels missing");
    expect(faultOf(signedWith(body.subarray(0, body.length - 1)))).toBe("stream truncated");
    expect(faultOf(signedWith(Uint8Array.of(...body, 0)))).toBe("stream has trailing bytes");
    const infinite = body.slice();
    new DataView(infinite.buffer).setUint16(2, 0x7f80, true);
    expect(faultOf(signedWith(infinite))).toBe("level not finite");
  });

  it("never throws and never takes more than one form, over 10⁴ mutated payloads", () => {
    const { faults, decoded } = fuzzPayloads({ mutations: 10_000, seed: "test" });
    expect(decoded).toBeLessThan(10_000);
    expect([...faults.keys()].length).toBeGreaterThan(10);
  }, 60_000);
});
