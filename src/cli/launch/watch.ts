/** The gateway's live line: where the run stands, who is there, what the gateway had to do. Ends when it is told to. */
import { messageOf } from "../../base/errors.ts";
import type { Log } from "../../base/log/log.ts";
import type { Chain, RunRecord } from "../../chain/chain.ts";
import { phaseAt } from "../../chain/rounds.ts";
import { nap } from "../shared/interrupt.ts";
import { bytes, count, type Terminal } from "../shared/terminal.ts";
import type { Traffic } from "./traffic.ts";

/** What is watched. */
export interface GatewayWatch {
  readonly chain: Chain;
  readonly run: RunRecord;
  /** Rounds of the run. */
  readonly rounds: number;
  readonly traffic: () => Traffic;
  readonly terminal: Terminal;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Milliseconds between two looks at the chain. */
const LOOK_MS = 2000;
/** Looks between two lines of the log on traffic. */
const LOOKS_PER_LINE = 30;

/** Where a run stands, as far as the chain tells. */
export interface Standing {
  readonly block: number;
  readonly peers: number;
}

/** Shows what happens until `signal` says stop. A chain that is away is told, and waited for. */
export async function watchGateway({
  chain,
  run,
  rounds,
  traffic,
  terminal,
  log,
  signal,
}: GatewayWatch): Promise<void> {
  let away = false;
  const look = async (): Promise<Standing | undefined> => {
    try {
      const { block, neurons } = await chain.metagraph(run.netuid);
      if (away) log.event("chain-back", { block });
      away = false;
      return { block, peers: neurons.length };
    } catch (thrown) {
      if (!away) log.event("chain-away", { why: messageOf(thrown) });
      away = true;
      return undefined;
    }
  };
  const stop = new Promise<undefined>((resolve) => {
    signal.addEventListener("abort", () => resolve(undefined), { once: true });
    if (signal.aborted) resolve(undefined);
  });
  for (let looks = 0; !signal.aborted; looks++) {
    const standing = await Promise.race([look(), stop]);
    if (signal.aborted) return;
    terminal.status(statusLine({ run, rounds }, standing, traffic()));
    if (looks % LOOKS_PER_LINE === LOOKS_PER_LINE - 1) log.event("traffic", { ...traffic(), ...standing });
    await nap(LOOK_MS, signal);
  }
}

/** One line on everything. */
export function statusLine(
  { run, rounds }: Pick<GatewayWatch, "run" | "rounds">,
  standing: Standing | undefined,
  traffic: Traffic,
): string {
  const { requests, bytesIn, bytesOut } = traffic;
  const work = `${count(requests)} requests  ${bytes(bytesIn)} in  ${bytes(bytesOut)} out`;
  if (standing === undefined) return `the chain does not answer  ${work}`;
  const { block, peers } = standing;
  const at = phaseAt(run, block);
  const begun = at
    ? `round ${count(at.round)} ${at.phase} ${at.blocksLeft} left`
    : `begins in ${run.startBlock - block}`;
  const round = at !== undefined && at.round >= rounds ? "the run is over" : begun;
  return `block ${count(block)}  ${round}  ${peers} ${peers === 1 ? "uid" : "uids"}  ${work}`;
}
