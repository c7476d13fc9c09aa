/**
 * Neurons.sol on anvil among its real peers: a subnet from its creation over registrations, stake, commits, epochs, reveals and pruning;
 * whose the money is afterwards; what each step costs.
 */
import type { Address, Hex } from "viem";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Contract, NeuronWorld } from "../helpers/neurons.ts";
import { accountOf, compiled, PARAMS, person, startNeurons } from "../helpers/neurons.ts";

let world: NeuronWorld;
let us: Address;
let real: Record<"neurons" | "staking" | "subnets" | "epochs" | "extras" | "metagraph", Contract>;
const SALT = [7, 8, 9];

beforeAll(async () => {
  const artifact = compiled(["Neurons", "Staking", "Subnets", "Epochs", "EpochPages", "Extras", "Metagraph"]);
  world = await startNeurons();
  us = world.anvil.client.account.address;
  const deploy = async (name: string): Promise<Contract> => world.at(await world.deploy(name), artifact(name).abi);
  const [neurons, staking, subnets] = [await deploy("Neurons"), await deploy("Staking"), await deploy("Subnets")];
  const [epochs, extras, metagraph] = [await deploy("Epochs"), await deploy("Extras"), await deploy("Metagraph")];
  real = { neurons, staking, subnets, epochs, extras, metagraph };
  const links = {
    staking: staking.address,
    subnets: subnets.address,
    neurons: neurons.address,
    epochs: epochs.address,
  };
  const people = Array.from({ length: 400 }, (_, i) => accountOf(person(i)));
  await staking.send(
    us,
    "initialize",
    links,
    people,
    people.map(() => 10n ** 13n),
  );
  await subnets.send(us, "initialize", links, 1_000_000_000n, 100n);
  await epochs.send(us, "initialize", links, await world.deploy("EpochPages"));
  for (const contract of [neurons, extras, metagraph]) await contract.send(us, "initialize", links);
}, 120_000);
afterAll(() => world?.anvil.stop());

const must = <T>(value: T | undefined): T => {
  if (value === undefined) throw new Error("nothing there");
  return value;
};

it("runs from a subnet's creation to a pruned neuron's money", async () => {
  const { neurons, staking, subnets, epochs, extras, metagraph } = real;
  const gas: Record<string, number> = {};
  const n = 256;
  const account = (i: number): Hex => accountOf(person(i));
  const params = {
    ...{ ...PARAMS, tempo: 400, maxUids: n, immunityPeriod: 100, minNonImmuneUids: 10, maxBurn: 500_000n },
    ...{ commitReveal: true, weightsSetRateLimit: 0n, servingRateLimit: 0n },
  };
  gas["subnet"] = (await subnets.send(person(0), "createSubnet", account(0), 10n ** 12n, params)).gas;
  for (let i = 1; i < n; i++)
    gas[`register ${i}`] = (await neurons.send(person(i), "burnedRegister", 1, account(i))).gas;
  for (const i of [1, 2]) await staking.send(person(i), "addStake", account(i), 10n ** 12n, 1n);
  const push = async (): Promise<void> => {
    const due = Number(await epochs.read("lastEpochBlock", 1)) + 400;
    await world.before(due + 1);
    expect(await neurons.refusal(person(300), "burnedRegister", 1, account(300))).toBe("EpochDue(1)");
    for (let page = 0; (await epochs.read("frozen", 1)) === true; page++) {
      await epochs.send(us, "step", 1, 64n);
      expect(page).toBeLessThan(40);
    }
  };
  await push(); // permits
  expect(await metagraph.read("getValidatorStatus", 1, 1)).toBe(true);
  const uids = Array.from({ length: n }, (_, uid) => uid);
  const votes = {
    1: uids.map((uid) => (uid > 2 ? 60_000 - uid : 0)),
    2: uids.map((uid) => (uid > 2 ? 59_000 + uid : 0)),
  };
  for (const i of [1, 2] as const) {
    const hash = await neurons.read("commitHashOf", 1, account(i), uids, votes[i], SALT, 0n);
    gas["commit"] = (await neurons.send(person(i), "commitWeights", 1, hash)).gas;
  }
  const early = await neurons.refusal(person(1), "revealWeights", 1, uids, votes[1], SALT, 0n);
  expect(early).toMatch(/^RevealTooEarly\(1, \d+\)$/);
  await push();
  for (const i of [1, 2] as const)
    gas["reveal"] = (await neurons.send(person(i), "revealWeights", 1, uids, votes[i], SALT, 0n)).gas;
  await push();
  const graph = await extras.read<{ neurons: { uid: number; emission: bigint; incentive: number; hotkey: Hex }[] }>(
    "getMetagraph",
    1,
  );
  expect(graph.neurons.filter(({ incentive }) => incentive > 0).length).toBe(n - 3);
  // who is pruned keeps what it earned
  const [next] = await extras.read<number[]>("getPruneOrder", 1);
  const victim = must(graph.neurons[must(next)]);
  const earned = await staking.read<bigint>("earnedOf", victim.hotkey);
  gas["register and prune"] = (await neurons.send(person(300), "burnedRegister", 1, account(300))).gas;
  expect(await neurons.read("uidOf", 1, account(300))).toBe(victim.uid);
  expect(await metagraph.read("getEmission", 1, victim.uid)).toBe(0n);
  expect(await staking.read("earnedOf", victim.hotkey)).toBe(earned);
  if (earned > 0n) {
    const before = await staking.read<bigint>("balanceOf", victim.hotkey);
    await staking.send(us, "claimFor", victim.hotkey);
    expect(await staking.read("balanceOf", victim.hotkey)).toBe(before + earned);
  }
  const rows = await extras.read<{ uids: number[] }[]>("getWeights", 1);
  for (const row of rows) expect(row.uids).not.toContain(victim.uid);
  gas["register and prune, some earned nothing"] = (
    await neurons.send(person(301), "burnedRegister", 1, account(301))
  ).gas;
  const { "register 255": register, ...rest } = Object.fromEntries(
    Object.entries(gas).filter(([name]) => !/^register \d+$/.test(name) || name === "register 255"),
  );
  console.log("gas:", { register, ...rest });
  expect(gas["register and prune"]).toBeLessThan(1_200_000);
}, 60_000);
