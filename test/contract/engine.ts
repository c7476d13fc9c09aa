/**
 * What every engine must do, whatever it runs on: agree with PyTorch, give one answer however the work is split, keep and
 * return its state exactly, refuse what makes no sense, survive a loss that is no number.
 *
 * Call `engineContract` from a test file for each engine and backend.
 */
import { describe } from "vitest";
import type { OpenEngine } from "./engine-kit.ts";
import { life, refusals, steps, vectors } from "./engine-state.ts";
import { agreement, forward, goldenVectors, invariance } from "./engine-values.ts";

/** Declares the contract's tests for the engine that `open` opens; `name` is for the report. */
export function engineContract(name: string, open: OpenEngine): void {
  describe(`engine contract: ${name}`, () => {
    describe("golden vectors", () => goldenVectors(open));
    if (name !== "reference") describe("agreement with the reference", () => agreement(open));
    describe("one answer however the work is split", () => invariance(open));
    describe("vectors", () => vectors(open));
    describe("steps", () => steps(open));
    describe("forward passes", () => forward(open));
    describe("refusals", () => refusals(open));
    describe("life", () => life(open));
  });
}
