/** Bounds, kept and broken. */
import { beforeAll, describe, expect, it } from "vitest";
import { emptyNetwork, sightOf, watch } from "../../../test/helpers/sight.ts";
import { memoryStore } from "../../store/memory.ts";
import type { Store } from "../../store/store.ts";
import type { Network } from "../network.ts";
import { bounds, trainerBound, validatorBound } from "./bounds.ts";
import type { Sight } from "./checker.ts";

describe("bounds", () => {
  let network: Network;
  beforeAll(async () => {
    network = await emptyNetwork();
  });
  const found = async (parts: Partial<Sight> = {}): Promise<readonly string[]> => {
    const { checker, violations } = watch(bounds, sightOf(network, parts));
    for (let block = 0; block < 8; block++) checker.onBlock?.(block);
    await checker.onEnd?.();
    return violations;
  };
  /** A folder with so many keys, or so many bytes under one. */
  const folderOf = async (keys: number, bytes = 0): Promise<Store> => {
    const store = memoryStore();
    for (let i = 0; i < keys; i++) await store.put(`k${i}`, new Uint8Array(i === 0 ? bytes : 0));
    return store;
  };
  const inFolder = (name: string, store: Store): Partial<Sight> => ({
    folder: (other) => (other === name ? store : memoryStore()),
  });

  it("are kept by what a run of this size needs", async () => {
    const { bytes, keys } = trainerBound(network.spec);
    expect(await found()).toEqual([]);
    expect(await found(inFolder("p1", await folderOf(keys, bytes)))).toEqual([]);
    expect(await found({ pending: () => ({ events: 200, transactions: 20 }) })).toEqual([]);
  });

  it("are broken by folders that grow, and told once", async () => {
    const [trainer, validator] = [trainerBound(network.spec), validatorBound(network.spec, 0)];
    expect(await found(inFolder("p1", await folderOf(trainer.keys + 1)))).toHaveLength(1);
    expect(await found(inFolder("p1", await folderOf(1, trainer.bytes + 1)))).toHaveLength(1);
    expect(await found(inFolder("v2", await folderOf(validator.keys + 1)))).toHaveLength(1);
    const dishonest = { ...inFolder("p1", await folderOf(trainer.keys + 1)), dishonest: new Set(["p1"]) };
    expect(await found(dishonest)).toEqual([]);
  });

  it("are broken by what waits and waits", async () => {
    expect(await found({ pending: () => ({ events: 10_000, transactions: 0 }) })).toHaveLength(1);
    expect(await found({ pending: () => ({ events: 0, transactions: 1000 }) })).toHaveLength(1);
  });

  it("are broken by news of nobody", async () => {
    const shared = memoryStore();
    await shared.put(`news/report/${network.signer("v1").account.slice(2)}`, Uint8Array.of(1));
    expect(await found({ shared })).toEqual([]);
    await shared.put(`news/report/${"ab".repeat(32)}`, Uint8Array.of(1));
    expect(await found({ shared })).toHaveLength(1);
  });
});
