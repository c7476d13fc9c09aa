import { describe, expect, it } from "vitest";
import { utf8 } from "../../base/bytes.ts";
import { manualClock } from "../../base/clock.ts";
import { memoryLog } from "../../base/log/log.ts";
import type { RunRecord } from "../../chain/chain.ts";
import { paramCount } from "../../engine/shape.ts";
import { specBytes } from "../../run/parse.ts";
import { RUN_PRESETS, type RunPresetName } from "../../run/presets.ts";
import { payloadLimit } from "../../run/rules.ts";
import type { RunSpec } from "../../run/spec.ts";
import { answerBytesMax } from "../../score/audit/answer.ts";
import { memoryStore } from "../../store/memory.ts";
import { blobLimit, checkedUrl, isLoopback, servedStore } from "./serve.ts";
import { trafficCounter } from "./traffic.ts";
import { statusLine } from "./watch.ts";

function specOf(preset: RunPresetName): RunSpec {
  const { model, inner, codec, outer, timing, checkpointEvery, score, audit, uids } = RUN_PRESETS[preset];
  const hash = "ab".repeat(32);
  const data = { manifest: hash, tokenizer: hash };
  const rules = { inner, codec, outer, timing, checkpointEvery, score, audit, uids };
  return { protocol: 1, name: preset, model, seed: "1", genesisRoot: hash, data, ...rules };
}

describe("servedStore", () => {
  it("has the spec, the dataset and the blobs, of which only those can be written", async () => {
    const [spec, data, rest] = [specOf("tiny"), memoryStore(), memoryStore()];
    await data.put("manifest.json", utf8("{}"));
    const store = await servedStore(spec, data, rest);
    expect(await store.get("run.json")).toEqual(specBytes(spec));
    expect(await store.get("data/manifest.json")).toEqual(utf8("{}"));
    await store.put("news/report/a", utf8("x"));
    expect(await rest.list()).toEqual(["news/report/a"]);
    await expect(store.put("run.json", utf8("x"))).rejects.toMatchObject({ code: "store" });
    await expect(store.put("data/manifest.json", utf8("x"))).rejects.toMatchObject({ code: "store" });
  });
});

describe("blobLimit", () => {
  it("has room for a payload and for a piece of a checkpoint", () => {
    for (const preset of ["tiny", "laptop", "2m", "125m"] as const) {
      const spec = specOf(preset);
      expect(blobLimit(spec)).toBeGreaterThanOrEqual(Math.max(payloadLimit(spec), 1 << 20));
      expect(blobLimit(spec)).toBeLessThan(64 << 20);
    }
  });

  it("has room for an answer to a challenge where that is the longest", () => {
    const spec = specOf("125m");
    const model = { ...spec.model, layers: 2000 }; // and next to nothing sent
    const big = { ...spec, model, codec: { ...spec.codec, k: 1, bits: 1 as const } };
    const longest = answerBytesMax({ paramCount: paramCount(model) });
    expect(longest).toBeGreaterThan(Math.max(payloadLimit(big), 1 << 20));
    expect(blobLimit(big)).toBe(longest);
  });
});

describe("checkedUrl", () => {
  it("takes addresses of the web, without a slash at the end", () => {
    expect(checkedUrl("https://run.example/")).toBe("https://run.example");
    expect(checkedUrl("http://192.0.2.7:8640/skein//")).toBe("http://192.0.2.7:8640/skein");
  });

  it("refuses what makes no link", () => {
    for (const text of ["run.example", "ftp://x", "http://a/?q", "http://a/#b", "http://me:pw@a", ""])
      expect(() => checkedUrl(text), text).toThrow(/is no address for links/);
  });
});

describe("isLoopback", () => {
  it("knows this machine's own addresses", () => {
    expect(["127.0.0.1", "127.1.2.3", "::1", "localhost"].every(isLoopback)).toBe(true);
    expect(["0.0.0.0", "::", "192.0.2.7", "run.example", "1270.0.0.1"].some(isLoopback)).toBe(false);
  });
});

describe("trafficCounter", () => {
  it("counts requests, and passes on only those that wrote or failed", () => {
    const kept = memoryLog();
    const log = trafficCounter(kept);
    const request = (method: string, status: number, more: object = {}): void =>
      log.event("request", { method, path: "/x", status, bytes: 100, ms: 1, ...more });
    request("GET", 200);
    request("GET", 404); // a blob that is not there yet
    request("HEAD", 404);
    request("POST", 200, { received: 50 });
    expect(kept.events).toEqual([]);
    request("PUT", 201, { received: 1000 });
    request("PUT", 401);
    request("POST", 502);
    log.event("faucet", { rao: "5" });
    expect(kept.events.map(({ kind }) => kind)).toEqual(["request", "request", "request", "faucet"]);
    expect(log.traffic()).toEqual({ requests: 7, bytesIn: 1050, bytesOut: 700, refused: 2 });
  });
});

describe("trafficCounter on trouble", () => {
  it("tells what comes again and again now and then, with how often it came", () => {
    const [kept, clock] = [memoryLog(), manualClock()];
    const log = trafficCounter(kept, clock);
    for (let second = 0; second < 25; second++) {
      log.event("rpc-trouble", { why: "away" });
      log.event("request", { method: "POST", path: "/rpc", status: 502, bytes: 1 });
      if (second === 3) log.event("request", { method: "PUT", path: "/x", status: 401, bytes: 1 });
      clock.advance(1000);
    }
    const times = (kind: string, status?: number): unknown[] =>
      kept.events
        .filter((event) => event.kind === kind && event.fields["status"] === status)
        .map(({ fields }) => fields["times"] ?? 1);
    expect(times("rpc-trouble")).toEqual([1, 10, 10]);
    expect(times("request", 502)).toEqual([1, 10, 10]);
    expect(times("request", 401)).toEqual([1]);
    expect(log.traffic().refused).toBe(26);
  });
});

describe("statusLine", () => {
  const run = { startBlock: 20, trainBlocks: 4, revealBlocks: 2, voteBlocks: 2 } as RunRecord;
  const traffic = { requests: 1204, bytesIn: 31_200_000, bytesOut: 1_200_000_000, refused: 0 };

  it("says where the run stands and what the gateway did", () => {
    const at = (block: number): string => statusLine({ run, rounds: 10 }, { block, peers: 3 }, traffic);
    expect(at(12)).toBe("block 12  begins in 8  3 uids  1,204 requests  31.2 MB in  1.2 GB out");
    expect(at(99)).toMatch(/^block 99 {2}round 9 vote 1 left {2}/);
    expect(at(100)).toMatch(/^block 100 {2}the run is over {2}3 uids {2}/);
    expect(at(29)).toMatch(/^block 29 {2}round 1 train 3 left {2}3 uids {2}/);
    expect(statusLine({ run, rounds: 10 }, undefined, traffic)).toMatch(/^the chain does not answer {2}1,204 requests/);
  });
});
