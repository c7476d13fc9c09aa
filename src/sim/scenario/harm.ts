/**
 * What dishonest payloads did to the model, in pairs: every round in which one of them was applied is applied again without them, from the same
 * params, and both are measured on the same text. Two runs of one network on two chains drift apart however honest all are, by more than an attack does;
 * these differences have no such drift in them.
 */
import type { Chain, Hash } from "../../chain/chain.ts";
import type { Engine } from "../../engine/engine.ts";
import { validationLoss } from "../../evaluate/validation.ts";
import { advance } from "../../roles/network/follower.ts";
import type { Node } from "../../roles/network/node.ts";
import { genesisState } from "../../roles/network/sync.ts";
import { roundsOf } from "../../run/rules.ts";

/** What the payloads of some accounts did in a round. */
export interface Harm {
  readonly round: number;
  /** By how much the validation loss is higher with them than without, in nats a token; below zero where they helped. */
  readonly nats: number;
}

/** Sequences on which a pair is measured. */
const SEQUENCES = 128;

/** Rounds of a run that is over in which payloads of `accounts` were applied, and what they did. The engine's params are others afterwards. */
export async function harmOf(node: Node, accounts: readonly Hash[], engine: Engine): Promise<readonly Harm[]> {
  const { chain, runId, spec, dataset } = node;
  const without: Node = { ...node, chain: chainWithout(chain, accounts) };
  const lossOf = async (params: Float32Array): Promise<number> => {
    await engine.write("params", params);
    const size = { sequences: SEQUENCES, length: spec.inner.seqLen };
    return (await validationLoss(engine, dataset.split("valid"), size)).loss;
  };
  const harm: Harm[] = [];
  let state = genesisState(node);
  for (let round = 0; round < roundsOf(spec); round++) {
    const { accepted = [] } = (await chain.decision(runId, round)) ?? {};
    const commits = await chain.commits(runId, round);
    const isTouched = commits.some(({ uid, hotkey }) => accepted.includes(uid) && accounts.includes(hotkey));
    const next = (await advance(node, state)).state;
    if (isTouched) {
      const other = (await advance(without, state)).state;
      harm.push({ round, nats: (await lossOf(next.params)) - (await lossOf(other.params)) });
    }
    state = next;
  }
  return harm;
}

/** A chain on which the payloads of `accounts` were never accepted. */
function chainWithout(chain: Chain, accounts: readonly Hash[]): Chain {
  return {
    ...chain,
    async decision(runId, round) {
      const decision = await chain.decision(runId, round);
      if (decision === undefined) return undefined;
      const commits = await chain.commits(runId, round);
      const out = new Set(commits.filter(({ hotkey }) => accounts.includes(hotkey)).map(({ uid }) => uid));
      const stays = (_: number, i: number): boolean => !out.has(decision.accepted[i] ?? -1);
      return {
        ...decision,
        accepted: decision.accepted.filter(stays),
        incentives: decision.incentives.filter(stays),
      };
    },
  };
}
