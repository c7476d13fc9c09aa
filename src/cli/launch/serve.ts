/** The gateway of a launched run: what it serves, to whom, and within which limits. */
import { networkInterfaces } from "node:os";
import * as path from "node:path";
import { systemClock } from "../../base/clock.ts";
import { SkeinError } from "../../base/errors.ts";
import { REPORT_BYTES_MAX } from "../../base/limits.ts";
import type { Log } from "../../base/log/log.ts";
import type { Chain, Hash, Metagraph, RunRecord, Signer } from "../../chain/chain.ts";
import type { AddressBook } from "../../chain/evm/deploy.ts";
import { phaseAt } from "../../chain/rounds.ts";
import { paramCount } from "../../engine/shape.ts";
import { type Gateway, type GatewayOptions, startGateway } from "../../gateway/gateway.node.ts";
import { PIECE_PARAMS, pieceCount } from "../../round/state-root.ts";
import { specBytes, specHash } from "../../run/parse.ts";
import { payloadLimit, roundsOf } from "../../run/rules.ts";
import type { RunSpec } from "../../run/spec.ts";
import { answerBytesMax } from "../../score/audit/answer.ts";
import { folderStore } from "../../store/folder.node.ts";
import { memoryStore } from "../../store/memory.ts";
import { overlayStore } from "../../store/overlay.ts";
import type { Store } from "../../store/store.ts";
import { grantMax, purse } from "./purse.ts";

/** Where the gateway listens, and under which name it is found. */
export interface Address {
  readonly host: string;
  readonly port: number;
  readonly publicUrl?: string;
}

/** What is served. */
export interface Service extends Address {
  readonly spec: RunSpec;
  readonly run: RunRecord;
  readonly chain: Chain;
  readonly rpcUrl: string;
  readonly contracts: AddressBook | undefined;
  /** Pays newcomers. */
  readonly coldkey: Signer;
  /** Rao for newcomers, all together; undefined: none. */
  readonly budget: bigint | undefined;
  /** The gateway's own: blobs go to store/ in it. */
  readonly folder: string;
  /** Of the dataset. */
  readonly dataFolder: string;
  readonly quotaBytes: number;
  readonly log: Log;
}

/** Grants in an hour: to all, and to one client where clients can be told apart. */
const GRANTS_PER_HOUR = 120;
const GRANTS_PER_CLIENT_HOUR = 4;
/** Bytes of a checkpoint's manifest: 67 for each piece, and some. */
const MANIFEST_BYTES_PER_PIECE = 67;
const MANIFEST_BYTES_BESIDE = 1024;

/** Everything that the gateway serves as one store: only blobs and news can be written. */
export async function servedStore(spec: RunSpec, data: Store, rest: Store): Promise<Store> {
  const document = memoryStore();
  await document.put("run.json", specBytes(spec));
  return overlayStore([
    { at: "", store: rest },
    { at: "run.json", store: document, readOnly: true },
    { at: "data/", store: data, readOnly: true },
  ]);
}

/** Bytes of the longest blob that the run needs: a payload, a piece of a checkpoint or its manifest, a report, an answer to a challenge. */
export function blobLimit(spec: RunSpec): number {
  const params = paramCount(spec.model);
  const manifest = MANIFEST_BYTES_PER_PIECE * pieceCount(params) + MANIFEST_BYTES_BESIDE;
  const answer = answerBytesMax({ paramCount: params });
  return Math.max(payloadLimit(spec), 4 * PIECE_PARAMS, manifest, REPORT_BYTES_MAX, answer);
}

/** Opens the gateway. Throws SkeinError("store") where the port is taken. */
export async function serve(service: Service): Promise<Gateway> {
  const { spec, run, chain, rpcUrl, contracts, folder, dataFolder, quotaBytes, log } = service;
  const { netuid, runId } = run;
  const store = await servedStore(spec, folderStore(dataFolder), folderStore(path.join(folder, "store")));
  const metagraph = (): Promise<Metagraph> => chain.metagraph(netuid);
  return startGateway({
    ...addressOf(service),
    store,
    info: {
      ...{ protocol: 1, specHash: specHash(spec), runId, netuid },
      ...{ chainId: chain.chainId, contracts: contracts ?? null, faucet: service.budget !== undefined },
    },
    card: { name: spec.name, params: paramCount(spec.model), rounds: roundsOf(spec) },
    accounts: async () => new Set<Hash>((await metagraph()).neurons.map(({ hotkey }) => hotkey)),
    progress: async () => {
      const { block, neurons } = await metagraph();
      return { block, round: phaseAt(run, block)?.round ?? 0, peers: neurons.length };
    },
    rpcUrl,
    ...faucetOf(service),
    limits: { blobBytesMax: blobLimit(spec), quotaBytes },
    log,
    clock: systemClock,
  });
}

function addressOf({
  host,
  port,
  publicUrl,
}: Address): Pick<GatewayOptions, "host" | "port" | "publicUrl" | "proxied"> {
  const url = publicUrl ?? guessedUrl(host, port);
  return {
    host,
    port,
    ...(url === undefined ? {} : { publicUrl: url }),
    proxied: isProxied({ host, port, publicUrl }),
  };
}

/** Behind a proxy all requests come from it; a gateway that only this machine reaches can believe what that says of its clients. */
function isProxied({ host, publicUrl }: { host: string; port: number; publicUrl: string | undefined }): boolean {
  return publicUrl !== undefined && isLoopback(host);
}

function faucetOf(service: Service): Pick<GatewayOptions, "faucet"> {
  const { budget, chain, coldkey, run, folder, host } = service;
  if (budget === undefined) return {};
  const alone = isLoopback(host) && service.publicUrl === undefined; // all clients are on this machine
  const faucet = {
    ...purse(chain, coldkey, run.netuid),
    ...{ file: path.join(folder, "faucet.jsonl"), raoMax: grantMax(budget), budgetRao: budget },
    ...{ perHour: GRANTS_PER_HOUR, perClientHour: alone ? GRANTS_PER_HOUR : GRANTS_PER_CLIENT_HOUR },
  };
  return { faucet };
}

/** Whether only this machine reaches an address. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\./.test(host);
}

/** For a gateway that listens on all of the machine's addresses: the first that others may reach it by. */
function guessedUrl(host: string, port: number): string | undefined {
  if ((host !== "0.0.0.0" && host !== "::") || port === 0) return undefined;
  const addresses = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  const found = addresses.find(({ family, internal }) => family === "IPv4" && !internal);
  return found && `http://${found.address}:${port}`;
}

/** An address for links. Throws SkeinError("usage") where it is none. */
export function checkedUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isWeb = url?.protocol === "http:" || url?.protocol === "https:";
  if (isWeb && url?.search === "" && url.hash === "" && url.username === "") return text.replace(/\/+$/, "");
  throw new SkeinError("usage", `--public-url ${JSON.stringify(text.slice(0, 80))} is no address for links`, {
    remedy: "write it as others reach this gateway: https://run.example or http://192.0.2.7:8640",
  });
}
