import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CODES } from "../../chain/local/door/methods.ts";
import { judgeRpc } from "./rpc.ts";

describe("JSON-RPC", () => {
  const codeOf = (body: unknown): unknown => {
    const verdict = judgeRpc(typeof body === "string" ? body : JSON.stringify(body));
    return verdict.kind === "pass" ? "pass" : JSON.parse(verdict.text).error.code;
  };
  const call = (method: unknown, id: unknown = 1): object => ({ jsonrpc: "2.0", id, method, params: [] });

  it("passes reading and signed transactions, one or many", () => {
    for (const method of ["eth_call", "eth_getLogs", "eth_sendRawTransaction", "eth_gasPrice", "net_version"]) {
      expect(codeOf(call(method)), method).toBe("pass");
    }
    expect(codeOf([call("eth_call"), call("eth_blockNumber", "x")])).toBe("pass");
  });

  it("stops what would use the node's own powers, also within a batch", () => {
    for (const method of [
      "eth_sendTransaction",
      "eth_sign",
      "personal_unlockAccount",
      "anvil_setBalance",
      "evm_mine",
      "debug_traceCall",
      "admin_peers",
      "constructor",
    ]) {
      expect(codeOf(call(method)), method).toBe(CODES.method);
      expect(codeOf([call("eth_call"), call(method)]), method).toBe(CODES.method);
    }
  });

  it("stops what is no request, or too many", () => {
    for (const bad of [
      {},
      [],
      null,
      3,
      [3],
      [[call("eth_call")]],
      call(7),
      call("eth_call", {}),
      call("eth_call", "i".repeat(200)),
    ]) {
      expect(codeOf(bad)).toBe(CODES.request);
    }
    expect([codeOf("{"), codeOf(Array(101).fill(call("eth_call")))]).toEqual([CODES.parse, CODES.limit]);
    fc.assert(fc.property(fc.json(), (text) => codeOf(text) !== "pass"));
    fc.assert(fc.property(fc.string(), (text) => codeOf(text) !== "pass"));
  });

  it("words a failure for everyone in the batch", () => {
    const failing = (body: object): unknown => {
      const verdict = judgeRpc(JSON.stringify(body));
      return verdict.kind === "pass" ? JSON.parse(verdict.failure("away")) : undefined;
    };
    const error = { code: CODES.unavailable, message: "away" };
    expect(failing(call("eth_call", "a"))).toEqual({ jsonrpc: "2.0", id: "a", error });
    expect(failing([call("eth_call", 1), call("eth_call", 2)])).toEqual(
      [1, 2].map((id) => ({ jsonrpc: "2.0", id, error })),
    );
  });
});
