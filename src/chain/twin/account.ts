/**
 * The writing half of the twin: one holder of a key. Like any client it pushes an epoch that is due and tries again, so that nobody
 * above has to know that epochs are pushed.
 */
import { must } from "../../base/assert.ts";
import { SkeinError } from "../../base/errors.ts";
import type { ChainAccount, Hash, Receipt, RunTerms, Signer, SubnetParams, WeightVector } from "../chain.ts";
import { refusalName } from "../errors.ts";
import type { BlockState, Included, Submit } from "./blocks.ts";
import { runEpoch } from "./epochs.ts";
import { addStake, claim, moveStake, removeStake, setTake, transfer } from "./ledger.ts";
import { register } from "./neurons.ts";
import { claimDigest } from "./proof.ts";
import { commitPayload, createRun, decideRound, type Moment, upgradeRun, vote } from "./rounds.ts";
import { isDue, subnetOf, type World } from "./state.ts";
import { createSubnet, setParams } from "./subnets.ts";
import { commitWeights, revealWeights, setWeights } from "./weights.ts";

/** What an account needs of its chain. */
export interface AccountContext {
  readonly signer: Signer;
  readonly world: () => World;
  readonly blocks: () => BlockState;
  readonly submit: Submit;
}

/** Epochs that may come due while one transaction waits, before it gives up. */
const PUSHES_MAX = 3;

type Change<T> = (world: World, block: number) => T;

/** Puts a change into a block; an epoch that is due comes first. */
type Send = <T>(text: string, change: Change<T>) => Promise<Included<T>>;

/** Acts as the holder of `signer`'s key. */
export function accountFor(context: AccountContext): ChainAccount {
  const send = sender(context);
  const plain = async (text: string, change: Change<unknown>): Promise<Receipt> => (await send(text, change)).receipt;
  return {
    account: context.signer.account,
    ...money(context.signer.account, plain),
    ...membership(context, send, plain),
    ...votes(context.signer.account, plain),
    ...rounds(context, send, plain),
    stepEpoch: (netuid) => stepEpoch(context, netuid),
  };
}

function sender(context: AccountContext): Send {
  return async (text, change) => {
    for (let pushes = 0; ; pushes++) {
      try {
        return await put(context, text, change);
      } catch (thrown) {
        const netuid = pushes < PUSHES_MAX ? epochDue(thrown) : undefined;
        if (netuid === undefined) throw thrown;
        await stepEpoch(context, netuid).catch(unlessRefused); // somebody else may have been faster
      }
    }
  };
}

function put<T>({ signer, world, submit }: AccountContext, text: string, change: Change<T>): Promise<Included<T>> {
  const { account } = signer;
  return submit({ sender: account, text: `${account} ${text}`, change: (block) => change(world(), block) });
}

function unlessRefused(thrown: unknown): void {
  if (refusalName(thrown) === undefined) throw thrown;
}

function epochDue(thrown: unknown): number | undefined {
  const match = thrown instanceof SkeinError ? /^EpochDue\((\d+)\)$/.exec(thrown.details ?? "") : undefined;
  return match?.[1] === undefined ? undefined : Number(match[1]);
}

async function stepEpoch(context: AccountContext, netuid: number): Promise<Receipt | undefined> {
  const { world, blocks } = context;
  if (!isDue(subnetOf(world(), netuid), blocks().head.block + 1)) return undefined;
  const push: Change<void> = (now, block) => runEpoch(now, netuid, block);
  return (await put(context, textOf("stepEpoch", netuid), push)).receipt;
}

type Plain = (text: string, change: Change<unknown>) => Promise<Receipt>;
type Money = "transfer" | "addStake" | "removeStake" | "moveStake" | "setTake" | "claim";

function money(account: Hash, plain: Plain): Pick<ChainAccount, Money> {
  return {
    transfer: (to, rao) => plain(textOf("transfer", to, rao), ({ ledger }) => transfer(ledger, account, to, rao)),
    addStake: (netuid, hotkey, rao) =>
      plain(textOf("addStake", netuid, hotkey, rao), (world, block) =>
        addStake(world, { coldkey: account, netuid, hotkey, rao, block }),
      ),
    removeStake: (netuid, hotkey, rao) =>
      plain(textOf("removeStake", netuid, hotkey, rao), (world, block) =>
        removeStake(world, { coldkey: account, netuid, hotkey, rao, block }),
      ),
    moveStake: (from, to, rao) =>
      plain(textOf("moveStake", from.netuid, from.hotkey, to.netuid, to.hotkey, rao), (world, block) =>
        moveStake(world, { coldkey: account, rao, block, ...from }, to),
      ),
    setTake: (hotkey, take) =>
      plain(textOf("setTake", hotkey, take), ({ ledger }) => setTake(ledger, account, hotkey, take)),
    claim: () => plain("claim", ({ ledger }) => claim(ledger, account)),
  };
}

type Membership = "createSubnet" | "setSubnet" | "register";

function membership({ signer, world }: AccountContext, send: Send, plain: Plain): Pick<ChainAccount, Membership> {
  const coldkey = signer.account;
  const proofOf = async (netuid: number, hotkey: Signer): Promise<Uint8Array | undefined> => {
    if (hotkey.account === coldkey) return undefined;
    const { chainId, nonces } = world();
    return hotkey.sign(claimDigest({ chainId, netuid, coldkey, nonce: nonces.get(hotkey.account) ?? 0 }));
  };
  return {
    async createSubnet(hotkey, costMax, params = {}) {
      const netuid = world().subnets.size + 1;
      const proof = await proofOf(netuid, hotkey);
      const { account, address } = hotkey;
      const { receipt, value } = await send(textOf("createSubnet", account, costMax, params), (now, block) =>
        createSubnet(now, { coldkey, hotkey: account, address, proof, block }, costMax, params),
      );
      return { ...receipt, netuid: value };
    },
    setSubnet: (netuid, params: Partial<SubnetParams>) =>
      plain(textOf("setSubnet", netuid, params), (now, block) =>
        setParams(now, { caller: coldkey, netuid, params, block }),
      ),
    async register(netuid, hotkey, burnMax) {
      const proof = await proofOf(netuid, hotkey);
      const { account, address } = hotkey;
      const { receipt, value } = await send(textOf("register", netuid, account, burnMax), (now, block) =>
        register(now, netuid, { coldkey, hotkey: account, address, proof, block }, burnMax),
      );
      return { ...receipt, uid: value };
    },
  };
}

type Votes = "setWeights" | "commitWeights" | "revealWeights";

function votes(hotkey: Hash, plain: Plain): Pick<ChainAccount, Votes> {
  const voteOf = (netuid: number, weights: WeightVector, versionKey = 0n) => ({ netuid, hotkey, weights, versionKey });
  return {
    setWeights: (netuid, weights, versionKey) =>
      plain(textOf("setWeights", netuid, weights, versionKey), (world, block) =>
        setWeights(world, { ...voteOf(netuid, weights, versionKey), block }),
      ),
    commitWeights: (netuid, weights, salt, versionKey) =>
      plain(textOf("commitWeights", netuid, weights, salt, versionKey), (world, block) =>
        commitWeights(world, { ...voteOf(netuid, weights, versionKey), block }, salt),
      ),
    revealWeights: (netuid, weights, salt, versionKey) =>
      plain(textOf("revealWeights", netuid, weights, salt, versionKey), (world, block) =>
        revealWeights(world, { ...voteOf(netuid, weights, versionKey), block }, salt),
      ),
  };
}

type Rounds = "createRun" | "upgradeRun" | "commitPayload" | "vote" | "decideRound";

function rounds({ signer, blocks }: AccountContext, send: Send, plain: Plain): Pick<ChainAccount, Rounds> {
  const { account } = signer;
  const hashOf = (block: number): Hash => must(blocks().hashes.get(block), "a block's hash");
  const at = (block: number): Moment => ({ block, hashOf });
  return {
    async createRun(terms: RunTerms) {
      const { receipt, value } = await send(textOf("createRun", terms), (world, block) =>
        createRun(world, account, terms, block),
      );
      return { ...receipt, runId: value };
    },
    upgradeRun: (runId, fromRound, specHash) =>
      plain(textOf("upgradeRun", runId, fromRound, specHash), (world, block) =>
        upgradeRun(world, account, { runId, fromRound, specHash }, block),
      ),
    commitPayload: (runId, round, payloadHash) =>
      plain(textOf("commitPayload", runId, round, payloadHash), (world, block) =>
        commitPayload(world, account, { runId, round, payloadHash }, block),
      ),
    vote: (runId, round, uids, stateRoot) =>
      plain(textOf("vote", runId, round, uids, stateRoot), (world, block) =>
        vote(world, account, { runId, round, uids, stateRoot }, at(block)),
      ),
    decideRound: (runId, round) =>
      plain(textOf("decideRound", runId, round), (world, block) => decideRound(world, runId, round, at(block))),
  };
}

/** A transaction in words, for its hash. */
function textOf(method: string, ...args: readonly unknown[]): string {
  const bigints = (_: string, value: unknown): unknown => (typeof value === "bigint" ? `${value}n` : value);
  return `${method}${JSON.stringify(args, bigints)}`;
}
