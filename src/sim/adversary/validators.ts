/** Validators that lie, copy or pay their friends. */

import { utf8 } from "../../base/bytes.ts";
import { sha256, toHex } from "../../base/hash.ts";
import type { ChainAccount, RoundVote, WeightVector } from "../../chain/chain.ts";
import { roundStart } from "../../chain/rounds.ts";
import type { Engine } from "../../engine/engine.ts";
import type { ActingNode } from "../../roles/network/node.ts";
import type { ValidatorOptions } from "../../roles/network/validator/validator.ts";
import type { Adversary, Ring } from "./adversary.ts";
import { GRADIENTS } from "./gradients.ts";
import { withActing, withEngine } from "./hands.ts";

/** The same, voting `vector` where the validator has its own to vote; undefined: its own. What is committed is what is revealed. */
function withWeights(
  options: ValidatorOptions,
  vector: (own: WeightVector) => Promise<WeightVector | undefined>,
): ValidatorOptions {
  const voted = new Map<string, WeightVector>();
  return withActing(options, (acting) => ({
    async commitWeights(netuid, own, salt, versionKey) {
      const chosen = (await vector(own)) ?? own;
      voted.set(salt.join(), chosen);
      return acting.commitWeights(netuid, chosen, salt, versionKey);
    },
    revealWeights: (netuid, own, salt, versionKey) =>
      acting.revealWeights(netuid, voted.get(salt.join()) ?? own, salt, versionKey),
  }));
}

/** The same with another vote on rounds. */
function withVote(
  options: ValidatorOptions,
  other: (round: number, uids: readonly number[]) => Promise<Partial<Pick<RoundVote, "uids" | "stateRoot">>>,
): ValidatorOptions {
  return withActing(
    options,
    (acting): Partial<ChainAccount> => ({
      async vote(runId, round, uids, stateRoot) {
        const changed = await other(round, uids);
        return acting.vote(runId, round, changed.uids ?? uids, changed.stateRoot ?? stateRoot);
      },
    }),
  );
}

/** The uids of the ring's trainers. */
async function friends({ chain, record }: ActingNode, ring: Ring): Promise<number[]> {
  const { neurons } = await chain.metagraph(record.netuid);
  return neurons.filter(({ hotkey }) => ring.members.includes(hotkey)).map(({ uid }) => uid);
}

/** The newest weights of the other validator with the most stake. */
async function weightsOfOthers({ chain, record, signer }: ActingNode): Promise<WeightVector | undefined> {
  const { neurons } = await chain.metagraph(record.netuid);
  const rows = await chain.weights(record.netuid);
  const others = neurons.filter(({ uid, hotkey }) => hotkey !== signer.account && rows.has(uid));
  others.sort((a, b) => (a.stake < b.stake ? 1 : a.stake > b.stake ? -1 : a.uid - b.uid));
  return rows.get(others[0]?.uid ?? -1);
}

/** What another validator has voted in this round, waited for until the votes' last block. */
async function voteOfOthers(node: ActingNode, round: number): Promise<RoundVote | undefined> {
  const { chain, runId, record, signer } = node;
  const { neurons } = await chain.metagraph(record.netuid);
  const own = neurons.find(({ hotkey }) => hotkey === signer.account)?.uid;
  for (let { block } = await chain.head(); ; ) {
    const vote = (await chain.votes(runId, round)).find(({ uid }) => uid !== own);
    if (vote !== undefined || block >= roundStart(record, round + 1) - 2) return vote;
    ({ block } = await chain.waitForBlock(block + 1, node.signal));
  }
}

/** An engine that computes nothing and finds every payload equally good, so that there always are votes, in whose place copied ones go. */
function pretending(engine: Engine): Partial<Engine> {
  let isMoved = false;
  return {
    write(vector, values, offset) {
      isMoved = offset !== undefined; // tensor by tensor along a payload, all at once back again
      return engine.write(vector, values, offset);
    },
    losses: async (batch) => new Float64Array(batch.rows).fill(isMoved ? 1 : 1.01),
  };
}

const garbage = GRADIENTS.find(({ name }) => name === "garbage");

/** Kinds 26 to 28. */
export const VALIDATORS: readonly Adversary[] = [
  {
    name: "false-votes",
    number: 26,
    who: "validator",
    does: "votes for roots that are none, and backs everybody or nobody, as the round has it",
    defence: "a round is decided by more than half of the stake; params follow from public payloads alone",
    validator: (options) =>
      withVote(options, async (round, uids) => ({
        uids:
          round % 2 === 0
            ? []
            : [...new Set([...uids, ...Array.from({ length: options.node.spec.uids }, (_, i) => i)])],
        stateRoot: `0x${toHex(sha256(utf8(`no root ${round}`)))}`,
      })),
  },
  {
    name: "weight-copier",
    number: 27,
    who: "validator",
    does: "judges nothing: repeats the votes of another validator, and its newest weights that are public",
    defence:
      "weights are committed and revealed an epoch later, so what can be copied is old; reports that recount to nothing",
    validator(options) {
      const blind = withEngine(options, pretending);
      const repeating = withVote(blind, async (round) => (await voteOfOthers(options.node, round)) ?? {});
      return withWeights(repeating, () => weightsOfOthers(options.node));
    },
  },
  {
    name: "collusion",
    number: 28,
    who: "validator",
    does: "backs and pays its friends alone, who send noise",
    defence: "the chain cuts weights to what most of the stake agrees on; votes need more than half",
    ...(garbage?.trainer && { trainer: garbage.trainer }),
    validator(options, ring) {
      const voting = withVote(options, async () => ({ uids: await friends(options.node, ring) }));
      return withWeights(voting, async () => {
        const uids = await friends(options.node, ring);
        return uids.length === 0 ? undefined : { uids, values: uids.map(() => 65_535) };
      });
    },
  },
];
