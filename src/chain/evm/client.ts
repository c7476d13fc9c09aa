/**
 * The chain through JSON-RPC: any EVM chain that has the contracts, the embedded one above all; and, with what its precompiles offer,
 * Bittensor's. A question is asked again when the link fails. Reads are of the newest block that is shown (link.ts), so two reads may see two
 * blocks, and what belongs together comes in one call. What a transaction needs before it is signed, and why it is refused, is of the newest block there is.
 */
import { assert } from "../../base/assert.ts";
import { type Clock, systemClock } from "../../base/clock.ts";
import { SkeinError } from "../../base/errors.ts";
import type { Address, Chain, Signer } from "../chain.ts";
import { accountOf } from "../keys/account.ts";
import { accountFor } from "./account.ts";
import { type AddressBook, type Artifact, deployContracts, FIXED_ADDRESSES, type Genesis } from "./deploy.ts";
import { asked, headOf, LAG_MAX, type Link, openLink, PATIENCE, type Patience, pause, withPatience } from "./link.ts";
import { bittensorAccount, bittensorReads, isBittensor } from "./precompiles.ts";
import { blockHashOf, readsOf } from "./reads.ts";
import { type Call, type Sender, senderFor } from "./transactions.ts";

/** How to reach a chain. */
export interface EvmOptions {
  readonly rpcUrl: string;
  /** Where the contracts are: the fixed addresses unless given. */
  readonly contracts?: AddressBook;
  /** Milliseconds between two looks at the newest block. */
  readonly pollMs?: number;
  readonly clock?: Clock;
  /**
   * Blocks that the chain is shown late: none of what was told is taken back by a reorg that is not deeper. Default: 0 on a chain of our own, whose one
   * sequencer takes nothing back; 3 elsewhere.
   */
  readonly settleBlocks?: number;
  /** How long to wait for what. */
  readonly patience?: Partial<Omit<Patience, "pollMs" | "clock">>;
}

/** Connects. Throws SkeinError("chain") where nobody answers, or the contracts are not there. */
export async function connectEvm({
  rpcUrl,
  contracts = FIXED_ADDRESSES,
  pollMs = PATIENCE.pollMs,
  clock = systemClock,
  settleBlocks,
  patience = {},
}: EvmOptions): Promise<Chain> {
  if (!/^https?:\/\//.test(rpcUrl) || !URL.canParse(rpcUrl)) {
    throw new SkeinError("usage", `${JSON.stringify(rpcUrl)} is no address of a chain`, {
      remedy: "write http://… or https://…",
    });
  }
  if (settleBlocks !== undefined && !(Number.isInteger(settleBlocks) && settleBlocks >= 0 && settleBlocks <= LAG_MAX)) {
    throw new SkeinError("usage", `a chain can be shown from 0 to ${LAG_MAX} blocks late, not ${settleBlocks}`);
  }
  const closing = new AbortController();
  const link = await openLink(rpcUrl, { ...PATIENCE, ...patience, pollMs, clock }, closing.signal, settleBlocks);
  const missing = await missingContracts(link, contracts);
  const native = missing.length > 0 && (await isBittensor(link, contracts));
  if (missing[0] !== undefined && !native) {
    throw new SkeinError("chain", `the chain has no contract at ${missing[0]}`, {
      remedy: "name the contracts' addresses with --contracts, or deploy them with `skein chain deploy`",
    });
  }
  const book = contracts;
  const senders = new Map<Address, Sender>();
  return {
    ...blocksOf(link),
    ...(native ? bittensorReads(link, book, missing) : readsOf(link, book)),
    as: (signer) => {
      checkSigner(signer);
      const send = senders.get(signer.address) ?? senderFor(link, signer);
      senders.set(signer.address, send);
      const context = { link, book, signer, send };
      return native ? bittensorAccount(context, missing) : accountFor(context);
    },
    close: async () => closing.abort(),
  };
}

function checkSigner({ address, account }: Signer): void {
  assert(accountOf(address) === account, "a signer's account does not belong to its address");
}

function blocksOf(link: Link): Pick<Chain, "chainId" | "lag" | "head" | "blockHash" | "waitForBlock"> {
  return {
    chainId: link.chainId,
    lag: link.lag,
    head: () => headOf(link),
    blockHash: (block) => blockHashOf(link, block),
    async waitForBlock(block, signal) {
      for (;;) {
        const now = await withPatience(link, () => headOf(link), signal);
        if (now.block >= block) return now;
        await pause(link, link.patience.pollMs, signal);
      }
    },
  };
}

/** Which of the contracts that are our own are not there. */
async function missingContracts({ client }: Link, { extras, roundBook }: AddressBook): Promise<Address[]> {
  const wanted = [extras, roundBook];
  const codes = await asked("the contracts", Promise.all(wanted.map((address) => client.getCode({ address }))));
  return wanted.filter((_, i) => codes[i] === undefined || codes[i] === "0x");
}

/** What else a deployment may say or do. */
export interface DeployOptions {
  /** Puts code at an address, where `rpcUrl` is a chain's keeper: the contracts then go to FIXED_ADDRESSES. */
  readonly setCode?: (address: Address, code: Address) => Promise<void>;
  /** After each transaction, with how many there were. */
  readonly onStep?: (done: number) => void;
}

/**
 * Deploys the contracts to a chain that has none of them; returns where they are. `signer` pays for the gas. Throws
 * SkeinError("chain").
 */
export async function deployEvm(
  rpcUrl: string,
  signer: Signer,
  artifacts: ReadonlyMap<string, Artifact>,
  genesis: Genesis,
  { setCode, onStep }: DeployOptions = {},
): Promise<AddressBook> {
  const link = await openLink(rpcUrl, PATIENCE, new AbortController().signal);
  const sender = senderFor(link, signer);
  let done = 0;
  const port = {
    from: signer.address,
    nonce: () => asked("nonce", link.client.getTransactionCount({ address: signer.address })),
    send: async (call: Call): Promise<void> => {
      await sender(call);
      onStep?.(++done);
    },
    ...(setCode ? { setCode } : {}),
  };
  return deployContracts(port, artifacts, genesis, { fixed: setCode !== undefined });
}
