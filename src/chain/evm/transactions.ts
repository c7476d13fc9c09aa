/**
 * Transactions that happen once, whatever the link does. All of one key go through one queue: each is signed with the key's next number
 * (its nonce), and its bytes are sent until they are in a block. Sending the same bytes again is harmless, so a lost answer is no reason
 * to sign anew. Signed anew is only what can never happen any more, because another program used the key for that number, or what failed
 * in its block; a higher fee is signed with the same number, so that one of the two can happen at most.
 *
 * Where the chain may replace its newest blocks, a receipt counts once its block is shown (link.ts). Until then the transaction may fall out of its block:
 * the same bytes go on being sent, its number is used up only by what is shown, and the next number is given only when all before it are.
 *
 * A transaction that would be refused is refused before it is signed (its gas is estimated first), and one that is refused in its
 * block is asked again as of that block, for the reason.
 */
import {
  bytesToHex,
  type Hex,
  hexToBytes,
  keccak256,
  serializeTransaction,
  type TransactionReceipt,
  type TransactionSerializableEIP1559,
} from "viem";
import { SkeinError } from "../../base/errors.ts";
import type { Address, Receipt, Signer } from "../chain.ts";
import { refusalName } from "../errors.ts";
import {
  asked,
  checkChain,
  isCount,
  isShown,
  type Link,
  nonsense,
  pause,
  shownState,
  unlessStopped,
  withPatience,
} from "./link.ts";
import { chainError, isTransient, refusalOf, revertData, wordsOf } from "./refusals.ts";

/** A call to a contract that changes something. */
export interface Call {
  /** Left out where a contract is created. */
  readonly to?: Address;
  readonly data: Hex;
}

/** A transaction in a block, with what it reported. */
export type Sent = Receipt & { readonly logs: TransactionReceipt["logs"] };
/** Sends calls as one signer, one after another. */
export type Sender = (call: Call) => Promise<Sent>;

/** Gas is estimated, and a third more is allowed: state moves between the estimate and the block. */
const GAS_NUMERATOR = 4n;
const GAS_DENOMINATOR = 3n;
/** Most gas of a transaction on Ethereum (EIP-7825): the margin does not go beyond it. */
const GAS_CAP = 1n << 24n;
/** The first look for a receipt comes soon, the next ones less and less. */
const FIRST_POLL_MS = 8;
const POLL_GROWTH = 1.6;
/** How often a transaction is signed anew that failed in its block without a reason that still holds. */
const FAILURES_MAX = 3;
/** Transactions given up that are remembered, in case they are wanted again. */
const UNFINISHED_MAX = 16;
/** Fees that a node takes for the same number instead of the one it has: at least a tenth more. */
const RAISE_NUMERATOR = 9n;
const RAISE_DENOMINATOR = 8n;

interface Fees {
  readonly maxFeePerGas: bigint;
  readonly maxPriorityFeePerGas: bigint;
}

/** A signed transaction, and the same with higher fees. */
interface Attempt {
  readonly call: Call;
  readonly transaction: TransactionSerializableEIP1559 & Fees & { readonly nonce: number };
  readonly bytes: Hex;
  /** Of all that was signed for this number, newest last. */
  readonly hashes: readonly Hex[];
}

interface Desk {
  readonly link: Link;
  readonly signer: Signer;
  /** What was given up, and may still come into a block: wanted again, it is not signed anew. */
  readonly unfinished: Attempt[];
}

/** A sender; calls made at the same time wait for each other. There must be one sender for one key in a program. */
export function senderFor(link: Link, signer: Signer): Sender {
  const desk: Desk = { link, signer, unfinished: [] };
  let last: Promise<unknown> = Promise.resolve();
  return (call) => {
    const result = last.then(() => carryOut(desk, call));
    last = result.catch(() => undefined);
    return result;
  };
}

async function carryOut(desk: Desk, call: Call): Promise<Sent> {
  let attempt = takeUnfinished(desk, call);
  for (let failures = 0; ; ) {
    attempt ??= await nextSigned(desk, call);
    const receipt = await delivered(desk, attempt);
    attempt = undefined;
    if (receipt === "void") continue;
    if (receipt.status === "success") return sentOf(receipt);
    const reason = await reasonOf(desk, call, receipt.blockNumber);
    if (refusalName(reason) !== undefined || ++failures === FAILURES_MAX) throw reason;
  }
}

function takeUnfinished({ unfinished }: Desk, { to, data }: Call): Attempt | undefined {
  const at = unfinished.findIndex(({ call }) => call.to === to && call.data === data);
  return at < 0 ? undefined : unfinished.splice(at, 1)[0];
}

function sentOf({ blockNumber, transactionHash, gasUsed, logs }: TransactionReceipt): Sent {
  if (!isCount(blockNumber) || !isCount(gasUsed) || !Array.isArray(logs)) throw nonsense("a receipt");
  return { block: Number(blockNumber), hash: transactionHash, gas: gasUsed, logs };
}

/** Signs the call, as soon as the key's numbers before are used up for good. Throws where the chain would refuse it. */
async function nextSigned(desk: Desk, call: Call): Promise<Attempt> {
  const { clock, giveUpMs, pollMs } = desk.link.patience;
  const startMs = clock.monotonic();
  for (;;) {
    const attempt = await withPatience(desk.link, () => signed(desk, call));
    if (attempt !== undefined) return attempt;
    if (clock.monotonic() - startMs >= giveUpMs) throw crowded(giveUpMs);
    await pause(desk.link, pollMs);
  }
}

function crowded(giveUpMs: number): SkeinError {
  return new SkeinError(
    "chain",
    `transactions of this key were in blocks that may be replaced for ${giveUpMs / 1000} s`,
    {
      remedy: "see whether another program uses the key, and whether the chain makes blocks; then try again",
    },
  );
}

/** Signs the call with the key's next number; undefined where a reorg may still change which that is. Throws where the chain would refuse the call. */
async function signed({ link, signer }: Desk, call: Call): Promise<Attempt | undefined> {
  const { client, chainId, lag } = link;
  const { address } = signer;
  const [gas, nonce, shown, fees, id] = await asked(
    "preparing a transaction",
    Promise.all([
      client.estimateGas({ account: address, ...call, blockTag: "pending" }),
      client.getTransactionCount({ address, blockTag: "latest" }),
      lag === 0 ? undefined : countShown(link, address),
      feesNow(link),
      client.getChainId(),
    ]),
  );
  checkChain(chainId, id);
  if (!isCount(gas) || !Number.isSafeInteger(nonce) || nonce < 0) throw nonsense("gas and number of a transaction");
  if (shown !== undefined && nonce !== shown) return undefined;
  const roomy = (gas * GAS_NUMERATOR) / GAS_DENOMINATOR;
  const limit = roomy < GAS_CAP ? roomy : gas > GAS_CAP ? roomy : GAS_CAP;
  return sign(signer, call, { ...call, type: "eip1559", chainId, nonce, gas: limit, ...fees }, []);
}

async function sign(
  signer: Signer,
  call: Call,
  transaction: Attempt["transaction"],
  before: readonly Hex[],
): Promise<Attempt> {
  const signature = await signer.sign(hexToBytes(keccak256(serializeTransaction(transaction))));
  const [r, s] = [bytesToHex(signature.subarray(0, 32)), bytesToHex(signature.subarray(32, 64))];
  const yParity = (signature[64] as number) % 27; // 27 and 28, or 0 and 1
  const bytes = serializeTransaction(transaction, { r, s, yParity });
  return { call, transaction, bytes, hashes: [...before, keccak256(bytes)] };
}

/** Nothing where the chain takes nothing (the embedded one), twice the base fee and a tip elsewhere. */
async function feesNow({ client }: Link): Promise<Fees> {
  const { baseFeePerGas } = await client.getBlock();
  if (!baseFeePerGas) return { maxFeePerGas: 0n, maxPriorityFeePerGas: 0n };
  const maxPriorityFeePerGas = await client.estimateMaxPriorityFeePerGas();
  return { maxFeePerGas: 2n * baseFeePerGas + maxPriorityFeePerGas, maxPriorityFeePerGas };
}

/** Sends an attempt until it is in a block, or "void" when it never can be, because its number is used up. */
async function delivered(desk: Desk, first: Attempt): Promise<TransactionReceipt | "void"> {
  const { clock, pollMs, resendMs, giveUpMs } = desk.link.patience;
  const startMs = clock.monotonic();
  let attempt = first;
  let sentMs = Number.NEGATIVE_INFINITY;
  let trouble: unknown;
  let waitMs = Math.min(FIRST_POLL_MS, pollMs);
  let used = 0;
  let isIn = false;
  try {
    for (;;) {
      if (!isIn && (clock.monotonic() - sentMs >= resendMs || isTransient(trouble))) {
        if (sentMs > Number.NEGATIVE_INFINITY) attempt = await withFeesOfNow(desk, attempt, trouble);
        sentMs = clock.monotonic();
        trouble = await stopping(desk, sent(desk, attempt));
      }
      // Asked in this order: where the number is used up and no receipt is there afterwards, somebody else has used it.
      const isUsed = trouble !== undefined && (await stopping(desk, numberIsUsed(desk, attempt)));
      const receipt = await stopping(desk, receiptOf(desk, attempt));
      if (receipt && (await stopping(desk, isSettled(desk, receipt)))) return receipt;
      if (isIn && !receipt) sentMs = clock.monotonic() - resendMs; // its block was replaced
      isIn = receipt !== undefined;
      used = isUsed && !isIn ? used + 1 : 0;
      if (used === 2) return "void";
      if (clock.monotonic() - startMs >= giveUpMs) throw givenUp(attempt, trouble, giveUpMs);
      await pause(desk.link, waitMs);
      waitMs = Math.min(pollMs, waitMs * POLL_GROWTH);
    }
  } catch (thrown) {
    desk.unfinished.push(attempt);
    if (desk.unfinished.length > UNFINISHED_MAX) desk.unfinished.shift();
    throw thrown;
  }
}

function stopping<T>({ link }: Desk, work: Promise<T>): Promise<T> {
  return unlessStopped(work, link.closed);
}

/** Sends the bytes; what the node says against it, if anything. Throws what it will say for ever. */
async function sent({ link }: Desk, { bytes }: Attempt): Promise<unknown> {
  try {
    await link.client.sendRawTransaction({ serializedTransaction: bytes });
    return undefined;
  } catch (thrown) {
    const words = wordsOf(thrown);
    if (/already (known|imported)/i.test(words)) return undefined;
    if (/insufficient funds|gas limit|intrinsic gas|invalid sender|chain ?id/i.test(words)) {
      throw chainError(thrown, "sending a transaction");
    }
    return thrown;
  }
}

async function numberIsUsed({ link, signer }: Desk, { transaction }: Attempt): Promise<boolean> {
  const count = await countShown(link, signer.address).catch(unlessReplaced);
  return count !== undefined && count > transaction.nonce;
}

/** For questions that are asked again; but where the chain cannot be believed any more, that is said. */
function unlessReplaced(thrown: unknown): undefined {
  if (thrown instanceof SkeinError && !isTransient(thrown)) throw thrown;
}

/** How many transactions of a key are in blocks that are shown. */
async function countShown(link: Link, address: Address): Promise<number> {
  return link.client.getTransactionCount({ address, ...(await shownState(link)) });
}

/** Whether a transaction's block is shown; false where that cannot be asked now. */
async function isSettled({ link }: Desk, { blockNumber, blockHash }: TransactionReceipt): Promise<boolean> {
  if (!isCount(blockNumber)) throw nonsense("a receipt");
  return (await isShown(link, blockNumber, blockHash).catch(unlessReplaced)) ?? false;
}

async function receiptOf({ link }: Desk, { hashes }: Attempt): Promise<TransactionReceipt | undefined> {
  const answers = hashes.map((hash) =>
    link.client.getTransactionReceipt({ hash }).then(
      (receipt) => (receipt.transactionHash === hash ? receipt : undefined),
      () => undefined,
    ),
  );
  return (await Promise.all(answers)).find((receipt) => receipt !== undefined);
}

/** The same for more money, where fees have risen or a node wants more for this number. */
async function withFeesOfNow({ link, signer }: Desk, attempt: Attempt, trouble: unknown): Promise<Attempt> {
  const { transaction, call, hashes } = attempt;
  const { maxFeePerGas, maxPriorityFeePerGas } = transaction;
  if (maxFeePerGas === 0n) return attempt;
  const now = await unlessStopped(feesNow(link), link.closed).catch(() => transaction);
  const underpriced = /underpriced|fee too low|less than block base fee/i.test(wordsOf(trouble));
  if (now.maxFeePerGas <= maxFeePerGas && !underpriced) return attempt;
  const raised = (was: bigint, is: bigint): bigint => {
    const least = (was * RAISE_NUMERATOR) / RAISE_DENOMINATOR + 1n;
    return is > least ? is : least;
  };
  const fees = {
    maxFeePerGas: raised(maxFeePerGas, now.maxFeePerGas),
    maxPriorityFeePerGas: raised(maxPriorityFeePerGas, now.maxPriorityFeePerGas),
  };
  return sign(signer, call, { ...transaction, ...fees }, hashes);
}

function givenUp({ hashes }: Attempt, trouble: unknown, giveUpMs: number): SkeinError {
  if (trouble !== undefined) return chainError(trouble, "sending a transaction");
  return new SkeinError("chain", `a transaction was in no block after ${giveUpMs / 1000} s`, {
    details: hashes.join(", "),
    remedy: "see whether the chain makes blocks; trying again is safe, it will not happen twice",
  });
}

/** Why a transaction that came into a block failed there. */
async function reasonOf({ link, signer }: Desk, call: Call, blockNumber: bigint): Promise<SkeinError> {
  try {
    await unlessStopped(link.client.call({ account: signer.address, ...call, blockNumber }), link.closed);
  } catch (thrown) {
    const data = revertData(thrown);
    return data === undefined ? chainError(thrown, "asking why a transaction failed") : refusalOf(data);
  }
  return new SkeinError("chain", "the transaction failed in its block, but would not fail now", {
    remedy: "try again",
  });
}
