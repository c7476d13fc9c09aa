/** What the options of `skein simulate` mean: lines, ranges of seeds, attackers, a setting with several values. */
import { InvalidArgumentError } from "commander";
import { SkeinError } from "../../base/errors.ts";
import type { Adversary } from "../../sim/adversary/adversary.ts";
import { adversaryNamed, PEER_ADVERSARIES } from "../../sim/adversary/registry.ts";
import { realNumber, wholeNumber } from "../shared/options.ts";
import type { PlanChanges } from "./plan.ts";
import type { Line } from "./schedule.ts";

/** Most seeds of one call, and most attackers of one kind. */
const SEEDS_MAX = 1_000_000;
const ATTACKERS_MAX = 64;
/** A terabit a second. */
const MBPS_MAX = 1e6;

/** "110/500" → up and down, in Mb/s. */
export function linkOf(text: string): Pick<Line, "upMbps" | "downMbps"> {
  const parts = text.split("/");
  if (parts.length !== 2) throw new InvalidArgumentError("It must be UP/DOWN in Mb/s, such as 110/500.");
  const mbps = realNumber(0, MBPS_MAX, true);
  return { upMbps: mbps(parts[0] ?? ""), downMbps: mbps(parts[1] ?? "") };
}

/** Seeds from one to another, both included. */
export interface SeedRange {
  readonly first: number;
  readonly last: number;
}

/** "1-1000", or one seed. */
export function seedsOf(text: string): SeedRange {
  const match = /^(\d{1,15})(?:-(\d{1,15}))?$/.exec(text.trim());
  const first = Number(match?.[1]);
  const last = Number(match?.[2] ?? match?.[1]);
  if (match === null || last < first || last - first >= SEEDS_MAX) {
    throw new InvalidArgumentError(`It must be FIRST-LAST, such as 1-1000; at most ${SEEDS_MAX} seeds.`);
  }
  return { first, last };
}

/** So many trainers that make one kind of attack. */
export interface Attackers {
  readonly adversary: Adversary;
  readonly count: number;
}

/** "copycat,noise:3" → one of one kind, three of another. Throws SkeinError("usage") for kinds that no trainer can be. */
export function attackersOf(text: string): Attackers[] {
  return text.split(",").map((part) => {
    const [name = "", number = "1", ...rest] = part.trim().split(":");
    const count = /^\d+$/.test(number) && rest.length === 0 ? Number(number) : 0;
    if (count < 1 || count > ATTACKERS_MAX) {
      throw new SkeinError("usage", `${JSON.stringify(part)} names no attackers`, {
        remedy: `write NAME or NAME:COUNT, with a count from 1 to ${ATTACKERS_MAX}`,
      });
    }
    if (PEER_ADVERSARIES.includes(name)) return { adversary: adversaryNamed(name), count };
    throw new SkeinError("usage", `${JSON.stringify(name)} is no attack that a single trainer can make`, {
      remedy: `choose among ${PEER_ADVERSARIES.join(", ")}`,
    });
  });
}

/** 0 or 1. */
export function delayOf(text: string): 0 | 1 {
  if (text === "0") return 0;
  if (text === "1") return 1;
  throw new InvalidArgumentError("It must be 0 or 1.");
}

/** How the options are read that change a plan; what they may be stands here alone. */
export const PLAN_OPTIONS: { readonly [K in keyof PlanChanges]-?: (text: string) => NonNullable<PlanChanges[K]> } = {
  peers: wholeNumber(1, 256),
  validators: wholeNumber(1, 64),
  link: linkOf,
  latency: realNumber(0, 1e6),
  speed: realNumber(0, 1e9, true),
  ratio: realNumber(1, 1e6),
  delay: delayOf,
  block: realNumber(0, 3600, true),
  innerSteps: wholeNumber(1, 1e6),
};

/** The option of a setting, without its dashes: innerSteps → inner-steps. */
export function optionName(setting: string): string {
  return setting.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`);
}

/** Settings that can be swept, by their options: what a value changes. */
const SWEPT = new Map(
  Object.entries(PLAN_OPTIONS).map(([setting, read]) => [
    optionName(setting),
    (text: string): PlanChanges => ({ [setting]: read(text) }),
  ]),
);

/** Names of settings that can be swept. */
export const SWEPT_NAMES: readonly string[] = [...SWEPT.keys()];

/** One setting with several values. */
export interface Sweep {
  readonly name: string;
  readonly values: readonly { readonly text: string; readonly changes: PlanChanges }[];
}

/** "link=110/500,20/100" → a setting and what each of its values changes. */
export function sweepOf(text: string): Sweep {
  const at = text.indexOf("=");
  const name = text.slice(0, at < 0 ? text.length : at).trim();
  const read = SWEPT.get(name);
  if (read === undefined || at < 0) {
    throw new InvalidArgumentError(`It must be SETTING=VALUE,VALUE,… with a setting among ${SWEPT_NAMES.join(", ")}.`);
  }
  const values = text
    .slice(at + 1)
    .split(",")
    .map((value) => ({ text: value.trim(), changes: read(value.trim()) }));
  return { name, values };
}
