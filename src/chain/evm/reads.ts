/** The reading half of the EVM client: each question is one call to a view, whose answer is turned into the seam's types. */
import type { ContractFunctionReturnType, Hex } from "viem";
import type {
  Address,
  Chain,
  Hash,
  Metagraph,
  Neuron,
  RoundCommit,
  RoundDecision,
  RoundVote,
  RunRecord,
  RunTerms,
  Subnet,
  SubnetParams,
  WeightVector,
} from "../chain.ts";
import { HASHES_KEPT, NULL_HASH, type Phase, roundStart, uidsOf } from "../rounds.ts";
import { EXTRAS_ABI, ROUND_BOOK_ABI, STAKING_ABI, SUBNETS_ABI } from "./abi.ts";
import type { AddressBook } from "./deploy.ts";
import { type At, asked, blockAt, isCount, isU64, type Link, nonsense, shownBlock, shownState } from "./link.ts";

/** How often answers of one block are asked for. */
const TRIES_MAX = 4;

/** What a subnet's getters and setters speak of. */
export type ParamsView = ContractFunctionReturnType<typeof SUBNETS_ABI, "view", "params">;
type MetagraphView = ContractFunctionReturnType<typeof EXTRAS_ABI, "view", "getMetagraph">;
type SubnetView = ContractFunctionReturnType<typeof EXTRAS_ABI, "view", "getSubnet">;
type RowsView = ContractFunctionReturnType<typeof EXTRAS_ABI, "view", "getWeights">;

/** Hyperparameters as the contracts have them. Throws SkeinError("chain") where they are none that a contract could have. */
export function paramsOf(view: ParamsView): SubnetParams {
  if (!Object.values(view).every((value) => typeof value === "boolean" || isU64(BigInt(value))))
    throw nonsense("settings");
  const { registrationBlock: _block, ...rest } = view;
  return {
    ...rest,
    weightsSetRateLimit: Number(rest.weightsSetRateLimit),
    servingRateLimit: Number(rest.servingRateLimit),
    bondsMovingAverage: Number(rest.bondsMovingAverage),
    revealInterval: Number(rest.revealInterval),
    alphaSteepness: (rest.alphaSteepness << 16) >> 16,
  };
}

/** Hyperparameters for the contracts, over those that hold now. */
export function paramsView(now: ParamsView, change: Partial<SubnetParams>): ParamsView {
  const params = { ...paramsOf(now), ...change };
  return {
    ...params,
    registrationBlock: now.registrationBlock,
    weightsSetRateLimit: BigInt(params.weightsSetRateLimit),
    servingRateLimit: BigInt(params.servingRateLimit),
    bondsMovingAverage: BigInt(params.bondsMovingAverage),
    revealInterval: BigInt(params.revealInterval),
    alphaSteepness: params.alphaSteepness & 0xffff,
  };
}

function subnetOf(view: SubnetView): Subnet {
  const { netuid, owner, ownerHotkey, burn, neurons, stake, pending, epochIndex, lastBlock, dueBlock, open } = view;
  return {
    netuid,
    owner,
    ownerHotkey,
    registrationBlock: Number(view.params.registrationBlock),
    params: paramsOf(view.params),
    burn,
    neurons,
    stake,
    pending,
    epoch: { index: Number(epochIndex), lastBlock: Number(lastBlock), dueBlock: Number(dueBlock), open },
  };
}

function neuronOf(view: MetagraphView["neurons"][number]): Neuron {
  const { stakeWeight: _weight, ...rest } = view;
  return {
    ...rest,
    hotkeyAddress: view.hotkeyAddress.toLowerCase() as Hex,
    registeredAt: Number(view.registeredAt),
    lastUpdate: Number(view.lastUpdate),
  };
}

function metagraphOf(view: MetagraphView): Metagraph {
  const neurons = view.neurons.map(neuronOf);
  if (!isCount(view.blockNumber) || neurons.some(({ uid }, i) => uid !== i)) throw nonsense("metagraph");
  return { block: Number(view.blockNumber), subnet: subnetOf(view.subnet), neurons };
}

function rowsOf(rows: RowsView): ReadonlyMap<number, WeightVector> {
  return new Map(rows.map(({ uid, uids, values }) => [uid, { uids, values }]));
}

/** What is read from the chain's state. */
export type Reads = Omit<Chain, "as" | "chainId" | "lag" | "head" | "blockHash" | "waitForBlock" | "close">;

/** Answers from the chain's state. */
export function readsOf(link: Link, book: AddressBook): Reads {
  const { client } = link;
  const extras = { address: book.extras, abi: EXTRAS_ABI } as const;
  const staking = { address: book.staking, abi: STAKING_ABI } as const;
  const registry = { address: book.subnets, abi: SUBNETS_ABI } as const;
  return {
    async subnets() {
      const at = await shownState(link);
      const views = await asked("subnets", client.readContract({ ...extras, ...at, functionName: "getSubnets" }));
      return views.map(subnetOf);
    },
    async metagraph(netuid) {
      const at = await shownState(link);
      const view = client.readContract({ ...extras, ...at, functionName: "getMetagraph", args: [netuid] });
      return metagraphOf(await asked("metagraph", view));
    },
    async weights(netuid) {
      const contract = { ...extras, ...(await shownState(link)), args: [netuid] } as const;
      return rowsOf(await asked("weights", client.readContract({ ...contract, functionName: "getWeights" })));
    },
    async bonds(netuid) {
      const contract = { ...extras, ...(await shownState(link)), args: [netuid] } as const;
      return rowsOf(await asked("bonds", client.readContract({ ...contract, functionName: "getBonds" })));
    },
    async funds(coldkey) {
      const args = [coldkey] as const;
      const [balance, earned, stakes] = await ofOneBlock(link, "funds", (at) =>
        Promise.all([
          client.readContract({ ...staking, ...at, functionName: "balanceOf", args }),
          client.readContract({ ...staking, ...at, functionName: "earnedOf", args }),
          client.readContract({ ...staking, ...at, functionName: "positionsOf", args }),
        ]),
      );
      return { balance, earned, stakes: stakes.filter(({ rao }) => rao > 0n) };
    },
    async issuance() {
      const contract = { ...staking, ...(await shownState(link)) } as const;
      const [total, perBlock] = await asked("issuance", client.readContract({ ...contract, functionName: "issuance" }));
      return { total, perBlock };
    },
    async subnetCost() {
      const contract = { ...registry, ...(await shownState(link)) } as const;
      return asked("a subnet's cost", client.readContract({ ...contract, functionName: "nextLockCost" }));
    },
    ...roundsOf(link, book),
  };
}

/** Several answers that belong together: of one block; or asked again while blocks come in between (where they come all the time, the last are taken). */
async function ofOneBlock<T>(link: Link, doing: string, ask: (at: At) => Promise<T>): Promise<T> {
  const { client } = link;
  const at = await shownState(link);
  if ("blockNumber" in at) return asked(doing, ask(at));
  for (let tries = 1; ; tries++) {
    const [before, answers, after] = await asked(
      doing,
      Promise.all([client.getBlockNumber({ cacheTime: 0 }), ask(at), client.getBlockNumber({ cacheTime: 0 })]),
    );
    if (before === after || tries === TRIES_MAX) return answers;
  }
}

/** Commits, votes and decisions of rounds. */
export function roundsOf(link: Link, book: AddressBook): Pick<Reads, "run" | "commits" | "votes" | "decision"> {
  const { client } = link;
  const contract = { address: book.roundBook, abi: ROUND_BOOK_ABI } as const;
  const roundArgs = (runId: number, round: number) => ({ runId: BigInt(runId), round: BigInt(round) });
  const run = async (runId: number): Promise<RunRecord> => {
    const at = await shownState(link);
    const view = client.readContract({ ...contract, ...at, functionName: "runOf", args: [BigInt(runId)] });
    const [clock, owner, genesisRoot, specs] = await asked("a run", view);
    const { voted: _voted, startBlock, ...terms } = clock;
    const list = specs.map(({ fromRound, specHash }) => ({ fromRound: Number(fromRound), specHash }));
    const specHash = list[0]?.specHash ?? NULL_HASH;
    return { ...terms, startBlock: Number(startBlock), specHash, genesisRoot, runId, owner, specs: list };
  };
  return {
    run,
    async commits(runId, round) {
      const span = await spanOf(link, await run(runId), round, "train");
      if (!span) return [];
      const args = roundArgs(runId, round);
      const filter = { ...contract, ...span, eventName: "Committed", args, strict: true } as const;
      const logs = await asked("commits", client.getContractEvents(filter));
      return lastOfEach(logs, book.roundBook, { ...span, ...args }).map(({ args: said, blockNumber }): RoundCommit => {
        const { uid, hotkey, payloadHash } = said;
        return { uid, hotkey, payloadHash, block: Number(blockNumber) };
      });
    },
    // The contract itself keeps the votes of the newest round only.
    async votes(runId, round) {
      const span = await spanOf(link, await run(runId), round, "vote");
      if (!span) return [];
      const args = roundArgs(runId, round);
      const filter = { ...contract, ...span, eventName: "Voted", args, strict: true } as const;
      const logs = await asked("votes", client.getContractEvents(filter));
      return lastOfEach(logs, book.roundBook, { ...span, ...args }).map(({ args: said }): RoundVote => {
        const { uid, bitmap, stateRoot } = said;
        return { uid, uids: uidsOf(bitmap), stateRoot };
      });
    },
    async decision(runId, round): Promise<RoundDecision | undefined> {
      const args = [BigInt(runId), BigInt(round)] as const;
      const seen = { ...contract, ...(await shownState(link)) } as const;
      const found = await asked("a decision", client.readContract({ ...seen, functionName: "decisionOf", args }));
      if (found.decidedAt === 0n) return undefined;
      const { incentives, seed, decidedAt } = found;
      const accepted = uidsOf(found.accepted);
      if (incentives.length !== accepted.length || !isCount(decidedAt)) throw nonsense("a decision");
      const stateRoot = found.stateRoot === NULL_HASH ? undefined : found.stateRoot;
      return { round, accepted, incentives, seed, stateRoot, block: Number(decidedAt) };
    },
  };
}

/** An event about one uid in a round. */
interface RoundEvent {
  readonly address: string;
  readonly blockNumber: bigint;
  readonly args: { readonly runId: bigint; readonly round: bigint; readonly uid: number };
}

interface Span {
  readonly fromBlock: bigint;
  readonly toBlock: bigint;
}

/** The blocks so far of a round's phase; undefined before its first. */
async function spanOf(
  link: Link,
  terms: RunTerms,
  round: number,
  phase: Exclude<Phase, "reveal">,
): Promise<Span | undefined> {
  const first = BigInt(roundStart(terms, round, phase));
  const last = first + BigInt(phase === "train" ? terms.trainBlocks : terms.voteBlocks) - 1n;
  const head = await shownBlock(link);
  return head < first ? undefined : { fromBlock: first, toBlock: head < last ? head : last };
}

/** The last event of each uid, by uid. Throws where a node has sent others than were asked for. */
function lastOfEach<T extends RoundEvent>(
  logs: readonly T[],
  contract: Address,
  wanted: Span & Pick<RoundEvent["args"], "runId" | "round">,
): T[] {
  const byUid = new Map<number, T>();
  for (const log of logs) {
    const { args, blockNumber, address } = log;
    const isRound = args.runId === wanted.runId && args.round === wanted.round;
    const isThere = address.toLowerCase() === contract.toLowerCase() && isCount(blockNumber);
    if (!isRound || !isThere || blockNumber < wanted.fromBlock || blockNumber > wanted.toBlock)
      throw nonsense("events");
    byUid.set(args.uid, log);
  }
  return [...byUid.values()].sort((a, b) => a.args.uid - b.args.uid);
}

/** Hash of a block that the chain still vouches for. */
export async function blockHashOf(link: Link, block: number): Promise<Hash | undefined> {
  if (block < 0) return undefined;
  const head = Number(await shownBlock(link));
  if (block > head || block < head - HASHES_KEPT) return undefined;
  return (await blockAt(link, block)).hash;
}
