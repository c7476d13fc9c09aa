/** Whether a run fits into this machine's memory, and with which settings of the engine: asked before a key is made or a coin spent. */
import { SkeinError } from "../../base/errors.ts";
import type { EngineOptions } from "../../engine/engine.ts";
import { type EngineName, planMemory } from "../../engine/open.node.ts";
import { paramCount } from "../../engine/shape.ts";
import { bodyLayoutOf } from "../../run/rules.ts";
import type { RunSpec } from "../../run/spec.ts";
import { bytesMaxOf, type Machine, PROGRAM_BYTES, settingsThatFit } from "../shared/machine.ts";
import { bytes } from "../shared/terminal.ts";

/** What a node of a run does. */
export type Role = "trainer" | "validator";

/**
 * Vectors as long as the params that a role holds beside its engine's. A trainer: params, both moments, error feedback before and after, what the
 * steps changed, what it is reckoned from, and the params that a round makes. A validator: params, those to come, and what it reads back.
 */
const VECTORS: Readonly<Record<Role, number>> = { trainer: 8, validator: 3 };
/** Bytes that a decoded payload takes for each value that was kept: place, value, code. */
const KEPT_BYTES = 9;

/** Settings that fit. */
export interface RunFit {
  readonly options: EngineOptions & { readonly threads: number };
  /** What the engine will hold. */
  readonly planBytes: number;
  /** What the role holds beside it, at most. */
  readonly besideBytes: number;
  /** All that the program will hold. */
  readonly totalBytes: number;
  /** What it may. */
  readonly availableBytes: number;
}

/** What decides how an engine is laid out. */
export interface FitRequest {
  readonly spec: RunSpec;
  readonly role: Role;
  readonly engine: EngineName;
  readonly machine: Machine;
  readonly threads?: number;
  /** Sequences of a step, at most; the run's unless given. */
  readonly batch?: number;
}

/** Bytes that a role holds beside its engine: vectors, and the payloads of a round. */
export function besideBytesOf(spec: RunSpec, role: Role): number {
  const payloads = spec.outer.cap * bodyLayoutOf(spec).keptCount * KEPT_BYTES;
  return VECTORS[role] * 4 * paramCount(spec.model) + payloads;
}

/** Settings that fit here: a smaller micro-batch first, then recomputation. Throws SkeinError("memory") where none do. */
export function fitRun({ spec, role, engine, machine, threads = machine.cores, batch }: FitRequest): RunFit {
  const { inner, score, model } = spec;
  const wanted = role === "trainer" ? Math.min(inner.batch, batch ?? inner.batch) : score.sequences;
  const besideBytes = besideBytesOf(spec, role);
  const availableBytes = Math.min(bytesMaxOf(engine, threads, machine) + besideBytes, machine.availableBytes);
  const plan = (options: EngineOptions) => planMemory(engine, options);
  const options = { shape: model, seqLen: inner.seqLen, microBatch: wanted, threads };
  const found = settingsThatFit(options, availableBytes - besideBytes, plan);
  if (found !== undefined) {
    const planBytes = plan(found).totalBytes;
    const totalBytes = planBytes + besideBytes + PROGRAM_BYTES;
    return { options: { ...found, threads }, planBytes, besideBytes, totalBytes, availableBytes };
  }
  const least = plan({ ...options, microBatch: 1, recompute: true }).totalBytes + PROGRAM_BYTES;
  throw new SkeinError(
    "memory",
    `this run needs ${bytes(least + besideBytes)} of memory, and ${bytes(availableBytes)} can be had`,
    {
      details: [
        `program and engine, one sequence at a time, recomputing: ${bytes(least)}`,
        `what a ${role} keeps beside it: ${bytes(besideBytes)}`,
      ].join("\n"),
      remedy: "close other programs, or use a machine with more memory; `skein doctor` says what fits here",
    },
  );
}
