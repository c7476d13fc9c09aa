/** Troubles that no single node makes: the store is away, serves different bytes, loses all; half of the peers are gone. */
import { SkeinError } from "../../base/errors.ts";
import { roundStart } from "../../chain/rounds.ts";
import { BLOBS_PREFIX } from "../../store/blobs.ts";
import type { Store } from "../../store/store.ts";
import type { Start } from "../network.ts";
import type { Adversary, Scene } from "./adversary.ts";

/** Rounds, as parts of the run, in which the store is away; and after which something is gone. */
const AWAY = { from: 0.4, rounds: 3 } as const;
const GONE_AFTER = 0.5;
/** Every so many of a node's names get other bytes. */
const ODD = 2;

/** A store that calls `check` first. */
function checked(store: Store, check: (key: string) => void): Store {
  return {
    async get(key, range) {
      check(key);
      return store.get(key, range);
    },
    async size(key) {
      check(key);
      return store.size(key);
    },
    async put(key, bytes) {
      check(key);
      return store.put(key, bytes);
    },
    async putIfAbsent(key, bytes) {
      check(key);
      return store.putIfAbsent(key, bytes);
    },
    async list(prefix) {
      check(prefix ?? "");
      return store.list(prefix);
    },
    async delete(key) {
      check(key);
      return store.delete(key);
    },
  };
}

const withStore = (start: Start, { network }: Scene, wrap: (store: Store) => Store): Start => ({
  ...start,
  shared: wrap(start.shared ?? network.shared),
});

/** Kinds 24, 25, 29 and 30. */
export const TROUBLES: readonly Adversary[] = [
  {
    name: "swap",
    number: 24,
    who: "world",
    does: "the store gives every second node other bytes than were uploaded, for the payloads of a third of the peers",
    defence: "a blob is named by its hash; who gets other bytes asks a mirror",
    world(scene) {
      const victims = scene.honest.filter((_, i) => i % 3 === 0);
      const swapped = new Set<string>();
      const readers = [...scene.honest, ...scene.validators].filter((_, i) => i % ODD === 1);
      return {
        start: (name, start) =>
          withStore(start, scene, (store) => ({
            ...store,
            async putIfAbsent(key, bytes) {
              if (victims.includes(name)) swapped.add(key);
              return store.putIfAbsent(key, bytes);
            },
            async get(key, range) {
              const bytes = await store.get(key, range);
              return swapped.has(key) && readers.includes(name) ? bytes?.map((byte) => byte ^ 1) : bytes;
            },
          })),
      };
    },
  },
  {
    name: "outage",
    number: 25,
    who: "world",
    does: "the store is away for three rounds",
    defence: "null rounds move nothing; a round in which most payloads are missing counts against nobody",
    world(scene) {
      const { network, rounds } = scene;
      const first = Math.floor(AWAY.from * rounds);
      let away = false;
      const check = (): void => {
        if (away) throw new SkeinError("store", "the store is away");
      };
      return {
        start: (_name, start) => withStore(start, scene, (store) => checked(store, check)),
        onBlock(block) {
          const from = roundStart(network.record, first, "reveal");
          away = block >= from && block < roundStart(network.record, first + AWAY.rounds);
        },
      };
    },
  },
  {
    name: "drop-out",
    number: 29,
    who: "world",
    does: "half of the peers are gone in the middle of a round, after their commits, and do not come back",
    defence: "a round needs nobody in particular; what is missing is not backed",
    world(scene) {
      const { network, rounds } = scene;
      const at = roundStart(network.record, Math.floor(GONE_AFTER * rounds), "reveal") - 1;
      const leaving = scene.honest.filter((_, i) => i % 2 === 1);
      const end = new AbortController();
      const check = (): void => {
        if (end.signal.aborted) throw new SkeinError("store", "this peer is gone");
      };
      return {
        start(name, start) {
          if (!leaving.includes(name)) return start;
          return { ...withStore(start, scene, (store) => checked(store, check)), signal: end.signal };
        },
        onBlock(block) {
          if (block === at) end.abort();
        },
      };
    },
  },
  {
    name: "deletion",
    number: 30,
    who: "world",
    does: "everything in the store is deleted, in the middle of the votes",
    defence:
      "whoever has fetched a blob has it for the others: validators' copies are mirrors; the params are everybody's",
    world(scene) {
      const { network, rounds } = scene;
      const at = roundStart(network.record, Math.floor(GONE_AFTER * rounds), "vote") + 1;
      return {
        onBlock(block) {
          if (block !== at) return;
          const { shared } = network;
          void shared.list(BLOBS_PREFIX).then((keys) => Promise.all(keys.map((key) => shared.delete(key))));
        },
      };
    },
  },
];
