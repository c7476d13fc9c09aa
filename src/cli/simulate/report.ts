/**
 * A simulation as a page to keep or to send: one file without a script, which needs nothing from elsewhere. It looks as the page behind a join link does
 * (gateway/page.ts). Whatever others chose (names of plans and attacks) is escaped.
 */
import { BASE_STYLE, escaped, htmlPage } from "../../gateway/page.ts";
import { barChart, lineChart } from "./charts.ts";
import type { Outcome } from "./measure.ts";
import type { Plan } from "./plan.ts";
import { nodeRows, outcomeFacts, percent, planFacts, type Swept, sweepRows } from "./view.ts";

const STYLE = `${BASE_STYLE}:root{--bad:#b3472e}
@media(prefers-color-scheme:dark){:root{--bad:#ef8a6d}}
main{max-width:52rem;padding:3rem 1.25rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem;margin:0}
dd{overflow-wrap:anywhere}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:.85rem}
th,td{padding:.35rem .6rem;text-align:right;white-space:nowrap;border-bottom:1px solid var(--line)}
th:first-child,td:first-child{text-align:left}
th{color:var(--soft);font-weight:400}
svg{display:block;width:100%;height:auto;margin:.5rem 0}
svg text{fill:var(--soft);font-size:11px}
.grid{stroke:var(--line)}
polyline{fill:none;stroke-width:2}
.s0{stroke:var(--mark)}.s1{stroke:var(--bad)}
.k0{color:var(--mark)}.k1{color:var(--bad)}
.good{fill:var(--mark)}.bad{fill:var(--bad)}
`;

/** What a report tells. */
export interface ReportParts {
  /** The command that makes it again. */
  readonly command: string;
  readonly plan: Plan;
  readonly outcome: Outcome;
  /** Where a setting was swept, all values; `plan` and `outcome` are the first one's. */
  readonly sweep?: { readonly name: string; readonly swept: readonly Swept[] };
}

/** The page. */
export function reportPage({ command, plan, outcome, sweep }: ReportParts): string {
  const title = sweep === undefined ? plan.name : `${plan.name} by ${sweep.name}`;
  const body =
    sweep === undefined
      ? outcomeBody(plan, outcome)
      : section(`By ${sweep.name}`, tableOf(sweepRows(sweep.name, sweep.swept)) + sweepChart(sweep.swept));
  const main = `<p class="over">Simulated run</p>
<h1>${escaped(title)}</h1>
<p>The protocol was really run, in virtual time; a toy stood in the model's place, and lines and machines took as long as the plan's would.</p>
${section(sweep === undefined ? "Plan" : "Plan, with the first value", list(planFacts(plan)))}
${body}
${section("Again", `<pre>${escaped(command)}</pre>`)}`;
  return htmlPage({ title: `${title} · simulated · Skein`, style: STYLE, main });
}

function outcomeBody(plan: Plan, outcome: Outcome): string {
  const { rounds, nodes } = outcome;
  const digits = (value: number): string => value.toFixed(2);
  const pays = nodes
    .filter(({ role, paidOfHonest }) => role === "trainer" && paidOfHonest !== null)
    .map(({ name, attack, paidOfHonest }) => ({
      name: attack === null ? name : `${name} (${attack})`,
      value: paidOfHonest ?? 0,
      bad: attack !== null,
    }));
  const charts: readonly (readonly [string, string])[] = [
    ["Loss by the law", lineChart("Loss by the law", [{ name: "law", values: rounds.map((r) => r.lawLoss) }], digits)],
    [
      "Loss of the simulated model",
      lineChart("Loss of the simulated model", [{ name: "toy", values: rounds.map((r) => r.toyLoss) }], digits),
    ],
    [
      "Share of a round in which trainers train",
      lineChart("Utilization", [{ name: "utilization", values: rounds.map((r) => r.utilization) }], percent, 0),
    ],
    [
      "Payloads",
      lineChart(
        "Payloads",
        [
          { name: "applied", values: rounds.map((r) => r.applied) },
          { name: "committed", values: rounds.map((r) => r.commits) },
        ],
        (value) => value.toFixed(0),
        0,
      ),
    ],
    ["Pay, in honest trainers' mean", barChart("Pay", pays, (value) => `${value.toFixed(2)}×`)],
  ];
  return [
    section("Outcome", list(outcomeFacts(plan, outcome))),
    ...charts.filter(([, svg]) => svg !== "").map(([name, svg]) => section(name, svg)),
    section("Nodes", tableOf(nodeRows(nodes))),
  ].join("\n");
}

function sweepChart(swept: readonly Swept[]): string {
  const bars = swept.map(({ value, outcome }) => ({ name: value, value: outcome.utilization, bad: false }));
  return barChart("Utilization", bars, percent);
}

function section(name: string, content: string): string {
  return `<h2>${escaped(name)}</h2>\n${content}`;
}

function list(facts: readonly (readonly [string, string])[]): string {
  return `<dl>${facts.map(([name, text]) => `<dt>${escaped(name)}</dt><dd>${escaped(text)}</dd>`).join("")}</dl>`;
}

function tableOf([head = [], ...rows]: readonly (readonly string[])[]): string {
  const cells = (row: readonly string[], tag: string): string =>
    row.map((cell) => `<${tag}>${escaped(cell)}</${tag}>`).join("");
  const body = rows.map((row) => `<tr>${cells(row, "td")}</tr>`).join("");
  return `<div class="wide"><table><thead><tr>${cells(head, "th")}</tr></thead><tbody>${body}</tbody></table></div>`;
}
