/** The engine contract over both builds of the exact engine, and that they agree to the bit. */
import { describe, expect, it } from "vitest";
import { bytesOf } from "../src/base/bytes.ts";
import { sha256Hex } from "../src/base/hash.ts";
import { checkOptions } from "../src/engine/batch.ts";
import type { Engine, EngineOptions } from "../src/engine/engine.ts";
import { exactFingerprint, FINGERPRINT } from "../src/engine/exact/fingerprint.ts";
import { nativeStatus, openExactNative } from "../src/engine/exact/native.node.ts";
import { planExact, segmentTable } from "../src/engine/exact/plan.ts";
import { openExactWasm } from "../src/engine/exact/wasm.ts";
import { paramCount, paramLayout } from "../src/engine/shape.ts";
import { initParams } from "../src/model/init.ts";
import { engineContract } from "./contract/engine.ts";

const wasm = async (options: EngineOptions): Promise<Engine> => openExactWasm(checkOptions(options, 2));
const native = async (options: EngineOptions): Promise<Engine> => openExactNative(checkOptions(options, 2));
const hasNative = nativeStatus().available;

engineContract("exact wasm", wasm);
if (hasNative) engineContract("exact native", native);
else it.skip("exact native: no native library on this machine", () => {});

describe("exact engines", () => {
  it("give the published hash after 20 steps, as WASM, at 1, 2 and 3 threads", async () => {
    for (const threads of [1, 2, 3]) expect(await exactFingerprint(wasm, { threads })).toBe(FINGERPRINT);
  });

  it.skipIf(!hasNative)("give the same hash natively, at any threads, micro-batch and recomputation", async () => {
    for (const settings of [
      { threads: 1 },
      { threads: 2, microBatch: 1 },
      { threads: 3, microBatch: 3, recompute: true },
    ]) {
      expect(await exactFingerprint(native, settings)).toBe(FINGERPRINT);
    }
  });

  it("move every tensor's loss the way finite differences say", async () => {
    const shape = {
      vocabSize: 61,
      dim: 24,
      layers: 2,
      heads: 4,
      kvHeads: 2,
      headDim: 6,
      ffnDim: 40,
      ropeTheta: 1e4,
      normEps: 1e-5,
      tied: true,
    };
    const engine = await wasm({ shape, seqLen: 19, microBatch: 4, threads: 1 });
    const params = initParams(shape, "finite differences").map((x) => x * 8); // away from the flat start
    const batch = { rows: 4, length: 19, tokens: new Int32Array(80).map((_, i) => (i * i * 7 + 3) % 61) };
    const lossAt = async (values: Float32Array): Promise<number> => {
      await engine.write("params", values);
      const rows = await engine.losses(batch);
      return rows.reduce((a, b) => a + b, 0) / rows.length;
    };
    await engine.write("params", params);
    await engine.gradients(batch);
    const grads = await engine.read("grads");
    for (const { name, offset, length } of paramLayout(shape)) {
      const g = grads.subarray(offset, offset + length);
      const norm = Math.sqrt(g.reduce((a, b) => a + b * b, 0));
      const step = 2e-3 / Math.max(norm, 1e-3);
      const moved = (sign: number): Float32Array => {
        const out = params.slice();
        for (let i = 0; i < length; i++)
          out[offset + i] = (params[offset + i] as number) + (sign * step * (g[i] as number)) / norm;
        return out;
      };
      const slope = ((await lossAt(moved(1))) - (await lossAt(moved(-1)))) / (2 * step);
      expect(Math.abs(slope / norm - 1), name).toBeLessThan(2e-2);
    }
    await engine.close();
  });

  it("has a plan whose segments cover every param once, in order", () => {
    const shape = {
      vocabSize: 3001,
      dim: 72,
      layers: 3,
      heads: 6,
      kvHeads: 2,
      headDim: 12,
      ffnDim: 200,
      ropeTheta: 1e4,
      normEps: 1e-5,
      tied: false,
    };
    const table = segmentTable(shape);
    let at = 0;
    for (let i = 0; i < table.length; i += 3) {
      expect(table[i]).toBe(at);
      at += table[i + 1] as number;
    }
    expect(at).toBe(paramCount(shape));
    const plan = planExact({ shape, seqLen: 64, microBatch: 2, threads: 2, recompute: false });
    const segments = plan.regions.find((region) => region.name === "optimizer segments");
    expect(segments?.bytes).toBe(Math.ceil((table.length * 8) / 64) * 64);
    expect(sha256Hex(bytesOf(table))).toHaveLength(64);
  });
});
