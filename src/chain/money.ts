/** Rao and coins, for everything that shows or reads amounts. */

/** A coin's rao. */
export const RAO_PER_COIN = 1_000_000_000n;

/** Rao as plain decimals of a coin, without needless zeros: 1500000000n → "1.5". */
export function decimalCoins(rao: bigint): string {
  const fraction = (rao % RAO_PER_COIN).toString().padStart(9, "0").replace(/0+$/, "");
  return `${rao / RAO_PER_COIN}${fraction ? `.${fraction}` : ""}`;
}
