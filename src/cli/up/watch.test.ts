import { describe, expect, it } from "vitest";
import { keyOf, type Network, toyNetwork } from "../../../test/helpers/network.ts";
import { finding, reportOn } from "../../../test/helpers/reports.ts";
import type { LogFields } from "../../base/log/log.ts";
import type { Chain, Signer } from "../../chain/chain.ts";
import { roundStart } from "../../chain/rounds.ts";
import { encodeReport } from "../../score/report.ts";
import type { Finding } from "../../score/standing.ts";
import { putBlob } from "../../store/blobs.ts";
import { memoryStore } from "../../store/memory.ts";
import { putNews } from "../../store/news.ts";
import type { Store } from "../../store/store.ts";
import { watchChain } from "./watch.ts";

const SPEC = "cd".repeat(32);

interface Sight {
  readonly node: string;
  readonly kind: string;
  readonly fields: LogFields;
}

/** What is seen of `blocks` blocks; `epochAt`: the block in which the epoch is pushed, if one is. */
async function watched(
  network: Network,
  blocks: number,
  {
    epoch,
    connect = async () => network.twin,
    store = memoryStore(),
  }: { epoch?: number; connect?: () => Promise<Chain>; store?: Store } = {},
): Promise<Sight[]> {
  const seen: Sight[] = [];
  const stop = new AbortController();
  const hotkeys = new Map([[keyOf("v1").account as string, "validator-1"]]);
  const { runId, twin } = network;
  const tell = (node: string, kind: string, fields: LogFields): void => void seen.push({ node, kind, fields });
  const signal = stop.signal;
  const watching = watchChain({
    ...{ rpcUrl: "", runId, hotkeys, epoch, tell, signal, connect },
    reports: { store, specHash: SPEC },
  });
  const pusher = twin.as(keyOf("v1"));
  for (let left = blocks; left > 0; left--) {
    for (let turn = 0; turn < 5; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
    const { subnet } = await twin.metagraph(1);
    if (subnet.epoch.dueBlock <= (await twin.head()).block) void pusher.stepEpoch(1).catch(() => undefined);
    twin.mine();
  }
  stop.abort();
  await watching;
  return seen;
}

describe("the watch", () => {
  it("tells each block's place in the run, and the uids of the nodes it knows", async () => {
    const network = await toyNetwork();
    const record = await network.twin.run(network.runId);
    const { block: first } = await network.twin.head();
    const seen = await watched(network, 20);
    const places = seen.filter(({ kind }) => kind === "block").map(({ fields }) => fields);
    expect(places[0]).toEqual({ block: first, round: -1, phase: "train", blocksLeft: record.startBlock - first });
    const begun = places.find(({ block }) => block === record.startBlock);
    expect(begun).toMatchObject({ round: 0, phase: "train", blocksLeft: record.trainBlocks });
    const reveal = places.find(({ block }) => block === roundStart(record, 0, "reveal"));
    expect(reveal).toMatchObject({ round: 0, phase: "reveal", blocksLeft: record.revealBlocks });
    expect(seen.filter(({ kind }) => kind === "seat")).toEqual([
      { node: "validator-1", kind: "seat", fields: { uid: 0, permit: true } },
    ]);
  });

  it("tells what an epoch paid, once, and not what was told before", async () => {
    const network = await toyNetwork();
    const before = network.twin.save();
    const kinds = (seen: readonly Sight[]): string[] =>
      seen.map(({ kind }) => kind).filter((kind) => kind === "emission");
    const { subnet } = await network.twin.metagraph(1);
    expect(kinds(await watched(network, 40))).toEqual(["emission"]);
    network.twin.restore(before);
    expect(kinds(await watched(network, 5, { epoch: subnet.epoch.index }))).toEqual([]);
    network.twin.restore(before);
    expect(kinds(await watched(network, 5, { epoch: subnet.epoch.index - 1 }))).toEqual(["emission"]);
  });

  /** A network in round `round`, in which v2 has more stake than v1, and what each says of v1. */
  async function reporting(round: number) {
    const network = await toyNetwork({ validators: ["v1", "v2"] });
    const store = memoryStore();
    const [v1, v2] = [keyOf("v1"), keyOf("v2")];
    await network.during(network.twin.as(keyOf("owner")).addStake(1, v2.account, 500n * 10n ** 9n));
    const { block, neurons } = await network.twin.metagraph(1);
    network.twin.mine(roundStart(await network.twin.run(network.runId), round) - block);
    const accounts = neurons.map(({ hotkey }) => hotkey);
    const say = async (by: Signer, on: number, facts: Partial<Finding>): Promise<void> => {
      const findings = [finding(0, v1.account, facts)];
      const hash = await putBlob(store, encodeReport(reportOn({ specHash: SPEC, round: on, accounts, findings })));
      await putNews(store, { kind: "report", round: on, hash, account: by.account }, by.sign);
    };
    const standings = async (): Promise<LogFields[]> => {
      const seen = await watched(network, 20, { store });
      return seen.filter(({ kind }) => kind === "standing").map(({ fields }) => fields);
    };
    return { v1, v2, say, standings };
  }
  const COPY = { copyOf: { uid: 1, round: 3, likeness: 0.9 } };
  const TROUBLE = "repeats uid 1's payload of round 3 (likeness 0.90)";

  it("tells what the validator with the most stake thinks of each node, once a round", async () => {
    const { v1, v2, say, standings } = await reporting(5);
    await say(v1, 4, {});
    await say(v2, 4, COPY);
    expect(await standings()).toEqual([{ round: 4, uid: 0, weight: 0, trouble: TROUBLE }]);
  });

  it("goes by others where that one reports no more, and by nobody who tells of rounds to come", async () => {
    const { v1, v2, say, standings } = await reporting(5);
    await say(v1, 4, COPY);
    await say(v2, 3, {});
    expect(await standings()).toMatchObject([{ round: 4, trouble: TROUBLE }]);
    await say(v2, 1000, {});
    expect(await standings()).toMatchObject([{ round: 4, trouble: TROUBLE }]);
  });
});
