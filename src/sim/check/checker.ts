/**
 * What a simulation must never see. A checker sees everything: all nodes' logs, the chain itself, every store; so it can say what no node could. It only looks:
 * it draws no chance, takes no time and changes nothing.
 */
import type { LogEvent } from "../../base/log/log.ts";
import type { Hash } from "../../chain/chain.ts";
import type { Store } from "../../store/store.ts";
import type { Network } from "../network.ts";
import type { Weather } from "../world/weather.ts";

/** What a checker sees. */
export interface Sight {
  readonly network: Network;
  readonly weather: Weather;
  /** Names of the nodes, and which of them are dishonest. */
  readonly trainers: readonly string[];
  readonly validators: readonly string[];
  readonly dishonest: ReadonlySet<string>;
  /** Hotkey by name. */
  account(name: string): Hash;
  /** The shared store as it is, without faults. */
  readonly shared: Store;
  /** A node's own folder, as its process would see it. */
  folder(name: string): Store;
  /** Milliseconds since the beginning. */
  now(): number;
  /** Events that wait for their time, and transactions that wait for a block. */
  pending(): { readonly events: number; readonly transactions: number };
}

/** How a life of a node ended. */
export interface LifeEnd {
  readonly node: string;
  /** "over": the run is; "killed": by the simulation; "error": by itself. */
  readonly how: "over" | "killed" | "error";
  /** What was thrown, where it ended by itself. */
  readonly thrown?: unknown;
  /** Its params' round and state root at the end, where the run was over. */
  readonly end?: { readonly round: number; readonly root: string };
}

/** One invariant under watch. */
export interface Checker {
  /** Its name: one word of lower-case letters. */
  readonly name: string;
  onEvent?(node: string, event: LogEvent): void;
  /** After every block. */
  onBlock?(block: number): void;
  onLifeEnd?(end: LifeEnd): void;
  /** When everybody has come to an end, or nobody will any more. */
  onEnd?(): Promise<void>;
}

/** Begins to watch; `violated` is told of everything that must not be. */
export type OpenChecker = (sight: Sight, violated: (what: string) => void) => Checker;
