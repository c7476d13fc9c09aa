/** A whole network of stand-ins: processes that say what the real ones say, to see in which order they come up and end. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { LogFields } from "../../base/log/log.ts";
import { newBoard, tellBoard } from "./board.ts";
import { type NetworkEnd, runNetwork } from "./network.ts";
import { nodesOf, type UpPlan } from "./plan.ts";

/** Its trainers apply a round every 50 ms, the first of them a null round; `FAKE` says how else it behaves. */
const FAKE = `
const [verb] = process.argv.slice(2);
const say = (event, fields = {}) => process.stdout.write(JSON.stringify({ event, ...fields }) + "\\n");
const words = process.argv;
const name = words.includes("--threads") ? words[words.indexOf("--dir") + 1].split("/").at(-1) : verb;
const mode = process.env.FAKE;
process.on("SIGINT", () => { say("bye"); process.exit(130); });
process.on("disconnect", () => process.exit()); // no test leaves one behind
process.channel.unref();
if ((mode === "broken" && name === "validator-2") || name === "garbage") {
  say("error", { code: "config", message: "no stake", remedy: "stake" });
  process.exitCode = 2;
} else {
  setInterval(() => {}, 1000);
  setTimeout(() => say("ready", { link: "http://127.0.0.1:1/r/00", runId: 0, rpcUrl: "http://127.0.0.1:1", hotkey: name }), 20);
  if (verb === "validate" && mode === "short") setTimeout(() => process.exit(0), 100);
  if (verb === "join") {
    let round = 0;
    setInterval(() => {
      say("applied", { round, uids: round === 0 ? [] : [1], accepted: [1], bytes: 9, root: "r" + round });
      round += 1;
      if (mode === "short" && round === 4) process.exit(0);
    }, 50);
  }
}
`;

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), "skein-network-"));
  writeFileSync(path.join(folder, "fake.mjs"), FAKE);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Outcome {
  readonly end: NetworkEnd;
  readonly told: readonly { node: string; kind: string; fields: LogFields }[];
  readonly link: string;
}

async function run(
  mode: string,
  options: {
    rounds?: number;
    stopAt?: (kind: string, node: string, fields: LogFields) => boolean;
    adversaries?: readonly string[];
  } = {},
): Promise<Outcome> {
  const { rounds, stopAt = () => false, adversaries = [] } = options;
  const plan: UpPlan = {
    ...{ dir: folder, dataFolder: "", trainers: 2, validators: 2, adversaries },
    ...{ engine: "auto", threads: 1, host: "127.0.0.1" },
    ports: { chain: 1, gateway: 2 },
  };
  const board = newBoard(nodesOf(plan));
  const told: { node: string; kind: string; fields: LogFields }[] = [];
  const stop = new AbortController();
  let link = "";
  process.env["FAKE"] = mode;
  const end = await runNetwork({
    specHash: "00".repeat(32),
    ...{ plan, board, program: [process.execPath, path.join(folder, "fake.mjs")], signal: stop.signal },
    ...(rounds === undefined ? {} : { rounds }),
    tell: (node, kind, fields) => {
      told.push({ node, kind, fields });
      tellBoard(board, { node, kind, fields, timeMs: 0 });
      if (stopAt(kind, node, fields)) stop.abort();
    },
    onLink: async (text) => {
      link = text;
    },
  });
  return { end, told, link };
}

const ofKind = ({ told }: Outcome, kind: string): string[] =>
  told.filter((each) => each.kind === kind).map(({ node }) => node);
const started = ({ told }: Outcome): string[] =>
  told.filter(({ kind, fields }) => kind === "process" && fields["state"] === "started").map(({ node }) => node);

describe("the network", () => {
  it("comes up in order, ends after the rounds it was asked for, and goes down in the other order", async () => {
    const outcome = await run("", { rounds: 2 });
    expect(outcome).toMatchObject({ end: "rounds", link: "http://127.0.0.1:1/r/00" });
    expect(started(outcome)).toEqual(["chain", "gateway", "validator-1", "validator-2", "trainer-1", "trainer-2"]);
    const firstTrainer = outcome.told.findIndex(({ node }) => node === "trainer-1");
    const ready = outcome.told.slice(0, firstTrainer).filter(({ kind }) => kind === "ready");
    expect(ready.map(({ node }) => node)).toEqual(["chain", "gateway", "validator-1", "validator-2"]);
    const byes = ofKind(outcome, "bye");
    expect(byes.slice(0, 2).sort()).toEqual(["trainer-1", "trainer-2"]);
    expect(byes.slice(2, 4).sort()).toEqual(["validator-1", "validator-2"]);
    expect(byes.slice(4)).toEqual(["gateway", "chain"]);
  });

  it("does not count the null round before the first that did something", async () => {
    const { told } = await run("", { rounds: 1 });
    const rounds = told.filter(({ kind }) => kind === "applied").map(({ fields }) => fields["round"]);
    expect(Math.max(...rounds.map(Number))).toBeGreaterThanOrEqual(1);
  });

  it("ends with the run", async () => {
    const outcome = await run("short");
    expect(outcome.end).toBe("over");
    expect(ofKind(outcome, "bye")).toEqual(["gateway", "chain"]);
  });

  it("ends at a word in the middle of coming up, and starts nobody after it", async () => {
    const outcome = await run("", { stopAt: (kind, node) => kind === "ready" && node === "gateway" });
    expect(outcome.end).toBe("stopped");
    expect(started(outcome)).not.toContain("trainer-1");
    expect(ofKind(outcome, "bye").slice(-2)).toEqual(["gateway", "chain"]);
  });

  it("ends with the words of a node that cannot work, after ending all others", async () => {
    const told: string[] = [];
    await expect(
      run("broken", {
        stopAt: (kind, node) => {
          if (kind === "bye") told.push(node);
          return false;
        },
      }),
    ).rejects.toMatchObject({ code: "config", message: "validator-2: no stake", remedy: "stake" });
    expect(told).toEqual(["validator-1", "gateway", "chain"]);
  }, 20_000);

  it("goes on where a dishonest trainer cannot work", async () => {
    const stopAt = (kind: string, node: string, { state }: LogFields): boolean =>
      kind === "process" && node === "garbage" && state === "given up";
    const outcome = await run("", { adversaries: ["garbage"], stopAt });
    expect(outcome.end).toBe("stopped"); // by this test, not by the one that was given up
    expect(ofKind(outcome, "bye").slice(-2)).toEqual(["gateway", "chain"]);
  }, 20_000);
});
