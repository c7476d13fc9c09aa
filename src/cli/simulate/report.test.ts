import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { RunSpec } from "../../run/spec.ts";
import type { NodeResult, SimulationResult } from "../../sim/result.ts";
import { barChart, lineChart } from "./charts.ts";
import { COVENANT_PLAN } from "./covenant.ts";
import { outcomeFields, planFields } from "./fields.ts";
import { toySpec } from "./job.ts";
import { type Measure, measureOf, median } from "./measure.ts";
import { planOf } from "./plan.ts";
import { reportPage } from "./report.ts";
import { outcomeLines, sweepRows } from "./view.ts";

const PLAN = planOf(COVENANT_PLAN, { peers: 2, validators: 1 });
const ROUNDS = 6;
const SPEC: RunSpec = toySpec(PLAN, { seed: "1", rounds: ROUNDS, attackers: [], model: "linear" });

const node = (name: string, more: Partial<NodeResult>): NodeResult => ({
  ...{
    name,
    role: "trainer",
    attack: null,
    uid: 1,
    crashes: 0,
    exits: {},
    payloads: ROUNDS,
    applied: ROUNDS,
    paid: 100n,
  },
  ...{ upBytes: 6e9, downBytes: 12e9, computeMs: 5e6, aliveMs: 1e7, end: null },
  ...more,
});

const RESULT: SimulationResult = {
  ...{ seed: "1", traceHash: "ab", blocks: 100, virtualMs: 1e7, violations: [], faults: {} },
  calls: { store: 0, chain: 0, disk: 0 },
  rounds: Array.from({ length: ROUNDS }, (_, round) => ({
    ...{ round, loss: round === 0 ? null : 4 - round / 10, commits: 3, accepted: [1, 2], applied: round === 3 ? 0 : 2 },
  })),
  nodes: [
    node("p1", {}),
    node("p2", { paid: 300n }),
    node("x1", { attack: "<b>copy", paid: 50n }),
    node("v1", { role: "validator", paid: 9n }),
  ],
};

/** Two peers that each train for `trainS` of every round; the second is never applied. */
function told(trainS: number): Measure {
  const measure = measureOf(PLAN, SPEC);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, uid] of [
      ["p1", 1],
      ["p2", 2],
    ] as const) {
      const fields = { round, uid, tokens: 512, trainMs: 1000 * trainS };
      measure.onEvent(name, { kind: "payload", timeMs: round * 1e6, fields });
      measure.onEvent(name, { kind: "commit", timeMs: round * 1e6, fields: { round, uid } });
      const uids = round === 3 ? [] : [1];
      measure.onEvent(name, { kind: "applied", timeMs: round * 1e6 + 90_000, fields: { round, uids } });
    }
  }
  return measure;
}

const OUTCOME = told(1200).outcome(RESULT);

describe("what is measured", () => {
  it("counts tokens as planned, time as shares, pay in honest peers' means", () => {
    expect(OUTCOME.rounds.map(({ tokens }) => tokens / PLAN.roundTokens)).toEqual([1, 2, 3, 3, 4, 5]);
    expect(OUTCOME.roundTokens).toBe((3 / 4) * PLAN.roundTokens);
    expect(OUTCOME.utilization).toBeCloseTo(1200 / OUTCOME.roundS, 10);
    expect(OUTCOME).toMatchObject({ nullRounds: 1, applyS: 90 });
    expect(OUTCOME.nodes.map(({ name, paidOfHonest }) => [name, paidOfHonest])).toEqual([
      ["p1", 0.5],
      ["p2", 1.5],
      ["x1", 0.25],
      ["v1", 0.045],
    ]);
    expect(OUTCOME.nodes[0]).toMatchObject({ upBytes: 1e9, downBytes: 2e9, paidShare: 100 / 450 });
    expect(OUTCOME.nodes[3]).toMatchObject({ paidShare: 0, utilization: 0.5 });
    expect(median([3, 1, 2])).toBe(2);
    expect(median([])).toBeNull();
  });

  it("is told in words, as a table and as JSON", () => {
    const text = outcomeLines(PLAN, OUTCOME).join("\n");
    expect(text).toMatchSnapshot();
    const json = JSON.stringify([planFields(PLAN), outcomeFields(PLAN, OUTCOME)]);
    expect(json).toContain('"nullRounds":1');
    const rows = sweepRows("link", [{ value: "110/500", plan: PLAN, outcome: OUTCOME }]);
    expect(rows.map((row) => row.length)).toEqual([11, 11]);
    expect(rows[1]?.at(-1)).toBe("0.25×");
  });
});

/** Elements that are opened and not closed, or closed and not opened. */
function unbalanced(html: string): string[] {
  const open: string[] = [];
  const wrong: string[] = [];
  for (const [, slash, name = "", self] of html.matchAll(/<(\/?)([a-zA-Z]+)[^<>]*?(\/?)>/g)) {
    if (["meta"].includes(name) || self === "/") continue;
    if (slash === "") open.push(name);
    else if (open.pop() !== name) wrong.push(name);
  }
  return [...wrong, ...open];
}

describe("the report", () => {
  const parts = { command: "skein simulate <x> & y", plan: PLAN, outcome: OUTCOME };

  it("is one well-formed page that needs nothing from elsewhere", () => {
    const html = reportPage(parts);
    expect(unbalanced(html)).toEqual([]);
    expect(html.match(/<svg/g)).toHaveLength(5);
    expect(html).not.toMatch(/<script|src=|url\(|@import|<link|https?:| on\w+="/);
    expect(html).not.toMatch(/NaN|undefined|Infinity/);
    expect(html).toContain("&#60;b&#62;copy");
    expect(html).toContain("skein simulate &#60;x&#62; &#38; y");
    const swept = reportPage({
      ...parts,
      sweep: { name: "link", swept: [{ value: "1/1", plan: PLAN, outcome: OUTCOME }] },
    });
    expect(unbalanced(swept)).toEqual([]);
    expect(swept).toContain("<th>link</th>");
  });

  it("escapes whatever a plan is called", () => {
    const tagsOf = (html: string): number => html.split("<").length;
    const letters = fc.string({ unit: fc.constantFrom("<", ">", '"', "'", "&", "`", "a", "/") });
    fc.assert(
      fc.property(letters, (name) => {
        expect(tagsOf(reportPage({ ...parts, plan: { ...PLAN, name } }))).toBe(tagsOf(reportPage(parts)));
      }),
      { numRuns: 30 },
    );
  });

  it("draws charts of anything, and none of nothing", () => {
    expect(lineChart("t", [{ name: "a", values: [null, null] }], String)).toBe("");
    expect(barChart("t", [], String)).toBe("");
    const numbers = fc.array(
      fc.option(fc.oneof(fc.double({ min: -1e9, max: 1e9 }), fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY))),
      { maxLength: 20 },
    );
    fc.assert(
      fc.property(numbers, (values) => {
        const svg = lineChart("t", [{ name: "a", values }], (value) => value.toFixed(1));
        expect(unbalanced(svg)).toEqual([]);
        expect(svg).not.toMatch(/points="[^"]*(?:NaN|Infinity)/);
      }),
    );
  });
});
