/**
 * Innocence: whoever is honest is never found guilty, and never says two things. No honest validator refutes an honest trainer's work or finds a fault in
 * its payload, none bans it, and none publishes two reports or casts two votes on one round, whatever it went through in between.
 *
 * That holds in any weather. Who was away may miss its challenges and lose its votes by strikes; in weather that takes nobody away, nobody does.
 */
import { type LogEvent, type LogFields, numberIn, textIn } from "../../base/log/log.ts";
import { decodeReport, isReportFault, standingsIn } from "../../score/report.ts";
import { factorsOf } from "../../score/standing.ts";
import { blobKey } from "../../store/blobs.ts";
import { readNewsOf } from "../../store/news.ts";
import type { Weather } from "../world/weather.ts";
import type { Checker, Sight } from "./checker.ts";
import { honestOf } from "./seen.ts";

/** Honest nodes are not accused by honest ones, and do not contradict themselves. */
export function innocence(sight: Sight, violated: (what: string) => void): Checker {
  const { twin, runId } = sight.network;
  const honest = new Set(honestOf(sight));
  const trainers = new Map(
    sight.trainers.filter((name) => honest.has(name)).map((name): [string, string] => [sight.account(name), name]),
  );
  const validators = sight.validators.filter((name) => honest.has(name));
  const voted = new Map<string, string>();
  const reported = new Map<string, string>();
  const vote = (node: string, round: number, fields: LogFields): void => {
    const said = JSON.stringify([fields["uids"], fields["root"]]);
    const before = voted.get(`${node} ${round}`);
    if (before !== undefined && before !== said) violated(`${node} voted ${said} on round ${round} after ${before}`);
    voted.set(`${node} ${round}`, said);
  };
  const accuse = async (node: string, { kind, fields }: LogEvent, round: number): Promise<void> => {
    const commits = await twin.commits(runId, round);
    const uid = numberIn(fields, "uid");
    const name = trainers.get(commits.find((commit) => commit.uid === uid)?.hotkey ?? "");
    if (name === undefined) return;
    const fault = kind === "received" ? textIn(fields, "fault") : undefined;
    if (fault !== undefined)
      violated(`${node} found the payload of ${name} in round ${round} to have a fault: ${fault}`);
    if (kind === "audited" && fields["verdict"] === "refuted")
      violated(`${node} refuted the work of ${name} in round ${round}: ${textIn(fields, "reason")}`);
  };
  const readReport = async (name: string): Promise<void> => {
    const news = await readNewsOf(sight.shared, "report", sight.account(name));
    if (news === undefined) return;
    const key = `${name} ${news.round}`;
    const before = reported.get(key);
    if (before !== undefined && before !== news.hash) violated(`${name} published two reports on round ${news.round}`);
    reported.set(key, news.hash);
  };
  let work = Promise.resolve();
  return {
    name: "innocence",
    onEvent(node, event) {
      const round = numberIn(event.fields, "round");
      if (round === undefined || !validators.includes(node)) return;
      if (event.kind === "vote") vote(node, round, event.fields);
      const isAccusation = event.kind === "audited" || event.kind === "received";
      if (isAccusation) work = work.then(() => accuse(node, event, round));
    },
    onBlock() {
      for (const name of validators) work = work.then(() => readReport(name));
    },
    async onEnd() {
      await work;
      for (const name of validators) await readReport(name);
      for (const name of validators) for (const what of await sentences(sight, name, trainers)) violated(what);
    },
  };
}

/** Which honest trainers a validator's newest report has excluded. */
async function sentences(
  { shared, account, weather }: Sight,
  name: string,
  trainers: ReadonlyMap<string, string>,
): Promise<readonly string[]> {
  const news = await readNewsOf(shared, "report", account(name));
  const bytes = news && (await shared.get(blobKey(news.hash)));
  const report = bytes && decodeReport(bytes);
  if (report === undefined || isReportFault(report)) return [];
  const standings = standingsIn(report);
  return report.standings.flatMap(({ uid, account: of, banned }) => {
    const who = trainers.get(of);
    if (who === undefined) return [];
    if (banned !== null) return [`${name} has banned ${who}: ${banned}`];
    const isOut = takesNobodyAway(weather) && factorsOf(standings, uid).conduct === 0;
    return isOut ? [`${name} has excluded ${who} for challenges that it had no reason to miss`] : [];
  });
}

function takesNobodyAway({ line, store, chain, disk, crash, outages }: Weather): boolean {
  const troubles = [line.loss, store.cutOff, store.corrupt, store.stale, chain.drop, chain.reorg, disk.fail, crash];
  const isFast = line.upBps === Number.POSITIVE_INFINITY && line.latencyMs + line.jitterMs === 0;
  return isFast && chain.slow === 0 && outages.length === 0 && troubles.every((p) => p === 0);
}
