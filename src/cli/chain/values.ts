/** What the chain's commands take on the command line: subnet numbers, accounts, hyperparameters. */
import { InvalidArgumentError } from "commander";
import { SkeinError } from "../../base/errors.ts";
import type { Hash, SubnetParams } from "../../chain/chain.ts";
import { accountOf } from "../../chain/keys/account.ts";
import { coinsOf } from "./money.ts";

/** A subnet's number. A parser for commander. */
export function netuidOf(text: string): number {
  const netuid = Number(text);
  if (!/^\d{1,5}$/.test(text) || netuid > 65_535)
    throw new InvalidArgumentError("It must be a number from 0 to 65535.");
  return netuid;
}

/** An account: 32 bytes in hex, or an EVM address, whose account it then is. A parser for commander. */
export function accountFrom(text: string): Hash {
  if (/^0x[0-9a-fA-F]{64}$/.test(text)) return text.toLowerCase() as Hash;
  if (/^0x[0-9a-fA-F]{40}$/.test(text)) return accountOf(text.toLowerCase() as `0x${string}`);
  throw new InvalidArgumentError("It must be an account (0x and 64 hex digits) or an address (0x and 40).");
}

/** How each hyperparameter is written. */
const KINDS: Readonly<Record<keyof SubnetParams, "number" | "rao" | "bigint" | "boolean">> = {
  tempo: "number",
  maxUids: "number",
  maxValidators: "number",
  immunityPeriod: "number",
  activityCutoffFactor: "number",
  weightsSetRateLimit: "number",
  servingRateLimit: "number",
  weightsVersionKey: "bigint",
  minAllowedWeights: "number",
  minNonImmuneUids: "number",
  registrationAllowed: "boolean",
  minBurn: "rao",
  maxBurn: "rao",
  burnHalfLife: "number",
  burnIncreaseMult: "number",
  stakeThreshold: "rao",
  commitReveal: "boolean",
  revealInterval: "number",
  kappa: "number",
  rho: "number",
  bondsPenalty: "number",
  bondsMovingAverage: "number",
  yuma3: "boolean",
  liquidAlpha: "boolean",
  alphaLow: "number",
  alphaHigh: "number",
  alphaSteepness: "number",
  ownerCut: "number",
};

/** Names of all hyperparameters. */
export const PARAM_NAMES: readonly string[] = Object.keys(KINDS);

/** Whether a hyperparameter is an amount of money. */
export function isMoney(name: string): boolean {
  return new Map<string, string>(Object.entries(KINDS)).get(name) === "rao";
}

/** `["tempo=30", "minBurn=0.1"]` → hyperparameters. Throws SkeinError("usage"). */
export function paramsFrom(assignments: readonly string[]): Partial<SubnetParams> {
  const kinds = new Map<string, string>(Object.entries(KINDS));
  return Object.fromEntries(
    assignments.map((assignment) => {
      const [, name = "", text = ""] = /^(\w+)=(.+)$/.exec(assignment) ?? [];
      const kind = kinds.get(name);
      if (kind === undefined) {
        const remedy = `write name=value; the names are ${PARAM_NAMES.join(", ")}`;
        throw new SkeinError("usage", `there is no hyperparameter ${JSON.stringify(assignment)}`, { remedy });
      }
      return [name, parsedAs(name, kind, text)];
    }),
  );
}

function parsedAs(name: string, kind: string, text: string): number | bigint | boolean {
  const wrong = (remedy: string): never => {
    throw new SkeinError("usage", `${name} cannot be ${JSON.stringify(text)}`, { remedy });
  };
  if (kind === "boolean") return text === "true" ? true : text === "false" ? false : wrong("write true or false");
  if (kind === "number") return /^-?\d{1,15}$/.test(text) ? Number(text) : wrong("write a whole number");
  if (kind === "bigint") return /^\d{1,20}$/.test(text) ? BigInt(text) : wrong("write a whole number");
  try {
    return coinsOf(text);
  } catch {
    return wrong("write an amount of coins such as 0.25");
  }
}
