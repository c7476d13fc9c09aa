/**
 * A validator's weights on chain, by commit and reveal: in every epoch it commits to what it thinks of the peers, and reveals what it committed
 * `revealInterval` epochs before. What waits to be revealed lies on the disk before its commit is sent, so that a restart forgets nothing.
 */
import { utf8 } from "../../../base/bytes.ts";
import { messageOf } from "../../../base/errors.ts";
import { fieldsIn, isCount, jsonIn } from "../../../base/json.ts";
import { systemRandom } from "../../../base/random.ts";
import type { WeightVector } from "../../../chain/chain.ts";
import { refusalName } from "../../../chain/errors.ts";
import type { ActingNode } from "../node.ts";

/** A commit that waits for its reveal. */
interface Waiting {
  /** Epoch of the commit. */
  readonly epoch: number;
  readonly uids: readonly number[];
  readonly values: readonly number[];
  readonly salt: readonly number[];
}

const KEY = "weights.json";
/** The chain holds ten. */
const WAITING_MAX = 10;
const SALT_WORDS = 8;
const BYTES_MAX = 1 << 20;

/** Votes weights, epoch after epoch. */
export interface WeightVoter {
  /** Does what is due now: reveals what must be revealed, and commits to `weights` once an epoch. */
  step(weights: () => WeightVector): Promise<void>;
}

/** A voter that goes on with what the node's folder holds. */
export async function weightVoter(node: ActingNode): Promise<WeightVoter> {
  const { random = systemRandom } = node;
  let waiting = await load(node);
  let votedIn = waiting.at(-1)?.epoch ?? -1;
  const keep = async (next: readonly Waiting[]): Promise<void> => {
    waiting = next.slice(-WAITING_MAX);
    await node.local.put(KEY, utf8(JSON.stringify(waiting)));
  };
  return {
    async step(weights) {
      const { acting, chain, record } = node;
      const { netuid } = record;
      const { subnet } = await chain.metagraph(netuid);
      const { params, epoch } = subnet;
      for (const due of waiting.filter((each) => each.epoch + params.revealInterval <= epoch.index)) {
        const refused = await attempt(node, "weights-reveal", epoch.index, () =>
          acting.revealWeights(netuid, due, due.salt, params.weightsVersionKey),
        );
        // A commit may have come into the epoch after the one it was made in.
        if (refused !== "RevealTooEarly") await keep(waiting.filter((each) => each !== due));
      }
      if (votedIn >= epoch.index) return;
      const vector = weights();
      if (vector.uids.length === 0) return;
      votedIn = epoch.index;
      if (!params.commitReveal) {
        await attempt(node, "weights", epoch.index, () => acting.setWeights(netuid, vector, params.weightsVersionKey));
        return;
      }
      const salt = Array.from({ length: SALT_WORDS }, () => random.below(1 << 16));
      const made = { epoch: epoch.index, uids: vector.uids, values: vector.values, salt };
      await keep([...waiting, made]);
      const refused = await attempt(node, "weights-commit", epoch.index, () =>
        acting.commitWeights(netuid, vector, salt, params.weightsVersionKey),
      );
      if (refused !== undefined) await keep(waiting.filter((each) => each !== made));
    },
  };
}

/** Sends. A refusal by the chain is told, and its name returned: the next epoch brings another chance. */
async function attempt(
  node: ActingNode,
  kind: string,
  epoch: number,
  send: () => Promise<unknown>,
): Promise<string | undefined> {
  try {
    await send();
    node.log.event(kind, { epoch });
    return undefined;
  } catch (thrown) {
    const refused = refusalName(thrown);
    if (refused === undefined) throw thrown;
    node.log.event("weights-refused", { epoch, what: kind, why: messageOf(thrown) });
    return refused;
  }
}

async function load({ local }: ActingNode): Promise<readonly Waiting[]> {
  const bytes = await local.get(KEY, { start: 0, end: BYTES_MAX });
  const json = bytes && jsonIn(bytes);
  return Array.isArray(json) ? json.filter(isWaiting).slice(-WAITING_MAX) : []; // a damaged file costs one reveal
}

function isWaiting(json: unknown): json is Waiting {
  const fields = fieldsIn(json);
  const [uids, values] = [fields.get("uids"), fields.get("values")];
  if (!isCount(fields.get("epoch")) || !areWords(uids) || !areWords(values)) return false;
  return areWords(fields.get("salt")) && uids.length === values.length;
}

function areWords(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((n) => isCount(n) && n <= 0xffff);
}
