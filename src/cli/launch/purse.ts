/**
 * The owner's money behind a gateway's faucet: twice what a uid costs a newcomer, which is what it will cost when those before him have taken
 * theirs. (That nobody is given coins twice is the faucet's business.)
 */

import { burnBumped } from "../../chain/burn.ts";
import type { Chain, Hash, Metagraph, Signer } from "../../chain/chain.ts";
import { RAO_PER_COIN } from "../../chain/money.ts";
import type { FaucetOptions, Given } from "../../gateway/chain/faucet.node.ts";

/** Blocks after which somebody who was given coins and has not registered is not reckoned with any more. */
const EXPECTED_BLOCKS = 50;
/** Grants that a budget is for, at least; but one may be as large as four uids cost in a new subnet. */
const GRANTS_MIN = 10n;
const GRANT_FLOOR = 4n * RAO_PER_COIN;

/** Rao of one grant, at most, out of a budget for all. */
export function grantMax(budget: bigint): bigint {
  const share = budget / GRANTS_MIN;
  if (share > GRANT_FLOOR) return share;
  return budget < GRANT_FLOOR ? budget : GRANT_FLOOR;
}

/** What a newcomer needs for a uid when `before` others register first, and as much again for what happens meanwhile. */
export function grantFor({ subnet }: Pick<Metagraph, "subnet">, before: number): bigint {
  let price = subnet.burn;
  for (let i = 0; i < before; i++) price = burnBumped(price, subnet.params);
  return 2n * price;
}

/** Sends from `coldkey`. A grant whose end is not known is settled by looking at the account. */
export function purse(
  chain: Chain,
  coldkey: Signer,
  netuid: number,
): Required<Pick<FaucetOptions, "grant" | "settled">> {
  const owner = chain.as(coldkey);
  /** Blocks of grants to accounts that may be about to register. */
  const expected = new Map<Hash, number>();
  return {
    async grant(text, raoMax) {
      const account = text as Hash;
      const metagraph = await chain.metagraph(netuid);
      const seated = new Set(metagraph.neurons.map(({ coldkey: holder }) => holder));
      for (const [each, block] of expected)
        if (seated.has(each) || metagraph.block > block + EXPECTED_BLOCKS) expected.delete(each);
      const { balance } = await chain.funds(account);
      const wanted = grantFor(metagraph, expected.size) - balance;
      if (wanted <= 0n) return { rao: 0n, block: metagraph.block };
      const rao = wanted < raoMax ? wanted : raoMax;
      const { block } = await owner.transfer(account, rao);
      expected.set(account, block);
      return { rao, block };
    },
    async settled(text): Promise<Given | "nothing" | undefined> {
      const account = text as Hash;
      // After a newer transaction of this key is in a block, an older one that is in none can never come into one.
      const { block } = await owner.transfer(coldkey.account, 1n);
      const { balance, earned, stakes } = await chain.funds(account);
      const { neurons } = await chain.metagraph(netuid);
      const seated = neurons.some(({ coldkey: holder }) => holder === account);
      return balance + earned > 0n || stakes.length > 0 || seated ? { rao: balance, block } : "nothing";
    },
  };
}
