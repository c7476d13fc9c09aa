/**
 * Getting a uid, and stake: what of it costs money, and where the money comes from. In this order: what the coldkey has, what it has earned,
 * the gateway's faucet where there is one; and else whoever it is sent by, which is waited for.
 */
import { messageOf, SkeinError } from "../../base/errors.ts";
import type { Log } from "../../base/log/log.ts";
import type { Chain, Hash, Head } from "../../chain/chain.ts";
import { refusalName } from "../../chain/errors.ts";
import { askFaucet } from "../../gateway/client.ts";
import type { JoinLink } from "../../run/link.ts";
import { inCoins } from "../chain/money.ts";
import { count, type Terminal } from "../shared/terminal.ts";
import type { Wallet } from "./wallet.ts";

/** Gives an account coins, once: how many rao, and in which block. Throws SkeinError. */
export type Faucet = (account: Hash) => Promise<{ readonly rao: bigint; readonly block: number }>;

/** Who wants a uid, and where. */
export interface SeatRequest {
  readonly chain: Chain;
  readonly netuid: number;
  readonly wallet: Wallet;
  readonly faucet?: Faucet | undefined;
  /** Rao that a uid may cost. */
  readonly maxBurn?: bigint | undefined;
  readonly log: Log;
  readonly terminal: Terminal;
  readonly signal?: AbortSignal | undefined;
}

/** Refusals of a registration that the next block may lift. */
const PASSING: ReadonlySet<string | undefined> = new Set([
  "RegistrationPriceLimitExceeded",
  "NotEnoughBalanceToStake",
  "NoNeuronIdAvailable",
]);
/** Blocks after which a faucet that gave nothing is asked again. */
const FAUCET_BLOCKS = 60;

/**
 * The hotkey's uid; bought where it has none, as soon as there is money for it. Throws SkeinError("interrupted"), and "chain" for refusals that
 * waiting does not lift.
 */
export async function takeSeat(request: SeatRequest): Promise<number> {
  const { chain, netuid, wallet, signal } = request;
  const funding = fundingFor(request);
  for (;;) {
    const head = await chain.head();
    const { subnet, neurons } = await chain.metagraph(netuid);
    const mine = neurons.find(({ hotkey }) => hotkey === wallet.hotkey.account);
    if (mine !== undefined) return mine.uid;
    const problem = await buy(request, subnet.burn);
    if (typeof problem === "number") return problem;
    if (problem === undefined) continue;
    if (problem.needs !== undefined && (await funding(problem.needs, head))) continue;
    request.terminal.status(`${problem.why}; block ${count(head.block)}`);
    await chain.waitForBlock(head.block + 1, signal);
  }
}

/** Why no uid was bought, and what the coldkey must have for it where that is the reason. */
interface Obstacle {
  readonly why: string;
  readonly needs?: bigint;
}

/** A uid, or why there is none; undefined where it is worth another look at once. */
async function buy(request: SeatRequest, burn: bigint): Promise<number | Obstacle | undefined> {
  const { chain, netuid, wallet, log, terminal, maxBurn } = request;
  if (maxBurn !== undefined && burn > maxBurn)
    return { why: `a uid costs ${inCoins(burn)} coins now, more than --max-burn allows: waiting until it is cheaper` };
  const funds = await chain.funds(wallet.coldkey.account);
  const coldkey = chain.as(wallet.coldkey);
  if (funds.balance < burn && funds.balance + funds.earned >= burn) await coldkey.claim();
  else if (funds.balance < burn) return { why: `waiting for ${inCoins(burn - funds.balance)} coins`, needs: burn };
  const margin = (burn * 11n) / 10n + 1n; // somebody else's registration in the same block makes it dearer
  const most = maxBurn !== undefined && maxBurn < margin ? maxBurn : margin;
  try {
    const { uid, block } = await coldkey.register(netuid, wallet.hotkey, most);
    terminal.line(`registered: uid ${uid} on subnet ${netuid}, for about ${inCoins(burn)} coins`);
    log.event("registered", { uid, block, netuid, rao: String(burn) });
    return uid;
  } catch (thrown) {
    const name = refusalName(thrown);
    if (name === "HotKeyAlreadyRegisteredInSubNet") return undefined;
    if (!PASSING.has(name)) throw thrown;
    return { why: messageOf(thrown) };
  }
}

/** Asks the faucet, once in a while; says once what is needed. True where there is more money now. */
function fundingFor({
  chain,
  faucet,
  wallet,
  log,
  terminal,
  signal,
}: SeatRequest): (needs: bigint, head: Head) => Promise<boolean> {
  const { account, address } = wallet.coldkey;
  let askAgain = 0;
  let told = 0n;
  return async (needs, { block }) => {
    if (faucet !== undefined && block >= askAgain) {
      askAgain = block + FAUCET_BLOCKS;
      try {
        const { rao, block: given } = await faucet(account);
        await chain.waitForBlock(given, signal);
        if (given <= block) throw new SkeinError("store", "it has given to this account before");
        terminal.line(`the gateway's faucet gave ${inCoins(rao)} coins`);
        log.event("funded", { rao: String(rao), account });
        return true;
      } catch (thrown) {
        if (!(thrown instanceof SkeinError) || thrown.code === "interrupted") throw thrown;
        const why = [thrown.message, thrown.details ?? ""].filter((each) => each !== "").join("; ");
        terminal.note(`the gateway's faucet gave nothing: ${why}`);
        log.event("faucet-refused", { why });
      }
    }
    if (needs > told) {
      told = (needs * 11n) / 10n; // the price moves; it is said again where it has risen by more than a tenth
      terminal.line(
        `a uid costs ${inCoins(needs)} coins now, more than this coldkey has; it waits until somebody sends them:`,
      );
      terminal.line(`  account ${account}\n  address ${address}`);
      terminal.line(`for example: skein transfer ${address} ${inCoins(needs)}`);
      log.event("needs-coins", { rao: String(needs), account, address });
    }
    return false;
  };
}

/** The faucet of a gateway. */
export function gatewayFaucet(link: JoinLink, signal?: AbortSignal): Faucet {
  const patience = { attempts: 2, retryAfterMsMax: 2000 }; // whoever asks comes again later, and would rather know why
  return (account) => askFaucet(link, account, { patience, ...(signal ? { signal } : {}) });
}

/** Stakes from the coldkey until the hotkey has `wanted` rao, or the coldkey has nothing left; gives what the hotkey has then. */
export async function raiseStake(request: SeatRequest, wanted: bigint): Promise<bigint> {
  const { chain, netuid, wallet, log, terminal } = request;
  const { account } = wallet.hotkey;
  const has = await stakeOf(request);
  if (has >= wanted) return has;
  const { balance } = await chain.funds(wallet.coldkey.account);
  const rao = balance < wanted - has ? balance : wanted - has;
  if (rao < wanted - has)
    terminal.note(
      `the coldkey has ${inCoins(balance)} coins, ${inCoins(wanted - has - rao)} fewer than --stake asks for`,
    );
  if (rao === 0n) return has;
  const { block } = await chain.as(wallet.coldkey).addStake(netuid, account, rao);
  terminal.line(`staked ${inCoins(rao)} coins`);
  log.event("staked", { rao: String(rao), block });
  return has + rao;
}

/** Rao staked on the wallet's hotkey, by anybody. */
async function stakeOf({ chain, netuid, wallet }: SeatRequest): Promise<bigint> {
  const { neurons } = await chain.metagraph(netuid);
  return neurons.find(({ hotkey }) => hotkey === wallet.hotkey.account)?.stake ?? 0n;
}
