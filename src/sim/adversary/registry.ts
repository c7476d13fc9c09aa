/** All kinds of attack, by name. */
import { SkeinError } from "../../base/errors.ts";
import type { Adversary } from "./adversary.ts";
import { BYTES } from "./bytes.ts";
import { COPIES } from "./copies.ts";
import { GRADIENTS } from "./gradients.ts";
import { TIMING } from "./timing.ts";
import { TROUBLES } from "./troubles.ts";
import { VALIDATORS } from "./validators.ts";
import { WORK } from "./work.ts";

/** Kinds in the table of attacks: 1 to this. */
export const ATTACK_KINDS = 30;

/** Every kind of attack, in the table's order. */
export const ADVERSARIES: readonly Adversary[] = [
  ...[GRADIENTS, BYTES, COPIES, TIMING, WORK, VALIDATORS, TROUBLES].flat(),
].sort((a, b) => a.number - b.number);

/** Names of the attacks that a single dishonest trainer can make, in the table's order. */
export const PEER_ADVERSARIES: readonly string[] = ADVERSARIES.filter(({ who }) => who === "peer").map(
  ({ name }) => name,
);

/** The attack called `name`. Throws SkeinError("usage") naming those there are. */
export function adversaryNamed(name: string): Adversary {
  const found = ADVERSARIES.find((each) => each.name === name);
  if (found !== undefined) return found;
  throw new SkeinError("usage", `there is no attack ${JSON.stringify(name)}`, {
    remedy: `choose one of ${ADVERSARIES.map((each) => each.name).join(", ")}`,
  });
}
