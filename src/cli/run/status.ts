/** `skein status`: how a run is doing, for anybody who has its link; without one, the run of `skein up`. */
import * as path from "node:path";
import { Command } from "commander";
import { fromUtf8 } from "../../base/bytes.ts";
import { systemClock } from "../../base/clock.ts";
import { SkeinError } from "../../base/errors.ts";
import { LINK_CHARS_MAX } from "../../base/limits.ts";
import type { Chain } from "../../chain/chain.ts";
import { readBounded } from "../../chain/files.node.ts";
import { httpStore } from "../../store/http.ts";
import type { Patience } from "../../store/transfer.ts";
import { connectRun, reachRun, recordOf } from "../node/reach.ts";
import { HOME, withJson } from "../shared/options.ts";
import { processTerminal } from "../shared/terminal.ts";
import { gatherStatus } from "../status/gather.ts";
import { statusEvents, statusLines } from "../status/view.ts";

interface StatusFlags {
  readonly rpc?: string;
  readonly json?: boolean;
}

/** Where `skein up` writes its link. */
export const UP_LINK: string = path.join(HOME, "up", "link");
/** Somebody is waiting in front of a screen: what does not answer at once is told to be away. */
export const PATIENCE: Partial<Patience> = { attempts: 2, silenceMs: 10_000 };

/** The verb `status`. */
export function statusCommand(): Command {
  const command = new Command("status")
    .summary("how a run is doing: rounds, loss, peers, what they earn")
    .description(
      "Shows where a run stands, what became of its last rounds, the validation loss, and every uid with its stake, share, earnings " +
        "and weight. What the chain and the gateway say is asked for anew each time; what validators say is signed by them.",
    )
    .argument("[link]", `the join link (default: the run of \`skein up\`, from ${UP_LINK})`)
    .option("--rpc <url>", "a node of the run's chain (default: through the gateway)");
  return withJson(command)
    .addHelpText("after", "\nExamples:\n  skein status\n  skein status http://192.0.2.7:8640/r/5f0c… --json")
    .action(show);
}

async function show(link: string | undefined, { rpc, json }: StatusFlags): Promise<void> {
  const terminal = processTerminal(json === true);
  terminal.status("asking the gateway");
  const served = await reachRun(link ?? (await linkOfUp("status")), PATIENCE);
  const { spec, specHash, base } = served;
  const chains: Chain[] = [];
  try {
    terminal.status("asking the chain");
    const status = await gatherStatus({
      spec,
      specHash,
      store: httpStore({ base, patience: PATIENCE }),
      connect: async () => {
        const chain = await connectRun(served, rpc);
        chains.push(chain);
        return { chain, record: await recordOf(served, chain) };
      },
    });
    terminal.clear();
    for (const line of statusLines({ link: served.link, spec, status, clock: systemClock })) terminal.line(line);
    const shown = { link: served.link, spec, specHash, status };
    for (const [kind, fields] of statusEvents(shown)) terminal.event(kind, fields);
  } finally {
    for (const chain of chains) await chain.close();
  }
}

/** The link of the run of `skein up`, for the command `words`. Throws SkeinError("usage") where there is none. */
export async function linkOfUp(words: string): Promise<string> {
  const bytes = await readBounded(UP_LINK, 2 * LINK_CHARS_MAX);
  if (bytes !== undefined) return fromUtf8(bytes).trim();
  throw new SkeinError("usage", "which run? there is none of `skein up` here", {
    remedy: `give the run's join link: skein ${words} http://…/r/…`,
  });
}
