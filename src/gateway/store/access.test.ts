import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { keyed, SPEC_HASH, signedHeaders } from "../../../test/helpers/gateway.ts";
import { utf8 } from "../../base/bytes.ts";
import { sha256Hex, toHex } from "../../base/hash.ts";
import { blobKey } from "../../store/blobs.ts";
import { type NewsRecord, newsKey } from "../../store/news.ts";
import { isRefusal } from "../http/refusal.ts";
import { GATEWAY_LIMITS, type GatewayLimits, gatewayLimits } from "../limits.ts";
import {
  type Claim,
  claimOf,
  newsFault,
  signatureFault,
  type Target,
  type Ticket,
  targetOf,
  writeBook,
} from "./access.ts";

const signer = keyed(1);
const body = utf8("a payload");
const key = blobKey(sha256Hex(body));
const blob = targetOf(key) as Target;
const statusOf = (value: object | undefined): number | undefined =>
  value !== undefined && isRefusal(value) ? value.status : undefined;

describe("what can be written", () => {
  it("is blobs under their hash and news under an account", () => {
    expect(targetOf(key)).toEqual({ kind: "blob", key, hash: sha256Hex(body) });
    const news = newsKey({ kind: "report", account: signer.account });
    expect(targetOf(news)).toEqual({ kind: "news", key: news, account: signer.account });
  });

  it("is nothing else, whatever the key", () => {
    const forbidden = ["run.json", "data/manifest.json", "blobs/x", "news/gossip/aa", `${key}/x`, "faucet.jsonl", "a"];
    for (const other of forbidden) expect(statusOf(targetOf(other)), other).toBe(403);
    const malformed = [
      "",
      "..",
      "../run.json",
      "blobs/../run.json",
      "blobs//x",
      "%2e%2e/x",
      "blobs\\x",
      "a\0b",
      "a".repeat(9999),
    ];
    for (const other of malformed) expect(statusOf(targetOf(other)), other).toBe(400);
    fc.assert(fc.property(fc.string(), (text) => [400, 403].includes(statusOf(targetOf(text)) ?? 0)));
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom("blobs", "news", "report", "..", "ab", sha256Hex(body), "/", "."), { maxLength: 6 }),
        (parts) => {
          const target = targetOf(parts.join("/"));
          expect(isRefusal(target) || target.key === parts.join("/")).toBe(true);
          if (!isRefusal(target)) expect(parts).not.toContain("..");
        },
      ),
    );
  });
});

describe("the head of a write", () => {
  const limits = { blobBytesMax: 1000 };
  const good = async (): Promise<Record<string, string>> => ({
    ...(await signedHeaders(signer, key, body)),
    "content-length": `${body.length}`,
  });

  it("is a claim where all is there", async () => {
    const claim = claimOf(blob, await good(), limits) as Claim;
    expect(claim).toMatchObject({ target: blob, length: body.length, address: signer.address });
    expect(signatureFault(claim, SPEC_HASH, sha256Hex(body))).toBeUndefined();
    const upper = { ...(await good()), "x-skein-address": `0x${signer.address.slice(2).toUpperCase()}` };
    expect(claimOf(blob, upper, limits)).toEqual(claim);
  });

  it("says what is missing, wrong or too much", async () => {
    const changed = async (change: Record<string, string | string[] | undefined>): Promise<number | undefined> =>
      statusOf(claimOf(blob, { ...(await good()), ...change }, limits));
    expect(await changed({ "content-length": undefined })).toBe(411);
    for (const length of ["", "-1", "1e3", "0x10", " 9", "9 ", "9,9", "9".repeat(16)])
      expect(await changed({ "content-length": length }), length).toBe(411);
    expect(await changed({ "transfer-encoding": "chunked" })).toBe(411);
    expect([await changed({ "content-length": "1000" }), await changed({ "content-length": "1001" })]).toEqual([
      undefined,
      413,
    ]);
    for (const address of [undefined, "", "0x12", signer.address.slice(2), `${signer.address}0`, [signer.address]]) {
      expect(await changed({ "x-skein-address": address })).toBe(401);
    }
    for (const signature of [undefined, "", "00", "g".repeat(130), "A".repeat(130), `0x${"0".repeat(130)}`]) {
      expect(await changed({ "x-skein-signature": signature })).toBe(401);
    }
    const news = targetOf(newsKey({ kind: "report", account: signer.account })) as Target;
    const headers = { ...(await good()), "content-length": "4097" };
    expect(statusOf(claimOf(news, headers, { blobBytesMax: 1e9 }))).toBe(413);
  });

  it("takes any headers", () => {
    const value = fc.option(fc.oneof(fc.string(), fc.array(fc.string())), { nil: undefined });
    const headers = fc.record({ "content-length": value, "x-skein-address": value, "x-skein-signature": value });
    fc.assert(fc.property(headers, (any) => [401, 411, 413].includes(statusOf(claimOf(blob, any, limits)) ?? 0)));
  });

  it("holds for its run, key, body, length and address only", async () => {
    const claim = claimOf(blob, await good(), limits) as Claim;
    const hash = sha256Hex(body);
    const other = targetOf(blobKey(sha256Hex(utf8("other")))) as Target;
    const wrong: [Claim, string, string][] = [
      [claim, sha256Hex(utf8("another run")), hash],
      [claim, SPEC_HASH, sha256Hex(utf8("other"))],
      [{ ...claim, target: other }, SPEC_HASH, hash],
      [{ ...claim, length: claim.length + 1 }, SPEC_HASH, hash],
      [{ ...claim, address: keyed(2).address }, SPEC_HASH, hash],
      [{ ...claim, signature: new Uint8Array(65) }, SPEC_HASH, hash],
    ];
    for (const [each, spec, bodyHash] of wrong) expect(statusOf(signatureFault(each, spec, bodyHash))).toBe(401);
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 65, maxLength: 65 }), (signature) => {
        const fault = signatureFault({ ...claim, signature }, SPEC_HASH, hash);
        return toHex(signature) === toHex(claim.signature) || fault?.status === 401;
      }),
    );
  });
});

describe("news", () => {
  const record = (round: number): NewsRecord => ({
    kind: "report",
    round,
    hash: "a".repeat(64),
    account: signer.account,
    signature: "",
  });
  const target = targetOf(newsKey(record(1))) as Target;

  it("goes forwards, under its own name", () => {
    expect(newsFault(record(5), target, undefined)).toBeUndefined();
    expect([newsFault(record(5), target, record(4)), newsFault(record(5), target, record(5))]).toEqual([
      undefined,
      undefined,
    ]);
    expect(statusOf(newsFault(record(5), target, record(6)))).toBe(409);
    expect(statusOf(newsFault({ ...record(5), kind: "checkpoint" }, target, undefined))).toBe(422);
    expect(statusOf(newsFault({ ...record(5), account: keyed(2).account }, target, undefined))).toBe(422);
  });
});

describe("the book of writes", () => {
  const small: GatewayLimits = gatewayLimits({
    blobBytesMax: 50_000,
    quotaBytes: 400_000,
    bytesPerSecond: 10_000,
    burstBytes: 100_000,
    uploadsPerAccount: 2,
    uploadBytes: 120_000,
  });

  it("keeps to every bound, whoever writes what and when", () => {
    const event = fc.record({
      account: fc.constantFrom("a", "b", "c"),
      bytes: fc.nat(50_000),
      afterMs: fc.nat(2000),
      end: fc.constantFrom("none", "oldest", "newest"),
      kept: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 80 }), (events) => {
        const book = writeBook(small, 0);
        const open: { account: string; bytes: number; ticket: Ticket }[] = [];
        const admitted: Record<string, number> = {};
        let [nowMs, stored] = [0, 0];
        for (const { account, bytes, afterMs, end, kept } of events) {
          nowMs += afterMs;
          const ticket = book.admit(account, bytes, nowMs);
          if (!isRefusal(ticket)) {
            open.push({ account, bytes, ticket });
            admitted[account] = (admitted[account] ?? 0) + Math.max(bytes, 4096);
          } else expect(ticket.retryAfterSeconds).toBeGreaterThanOrEqual(1);
          const underWay = open.reduce((sum, each) => sum + each.bytes, 0);
          expect(stored + underWay).toBeLessThanOrEqual(small.quotaBytes);
          expect(underWay).toBeLessThanOrEqual(small.uploadBytes);
          expect(open.filter((each) => each.account === account).length).toBeLessThanOrEqual(small.uploadsPerAccount);
          for (const sum of Object.values(admitted)) {
            expect(sum).toBeLessThanOrEqual(small.burstBytes + (nowMs / 1000) * small.bytesPerSecond + 1e-6);
          }
          const ended = end === "none" ? undefined : end === "oldest" ? open.shift() : open.pop();
          if (ended === undefined) continue;
          ended.ticket.done(kept ? ended.bytes : 0);
          stored += kept ? ended.bytes : 0;
          expect(book.stored()).toBe(stored);
        }
      }),
    );
  });

  it("says who must wait for what", () => {
    const book = writeBook(small, 0);
    const first = book.admit("a", 50_000, 0) as Ticket;
    const second = book.admit("a", 50_000, 0) as Ticket;
    expect(book.admit("a", 1, 0)).toMatchObject({ status: 429, error: expect.stringContaining("2 uploads under way") });
    expect(book.admit("b", 30_000, 0)).toMatchObject({ status: 503 });
    first.done(50_000);
    second.done(0);
    expect(book.admit("a", 50_000, 0)).toMatchObject({ status: 429, retryAfterSeconds: 5 });
    expect(book.admit("a", 50_000, 4999)).toMatchObject({ status: 429, retryAfterSeconds: 1 });
    (book.admit("a", 50_000, 5000) as Ticket).done(0);
    expect(() => first.done(0)).toThrow("once");
    book.recount(380_000);
    expect(book.admit("c", 20_001, 0)).toMatchObject({ status: 507, error: expect.stringContaining("full") });
    expect([book.isFull(20_000), book.isFull(20_001)]).toEqual([false, true]);
  });

  it("lets any blob of the run in, however the limits are set", () => {
    const limits = gatewayLimits({ blobBytesMax: 2 ** 33 });
    expect(isRefusal(writeBook(limits, 0).admit("a", 2 ** 33, 0))).toBe(false);
    expect(gatewayLimits()).toEqual(GATEWAY_LIMITS);
    expect(() => gatewayLimits({ quotaBytes: Number.NaN })).toThrow("positive");
  });
});
