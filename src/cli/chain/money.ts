/** Amounts as people write and read them: decimals of a coin, of which the ninth is a rao. */
import { InvalidArgumentError } from "commander";
import { decimalCoins, RAO_PER_COIN } from "../../chain/money.ts";

/** All the money there can ever be, in coins. */
const COINS_MAX = 21_000_000n;

/** "1.5" → 1500000000n rao. A parser for commander. */
export function coinsOf(text: string): bigint {
  const match = /^(\d{1,8})(?:\.(\d{1,9}))?$/.exec(text.replace(/[_,]/g, ""));
  const rao = match ? BigInt(match[1] ?? "0") * RAO_PER_COIN + BigInt((match[2] ?? "").padEnd(9, "0")) : -1n;
  if (rao < 0n || rao > COINS_MAX * RAO_PER_COIN) {
    throw new InvalidArgumentError("It must be an amount of coins such as 2 or 0.25, with at most 9 decimals.");
  }
  return rao;
}

/** 1500000000n → "1.5"; thousands are set apart. */
export function inCoins(rao: bigint): string {
  const [whole = "", ...fraction] = decimalCoins(rao).split(".");
  return [whole.replace(/\B(?=(\d{3})+$)/g, ","), ...fraction].join(".");
}

/** Like `inCoins`, cut to `decimals` for a table; what is less than the last shown digit is "<0.0001", never 0. */
export function shortCoins(rao: bigint, decimals = 4): string {
  const unit = 10n ** BigInt(9 - decimals);
  if (rao > 0n && rao < unit) return `<${inCoins(unit)}`;
  return inCoins((rao / unit) * unit);
}
