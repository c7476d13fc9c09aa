/**
 * A store that is read through another: what was read once lies in this machine's own store and is taken from there. For the pieces of a
 * dataset, which never change and whose reader checks them by their hashes; should a kept piece be damaged, the reader asks the other store.
 */
import { SkeinError } from "../../base/errors.ts";
import { mirrored } from "../../store/mirrored.ts";
import type { ByteRange, Store } from "../../store/store.ts";

/** The reading half of a store; it has no more than that. */
export type Readable = Pick<Store, "get">;

/** `store`, with everything under `prefix` as if it were all there is. Read-only. */
export function below(store: Readable, prefix: string): Store {
  return readOnly({ get: (key, range) => store.get(`${prefix}${key}`, range) });
}

/** A store that is read through this machine's own. */
export interface KeptStore extends Store {
  /** The other store, of which what is read replaces what was kept: for whoever found that damaged. */
  readonly fresh: Store;
  /** Whether the other store did not answer when it was asked last. */
  isAway(): boolean;
}

/** `remote`, of which whatever is read is kept in `local` under "data/". Where that cannot be written, nothing is kept. Read-only. */
export function kept(remote: Readable, local: Store): KeptStore {
  let away = false;
  const nameOf = (key: string, range: ByteRange | undefined): string =>
    `data/${key}/${range === undefined ? "whole" : `${range.start}-${range.end}`}`;
  const fetched: Store["get"] = async (key, range) => {
    away = true;
    const bytes = await remote.get(key, range);
    away = false;
    if (bytes !== undefined) await quietly(() => local.put(nameOf(key, range), bytes));
    return bytes;
  };
  const get: Store["get"] = async (key, range) =>
    (await quietly(() => local.get(nameOf(key, range)))) ?? fetched(key, range);
  return { ...readOnly({ get }), fresh: readOnly({ get: fetched }), isAway: () => away };
}

/** Where a run's dataset is read. */
export interface DataSources {
  readonly pieces: Store;
  /** To be asked in turn where `pieces` has something wrong. */
  readonly others: readonly Store[];
  /** Whether the gateway did not answer when it was asked last. */
  isAway(): boolean;
}

/**
 * A run's dataset from its gateway and, where that is away, from `mirrors`; what is read is kept in `local`. What does not pass the reader's checks
 * is asked of each mirror by itself, and of the gateway last, so that its word counts.
 */
export function dataSources(gateway: Store, mirrors: readonly Store[], local: Store): DataSources {
  const keptOf = (store: Store): KeptStore => kept(below(store, "data/"), local);
  const own = keptOf(gateway);
  if (mirrors.length === 0) return { pieces: own, others: [own.fresh], isAway: own.isAway };
  const all = keptOf(mirrored([gateway, ...mirrors]));
  const each = mirrors.map((mirror) => keptOf(mirror).fresh);
  return { pieces: all, others: [all.fresh, ...each, own.fresh], isAway: own.isAway };
}

async function quietly<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (thrown) {
    if (thrown instanceof SkeinError && thrown.code === "store") return undefined;
    throw thrown;
  }
}

function readOnly({ get }: Readable): Store {
  const refuse = (): Promise<never> =>
    Promise.reject(new SkeinError("store", "this store is for reading pieces of a dataset, and for nothing else"));
  return {
    get,
    size: async (key) => (await get(key))?.length,
    put: refuse,
    putIfAbsent: refuse,
    list: refuse,
    delete: refuse,
  };
}
