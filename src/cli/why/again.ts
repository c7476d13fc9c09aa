/** `skein why --measure`: what measuring a payload again takes on this machine, and what is said of the outcome. */
import * as path from "node:path";
import { systemClock } from "../../base/clock.ts";
import type { LogFields } from "../../base/log/log.ts";
import type { Chain } from "../../chain/chain.ts";
import { newKey, signerOf } from "../../chain/keys/signer.ts";
import { openEngine } from "../../engine/open.node.ts";
import { bestMeans } from "../../round/native/native.node.ts";
import { folderStore } from "../../store/folder.node.ts";
import { httpStore } from "../../store/http.ts";
import { memoryStore } from "../../store/memory.ts";
import { fitRun } from "../node/fit.ts";
import { dataSources } from "../node/mirror.ts";
import type { ServedRun } from "../node/reach.ts";
import { datasetOf } from "../run/open.ts";
import { thisMachine } from "../shared/machine.ts";
import { HOME, type SharedOptions } from "../shared/options.ts";
import { count, type Terminal } from "../shared/terminal.ts";
import { archiveOf } from "./blocks.ts";
import { findingFields } from "./fields.ts";
import type { Inquiry } from "./gather.ts";
import { type Measured, measure } from "./measure.ts";
import { leadOf } from "./verdict.ts";
import { findingCells } from "./view.ts";

/** On what, and with what. */
export interface Again {
  readonly served: ServedRun;
  readonly chain: Chain;
  readonly rpc: string | undefined;
  readonly inquiry: Inquiry;
  readonly flags: SharedOptions;
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
}

/** Measures what the inquiry is about; undefined where nobody has reported on anything. */
export async function measureAgain(again: Again): Promise<Measured | undefined> {
  const { served, chain, rpc, inquiry, flags, terminal, signal } = again;
  const { spec, specHash, base, info } = served;
  const lead = leadOf(inquiry);
  const round = inquiry.round ?? lead?.report?.round;
  if (round === undefined) return undefined;
  const { threads } = flags;
  const fit = fitRun({
    ...{ spec, role: "validator", engine: flags.engine, machine: thisMachine() },
    ...(threads === undefined ? {} : { threads }),
  });
  const shared = httpStore({ base, signal });
  const folder = path.join(HOME, "runs", specHash.slice(0, 12), "onlooker");
  terminal.status("fetching what the data are");
  const dataset = await datasetOf(served, dataSources(shared, [], folderStore(folder)));
  const engine = await openEngine({ engine: flags.engine, ...fit.options });
  const means = bestMeans();
  try {
    const measured = await measure({
      node: { spec, runId: info.runId, chain, shared, local: memoryStore(), dataset, clock: systemClock, means },
      ...{ engine, round, signal },
      archive: archiveOf(rpc ?? `${base}/rpc`, signal),
      uid: inquiry.peer.uid,
      witnesses: inquiry.witnesses,
      nobody: signerOf(newKey()),
      onRound: (done) => terminal.status(`replaying the run: round ${count(done)} of ${count(round)}`),
      onJudging: () => terminal.status("measuring", true),
    });
    terminal.clear();
    return measured;
  } finally {
    await engine.close();
  }
}

/** What was measured, for people. */
export function measuredLines(measured: Measured, { peer }: Pick<Inquiry, "peer">): string[] {
  const { round, finding, root, from, exact, comparisons } = measured;
  const origin = { genesis: "from the first params", checkpoint: "from a checkpoint", saved: "from a saved state" }[
    from
  ];
  const about = `Round ${count(round)}, measured here: the run recomputed ${origin}, state root ${root.slice(0, 12)} before the round`;
  const found =
    finding === undefined
      ? [`  uid ${peer.uid} committed to nothing in this round`]
      : findingCells(finding).map(([name, cell]) => `  ${name.padEnd(14)}  ${cell}`);
  const lines = comparisons.flatMap(({ validator, differences }) =>
    differences.length === 0
      ? [`uid ${validator}  reports the same`]
      : differences.map((each) => `WRONG: uid ${validator}: ${each}`),
  );
  const note = exact ? [] : ["(This engine rounds otherwise than others: small differences mean nothing.)"];
  return ["", about, ...found, ...lines, ...note];
}

/** The same for machines. */
export function measuredFields({ comparisons, finding, ...rest }: Measured): LogFields {
  const each = comparisons.map(({ validator, differences }) => ({ validator, differences: [...differences] }));
  return { ...rest, finding: findingFields(finding), comparisons: each };
}
