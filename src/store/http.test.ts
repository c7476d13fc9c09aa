/** What the gateway's store makes of a gateway's answers; everything else about it is in test/gateway/. */
import http from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it } from "vitest";
import { utf8 } from "../base/bytes.ts";
import { putBlob } from "./blobs.ts";
import { httpStore } from "./http.ts";
import type { Store } from "./store.ts";

/** A gateway that answers 422 to the first `times` writes; `work` is given its store, and how many writes there were. */
async function damaging<T>(times: number, work: (store: Store, writes: () => number) => Promise<T>): Promise<T> {
  let writes = 0;
  const server = http.createServer((request, response) => {
    request.resume();
    request.on("end", () => response.writeHead(writes++ < times ? 422 : 201).end());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const signer = { address: `0x${"11".repeat(20)}`, sign: async () => new Uint8Array(65) };
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const patience = { attempts: 3, pauseMs: 0, silenceMs: 2000 };
  try {
    return await work(httpStore({ base, writer: { signer, specHash: "ab".repeat(32) }, patience }), () => writes);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

describe("a blob that was damaged on its way to the gateway", () => {
  it("is sent again", () =>
    damaging(2, async (store, writes) => {
      await putBlob(store, utf8("a payload"));
      expect(writes()).toBe(3);
    }));

  it("is given up when patience is over", () =>
    damaging(9, async (store, writes) => {
      const details = "3 attempts; the last one: status 422";
      await expect(putBlob(store, utf8("a payload"))).rejects.toMatchObject({ code: "store", details });
      expect(writes()).toBe(3);
    }));

  it("is no news: what a gateway says of that is final", () =>
    damaging(9, async (store, writes) => {
      await expect(store.put(`news/answer/${"22".repeat(32)}`, utf8("{}"))).rejects.toThrow("answered 422");
      expect(writes()).toBe(1);
    }));
});
