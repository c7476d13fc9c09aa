/** How fast an engine trains on this machine, measured on random tokens: speed does not depend on what they say. */
import { systemClock } from "../../base/clock.ts";
import { seededRandom } from "../../base/random.ts";
import type { Engine } from "../../engine/engine.ts";
import { type OpenOptions, openEngine } from "../../engine/open.node.ts";
import { paramCount } from "../../engine/shape.ts";
import { INIT_STD, sumOfTwelve } from "../../model/init.ts";

/** The random values that a probe's params repeat. */
const PATTERN_LENGTH = 1 << 16;

/** What a measurement found. */
export interface Speed {
  readonly tokensPerSecond: number;
  readonly backend: string;
}

/** Measures steps of `rows` sequences for a second; where even one would take longer than `budgetMs`, a step of one sequence. */
export async function measureSpeed(options: OpenOptions, rows: number, budgetMs: number): Promise<Speed> {
  const engine = await openEngine(options);
  try {
    await fillParams(engine);
    const random = seededRandom("doctor");
    const { seqLen: length, shape } = options;
    const tokens = Int32Array.from({ length: rows * (length + 1) }, () => random.below(shape.vocabSize));
    const warmMs = systemClock.monotonic();
    await engine.trainStep({ tokens: tokens.slice(0, length + 1), rows: 1, length }, { lr: 1e-4 });
    const startMs = systemClock.monotonic();
    if ((startMs - warmMs) * rows > budgetMs) {
      return { tokensPerSecond: (length * 1000) / (startMs - warmMs), backend: engine.backend };
    }
    let steps = 0;
    do {
      await engine.trainStep({ tokens, rows, length }, { lr: 1e-4 });
      steps++;
    } while (systemClock.monotonic() - startMs < 1000);
    const seconds = (systemClock.monotonic() - startMs) / 1000;
    return { tokensPerSecond: (steps * rows * length) / seconds, backend: engine.backend };
  } finally {
    await engine.close();
  }
}

/** Params of the right size for a probe of speed; drawing real ones would take longer than the probe. */
async function fillParams(engine: Engine): Promise<void> {
  const random = seededRandom("doctor/params");
  const pattern = Float32Array.from({ length: PATTERN_LENGTH }, () => INIT_STD * sumOfTwelve(random));
  const length = paramCount(engine.options.shape);
  for (let at = 0; at < length; at += pattern.length) {
    await engine.write("params", pattern.subarray(0, Math.min(pattern.length, length - at)), at);
  }
}
