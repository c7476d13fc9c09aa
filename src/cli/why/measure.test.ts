import { beforeAll, describe, expect, it } from "vitest";
import { keyOf, type Network, toyNetwork, toySpec } from "../../../test/helpers/network.ts";
import { toyDataset } from "../../../test/helpers/toy.ts";
import { must } from "../../base/assert.ts";
import { manualClock } from "../../base/clock.ts";
import { openReference } from "../../engine/reference/reference.ts";
import { specHash } from "../../run/parse.ts";
import { memoryStore } from "../../store/memory.ts";
import type { Store } from "../../store/store.ts";
import { measuredFields, measuredLines } from "./again.ts";
import { type Inquiry, inquire, type Witness } from "./gather.ts";
import { type Measured, measure } from "./measure.ts";

const ROUND = 3;
let network: Network;
let trainer: number;

beforeAll(async () => {
  const schedule = { kind: "constant", lr: 0.01, warmupSteps: 2, steps: 20 } as const; // five rounds
  network = await toyNetwork({ spec: toySpec({ inner: { schedule } }) });
  const roles = [
    ...["v1", "v2"].map((name) => network.validator(name)),
    ...["a", "b"].map((name) => network.trainer(name)),
  ];
  await network.during(Promise.all<unknown>(roles));
  const { neurons } = await network.twin.metagraph(network.record.netuid);
  trainer = must(
    neurons.find(({ hotkey }) => hotkey === keyOf("a").account),
    "a uid for a",
  ).uid;
}, 60_000);

function ask(uid = trainer): Promise<Inquiry> {
  const { spec, shared: store, twin: chain, record } = network;
  return inquire({ specHash: specHash(spec), store, chain, record, asked: { uid }, round: ROUND });
}

async function measured(inquiry: Inquiry, shared: Store = network.shared, uid = trainer): Promise<Measured> {
  const { spec, twin: chain, runId } = network;
  const engine = await openReference({ shape: spec.model, seqLen: spec.inner.seqLen, microBatch: 8 });
  const dataset = toyDataset(1, 6000, 300);
  return measure({
    node: { spec, runId, chain, shared, local: memoryStore(), dataset, clock: manualClock() },
    ...{ engine, uid, round: ROUND, witnesses: inquiry.witnesses, nobody: keyOf("nobody") },
    archive: async () => undefined,
    signal: new AbortController().signal,
  }).finally(() => engine.close());
}

/** The same witness, saying something else. */
function lying({ report, seen, ...rest }: Witness, change: object): Witness {
  const finding = { ...must(seen.finding, "a finding"), ...change };
  return { ...rest, report, seen: { ...seen, finding } };
}

describe("measuring again", () => {
  it("gives what honest validators have reported, to the millionth", async () => {
    const inquiry = await ask();
    const result = await measured(inquiry);
    const { witnesses } = inquiry;
    expect(witnesses).toHaveLength(2);
    expect(result.finding?.gainUnassigned).toBe(witnesses[0]?.seen.finding?.gainUnassigned);
    expect(result.finding?.gainUnassigned).toBeGreaterThan(0);
    expect(result.comparisons).toEqual([
      { validator: 0, differences: [] },
      { validator: 1, differences: [] },
    ]);
    expect(result).toMatchObject({ round: ROUND, from: "genesis", root: witnesses[0]?.report?.root });
    const said = measuredLines(result, inquiry).join("\n");
    expect(said).toMatch(/Round 3, measured here: the run recomputed from the first params, state root [0-9a-f]{12}/);
    expect(said).toContain("uid 1  reports the same");
    expect(JSON.parse(JSON.stringify(measuredFields(result)))).toMatchObject({ round: 3, finding: { uid: trainer } });
  });

  it("names whoever reported something else, and says what", async () => {
    const inquiry = await ask();
    const [first, second] = inquiry.witnesses;
    const lies = { gainUnassigned: 0.5, drawn: false, copyOf: { uid: 1, round: ROUND, likeness: 1 }, share: 0.25 };
    const witnesses = [
      lying(must(first, "a validator"), { fault: "wrong base" }),
      lying(must(second, "another"), lies),
    ];
    const result = await measured({ ...inquiry, witnesses });
    const { comparisons } = result;
    expect(comparisons[0]?.differences).toEqual(["it reports wrong base; here: no fault"]);
    expect(comparisons[1]?.differences).toEqual([
      expect.stringMatching(/^work 0.25; here 1$/),
      "it says that the payload was not drawn to be judged; it was",
      expect.stringMatching(/^gain on new text 0.5; here 0\.\d+$/),
      `it reports a copy of uid 1's of round ${ROUND}; here no copy`,
    ]);
    expect(measuredLines(result, inquiry).join("\n")).toContain("WRONG: uid 1: work 0.25");
  });

  it("says so where there was no payload, and where one is gone", async () => {
    const inquiry = await ask(0);
    const result = await measured(inquiry, network.shared, 0);
    expect(result.finding).toBeUndefined();
    expect(measuredLines(result, inquiry).join("\n")).toContain("uid 0 committed to nothing in this round");
    const { shared } = network;
    const withoutPayloads: Store = {
      ...shared,
      get: async (key, range) => (key.startsWith("blobs/") ? undefined : shared.get(key, range)),
    };
    await expect(measured(inquiry, withoutPayloads)).rejects.toMatchObject({
      code: "store",
      message: expect.stringContaining("any more"),
    });
  });
});
