/** The chain's commands as a user types them, against a chain that `skein chain` runs. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const CLI = path.resolve(import.meta.dirname, "../../dist/cli/main.js");
const home = mkdtempSync(path.join(tmpdir(), "skein-cli-chain-"));
let chain: ChildProcess;

type Event = Readonly<Record<string, unknown>>;

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function skein(args: string, input = ""): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [CLI, ...args.split(" ")], { cwd: home, stdio: ["pipe", "pipe", "pipe"] });
    let [out, err] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (err += text));
    child.on("error", reject).on("close", (code) => resolve({ code, out, err }));
    child.stdin.end(input);
  });
}

async function events(args: string): Promise<Event[]> {
  const { code, out, err } = await skein(`${args} --json`);
  expect(code, out + err).toBe(0);
  return out.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as Event]));
}

async function event(args: string): Promise<Event> {
  return (await events(args)).at(-1) ?? {};
}

async function startChain(): Promise<void> {
  chain = spawn(process.execPath, [CLI, "chain", "--port", "0", "--block-time", "0", "--json"], {
    cwd: home,
    stdio: ["ignore", "pipe", "inherit"],
  });
  await new Promise<void>((resolve, reject) => {
    let said = "";
    chain.stdout?.setEncoding("utf8").on("data", (text: string) => {
      said += text;
      if (said.includes('"ready"')) resolve();
    });
    chain.on("close", (code) => reject(new Error(`skein chain ended with ${code}: ${said}`)));
  });
}

async function stopChain(signal: NodeJS.Signals): Promise<number | null> {
  const ended = new Promise<number | null>((resolve) => chain.once("close", resolve));
  chain.kill(signal);
  return ended;
}

beforeAll(startChain, 60_000);
afterAll(async () => {
  if (chain.exitCode === null) await stopChain("SIGKILL");
  rmSync(home, { recursive: true, force: true });
});

describe("the chain's commands", () => {
  it("take a newcomer from nothing to a uid with stake, and on after the chain was stopped", async () => {
    expect(await event("stake list")).toMatchObject({ balance: String(10n ** 15n), stakes: [] });
    expect(await event("subnet create --set tempo=20 --set immunityPeriod=0")).toMatchObject({ netuid: 1 });
    expect((await events("subnet list"))[0]).toMatchObject({ netuid: 1, neurons: 1, params: { tempo: 20 } });
    expect(await event("stake add 1000.5 --netuid 1")).toMatchObject({ rao: "1000500000000" });

    const alice = (await events("keys create alice"))[0]?.["account"];
    await event(`transfer ${alice} 5`);
    const first = await event("register 1 --wallet alice");
    expect(first).toMatchObject({ netuid: 1, uid: 1, already: false });
    expect(await event("register 1 --wallet alice")).toMatchObject({ uid: 1, already: true, burned: "0" });

    const metagraph = await event("metagraph 1");
    expect(metagraph["neurons"]).toMatchObject([
      { uid: 0, stake: "1000500000000" },
      { uid: 1, coldkey: alice, stake: "0" },
    ]);
    expect(BigInt(String(metagraph["burnAfterNext"]))).toBeGreaterThan(BigInt(String(metagraph["burn"])));
    const { out } = await skein("metagraph 1");
    expect(out).toMatch(/registration {2}burns [\d.]+ coins now/);

    expect(await stopChain("SIGINT")).toBe(0);
    await startChain();
    expect((await event("metagraph 1"))["neurons"]).toEqual(metagraph["neurons"]);
    expect(await event("stake remove --all --netuid 1")).toMatchObject({ netuid: 1 });
    expect((await event("subnet set 1 tempo=30 minBurn=0.25"))["names"]).toEqual(["tempo", "minBurn"]);
    expect((await events("subnet show 1"))[0]).toMatchObject({ params: { tempo: 30, minBurn: "250000000" } });
  }, 120_000);

  it("say what is wrong, what to do, and end with another code than 0", async () => {
    for (const [args, code, message] of [
      ["metagraph 77", 7, /no subnet 77/],
      ["stake add 1 --netuid 77", 7, /no subnet 77/],
      ["stake add 1", 2, /--netuid/],
      ["stake add --netuid 1", 2, /amount of coins or --all/],
      ["stake add 1.0000000001 --netuid 1", 2, /amount of coins/],
      ["register 1 --wallet nobody", 2, /no coldkey nobody/],
      ["transfer 0x12 1", 2, /account/],
      ["subnet set 1 nonsense=1", 2, /no hyperparameter/],
      ["keys create default", 2, /already/],
      ["keys create ../x", 2, /cannot be the name/],
      ["metagraph 1 --rpc http://127.0.0.1:9", 7, /no chain answers/],
      ["metagraph 1 --rpc nonsense", 2, /no address of a chain/],
    ] as const) {
      const outcome = await skein(args);
      expect(outcome.err, args).toMatch(message);
      expect(outcome.err, args).toMatch(/remedy: /);
      expect(outcome.code, args).toBe(code);
    }
  }, 120_000);

  it("work over contracts that were deployed at other addresses", async () => {
    const { contracts } = (await event("chain deploy --subnet-cost 5")) as { contracts: Record<string, string> };
    expect(new Set(Object.values(contracts)).size).toBe(10);
    const there = "--contracts contracts.json";
    expect(await event(`subnet create ${there} --set tempo=50`)).toMatchObject({
      netuid: 1,
      cost: String(5n * 10n ** 9n),
    });
    expect((await event(`metagraph 1 ${there}`))["neurons"]).toMatchObject([{ uid: 0, stake: "0" }]);
    expect((await skein("metagraph 1 --contracts nowhere.json")).err).toMatch(/no file nowhere.json.*remedy: /s);
  }, 60_000);

  it("carry keys out and in again", async () => {
    const key = (await event("keys export alice"))["key"];
    expect(key).toMatch(/^0x[0-9a-f]{64}$/);
    const { code, err } = await skein("keys import bob", String(key));
    expect(code, err).toBe(0);
    const keys = await events("keys list");
    const addressOf = (name: string): unknown =>
      keys.find((k) => k["name"] === name && k["hotkey"] === null)?.["address"];
    expect(addressOf("bob")).toBe(addressOf("alice"));
  }, 60_000);
});
