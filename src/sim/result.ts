/** What a simulation came to: for its checkers, for tests that compare two, and for people who plan a run. */
import type { ErrorCode } from "../base/errors.ts";
import type { Seam } from "./life.ts";

/** A broken promise: an invariant by its name, and what was seen. */
export interface Violation {
  readonly invariant: string;
  readonly atMs: number;
  readonly what: string;
}

/** One node over the whole simulation, all its lives. */
export interface NodeResult {
  readonly name: string;
  readonly role: "trainer" | "validator";
  /** The kind of attack that it makes; null: it is honest. */
  readonly attack: string | null;
  /** Its uid at the end. */
  readonly uid: number | null;
  /** Times it was killed, and times it ended by itself with an error, by code. */
  readonly crashes: number;
  readonly exits: Readonly<Partial<Record<ErrorCode, number>>>;
  /** Payloads it committed, and how many of them moved the params. */
  readonly payloads: number;
  readonly applied: number;
  /** Rao that epochs paid to its uid. */
  readonly paid: bigint;
  /** Over its line, as charged. */
  readonly upBytes: number;
  readonly downBytes: number;
  /** Virtual milliseconds that it trained (or judged), and that it was there. */
  readonly computeMs: number;
  readonly aliveMs: number;
  /** Where its params stood when the run was over; null: it never came to an end. */
  readonly end: { readonly round: number; readonly root: string } | null;
}

/** One round as the chain has it. */
export interface RoundResult {
  readonly round: number;
  /** Validation loss of the params before it, as a validator told it. */
  readonly loss: number | null;
  readonly commits: number;
  readonly accepted: readonly number[];
  /** Payloads that moved the params. */
  readonly applied: number;
}

/** All of it. */
export interface SimulationResult {
  readonly seed: string;
  /** sha256 over everything that happened, in order: two runs of one seed have the same. */
  readonly traceHash: string;
  readonly blocks: number;
  readonly virtualMs: number;
  readonly rounds: readonly RoundResult[];
  readonly nodes: readonly NodeResult[];
  readonly violations: readonly Violation[];
  /** Calls of seams, by all nodes. */
  readonly calls: Readonly<Record<Seam, number>>;
  /** Times that each kind of fault was put in, by its name: "drop", "reorg", "crash", … */
  readonly faults: Readonly<Record<string, number>>;
}
