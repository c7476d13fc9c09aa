/**
 * What epochs of the contract cost: a subnet of any size on stubs of the other contracts, epoch after epoch, each with somewhat other
 * votes than the one before.
 */
import type { Abi, Hex } from "viem";
import { encodeFunctionData } from "viem";
import { seededRandom } from "../../src/base/random.ts";
import type { EpochParams } from "../../src/chain/yuma/types.ts";
import type { Anvil } from "./anvil.ts";
import { artifact, deploy, packRow, send } from "./epoch-lab.ts";
import { epochParams } from "./epochs.ts";

/** Size and kind of the subnet. */
export interface GasPlan {
  readonly validators: number;
  readonly uids: number;
  /** How many uids are voted for, the last ones; all unless given. */
  readonly named?: number;
  readonly epochs: number;
  readonly params?: Partial<EpochParams>;
  /** Whether medians are supplied; with them so many columns of bonds are done in the same transaction. */
  readonly medians: number | false;
  /** Columns of each other step; opening and finish count as many as there are uids. */
  readonly columns: number;
}

/** Gas of the transactions of one epoch. */
export interface EpochGas {
  /** In order, the opening first. */
  readonly steps: readonly number[];
  readonly total: number;
  readonly largest: number;
}

const NETUID = 1;
const TEMPO = 10;
const RAO = 7_200_000_000_000n;
const hotkeyOf = (uid: number): Hex => `0x${(4n * BigInt(uid) + 0x10004n).toString(16).padStart(64, "0")}`;

/** A subnet on its own contracts: `Epochs`, and stubs of the others. */
export interface Subnet {
  readonly neurons: Contract;
  readonly staking: Contract;
  /** Sends a call of `Epochs`, or of another contract; returns the gas it took. */
  push(functionName: string, args: readonly unknown[], to?: Contract): Promise<number>;
  /** Calls `Epochs` without sending; rejects with what it reverts with. */
  simulate(functionName: string, args: readonly unknown[]): Promise<unknown>;
  /** Reads a view of `Epochs` about the subnet. */
  read(functionName: string): Promise<unknown>;
  /** Lets blocks pass until the next epoch is due, with rao to share out. */
  untilDue(): Promise<void>;
}

interface Contract {
  readonly address: Hex;
  readonly abi: Abi;
}

/** The subnet `NETUID` with the plan's neurons, none of whom has voted. `staking` names another stub of the ledger. */
export async function subnetOf(
  { client }: Anvil,
  plan: Pick<GasPlan, "validators" | "uids" | "params"> & { readonly staking?: string },
): Promise<Subnet> {
  const names = ["test/EpochSubnetsStub", "test/EpochNeuronsStub", plan.staking ?? "test/EpochStakingStub", "Epochs"];
  const contracts: Contract[] = [];
  for (const name of names) {
    const { abi, bytecode } = artifact(name);
    contracts.push({ address: await deploy(client, { bytecode }), abi });
  }
  const [subnets, neurons, staking, epochs] = contracts as [Contract, Contract, Contract, Contract];
  const pages = await deploy(client, artifact("EpochPages"));
  const push = async (functionName: string, args: readonly unknown[], to = epochs): Promise<number> =>
    Number((await send(client, to, functionName, args)).gasUsed);
  const [s, n, k, e] = contracts.map(({ address }) => address);
  await push("initialize", [{ staking: k, subnets: s, neurons: n, epochs: e }, pages]);
  await push("set", [NETUID, paramsOf(plan), hotkeyOf(1000), hotkeyOf(0)], subnets);
  const uids = Array.from({ length: plan.uids }, (_, uid) => uid);
  const lastUpdate = await client.getBlockNumber();
  const slot = { registeredAt: 1n, lastUpdate, oldestCommit: 0n, rowSum: 0 };
  await push("setSlots", [NETUID, uids.map((uid) => ({ ...slot, hotkey: hotkeyOf(uid) }))], neurons);
  const stake = uids.map((uid) => (uid < plan.validators ? BigInt(1_000_000 + 7919 * uid) * 1_000_000n : 0n));
  await push("setStake", [uids.map(hotkeyOf), stake], staking);
  // Its first epoch is past: from here on the subnet is TEMPO blocks away from the next.
  await client.mine({ blocks: TEMPO });
  if (plan.staking === undefined) await push("step", [NETUID, 1_000_000]);
  const simulate = async (functionName: string, args: readonly unknown[]): Promise<unknown> => {
    const data = encodeFunctionData({ abi: epochs.abi, functionName, args });
    return client.call({ account: client.account, to: epochs.address, data, gas: 900_000_000n });
  };
  return {
    neurons,
    staking,
    push,
    simulate,
    read: (functionName) => client.readContract({ ...epochs, functionName, args: [NETUID] }),
    untilDue: async () => {
      await push("fund", [NETUID, RAO], staking);
      await client.mine({ blocks: TEMPO });
    },
  };
}

/** Plays `plan.epochs` epochs and returns what each cost. */
export async function measureEpochs(anvil: Anvil, plan: GasPlan): Promise<EpochGas[]> {
  const { neurons, push, read, untilDue } = await subnetOf(anvil, plan);
  const uids = Array.from({ length: plan.uids }, (_, uid) => uid);
  const epoch = async (): Promise<EpochGas> => {
    await untilDue();
    const steps = [await push("step", [NETUID, plan.uids])];
    for (;;) {
      const [stage] = (await read("progress")) as [number];
      if (stage === 0) break;
      const medians = stage === 1 && plan.medians !== false;
      steps.push(
        medians
          ? await push("stepWithMedians", [NETUID, await read("medians"), plan.medians])
          : await push("step", [NETUID, plan.columns]),
      );
    }
    return { steps, total: steps.reduce((a, b) => a + b), largest: Math.max(...steps) };
  };
  const results: EpochGas[] = [];
  const random = seededRandom("gas");
  const unnamed = plan.uids - (plan.named ?? plan.uids);
  const opinion = uids.map(() => 200 + random.below(20_000));
  for (let round = 0; round < plan.epochs; round++) {
    for (let uid = 0; uid < plan.validators; uid++) {
      const values = opinion.map((value, j) => (j === uid || j < unnamed ? 0 : value + random.below(2000)));
      await push("setRow", [NETUID, uid, packRow({ uids, values }, plan.uids)], neurons);
    }
    await push("setLastUpdate", [NETUID, await anvil.client.getBlockNumber()], neurons);
    results.push(await epoch());
  }
  return results;
}

function paramsOf({ params = {} }: Pick<GasPlan, "params">): Record<string, unknown> {
  const p: EpochParams = { ...epochParams, ...params };
  const unused = {
    weightsVersionKey: 0n,
    weightsSetRateLimit: 0n,
    servingRateLimit: 0n,
    minBurn: 0n,
    maxBurn: 0n,
    revealInterval: 1n,
    burnHalfLife: 0,
    burnIncreaseMult: 0,
    immunityPeriod: 0,
    minAllowedWeights: 1,
    rho: 0,
    maxUids: 256,
    minNonImmuneUids: 0,
    registrationAllowed: true,
    commitReveal: true,
  };
  return {
    ...unused,
    ...p,
    registrationBlock: 1n,
    tempo: TEMPO,
    bondsMovingAverage: BigInt(p.bondsMovingAverage),
    ownerCut: 11_796,
  };
}
