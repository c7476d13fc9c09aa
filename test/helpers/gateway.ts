/** A gateway on a free port of this machine, and the keys that may write to it. */
import { utf8 } from "../../src/base/bytes.ts";
import { sha256Hex, toHex } from "../../src/base/hash.ts";
import { memoryLog } from "../../src/base/log/log.ts";
import type { Signer } from "../../src/chain/chain.ts";
import { signerOf } from "../../src/chain/keys/signer.ts";
import { type Gateway, type GatewayOptions, startGateway } from "../../src/gateway/gateway.node.ts";
import { httpStore } from "../../src/store/http.ts";
import { memoryStore } from "../../src/store/memory.ts";
import type { Store } from "../../src/store/store.ts";
import type { Patience } from "../../src/store/transfer.ts";
import { putDigest } from "../../src/store/upload.ts";

/** The hash of a run's spec. */
export const SPEC_HASH: string = sha256Hex(utf8("a run"));

/** Keys 1, 2, 3, … */
export const keyed = (n: number): Signer => signerOf(Uint8Array.from({ length: 32 }, (_, i) => (i === 31 ? n : 1)));

/** Patience without pauses: nothing in a test waits for the clock. */
export const HASTY: Partial<Patience> = {
  attempts: 4,
  pauseMs: 0,
  silenceMs: 5000,
};

/** A gateway under test. */
export interface GatewayUnderTest {
  readonly gateway: Gateway;
  /** What it serves. */
  readonly behind: Store;
  readonly log: ReturnType<typeof memoryLog>;
  /** The store through HTTP, as the holder of key `n` (registered: 1 to 3) sees it. */
  as(n: number): Store;
  close(): Promise<void>;
}

/** Starts one. */
export async function testGateway(given: Partial<GatewayOptions> = {}): Promise<GatewayUnderTest> {
  const behind = given.store ?? memoryStore();
  const log = memoryLog();
  const accounts = new Set([1, 2, 3].map((n) => keyed(n).account as string));
  const gateway = await startGateway({
    info: {
      protocol: 1,
      specHash: SPEC_HASH,
      runId: 3,
      chainId: 1337,
      netuid: 7,
      contracts: null,
      faucet: given.faucet !== undefined,
    },
    card: { name: "a run", params: 807_000, rounds: 100 },
    accounts: async () => accounts,
    host: "127.0.0.1",
    port: 0,
    log,
    ...given,
    store: behind,
    limits: { closeMs: 1000, ...given.limits },
  });
  return {
    gateway,
    behind,
    log,
    as: (n) => httpStore({ base: gateway.url, writer: { signer: keyed(n), specHash: SPEC_HASH }, patience: HASTY }),
    close: () => gateway.close(),
  };
}

/** Headers of a signed write. */
export async function signedHeaders(
  signer: Signer,
  key: string,
  body: Uint8Array,
  specHash: string = SPEC_HASH,
): Promise<Record<string, string>> {
  const digest = putDigest({ specHash, key, bodyHash: sha256Hex(body), length: body.length });
  return { "x-skein-address": signer.address, "x-skein-signature": toHex(await signer.sign(digest)) };
}
