import { describe, expect, it } from "vitest";
import { SkeinError } from "../../base/errors.ts";
import type { EngineOptions, MemoryPlan } from "../../engine/engine.ts";
import { PRESETS } from "../../model/presets.ts";
import { bytesMaxOf, checkMemory, fits, settingsThatFit, thisMachine } from "./machine.ts";

const options: EngineOptions = { shape: PRESETS.nano.shape, seqLen: 128, microBatch: 8 };
/** A state of 1 GB, and 1 GB a row, of which recomputation leaves a quarter. */
const plan = ({ microBatch, recompute }: EngineOptions): MemoryPlan => {
  const regions = [
    { name: "state", bytes: 1e9 },
    { name: "activations", bytes: microBatch * (recompute ? 0.25e9 : 1e9) },
  ];
  return { regions, totalBytes: regions.reduce((sum, region) => sum + region.bytes, 0) };
};
const caught = (availableBytes: number): SkeinError => {
  try {
    checkMemory(options, availableBytes, plan);
  } catch (thrown) {
    if (thrown instanceof SkeinError) return thrown;
  }
  throw new Error("nothing was refused");
};

describe("memory", () => {
  it("lets pass what fits and nothing else", () => {
    expect(fits(plan(options), 9.2e9)).toBe(true);
    expect(fits(plan(options), 9.1e9)).toBe(false);
    expect(() => checkMemory(options, 9.2e9, plan)).not.toThrow();
  });

  it("names need, have and a setting that works", () => {
    const error = caught(4e9);
    expect(error.code).toBe("memory");
    expect(error.message).toBe("the model needs 9.2 GB of memory, and 4 GB can be had");
    expect(error.details).toContain("activations: 8 GB");
    expect(error.remedy).toBe("use --micro-batch 2, which takes 3.2 GB");
    expect(caught(1.5e9).remedy).toBe("use --micro-batch 1 --recompute, which takes 1.45 GB");
    expect(caught(1e9).remedy).toContain("smaller preset");
    expect(settingsThatFit(options, 1e9, plan)).toBeUndefined();
  });

  it("knows how far WebAssembly's addresses reach", () => {
    const machine = { ...thisMachine(), availableBytes: 1e12 };
    expect(bytesMaxOf("wasm", 2, machine)).toBeLessThan(5e9);
    expect(bytesMaxOf("reference", 2, machine)).toBe(1e12);
    expect(bytesMaxOf("wasm", 2, { ...machine, availableBytes: 1e9 })).toBe(1e9);
  });

  it("looks at this machine", () => {
    const machine = thisMachine();
    expect(machine.cores).toBeGreaterThan(0);
    expect(machine.availableBytes).toBeGreaterThan(1e7);
    expect(machine.availableBytes).toBeLessThanOrEqual(machine.memoryBytes);
  });
});
