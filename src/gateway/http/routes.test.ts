import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SkeinError } from "../../base/errors.ts";
import { rangeOf, select } from "./ranges.ts";
import { clientOf, refusalOf } from "./refusal.ts";
import { isReadable, METHODS, routeOf } from "./routes.ts";

const hash = "ab".repeat(32);

describe("paths", () => {
  it("mean what the protocol says", () => {
    const routes = [
      "/",
      "/info",
      "/info?x=1",
      "/rpc",
      "/faucet",
      `/r/${hash}`,
      `/r/${hash}/`,
      "/store/blobs/aa/bb",
      "/list/news/",
    ];
    expect(routes.map((path) => routeOf(path))).toEqual([
      { name: "root" },
      { name: "info" },
      { name: "info" },
      { name: "rpc" },
      { name: "faucet" },
      { name: "page", specHash: hash, slash: false },
      { name: "page", specHash: hash, slash: true },
      { name: "store", key: "blobs/aa/bb" },
      { name: "list", prefix: "news/" },
    ]);
    expect([
      routeOf("/some/path/info", "/some/path"),
      routeOf("/info", "/some/path"),
      routeOf("/some/pathinfo", "/some/path"),
    ]).toEqual([{ name: "info" }, undefined, undefined]);
  });

  it("mean nothing else; what is below store/ is taken as it comes", () => {
    const none = [
      "",
      "info",
      "//info",
      "/info/",
      "/INFO",
      "/r/",
      `/r/${hash.slice(1)}`,
      `/r/${hash}x`,
      `/r/${hash}/info`,
      "/store",
      "/%69nfo",
      "*",
    ];
    for (const path of [...none, "http://host/info", `/store/${"a".repeat(1024)}`])
      expect(routeOf(path), path).toBeUndefined();
    expect(routeOf("/store/../info")).toEqual({ name: "store", key: "../info" });
    fc.assert(
      fc.property(fc.string(), (text) => {
        const route = routeOf(`/${text}`);
        return route === undefined || route.name in METHODS;
      }),
    );
  });

  it("lead to what is shared, and not to what else lies in the folder", () => {
    for (const key of ["run.json", "blobs/a", "news/a", "data/a"]) expect(isReadable(key)).toBe(true);
    for (const key of ["faucet.jsonl", "keys/hot", "run.json/x", "xblobs/a", "blobs", ""])
      expect(isReadable(key)).toBe(false);
  });
});

describe("ranges", () => {
  it("name bytes that are there, or none", () => {
    const cases: [string, number, [number, number] | undefined][] = [
      ["bytes=0-0", 10, [0, 1]],
      ["bytes=2-4", 10, [2, 5]],
      ["bytes=2-", 10, [2, 10]],
      ["bytes=-3", 10, [7, 10]],
      ["bytes=-30", 10, [0, 10]],
      ["bytes=9-99", 10, [9, 10]],
      ["bytes=10-", 10, undefined],
      ["bytes=4-2", 10, undefined],
      ["bytes=-0", 10, undefined],
      ["bytes=-1", 0, undefined],
      ["bytes=0-", 0, undefined],
      ["bytes=-", 10, undefined],
      ["bytes=a-b", 10, undefined],
      ["bytes=0-0-0", 10, undefined],
      ["bytes=1e1-", 100, undefined],
      [`bytes=${"9".repeat(99)}-`, 100, undefined],
    ];
    for (const [text, size, range] of cases) {
      expect(rangeOf(text, size), text).toEqual(range && { start: range[0], end: range[1] });
    }
  });

  it("lie within the blob, whatever is asked", () => {
    const text = fc.oneof(
      fc.string(),
      fc.tuple(fc.nat(), fc.nat()).map(([a, b]) => `bytes=${a}-${b}`),
      fc.nat().map((n) => `bytes=-${n}`),
    );
    fc.assert(
      fc.property(text, fc.nat(1000), (range, size) => {
        const found = select({ range }, size, '"t"');
        if (found.status === 304 || found.status === 416) return found.status === 416;
        const { start, end } = found.range;
        return start >= 0 && end <= size && (found.status === 200 ? start === 0 && end === size : start < end);
      }),
    );
  });

  it("heed conditions", () => {
    const range = "bytes=1-2";
    const part = { status: 206, range: { start: 1, end: 3 } };
    const whole = { status: 200, range: { start: 0, end: 9 } };
    const at = (conditions: Parameters<typeof select>[0]): object => select(conditions, 9, '"t"');
    expect(at({ range, ifRange: '"t"' })).toEqual(part);
    for (const ifRange of ['"u"', 'W/"t"', "Tue, 01 Jan 2030 00:00:00 GMT"])
      expect(at({ range, ifRange })).toEqual(whole);
    for (const ifNoneMatch of ['"t"', '"a", "t"', 'W/"t"', "*"])
      expect(at({ range, ifNoneMatch })).toEqual({ status: 304 });
    expect(at({ ifNoneMatch: '"u"' })).toEqual(whole);
    expect([at({ range: "bytes=1-2,4-5" }), at({ range: "lines=1-2" })]).toEqual([whole, whole]);
    expect(at({ range: "bytes=9-" })).toEqual({ status: 416 });
  });
});

describe("clients", () => {
  it("are an IPv4 address, or the network of an IPv6 one", () => {
    expect(clientOf("10.0.0.1")).toBe("10.0.0.1");
    expect(clientOf("::ffff:10.0.0.1")).toBe("10.0.0.1");
    const same = ["2001:db8:1:2::5", "2001:0DB8:0001:0002:aaaa:bbbb:cccc:dddd", "2001:db8:1:2:0:0:0:1"];
    expect(new Set(same.map((address) => clientOf(address)))).toEqual(new Set(["2001:db8:1:2"]));
    expect([clientOf("::1"), clientOf("2001:db8::1"), clientOf("fe80::1:2:3:4:5")]).toEqual([
      "0:0:0:0",
      "2001:db8:0:0",
      "fe80:0:0:1",
    ]);
    expect(clientOf("127.0.0.1", "6.6.6.6, 10.0.0.9")).toBe("10.0.0.9");
    fc.assert(fc.property(fc.string(), fc.string(), (address, forwarded) => clientOf(address, forwarded).length <= 64));
  });
});

describe("refusals for what was thrown", () => {
  it("say what can be said, and no path", () => {
    const full = new SkeinError("store", "cannot write /secret/place", {
      cause: Object.assign(new Error("x"), { code: "ENOSPC" }),
    });
    expect(refusalOf(full)).toMatchObject({ status: 507, error: "the gateway's disk is full" });
    expect(refusalOf(new SkeinError("chain", "away at http://key@host"))).toMatchObject({ status: 503 });
    for (const other of [
      new SkeinError("store", "cannot read /secret"),
      new Error("/secret"),
      "text",
      undefined,
      null,
    ]) {
      const refusal = refusalOf(other);
      expect(refusal.status).toBe(500);
      expect(JSON.stringify(refusal)).not.toContain("secret");
    }
  });
});
