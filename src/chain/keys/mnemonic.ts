/**
 * A key as twelve words that can be written on paper (BIP-39), the first account of the usual path m/44'/60'/0'/0/0 (BIP-44), so that a wallet
 * that is given the words shows the same address. The words' checksum is verified, which tells nearly all slips of the pen.
 */
import { must } from "../../base/assert.ts";
import { SkeinError } from "../../base/errors.ts";
import { sha256 } from "../../base/hash.ts";

/** viem's part for accounts: loaded on first use, because its word lists take a while. */
const accounts = (): Promise<typeof import("viem/accounts")> => import("viem/accounts");

/** Twelve new words. */
export async function newMnemonic(): Promise<string> {
  const { english, generateMnemonic } = await accounts();
  return generateMnemonic(english);
}

/** Whether `text` looks like words rather than a key or a file. */
export function looksLikeMnemonic(text: string): boolean {
  return /^[a-z]+(?:\s+[a-z]+){11,23}$/.test(text.trim().toLowerCase());
}

/** The private key of a mnemonic. Throws SkeinError("data") where a word is unknown or the checksum is wrong. */
export async function keyOfMnemonic(text: string): Promise<Uint8Array> {
  const { english, mnemonicToAccount } = await accounts();
  const words = text.trim().toLowerCase().split(/\s+/);
  const fault = faultOf(words, english);
  if (fault !== undefined) {
    const remedy = "compare with what was written down; the order matters";
    throw new SkeinError("data", `the mnemonic is wrong: ${fault}`, { remedy });
  }
  return must(mnemonicToAccount(words.join(" ")).getHdKey().privateKey, "private key").slice();
}

function faultOf(words: readonly string[], list: readonly string[]): string | undefined {
  if (words.length % 3 !== 0 || words.length < 12 || words.length > 24) {
    return `it has ${words.length} words, not 12, 15, 18, 21 or 24`;
  }
  const indices = words.map((word) => list.indexOf(word));
  const unknown = indices.indexOf(-1);
  if (unknown >= 0) return `word ${unknown + 1} is not in the list`;
  const bits = indices.map((index) => index.toString(2).padStart(11, "0")).join("");
  const entropyBits = (words.length / 3) * 32;
  const entropy = Uint8Array.from({ length: entropyBits / 8 }, (_, i) =>
    Number.parseInt(bits.slice(8 * i, 8 * i + 8), 2),
  );
  const checksum = (sha256(entropy)[0] ?? 0).toString(2).padStart(8, "0");
  return checksum.startsWith(bits.slice(entropyBits)) ? undefined : "its checksum does not fit";
}
