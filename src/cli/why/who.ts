/** Whom `skein why` is asked about: a uid, or whoever holds a hotkey. */
import { InvalidArgumentError } from "commander";
import { SkeinError } from "../../base/errors.ts";
import type { Hash, Metagraph, Neuron } from "../../chain/chain.ts";
import { accountFrom } from "../chain/values.ts";

/** A peer as it was named. */
export type Asked = { readonly uid: number } | { readonly account: Hash };

/** Largest uid that anybody may have: the chain counts them in 16 bits. */
const UID_MAX = 65_535;

/** A uid, an account or an EVM address. A parser for commander. */
export function askedOf(text: string): Asked {
  if (/^0x/i.test(text)) return { account: accountFrom(text) };
  if (/^\d{1,5}$/.test(text) && Number(text) <= UID_MAX) return { uid: Number(text) };
  throw new InvalidArgumentError("It must be a uid, or a hotkey's address or account.");
}

/** Who that is now. Throws SkeinError("usage") where nobody is. */
export function peerOf({ neurons, subnet }: Metagraph, asked: Asked): Neuron {
  if ("uid" in asked) {
    const neuron = neurons[asked.uid];
    if (neuron !== undefined) return neuron;
    throw new SkeinError("usage", `there is no uid ${asked.uid} in subnet ${subnet.netuid}`, {
      details: neurons.length === 0 ? "nobody is there yet" : `its uids are 0 to ${neurons.length - 1}`,
      remedy: "`skein status` shows who has which uid",
    });
  }
  const neuron = neurons.find(({ hotkey }) => hotkey === asked.account);
  if (neuron !== undefined) return neuron;
  const isOwner = neurons.filter(({ coldkey }) => coldkey === asked.account).map(({ uid }) => uid);
  throw new SkeinError("usage", `no uid of subnet ${subnet.netuid} belongs to this hotkey`, {
    details:
      isOwner.length > 0
        ? `${asked.account} is a coldkey: it owns ${isOwner.length === 1 ? "uid" : "uids"} ${isOwner.join(", ")}`
        : `account ${asked.account}: it was never registered, or somebody has taken over its uid`,
    remedy: "`skein status` shows who has which uid; `skein join` registers again",
  });
}
