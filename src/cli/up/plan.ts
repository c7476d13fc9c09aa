/** Who belongs to the network of `skein up`, where each keeps its things, and what each is started with. Pure. */
import type { EngineName } from "../../engine/open.node.ts";
import type { NodeRole } from "./board.ts";
import type { ChildPlan } from "./supervisor.ts";

/** Everything that decides how the nodes are started. */
export interface UpPlan {
  /** Where all of it is kept. */
  readonly dir: string;
  readonly dataFolder: string;
  readonly trainers: number;
  readonly validators: number;
  /** Kinds of attack (sim/adversary/): each is a further trainer, and a dishonest one. */
  readonly adversaries: readonly string[];
  readonly engine: EngineName;
  /** Compute threads of each node. */
  readonly threads: number;
  readonly ports: Ports;
  /** The gateway's address; any but this machine's own lets others join. */
  readonly host: string;
}

/** Ports of chain and gateway. */
export interface Ports {
  readonly chain: number;
  readonly gateway: number;
}

/** Seconds of a block: the laptop preset's. */
const BLOCK_SECONDS = 1;
const WALLET = "owner";
/** Coins that the first validator has staked, and each further one: the first is a majority of two, any two are one of three. */
const STAKE_FIRST = 1000;
const STAKE_FURTHER = 600;
/** Coins that the gateway gives to newcomers in all. */
const FAUCET_COINS = 10_000;

/** What else is kept: the run's spec, its link, the history of what the nodes told, the gateway's blobs, the model to write with. */
export function filesOf(dir: string): Readonly<Record<"spec" | "link" | "history" | "blobs" | "model", string>> {
  return {
    ...{ spec: `${dir}/run.json`, link: `${dir}/link`, history: `${dir}/log.jsonl` },
    ...{ blobs: `${dir}/gateway/store`, model: `${dir}/model` },
  };
}

/** A node as it is planned. */
export interface PlannedNode {
  readonly name: string;
  readonly role: NodeRole;
  /** The attack that it makes, where it is dishonest. */
  readonly adversary?: string;
}

/** All nodes, in the order in which they come up. A dishonest one has its attack's name. */
export function nodesOf({
  trainers,
  validators,
  adversaries,
}: Pick<UpPlan, "trainers" | "validators" | "adversaries">): PlannedNode[] {
  return [
    { name: "chain", role: "chain" },
    { name: "gateway", role: "gateway" },
    ...numbered("validator", validators),
    ...numbered("trainer", trainers),
    ...adversaries.map((adversary, i): PlannedNode => {
      const nth = adversaries.slice(0, i).filter((other) => other === adversary).length + 1;
      return { name: nth === 1 ? adversary : `${adversary}-${nth}`, role: "trainer", adversary };
    }),
  ];
}

function numbered(role: "validator" | "trainer", count: number): PlannedNode[] {
  return Array.from({ length: count }, (_, i) => ({ name: `${role}-${i + 1}`, role }));
}

/** The chain. It makes the wallet that owns all coins. */
export function chainPlan({ dir, ports }: UpPlan): ChildPlan {
  const where = ["--folder", `${dir}/chain`, "--port", String(ports.chain), ...ownerOf(dir)];
  return { name: "chain", forever: true, args: ["chain", "--block-time", String(BLOCK_SECONDS), ...where, "--json"] };
}

/** Subnet, run and gateway. Uid 0 is the hotkey of the first validator. */
export function gatewayPlan({ dir, dataFolder, ports, host }: UpPlan, rpcUrl: string): ChildPlan {
  const what = [filesOf(dir).spec, "--data", dataFolder, "--dir", `${dir}/gateway`, "--rpc", rpcUrl];
  const who = [...ownerOf(dir), "--hotkey", "validator-1", "--stake", String(STAKE_FIRST)];
  const how = ["--host", host, "--port", String(ports.gateway), "--faucet", String(FAUCET_COINS)];
  return { name: "gateway", forever: true, args: ["launch", ...what, ...who, ...how, "--json"] };
}

/** A validator: its coldkey is the owner's. */
export function validatorPlan(plan: UpPlan, name: string, link: string): ChildPlan {
  const stake = String(name === "validator-1" ? STAKE_FIRST : STAKE_FURTHER);
  const who = [...ownerOf(plan.dir), "--hotkey", name, "--stake", stake];
  return { name, args: ["validate", link, ...who, ...placeOf(plan, name)] };
}

/** A trainer: a stranger to all others, with keys of its own and nothing but the link. A dishonest one can read the folders of the honest. */
export function trainerPlan(plan: UpPlan, { name, adversary }: Omit<PlannedNode, "role">, link: string): ChildPlan {
  const args = ["join", link, "--keys", `${plan.dir}/${name}/keys`, ...placeOf(plan, name)];
  if (adversary === undefined) return { name, args };
  const leaks = numbered("trainer", plan.trainers).map((honest) => `${plan.dir}/${honest.name}`);
  return { name, args: [...args, "--adversary", adversary, ...(leaks.length > 0 ? ["--leak", ...leaks] : [])] };
}

function placeOf({ dir, engine, threads }: UpPlan, name: string): string[] {
  return ["--dir", `${dir}/${name}`, "--engine", engine, "--threads", String(threads), "--json"];
}

function ownerOf(dir: string): string[] {
  return ["--keys", `${dir}/owner`, "--wallet", WALLET];
}
