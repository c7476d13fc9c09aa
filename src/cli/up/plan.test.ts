import * as fs from "node:fs";
import * as net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { chainPlan, gatewayPlan, nodesOf, trainerPlan, type UpPlan, validatorPlan } from "./plan.ts";
import { choosePorts } from "./ports.ts";

const PLAN: UpPlan = {
  ...{
    dir: "net",
    dataFolder: "net/data-2048",
    trainers: 2,
    validators: 2,
    adversaries: [],
    engine: "auto",
    threads: 1,
  },
  ...{ ports: { chain: 8545, gateway: 8640 }, host: "127.0.0.1" },
};
const LINK = "http://127.0.0.1:8640/r/00";

describe("the plan", () => {
  it("brings up services, then validators, then trainers", () => {
    expect(nodesOf(PLAN).map(({ name }) => name)).toEqual(
      "chain gateway validator-1 validator-2 trainer-1 trainer-2".split(" "),
    );
  });

  it("adds a dishonest trainer for each attack, which can read what the honest have", () => {
    const nodes = nodesOf({ ...PLAN, adversaries: ["copycat", "garbage", "copycat"] }).slice(-3);
    expect(nodes.map(({ name, role, adversary }) => [name, role, adversary])).toEqual([
      ["copycat", "trainer", "copycat"],
      ["garbage", "trainer", "garbage"],
      ["copycat-2", "trainer", "copycat"],
    ]);
    const { args } = trainerPlan(PLAN, { name: "copycat-2", adversary: "copycat" }, LINK);
    expect(args.join(" ")).toMatch(
      /--keys net\/copycat-2\/keys .* --adversary copycat --leak net\/trainer-1 net\/trainer-2$/,
    );
  });

  it("says to each what it needs, and to trainers nothing but the link", () => {
    const words = (plan: { args: readonly string[] }): string => plan.args.join(" ");
    expect(words(chainPlan(PLAN))).toBe(
      "chain --block-time 1 --folder net/chain --port 8545 --keys net/owner --wallet owner --json",
    );
    expect(words(gatewayPlan(PLAN, "http://127.0.0.1:8545"))).toBe(
      "launch net/run.json --data net/data-2048 --dir net/gateway --rpc http://127.0.0.1:8545 --keys net/owner --wallet owner " +
        "--hotkey validator-1 --stake 1000 --host 127.0.0.1 --port 8640 --faucet 10000 --json",
    );
    expect(words(validatorPlan(PLAN, "validator-2", LINK))).toBe(
      `validate ${LINK} --keys net/owner --wallet owner --hotkey validator-2 --stake 600 --dir net/validator-2 --engine auto --threads 1 --json`,
    );
    expect(words(trainerPlan(PLAN, { name: "trainer-1" }, LINK))).toBe(
      `join ${LINK} --keys net/trainer-1/keys --dir net/trainer-1 --engine auto --threads 1 --json`,
    );
  });

  it("keeps services going whatever happens; nodes may end", () => {
    const all = [
      chainPlan(PLAN),
      gatewayPlan(PLAN, ""),
      validatorPlan(PLAN, "validator-1", ""),
      trainerPlan(PLAN, { name: "t" }, ""),
    ];
    expect(all.map(({ forever }) => forever === true)).toEqual([true, true, false, false]);
  });
});

describe("the ports", () => {
  let dir = "";
  beforeAll(() => {
    dir = fs.mkdtempSync(path.join(tmpdir(), "skein-ports-"));
  });
  afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));

  it("are kept, but for one that somebody else has taken", async () => {
    const first = await choosePorts(dir);
    expect(first.chain).not.toBe(first.gateway);
    const taken = net.createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const { port } = taken.address() as net.AddressInfo;
    fs.writeFileSync(path.join(dir, "up.json"), JSON.stringify({ ports: { ...first, gateway: port } }));
    const second = await choosePorts(dir);
    await new Promise((resolve) => taken.close(resolve));
    expect(second.gateway).not.toBe(port);
    expect(JSON.parse(fs.readFileSync(path.join(dir, "up.json"), "utf8"))).toEqual({ ports: second });
  });

  it("are chosen anew where the file says nothing sensible", async () => {
    for (const text of [
      "",
      "{",
      "null",
      '{"ports":{"chain":0,"gateway":"x"}}',
      '{"ports":{"chain":5,"gateway":70000}}',
    ]) {
      fs.writeFileSync(path.join(dir, "up.json"), text);
      const { chain, gateway } = await choosePorts(dir);
      for (const port of [chain, gateway]) expect(port > 5 && port < 65_536, text).toBe(true);
    }
  });
});
