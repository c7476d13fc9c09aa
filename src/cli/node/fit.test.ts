import { describe, expect, it } from "vitest";
import { toySpec } from "../../../test/helpers/network.ts";
import { SkeinError } from "../../base/errors.ts";
import { planMemory } from "../../engine/open.node.ts";
import { PRESETS } from "../../model/presets.ts";
import { type Machine, PROGRAM_BYTES, thisMachine } from "../shared/machine.ts";
import { besideBytesOf, fitRun } from "./fit.ts";

const spec = { ...toySpec(), model: PRESETS.nano.shape };
const wide = { ...spec, inner: { ...spec.inner, batch: 8, seqLen: 128 } };
const machine = (availableBytes: number): Machine => ({ ...thisMachine(), availableBytes });
const planned = (microBatch: number, recompute: boolean): number =>
  planMemory("wasm", { shape: wide.model, seqLen: 128, microBatch, threads: 1, recompute }).totalBytes;
const request = { spec: wide, role: "trainer", engine: "wasm", threads: 1 } as const;
const beside = besideBytesOf(wide, "trainer") + PROGRAM_BYTES;

describe("fitting a run into memory", () => {
  it("takes the run's batch where there is room, and never more than was asked for", () => {
    expect(fitRun({ ...request, machine: machine(1e12) }).options).toMatchObject({ microBatch: 8, recompute: false });
    expect(fitRun({ ...request, machine: machine(1e12), batch: 3 }).options.microBatch).toBe(3);
    expect(fitRun({ ...request, machine: machine(1e12), batch: 99 }).options.microBatch).toBe(8);
    const validator = fitRun({ ...request, role: "validator", machine: machine(1e12) });
    expect(validator.options.microBatch).toBe(wide.score.sequences);
    expect(validator.besideBytes).toBeLessThan(besideBytesOf(wide, "trainer"));
  });

  it("takes fewer sequences at a time, then recomputes, to the byte", () => {
    const four = planned(4, false) + beside;
    expect(fitRun({ ...request, machine: machine(four) }).options).toMatchObject({ microBatch: 4, recompute: false });
    expect(fitRun({ ...request, machine: machine(four - 1) }).options.microBatch).toBe(2);
    const least = planned(1, true) + beside;
    expect(fitRun({ ...request, machine: machine(least) }).options).toMatchObject({ microBatch: 1, recompute: true });
  });

  it("refuses with need and have where nothing fits", () => {
    const least = planned(1, true) + beside;
    const refused = (): unknown => fitRun({ ...request, machine: machine(least - 1) });
    expect(refused).toThrow(SkeinError);
    expect(refused).toThrow(/^this run needs \d.* of memory, and \d.* can be had$/);
  });
});
