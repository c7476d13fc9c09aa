/**
 * Feeds mutated payloads to the decoder: none may make it throw, or decode to something that encodes differently.
 *
 *   npm run build:all
 *   node build/ts/scripts/fuzz.js [--mutations 1000000] [--seed text]
 */
import { parseArgs } from "node:util";
import { fuzzPayloads } from "../test/helpers/payload-fuzz.ts";

const BATCH = 50_000;
const { values } = parseArgs({
  options: { mutations: { type: "string", default: "1000000" }, seed: { type: "string", default: "fuzz" } },
});
const total = new Map<string, number>();
let decoded = 0;
const start = performance.now();
for (let done = 0; done < Number(values.mutations); done += BATCH) {
  const mutations = Math.min(BATCH, Number(values.mutations) - done);
  const seed = `${values.seed} ${done}`;
  try {
    const result = fuzzPayloads({ mutations, seed });
    decoded += result.decoded;
    for (const [kind, count] of result.faults) total.set(kind, (total.get(kind) ?? 0) + count);
  } catch (thrown) {
    console.error(`seed "${seed}", ${mutations} mutations:`, thrown);
    process.exit(1);
  }
}
for (const [kind, count] of [...total].sort((a, b) => b[1] - a[1]))
  console.log(`${String(count).padStart(9)}  ${kind}`);
console.log(`${String(decoded).padStart(9)}  decoded, each to the only bytes that say the same`);
console.log(`${values.mutations} mutations in ${((performance.now() - start) / 1000).toFixed(1)} s, no throw`);
