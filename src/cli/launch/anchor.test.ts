import { describe, expect, it } from "vitest";
import { COIN, testSigner } from "../../../test/contract/chain-kit.ts";
import { must } from "../../base/assert.ts";
import { utf8 } from "../../base/bytes.ts";
import { memoryLog } from "../../base/log/log.ts";
import type { Hash, SubnetParams } from "../../chain/chain.ts";
import { pruned } from "../../chain/metagraph.ts";
import { createTwin, type Twin } from "../../chain/twin/twin.ts";
import { specHash } from "../../run/parse.ts";
import { RUN_PRESETS, type RunPresetName } from "../../run/presets.ts";
import { blocksOf } from "../../run/rules.ts";
import type { RunSpec } from "../../run/spec.ts";
import { memoryStore } from "../../store/memory.ts";
import type { Store } from "../../store/store.ts";
import { type AnchorOptions, anchorRun, subnetParams } from "./anchor.ts";
import { LAUNCH_KEY, readLaunch, writeLaunch } from "./record.ts";

const [coldkey, hotkey, stranger] = [testSigner("owner"), testSigner("owner/hot"), testSigner("stranger")];

function specOf(preset: RunPresetName, uids = RUN_PRESETS[preset].uids): RunSpec {
  const { model, inner, codec, outer, timing, checkpointEvery, score, audit } = RUN_PRESETS[preset];
  const hash = "ab".repeat(32);
  const rules = {
    inner,
    codec,
    outer: { ...outer, cap: Math.min(outer.cap, uids) },
    timing,
    checkpointEvery,
    score,
    audit,
  };
  const data = { manifest: hash, tokenizer: hash };
  return { protocol: 1, name: preset, model, seed: "1", genesisRoot: hash, data, uids, ...rules };
}

function twin(coins = 10_000n): Twin {
  const balances = new Map([
    [coldkey.account, coins * COIN],
    [stranger.account, 10_000n * COIN],
  ]);
  return createTwin({ balances, lockMin: 100n * COIN });
}

function options(chain: Twin, folder: Store, more: Partial<AnchorOptions> = {}): AnchorOptions {
  return { chain, coldkey, hotkey, spec: specOf("laptop"), folder, stake: 1000n * COIN, log: memoryLog(), ...more };
}

describe("anchorRun", () => {
  it("makes a subnet, stakes, and registers the run", async () => {
    const [chain, folder, log] = [twin(), memoryStore(), memoryLog()];
    const spec = specOf("laptop");
    const { run, resumed } = await anchorRun(options(chain, folder, { log }));
    expect(resumed).toBe(false);
    expect(run).toMatchObject({ runId: 0, netuid: 1, owner: coldkey.account, specHash: `0x${specHash(spec)}` });
    expect(run).toMatchObject({ ...spec.timing, genesisRoot: `0x${spec.genesisRoot}` });
    const { subnet, neurons } = await chain.metagraph(1);
    expect(neurons).toMatchObject([{ uid: 0, hotkey: hotkey.account, stake: 1000n * COIN }]);
    expect(subnet.params).toMatchObject({
      maxUids: 16,
      tempo: 20,
      immunityPeriod: 10 * blocksOf(spec),
      minNonImmuneUids: 3,
    });
    expect(log.events.map(({ kind }) => kind)).toEqual(["subnet", "staked", "run"]);
    expect(await readLaunch(folder)).toMatchObject({ chainId: 1337, specHash: specHash(spec), netuid: 1, runId: 0 });
  });

  it("lets the first votes come after the first epoch, in every preset", async () => {
    for (const preset of ["tiny", "laptop", "2m", "125m"] as const) {
      const chain = twin();
      const { run } = await anchorRun(options(chain, memoryStore(), { spec: specOf(preset) }));
      const { block } = await chain.head();
      const { epoch } = (await chain.metagraph(run.netuid)).subnet;
      expect(run.startBlock + run.trainBlocks + run.revealBlocks, preset).toBeGreaterThan(epoch.dueBlock + 2);
      expect(run.startBlock - block, preset).toBeGreaterThanOrEqual(9);
      expect(run.startBlock - block, preset).toBeLessThan(60);
    }
  });

  it("begins when it is told to", async () => {
    const chain = twin();
    const { run } = await anchorRun(options(chain, memoryStore(), { spec: specOf("125m"), startIn: 4 }));
    expect(run.startBlock - (await chain.head()).block).toBe(3); // one block went by for the transaction
  });

  it("changes nothing when it is started again", async () => {
    const [chain, folder] = [twin(), memoryStore()];
    const first = await anchorRun(options(chain, folder));
    const before = await chain.head();
    const again = await anchorRun(options(chain, folder, { stake: 2000n * COIN, startIn: 99 }));
    expect(again).toEqual({ run: first.run, resumed: true });
    expect(await chain.head()).toEqual(before);
  });

  it("finds the run again without its record", async () => {
    const [chain, folder] = [twin(), memoryStore()];
    const first = await anchorRun(options(chain, memoryStore()));
    expect(await anchorRun(options(chain, folder))).toEqual({ run: first.run, resumed: true });
    expect(await readLaunch(folder)).toMatchObject({ netuid: 1, runId: 0 });
  });

  it("buys nothing twice, wherever it was stopped", async () => {
    for (let steps = 1; ; steps++) {
      const [chain, folder] = [twin(), memoryStore()];
      const outcome = await anchorRun(options(failingAfter(chain, steps), folder)).then(
        () => "done",
        (thrown: Error) => thrown.message,
      );
      const { run } = await anchorRun(options(chain, folder));
      expect(await chain.subnets(), `stopped after transaction ${steps}`).toHaveLength(1);
      expect(run).toMatchObject({ runId: 0, netuid: 1 });
      expect((await chain.funds(coldkey.account)).stakes).toMatchObject([{ rao: 1000n * COIN }]);
      await expect(chain.run(1)).rejects.toMatchObject({ code: "chain" });
      if (outcome === "done") {
        expect(steps).toBe(4); // subnet, stake, run
        return;
      }
      expect(outcome).toBe("killed");
    }
  });

  it("stops between two steps when it is asked to, and goes on", async () => {
    const [chain, folder] = [twin(), memoryStore()];
    const stop = AbortSignal.abort();
    await expect(anchorRun(options(chain, folder, { signal: stop }))).rejects.toMatchObject({ code: "interrupted" });
    expect((await anchorRun(options(chain, folder))).run).toMatchObject({ runId: 0, netuid: 1 });
    expect(await chain.subnets()).toHaveLength(1);
  });

  it("takes another subnet of the owner where it is told to: registers the hotkey there, and sets its uids", async () => {
    const chain = twin();
    await chain.as(coldkey).createSubnet(testSigner("other/hot"), 200n * COIN, { tempo: 30 });
    const { run } = await anchorRun(options(chain, memoryStore(), { netuid: 1 }));
    const { subnet, neurons } = await chain.metagraph(1);
    expect(run.netuid).toBe(1);
    expect(neurons[1]).toMatchObject({ hotkey: hotkey.account, stake: 1000n * COIN });
    expect(subnet.params).toMatchObject({ maxUids: 16, tempo: 30 });
    const [log, folder] = [memoryLog(), memoryStore()];
    await chain.as(stranger).createSubnet(stranger, 300n * COIN);
    await anchorRun(options(chain, folder, { netuid: 2, spec: specOf("tiny"), stake: 0n, log }));
    expect(log.events.map(({ kind }) => kind)).toEqual(["registered", "uids-differ", "run"]);
  });
});

describe("anchorRun refuses", () => {
  it("a folder that serves another run, or one on another chain", async () => {
    const [chain, folder] = [twin(), memoryStore()];
    await anchorRun(options(chain, folder));
    const other = options(chain, folder, { spec: { ...specOf("laptop"), seed: "2" } });
    await expect(anchorRun(other)).rejects.toMatchObject({ code: "config", message: /another run/ });
    const elsewhere = createTwin({ chainId: 7, balances: new Map([[coldkey.account, 5000n * COIN]]) });
    await expect(anchorRun(options(elsewhere, folder))).rejects.toMatchObject({ code: "config", message: /chain 7/ });
    await expect(anchorRun(options(chain, folder, { netuid: 5 }))).rejects.toMatchObject({ code: "usage" });
    await writeLaunch(folder, { ...must(await readLaunch(folder), "a record"), runId: 3 });
    await expect(anchorRun(options(chain, folder))).rejects.toMatchObject({ code: "chain" });
    await folder.put(LAUNCH_KEY, utf8('{"chainId": 1337}'));
    await expect(anchorRun(options(chain, folder))).rejects.toMatchObject({
      code: "config",
      message: /cannot be read/,
    });
  });

  it("a spec that another owner has registered", async () => {
    const chain = twin();
    await anchorRun(options(chain, memoryStore(), { coldkey: stranger, hotkey: testSigner("stranger/hot") }));
    await expect(anchorRun(options(chain, memoryStore()))).rejects.toMatchObject({
      code: "chain",
      message: /run 0, by another owner/,
      remedy: /join it/,
    });
  });

  it("to begin what the wallet cannot pay for to the end", async () => {
    const chain = twin(1099n);
    await expect(anchorRun(options(chain, memoryStore()))).rejects.toMatchObject({
      code: "chain",
      message: "the wallet has 1,099 coins, and a launch takes 1,100",
    });
    expect(await chain.subnets()).toEqual([]);
    expect((await anchorRun(options(chain, memoryStore(), { stake: 999n * COIN }))).run.runId).toBe(0);
  });
});

describe("subnetParams", () => {
  it("leaves a way in for newcomers when all uids are taken and old, for every number of uids", () => {
    const defaults = { immunityPeriod: 0, minNonImmuneUids: 10 } as SubnetParams;
    for (let uids = 2; uids <= 256; uids++) {
      const params = { ...defaults, ...subnetParams(specOf("laptop", uids)) };
      const hotkeys = Array.from({ length: uids }, (_, uid): Hash => `0x${uid}`);
      const neurons = hotkeys.map((key) => ({ hotkey: key, emission: 0n, registeredAt: 0 }));
      const subnet = { ownerHotkey: must(hotkeys[0], "uid 0"), params };
      expect(pruned(neurons, subnet, params.immunityPeriod), `${uids} uids`).toBe(1);
    }
  });
});

/** The chain of somebody whose process is killed right after its n-th transaction is in a block, before it hears of it. */
function failingAfter(chain: Twin, n: number): Twin {
  let left = n;
  const killed = async <T>(work: Promise<T>): Promise<T> => {
    const done = await work;
    left -= 1;
    if (left === 0) throw new Error("killed");
    return done;
  };
  return {
    ...chain,
    chainId: chain.chainId,
    as(signer) {
      const account = chain.as(signer);
      return {
        ...account,
        createSubnet: (...args) => killed(account.createSubnet(...args)),
        addStake: (...args) => killed(account.addStake(...args)),
        createRun: (...args) => killed(account.createRun(...args)),
      };
    },
  };
}
