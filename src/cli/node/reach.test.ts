import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { toyNetwork, toySpec } from "../../../test/helpers/network.ts";
import { manualClock } from "../../base/clock.ts";
import { memoryLog } from "../../base/log/log.ts";
import type { RunRecord } from "../../chain/chain.ts";
import { type Gateway, startGateway } from "../../gateway/gateway.node.ts";
import type { RunInfo } from "../../run/link.ts";
import { specBytes, specHash } from "../../run/parse.ts";
import { memoryStore } from "../../store/memory.ts";
import { blockSecondsOf, connectRun, headTrouble, isOver, reachRun, recordOf, standingOf } from "./reach.ts";

const spec = toySpec();
const hash = specHash(spec);
const info: RunInfo = {
  protocol: 1,
  specHash: hash,
  runId: 0,
  chainId: 1337,
  netuid: 1,
  contracts: null,
  faucet: false,
};
const store = memoryStore();
let gateway: Gateway;

beforeAll(async () => {
  await store.put("run.json", specBytes(spec));
  const card = { name: spec.name, params: 1, rounds: 1 };
  const accounts = async (): Promise<ReadonlySet<string>> => new Set();
  gateway = await startGateway({ store, info, card, accounts, host: "127.0.0.1", port: 0, log: memoryLog() });
});
afterAll(() => gateway.close());

const hasty = { attempts: 1 };

describe("reaching a run by its link", () => {
  it("gives the run that the link names", async () => {
    const served = await reachRun(gateway.link);
    expect(served).toMatchObject({ base: gateway.url, specHash: hash, info, link: gateway.link });
    expect(served.spec).toEqual(spec);
  });

  it("refuses another run, wherever it comes from", async () => {
    const other = `${gateway.url}/r/${"0".repeat(64)}`;
    await expect(reachRun(other, hasty)).rejects.toMatchObject({ code: "config", remedy: /new one/ });
    await store.put("run.json", specBytes({ ...spec, seed: "2" }));
    try {
      await expect(reachRun(gateway.link, hasty)).rejects.toMatchObject({
        code: "config",
        message: "the gateway offers another run",
      });
      await store.delete("run.json");
      await expect(reachRun(gateway.link, hasty)).rejects.toMatchObject({ code: "config" });
    } finally {
      await store.put("run.json", specBytes(spec));
    }
  });

  it("says what is no link, and who does not answer", async () => {
    await expect(reachRun("hello")).rejects.toMatchObject({ code: "usage" });
    await expect(reachRun(`http://127.0.0.1:9/r/${hash}`, hasty)).rejects.toMatchObject({ code: "store" });
  });

  it("says whose trouble a chain is that does not answer", async () => {
    const served = await reachRun(gateway.link);
    await expect(connectRun(served, undefined)).rejects.toMatchObject({
      code: "chain",
      message: `the gateway at ${gateway.url} does not reach the run's chain`,
      remedy: expect.stringContaining("whoever runs the gateway"),
    });
    const own = connectRun(served, "http://127.0.0.1:9");
    await expect(own).rejects.toMatchObject({ code: "chain", message: "no chain answers at http://127.0.0.1:9" });
  });

  it("holds the gateway's words against the chain", async () => {
    const { twin, runId } = await toyNetwork({ spec });
    const { netuid } = await twin.run(runId);
    const served = { ...(await reachRun(gateway.link)), info: { ...info, runId, netuid } };
    expect((await recordOf(served, twin)).specs[0]?.specHash).toBe(`0x${hash}`);
    const elsewhere = { ...served, info: { ...served.info, netuid: netuid + 1 } };
    await expect(recordOf(elsewhere, twin)).rejects.toMatchObject({ code: "config", message: /subnet differs/ });
    const slower = { ...served, spec: { ...spec, timing: { ...spec.timing, voteBlocks: 99 } } };
    await expect(recordOf(slower, twin)).rejects.toMatchObject({ code: "config", message: /voteBlocks differs/ });
  });
});

describe("where a run stands", () => {
  const record: RunRecord = {
    ...{ runId: 0, owner: "0x", netuid: 1, specHash: "0x", genesisRoot: "0x", specs: [] },
    ...{ startBlock: 100, trainBlocks: 4, revealBlocks: 2, voteBlocks: 2 },
  };

  it("is told in blocks, and in time where that is known", () => {
    expect(standingOf(spec, record, 90)).toBe("not begun: round 0 of 10 starts in block 100, in 10 blocks");
    expect(standingOf(spec, record, 90, 12)).toContain("in 10 blocks, about 2 min 00 s");
    expect(standingOf(spec, record, 111)).toBe("round 1 of 10, train, 1 block left");
    expect(standingOf(spec, record, 112, 1)).toBe("round 1 of 10, reveal, 2 blocks, about 2 s left");
    expect(standingOf(spec, record, 180)).toBe("over: all 10 rounds are done");
    expect([isOver(spec, record, 179), isOver(spec, record, 180)]).toEqual([false, true]);
  });

  it("knows a block's seconds from two heads", () => {
    const head = (block: number, timestamp: number) => ({ block, timestamp, hash: "0x" }) as const;
    expect(blockSecondsOf(head(5, 100), head(9, 148))).toBe(12);
    expect(blockSecondsOf(head(5, 100), head(5, 100))).toBeUndefined();
  });

  it("notices a chain that stands still and a clock that is off", () => {
    const head = { block: 7, hash: "0x", timestamp: 1_000_000 } as const;
    const at = (seconds: number, blockSeconds?: number): string | undefined =>
      headTrouble(head, manualClock(1000 * seconds), blockSeconds);
    expect(at(1_000_000)).toBeUndefined();
    expect(at(1_000_300)).toBeUndefined();
    expect(at(1_000_301)).toMatch(/stands still: its newest block, 7, is 5 min 01 s old/);
    expect(at(1_000_301, 60)).toBeUndefined();
    expect(at(1_001_201, 60)).toMatch(/stands still/);
    expect(at(999_940)).toBeUndefined();
    expect(at(999_939)).toMatch(/clock is 1 min 01 s behind/);
  });
});
