import { hexToBytes } from "@noble/hashes/utils.js";
import fc from "fast-check";
import { parseTransaction } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { describe, expect, it } from "vitest";
import { buckets } from "./bucket.ts";
import { CODES, gasLimitOf, judge, type MethodLimits, READING } from "./methods.ts";

const LIMITS: MethodLimits = { transactionGas: 1_000_000, callGas: 5_000_000, transactionBytes: 2000, horizon: 100 };
const account = privateKeyToAccount(`0x${"11".repeat(32)}`);
const to = `0x${"22".repeat(20)}` as const;

const refusedWith = (request: unknown): unknown => {
  const verdict = judge(request, LIMITS);
  return verdict.kind === "answer" ? JSON.parse(verdict.text).error?.code : verdict.kind;
};
const paramsOf = (method: string, params: unknown[]): unknown => {
  const verdict = judge({ jsonrpc: "2.0", id: 7, method, params }, LIMITS);
  return verdict.kind === "answer" ? JSON.parse(verdict.text) : JSON.parse(verdict.body).params;
};

describe("methods for clients", () => {
  it("read, and pass the id on", () => {
    expect(judge({ jsonrpc: "2.0", id: "a", method: "eth_blockNumber" }, LIMITS)).toEqual({
      kind: "forward",
      id: '"a"',
      body: '{"jsonrpc":"2.0","id":"a","method":"eth_blockNumber","params":[]}',
    });
    expect(paramsOf("eth_accounts", [])).toEqual({ jsonrpc: "2.0", id: 7, result: [] });
  });

  it("refuse everything privileged", () => {
    const refused = [
      "anvil_setBalance",
      "evm_mine",
      "hardhat_setCode",
      "debug_traceTransaction",
      "eth_sendTransaction",
    ];
    refused.push(
      "eth_sign",
      "personal_sign",
      "eth_newFilter",
      "eth_subscribe",
      "trace_block",
      "ots_getBlockDetails",
      "",
    );
    for (const method of refused) expect(refusedWith({ id: 1, method, params: [] }), method).toBe(CODES.method);
    expect([...READING].filter((method) => !/^(?:eth_(?!send|sign)|net_|web3_)/.test(method))).toEqual([]);
  });

  it("refuse what is no request, without throwing", () => {
    for (const bad of [null, 1, "x", [], {}, { id: {}, method: "eth_call" }, { id: 1, method: 3 }]) {
      expect(refusedWith(bad)).toBe(CODES.request);
    }
    expect(refusedWith({ id: 1, method: "eth_call", params: {} })).toBe(CODES.params);
    fc.assert(fc.property(fc.anything(), (value) => judge(value, LIMITS).kind === "answer"));
    fc.assert(
      fc.property(fc.constantFrom(...READING, "eth_sendRawTransaction"), fc.array(fc.jsonValue()), (method, params) => {
        const verdict = judge({ id: 1, method, params }, LIMITS);
        return verdict.kind !== "forward" || JSON.parse(verdict.body).method === method;
      }),
    );
  });

  it("bring the gas of simulated calls down", () => {
    expect(paramsOf("eth_call", [{ to }, "latest"])).toEqual([{ to, gas: "0x4c4b40" }, "latest"]);
    expect(paramsOf("eth_call", [{ to, gas: "0xffffffff" }])).toEqual([{ to, gas: "0x4c4b40" }]);
    expect(paramsOf("eth_estimateGas", [{ to, gas: "0x5208" }])).toEqual([{ to, gas: "0x5208" }]);
  });

  it("say where logs have been dropped", () => {
    const logs = (fromBlock: unknown): unknown =>
      refusedWith({ id: 1, method: "eth_getLogs", params: [{ fromBlock }] });
    expect([logs("earliest"), logs("0x63")]).toEqual([CODES.pruned, CODES.pruned]);
    expect([logs("0x64"), logs("latest"), logs(undefined)]).toEqual(["forward", "forward", "forward"]);
  });

  it("know the gas limit of every type of transaction", async () => {
    const base = { to, value: 1n, nonce: 3, gas: 123_456n, chainId: 5 } as const;
    const raws = [
      await account.signTransaction({ ...base, type: "legacy", gasPrice: 0n }),
      await account.signTransaction({ ...base, type: "eip2930", gasPrice: 0n, data: `0x${"ab".repeat(300)}` }),
      await account.signTransaction({
        ...base,
        type: "eip1559",
        maxFeePerGas: 0n,
        accessList: [{ address: to, storageKeys: [] }],
      }),
    ];
    for (const raw of raws) {
      expect(gasLimitOf(hexToBytes(raw.slice(2)))).toBe(Number(parseTransaction(raw).gas));
      expect(refusedWith({ id: 1, method: "eth_sendRawTransaction", params: [raw] })).toBe("send");
      expect(gasLimitOf(hexToBytes(raw.slice(2, -2)))).toBe(undefined);
    }
    const greedy = await account.signTransaction({ ...base, type: "legacy", gasPrice: 0n, gas: 1_000_001n });
    for (const raw of [greedy, `0x03${raws[2]?.slice(4)}`, `0x${"c0".repeat(2001)}`, "0x", "0xc", 7, undefined]) {
      expect(refusedWith({ id: 1, method: "eth_sendRawTransaction", params: [raw] })).toBe(CODES.params);
    }
  });

  it("survive any bytes in place of a transaction", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        const gas = gasLimitOf(bytes);
        return gas === undefined || gas >= 0;
      }),
      { numRuns: 2000 },
    );
  });
});

describe("token buckets", () => {
  it("let a burst through, then as many as flow in, each client for itself", () => {
    const rate = buckets(10, 20);
    expect([rate.take("a", 15, 0), rate.take("a", 6, 0), rate.take("a", 5, 0), rate.take("b", 20, 0)]).toEqual([
      true,
      false,
      true,
      true,
    ]);
    expect([rate.take("a", 10, 1000), rate.take("a", 1, 1000), rate.take("a", 21, 1e6)]).toEqual([true, false, false]);
  });

  it("say how long to wait", () => {
    const rate = buckets(10, 20);
    rate.take("a", 15, 0);
    expect([rate.waitMs("a", 6, 0), rate.waitMs("a", 5, 0), rate.waitMs("a", 21, 0)]).toEqual([100, 0, Infinity]);
    expect([rate.take("a", 6, 99), rate.take("a", 6, 100)]).toEqual([false, true]);
  });
});
