/**
 * A whole network in one process: the production roles over the chain's twin and stores in memory, with a model small enough for the reference
 * engine. Nothing in it waits for anything but blocks, so a block is made whenever all have done what they can: the same run every time.
 */

import { utf8 } from "../../src/base/bytes.ts";
import { manualClock } from "../../src/base/clock.ts";
import { sha256 } from "../../src/base/hash.ts";
import { memoryLog } from "../../src/base/log/log.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { Chain, Signer } from "../../src/chain/chain.ts";
import { signerOf } from "../../src/chain/keys/signer.ts";
import { createTwin, type Twin } from "../../src/chain/twin/twin.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { openReference } from "../../src/engine/reference/reference.ts";
import { acting, type Node, openNode } from "../../src/roles/network/node.ts";
import { runTrainer, type TrainerEnd } from "../../src/roles/network/trainer/trainer.ts";
import { runValidator, type ValidatorEnd } from "../../src/roles/network/validator/validator.ts";
import { specHash } from "../../src/run/parse.ts";
import { makeSpec, type SpecOverrides } from "../../src/run/presets.ts";
import type { RunSpec } from "../../src/run/spec.ts";
import { memoryStore } from "../../src/store/memory.ts";
import type { Store } from "../../src/store/store.ts";
import { TOY_SHAPE, toyDataset } from "./toy.ts";

const COIN = 10n ** 9n;
const DATASET = toyDataset(1, 6000, 300);

/** The toy run: ten rounds unless told otherwise. */
export function toySpec(overrides: SpecOverrides = {}): RunSpec {
  const schedule = { kind: "constant", lr: 0.01, warmupSteps: 2, steps: 40 } as const;
  const inner = { steps: 4, batch: 2, seqLen: 8, schedule, ...overrides.inner };
  const codec = { chunkSide: 8, k: 16, ...overrides.codec };
  const uids = 12;
  const outer = { lr: 1, aggregation: { rule: "mean-all", clip: "none" } as const, ...overrides.outer };
  const model = TOY_SHAPE;
  return makeSpec({
    preset: "tiny",
    name: "toy",
    seed: "1",
    manifest: DATASET.manifest,
    overrides: { uids, ...overrides, model, inner, codec, outer },
  });
}

/** What a role is started with. */
export interface Start {
  /** Its own folder; kept by the caller, it survives a restart. */
  readonly local?: Store;
  readonly signal?: AbortSignal;
  readonly replay?: boolean;
  /** Sequences of a step; of trainers. */
  readonly batch?: number;
  /** The chain and the shared store as this node sees them. */
  readonly chain?: Chain;
  readonly shared?: Store;
}

/** A network under test. */
export interface Network {
  readonly spec: RunSpec;
  readonly twin: Twin;
  readonly shared: Store;
  readonly runId: number;
  /** Hotkey of the n-th validator or trainer. */
  signer(name: string): Signer;
  trainer(name: string, start?: Start): Promise<TrainerEnd> & { readonly log: ReturnType<typeof memoryLog> };
  validator(name: string, start?: Start): Promise<ValidatorEnd> & { readonly log: ReturnType<typeof memoryLog> };
  node(name: string, start?: Start): Promise<Node>;
  /** Makes blocks until `work` is done; `onBlock` sees each. */
  during<T>(work: Promise<T>, onBlock?: (block: number) => void): Promise<T>;
}

/** A key for a name. */
export function keyOf(name: string): Signer {
  return signerOf(sha256(utf8(`skein test key ${name}`)));
}

/** Sets up chain, subnet and run, with `validators` staked and permitted. */
export async function toyNetwork({
  spec = toySpec(),
  validators = ["v1", "v2"],
  tempo = 20,
}: {
  readonly spec?: RunSpec;
  readonly validators?: readonly string[];
  readonly tempo?: number;
} = {}): Promise<Network> {
  const owner = keyOf("owner");
  const twin = createTwin({ balances: new Map([[owner.account, 1_000_000n * COIN]]), automine: true, blockSeconds: 1 });
  const chain = twin.as(owner);
  const [first = "v1", ...others] = validators;
  const params = {
    tempo,
    maxUids: Math.max(spec.uids, 12),
    commitReveal: true,
    revealInterval: 1,
    weightsSetRateLimit: 1,
    immunityPeriod: 10_000,
  };
  const { netuid } = await chain.createSubnet(keyOf(first), 1000n * COIN, params);
  for (const name of others) await chain.register(netuid, keyOf(name), 1000n * COIN);
  for (const name of validators) await chain.addStake(netuid, keyOf(name).account, 1000n * COIN);
  twin.mine(tempo + 1);
  await chain.stepEpoch(netuid); // permits come with epochs
  const startBlock = (await twin.head()).block + 10;
  const { runId } = await chain.createRun({
    netuid,
    specHash: `0x${specHash(spec)}`,
    genesisRoot: `0x${spec.genesisRoot}`,
    startBlock,
    ...spec.timing,
  });
  const batched = createTwin({ automine: false, blockSeconds: 1 }); // from here on, transactions wait for their block
  batched.restore(twin.save());
  const shared = memoryStore();
  return networkOf({ spec, twin: batched, shared, runId, netuid, owner });
}

interface Parts {
  readonly spec: RunSpec;
  readonly twin: Twin;
  readonly shared: Store;
  readonly runId: number;
  readonly netuid: number;
  readonly owner: Signer;
}

function networkOf({ spec, twin, shared, runId, netuid, owner }: Parts): Network {
  const open = async (name: string, start: Start, log: ReturnType<typeof memoryLog>): Promise<Node> => {
    const { local = memoryStore(), chain = twin, signal } = start;
    const options = {
      spec,
      runId,
      chain,
      local,
      log,
      dataset: DATASET,
      clock: manualClock(),
      random: seededRandom(name),
      signer: keyOf(name),
    };
    return openNode({ ...options, shared: start.shared ?? shared, ...(signal && { signal }) });
  };
  const register = (name: string) => async (): Promise<void> => {
    await twin.as(owner).register(netuid, keyOf(name), 1_000n * COIN);
  };
  const logged = <T>(work: (log: ReturnType<typeof memoryLog>) => Promise<T>) => {
    const log = memoryLog();
    return Object.assign(work(log), { log });
  };
  return {
    spec,
    twin,
    shared,
    runId,
    signer: keyOf,
    node: (name, start = {}) => open(name, start, memoryLog()),
    trainer: (name, start = {}) =>
      logged(async (log) => {
        const node = acting(await open(name, start, log));
        return withEngine((engine) =>
          runTrainer({
            node,
            engine,
            register: register(name),
            replay: start.replay ?? false,
            ...(start.batch && { batch: start.batch }),
          }),
        );
      }),
    validator: (name, start = {}) =>
      logged(async (log) => {
        const node = acting(await open(name, start, log));
        return withEngine((engine) => runValidator({ node, engine, replay: start.replay ?? false }));
      }),
    during: (work, onBlock) => during(twin, work, onBlock),
  };
  async function withEngine<T>(work: (engine: Engine) => Promise<T>): Promise<T> {
    const engine = await openReference({ shape: spec.model, seqLen: spec.inner.seqLen, microBatch: 8 });
    try {
      return await work(engine);
    } finally {
      await engine.close();
    }
  }
}

/** Makes a block whenever nobody can do anything without one. */
async function during<T>(twin: Twin, work: Promise<T>, onBlock?: (block: number) => void): Promise<T> {
  let done = false;
  const end = work.finally(() => {
    done = true;
  });
  end.catch(() => undefined); // whoever awaits the result hears it
  for (;;) {
    await new Promise<void>((resolve) => setImmediate(resolve)); // everything that waits for no block has happened by now
    if (done) return end;
    const { block } = twin.mine();
    onBlock?.(block);
  }
}
