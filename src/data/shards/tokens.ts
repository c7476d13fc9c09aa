/**
 * Shards: token ids as little-endian uint16 (vocabularies up to 65,536) or uint32, nothing else in the file. Names carry the
 * start of the content's sha256, so that a new build never writes over the files an old manifest names.
 */
import { assert } from "../../base/assert.ts";
import { littleEndian } from "../../base/bytes.ts";
import { SkeinError } from "../../base/errors.ts";

/** How a token is stored. */
export type TokenType = "uint16" | "uint32";

/** Tokens in memory, as wide as in the file. */
export type TokenArray = Uint16Array | Uint32Array;

/** The narrowest type for a vocabulary. */
export function tokenTypeOf(vocabSize: number): TokenType {
  return vocabSize <= 65_536 ? "uint16" : "uint32";
}

/** Bytes of one token. */
export function bytesPerToken(type: TokenType): number {
  return type === "uint16" ? 2 : 4;
}

/** An array of `length` tokens. */
export function tokenArray(type: TokenType, length: number): TokenArray {
  return type === "uint16" ? new Uint16Array(length) : new Uint32Array(length);
}

/** The file's bytes of `tokens`; a view where the machine is little-endian. */
export function encodeTokens(tokens: TokenArray): Uint8Array {
  const bytes = new Uint8Array(tokens.buffer, tokens.byteOffset, tokens.byteLength);
  if (littleEndian) return bytes;
  const out = bytes.slice();
  const view = new DataView(out.buffer);
  tokens.forEach((token, i) => {
    if (tokens.BYTES_PER_ELEMENT === 2) view.setUint16(2 * i, token, true);
    else view.setUint32(4 * i, token, true);
  });
  return out;
}

/**
 * Tokens out of a file's bytes. Throws SkeinError("data") where the bytes are no whole tokens or a token is not below
 * `vocabSize`.
 */
export function decodeTokens(bytes: Uint8Array, type: TokenType, vocabSize: number): TokenArray {
  const width = bytesPerToken(type);
  const remedy = "build the dataset again with its own tokenizer";
  if (bytes.length % width !== 0)
    throw new SkeinError("data", `${bytes.length} bytes are no whole number of tokens`, { remedy });
  const tokens = tokenArray(type, bytes.length / width);
  if (littleEndian) new Uint8Array(tokens.buffer).set(bytes);
  else {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let i = 0; i < tokens.length; i++) {
      tokens[i] = width === 2 ? view.getUint16(2 * i, true) : view.getUint32(4 * i, true);
    }
  }
  for (let i = 0; i < tokens.length; i++) {
    if ((tokens[i] as number) >= vocabSize) {
      throw new SkeinError("data", `token ${tokens[i]} at ${i} is not below the vocabulary size ${vocabSize}`, {
        remedy,
      });
    }
  }
  return tokens;
}

/** File name of a shard, its piece list, or the tokenizer: what it is, its number, the first 16 hex digits of its sha256. */
export function shardName(split: string, index: number, sha256: string, suffix: "bin" | "pieces"): string {
  assert(/^[0-9a-f]{64}$/.test(sha256), "a sha256 has 64 hex digits");
  return `${split}-${String(index).padStart(5, "0")}-${sha256.slice(0, 16)}.${suffix}`;
}
