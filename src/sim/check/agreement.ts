/**
 * Agreement: the params before a round are the same for all honest nodes, and at the end all of them hold the same ones.
 *
 * Nodes name roots when they start, apply, vote and end. All names of a round's root must be equal at once, in any weather (nodes see of the chain only what no
 * reorg takes back), and nobody ever finds its own params to be others than the run's: a disk that lost something only makes a node go on from an older
 * state, never from a wrong one. (To jump to a checkpoint since a payload cannot be had is no such finding.)
 */
import { type LogFields, numberIn, textIn } from "../../base/log/log.ts";
import type { Checker, LifeEnd, Sight } from "./checker.ts";
import { honestOf } from "./seen.ts";

/** Who named a root. */
interface Named {
  readonly node: string;
  readonly root: string;
}

/** All honest nodes have the same params. */
export function agreement(sight: Sight, violated: (what: string) => void): Checker {
  const honest = new Set(honestOf(sight));
  const first = new Map<number, Named>();
  const ends = new Map<string, LifeEnd>();
  const named = (node: string, round: number, root: string): void => {
    const other = first.get(round);
    if (other === undefined) first.set(round, { node, root });
    else if (other.root !== root) {
      violated(`before round ${round} ${node} has the root ${short(root)}, ${other.node} had ${short(other.root)}`);
    }
  };
  return {
    name: "agreement",
    onEvent(node, { kind, fields }) {
      if (!honest.has(node)) return;
      const isLost = kind === "resync" && textIn(fields, "details") !== "";
      if (isLost) violated(`${node} found its own params before round ${numberIn(fields, "round")} wrong`);
      const { round, root } = rootIn(kind, fields);
      if (round !== undefined && root !== undefined) named(node, round, root);
    },
    onLifeEnd(end) {
      if (honest.has(end.node)) ends.set(end.node, end);
    },
    async onEnd() {
      const over = [...ends.values()].flatMap(({ node, end }) => (end ? [{ node, ...end, root: bare(end.root) }] : []));
      const [one] = over;
      for (const { node, round, root } of over) {
        if (one !== undefined && (round !== one.round || root !== one.root))
          violated(
            `${node} ended with ${short(root)} before round ${round}, ${one.node} with ${short(one.root)} before ${one.round}`,
          );
      }
    },
  };
}

/** The round and the root of the params before it, where an event names them. */
function rootIn(kind: string, fields: LogFields): { readonly round?: number; readonly root?: string } {
  const [round, root] = [numberIn(fields, "round"), textIn(fields, "root")];
  if (round === undefined || root === undefined) return {};
  if (kind === "applied") return { round: round + 1, root: bare(root) };
  return kind === "start" || kind === "vote" || kind === "validation" ? { round, root: bare(root) } : {};
}

const bare = (root: string): string => (root.startsWith("0x") ? root.slice(2) : root);
const short = (root: string): string => root.slice(0, 12);
