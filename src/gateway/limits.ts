/**
 * What a gateway allows its clients. The defaults suit a run of some dozens of peers on one machine's disk; a run's owner sets those that follow from the
 * run (bytes of a blob) and from his disk (quota).
 */
import { assert } from "../base/assert.ts";

/** Bounds on clients. */
export interface GatewayLimits {
  /** Bytes of one blob: the run's longest payload, or one piece of a checkpoint (1 MiB) with its frame. */
  readonly blobBytesMax: number;
  /** Bytes that all blobs and news together may take. */
  readonly quotaBytes: number;
  /** Bytes that one hotkey may write: a second in the long run, and at once. */
  readonly bytesPerSecond: number;
  readonly burstBytes: number;
  /** Uploads of one hotkey at a time. */
  readonly uploadsPerAccount: number;
  /** Bytes of all uploads at a time: they are in memory until their hash is checked. */
  readonly uploadBytes: number;
  /** Requests of one client (an IP address): a second, and at once. */
  readonly requestsPerSecond: number;
  readonly requestsBurst: number;
  /** Connections of all clients, and of one. */
  readonly connections: number;
  readonly connectionsPerClient: number;
  /** Requests to the chain being worked on. */
  readonly rpcInFlight: number;
  /** Milliseconds until a request's head must be there. */
  readonly headMs: number;
  /** Milliseconds without a byte, in either direction, after which a connection is closed. */
  readonly silenceMs: number;
  /** Bytes a second that an upload must make in the long run. */
  readonly uploadBytesPerSecond: number;
  /** Milliseconds that the chain has for an answer. */
  readonly rpcMs: number;
  /** Milliseconds for which the list of registered hotkeys is taken for true. */
  readonly accountsMs: number;
  /** Milliseconds that work under way has when the gateway closes. */
  readonly closeMs: number;
}

/** The defaults. */
export const GATEWAY_LIMITS: GatewayLimits = {
  blobBytesMax: 64 << 20,
  quotaBytes: 64 * 2 ** 30,
  bytesPerSecond: 4 << 20,
  burstBytes: 512 << 20,
  uploadsPerAccount: 8,
  uploadBytes: 1 << 30,
  requestsPerSecond: 500,
  requestsBurst: 5000,
  connections: 2048,
  connectionsPerClient: 512,
  rpcInFlight: 256,
  headMs: 10_000,
  silenceMs: 30_000,
  uploadBytesPerSecond: 8 << 10,
  rpcMs: 30_000,
  accountsMs: 10_000,
  closeMs: 2000,
};

/** The given limits, the others as by default; what must hold a whole blob is raised so that it does. */
export function gatewayLimits(given: Partial<GatewayLimits> = {}): GatewayLimits {
  const limits = { ...GATEWAY_LIMITS, ...given };
  assert(
    Object.values(limits).every((limit) => Number.isFinite(limit) && limit > 0),
    "a gateway's limits are positive numbers",
  );
  const { blobBytesMax, burstBytes, uploadBytes } = limits;
  return {
    ...limits,
    burstBytes: Math.max(burstBytes, blobBytesMax),
    uploadBytes: Math.max(uploadBytes, blobBytesMax),
  };
}
