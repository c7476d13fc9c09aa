/**
 * A faucet's book: who was given coins to register, so that nobody is given them twice, however the process ends. A grant is written down before it is sent;
 * one that was begun and of which nobody knows how it ended is never begun again on its own. Pure: the lines of a file in, decisions and new lines out.
 */
import { SkeinError } from "../../base/errors.ts";
import { isAccount } from "../../base/json.ts";
import { FAUCET_GRANTS_MAX } from "../../base/limits.ts";
import type { Refusal } from "../http/refusal.ts";

/** How much a faucet gives. */
export interface FaucetRules {
  /** Rao of one grant, at most. */
  readonly raoMax: bigint;
  /** Grants begun in any hour. */
  readonly perHour: number;
  /** Rao of all grants together. */
  readonly budgetRao: bigint;
}

/** A grant that was begun. */
export interface Grant {
  /** 0x and 64 lower-case hex digits. */
  readonly account: string;
  readonly timeMs: number;
  /** Rao that were given; where that is not known, the most that it can be. */
  readonly rao: bigint;
  /** The block that it is in; absent while it is not known to be in one. */
  readonly block?: number;
}

/** What to do for an account. */
export type FaucetVerdict =
  | { readonly kind: "go" }
  | { readonly kind: "paid"; readonly rao: bigint; readonly block: number }
  | { readonly kind: "open" }
  | { readonly kind: "refuse"; readonly refusal: Refusal };

/** A book. The methods that change it give the line to append to its file. */
export interface FaucetBook {
  judge(account: string, nowMs: number): FaucetVerdict;
  begin(account: string, nowMs: number): string;
  paid(account: string, rao: bigint, block: number): string;
  /** The grant that was begun was certainly not sent. */
  undone(account: string): string;
}

const HOUR_MS = 3600_000;

/** The book that whole lines of a file tell. Throws SkeinError("store") where they are damaged. */
export function faucetBook(lines: readonly string[], rules: FaucetRules): FaucetBook {
  const grants = new Map<string, Grant>();
  for (const [i, line] of lines.entries()) {
    if (!replay(grants, line)) throw damaged(i + 1);
  }
  let givenRao = [...grants.values()].reduce((sum, { rao }) => sum + rao, 0n);
  let begun = [...grants.values()].map(({ timeMs }) => timeMs).sort((a, b) => a - b);
  const set = (grant: Grant): void => {
    givenRao += grant.rao - (grants.get(grant.account)?.rao ?? 0n);
    grants.set(grant.account, grant);
  };
  const refuse = (error: string, remedy: string, status: number, seconds?: number): FaucetVerdict => ({
    kind: "refuse",
    refusal: { status, error, remedy, ...(seconds === undefined ? {} : { retryAfterSeconds: seconds }) },
  });
  return {
    judge(account, nowMs) {
      const grant = grants.get(account);
      if (grant?.block !== undefined) return { kind: "paid", rao: grant.rao, block: grant.block };
      if (grant !== undefined) return { kind: "open" };
      const owner = "ask the run's owner for coins, or get some elsewhere";
      if (givenRao + rules.raoMax > rules.budgetRao || grants.size >= FAUCET_GRANTS_MAX)
        return refuse("the faucet is empty", owner, 403);
      begun = begun.filter((timeMs) => timeMs > nowMs - HOUR_MS);
      if (begun.length < rules.perHour) return { kind: "go" };
      const seconds = Math.max(1, Math.ceil(((begun[begun.length - rules.perHour] ?? nowMs) + HOUR_MS - nowMs) / 1000));
      return refuse(
        `the faucet gives to ${rules.perHour} newcomers an hour`,
        `try again in ${Math.ceil(seconds / 60)} min`,
        429,
        seconds,
      );
    },
    begin(account, nowMs) {
      set({ account, timeMs: nowMs, rao: rules.raoMax });
      begun.push(nowMs);
      return lineOf({ account, state: "begun", rao: `${rules.raoMax}`, timeMs: nowMs });
    },
    paid(account, rao, block) {
      set({ account, timeMs: grants.get(account)?.timeMs ?? 0, rao, block });
      return lineOf({ account, state: "paid", rao: `${rao}`, block });
    },
    undone(account) {
      givenRao -= grants.get(account)?.rao ?? 0n;
      grants.delete(account);
      return lineOf({ account, state: "undone" });
    },
  };
}

function lineOf(fields: Readonly<Record<string, string | number>>): string {
  return `${JSON.stringify(fields)}\n`;
}

/** Carries one line out; false where it is not one that this book can have written there. */
function replay(grants: Map<string, Grant>, line: string): boolean {
  let fields: ReadonlyMap<string, unknown>;
  try {
    fields = new Map(Object.entries(JSON.parse(line) as object));
  } catch {
    return false;
  }
  const [account, state, block, timeMs] = ["account", "state", "block", "timeMs"].map((name) => fields.get(name));
  if (!isAccount(account)) return false;
  const grant = grants.get(account);
  if (state === "undone") return grants.delete(account);
  const text = fields.get("rao");
  if (typeof text !== "string" || !/^\d{1,30}$/.test(text)) return false;
  const rao = BigInt(text);
  if (state === "begun") {
    if (grant !== undefined || !isTime(timeMs)) return false;
    grants.set(account, { account, timeMs, rao });
    return true;
  }
  if (state !== "paid" || grant === undefined || !isTime(block)) return false;
  grants.set(account, { account, timeMs: grant.timeMs, rao, block });
  return true;
}

function isTime(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}

function damaged(line: number): SkeinError {
  return new SkeinError("store", `the faucet's book is damaged in line ${line}`, {
    remedy: "correct that line by hand, or switch the faucet off: without its book it would pay people twice",
  });
}
