/**
 * GPT-2's alphabet: one printable Unicode letter for each of the 256 bytes, so that byte strings can be written as JSON keys.
 * Bytes that are printable in Latin-1 stand for themselves; the others, in ascending order, take the letters from U+0100 on
 * (Radford et al. 2019, encoder.py `bytes_to_unicode`; Hugging Face calls it ByteLevel).
 */

function letterTable(): string[] {
  const printable = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : next++));
}

/** The letter of each byte. */
export const BYTE_LETTERS: readonly string[] = letterTable();

/** The byte of each letter's code unit (0 to 0x143), or −1. */
const LETTER_BYTES: Int16Array = (() => {
  const table = new Int16Array(0x144).fill(-1);
  BYTE_LETTERS.forEach((letter, byte) => {
    table[letter.charCodeAt(0)] = byte;
  });
  return table;
})();

/** The letters of `bytes`. */
export function lettersOf(bytes: Uint8Array): string {
  let out = "";
  for (const byte of bytes) out += BYTE_LETTERS[byte] as string;
  return out;
}

/** The bytes behind `letters`, or undefined where a character is no letter of the alphabet. */
export function bytesOfLetters(letters: string): Uint8Array | undefined {
  const out = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) {
    const byte = LETTER_BYTES[letters.charCodeAt(i)] ?? -1;
    if (byte < 0) return undefined;
    out[i] = byte;
  }
  return out;
}
