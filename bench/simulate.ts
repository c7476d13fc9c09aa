/**
 * What simulating costs: the production roles of many peers, two of which validate and all others train the linear toy (src/sim/world/linear.ts), in
 * one process, one thread. A subnet has no more than 256 uids.
 *
 *   npm run build:all
 *   node build/ts/bench/simulate.js [--peers 16,64,256] [--rounds 6] [--validators 2] [--seed 1]
 *
 * Seconds of real time for a simulated round, from when everybody is started until all have come to the run's end; and the process's peak memory, for which
 * each number of peers gets a process of its own. "applied": payloads that moved the params in the last round, of at most 20. Prints Markdown rows.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { toHex } from "../src/base/hash.ts";
import { rootOf, type State } from "../src/roles/network/follower.ts";
import { numbered, simulatedNetwork } from "../src/sim/network.ts";
import { openLinear } from "../src/sim/world/linear.ts";
import { linearDataset, linearSpec } from "../src/sim/world/toys.ts";

/** Sequences that an engine computes at a time; of no consequence to the linear toy. */
const MICRO_BATCH = 32;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** One network, from its first round to its last: a row. */
async function measure(peers: number, rounds: number, validators: number, seed: string): Promise<string> {
  const dataset = linearDataset();
  const spec = linearSpec({ rounds, uids: peers, seed, dataset });
  const applied: number[] = [];
  const network = await simulatedNetwork({
    ...{ spec, dataset, seed, turn },
    validators: numbered("v", validators),
    openEngine: () => openLinear({ shape: spec.model, seqLen: spec.inner.seqLen, microBatch: MICRO_BATCH }),
    onEvent: (name, { kind, fields }) => {
      if (name === "v1" && kind === "applied")
        applied.push((fields?.["uids"] as readonly number[] | undefined)?.length ?? 0);
    },
  });
  const startMs = performance.now();
  const nodes: Promise<{ readonly state: State }>[] = [
    ...numbered("v", validators).map((name) => network.validator(name)),
    ...numbered("p", peers - validators).map((name) => network.trainer(name)),
  ];
  const ends = await network.during(Promise.all(nodes));
  const seconds = (performance.now() - startMs) / 1000;
  const roots = new Set(ends.map(({ state }) => toHex(rootOf(state))));
  const megabytes = process.resourceUsage().maxRSS / 1024;
  const cells = [peers, validators, rounds, (seconds / rounds).toFixed(2), megabytes.toFixed(0), applied.at(-1) ?? 0];
  return `| ${cells.join(" | ")} | ${roots.size === 1 ? "yes" : "no"} |`;
}

const { values } = parseArgs({
  options: {
    peers: { type: "string", default: "16,64,256" },
    rounds: { type: "string", default: "6" },
    validators: { type: "string", default: "2" },
    seed: { type: "string", default: "1" },
    /** Only the row, of one number of peers, in this process: for itself and for profiles. */
    row: { type: "boolean", default: false },
  },
});
const { peers, rounds, validators, seed, row } = values;

if (row) console.log(await measure(Number(peers), Number(rounds), Number(validators), seed));
else {
  console.log(
    "| peers | validators | rounds | s a round | peak MB | applied | all agree |\n|---|---|---|---|---|---|---|",
  );
  for (const count of peers.split(",")) {
    const args = ["--row", "--peers", count, "--rounds", rounds, "--validators", validators, "--seed", seed];
    const child = spawnSync(process.execPath, [fileURLToPath(import.meta.url), ...args], { encoding: "utf8" });
    console.log(child.status === 0 ? child.stdout.trim() : `| ${count} | failed: ${child.stderr.trim().slice(-300)} |`);
  }
}
