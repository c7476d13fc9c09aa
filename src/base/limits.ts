/**
 * Every limit on what comes from outside, in one place, with the reason. limits.test.ts asserts them against each other.
 */

/** Tokens in a vocabulary: Covenant-72B's 262,144 and room to spare. */
export const VOCAB_MAX: number = 1 << 20;
/** Model dimensions; covenant-72b's largest is 28,672. */
export const DIM_MAX: number = 1 << 17;
/** Transformer layers. */
export const LAYERS_MAX: number = 1024;
/** Positions in one sequence. */
export const SEQ_MAX: number = 1 << 17;
/** Bytes of a tokenizer.json; Gemma 3's has 33 MB. */
export const TOKENIZER_BYTES_MAX: number = 64 << 20;
/** Bytes of a manifest.json. */
export const MANIFEST_BYTES_MAX: number = 16 << 20;
/** Shards one manifest may name. */
export const SHARDS_MAX: number = 65_536;
/** Bytes of the JSON header of a checkpoint or safetensors file. */
export const HEADER_BYTES_MAX: number = 8 << 20;
/** Threads an engine may start. */
export const THREADS_MAX: number = 256;
/** Characters of a store key: well under every file system's path limit, with room for the folder before it. */
export const KEY_LENGTH_MAX: number = 512;
/** Characters of one part of a store key: 255 bytes is the file-name limit everywhere, and a temporary name adds a suffix. */
export const KEY_PART_LENGTH_MAX: number = 192;
/** Characters of any one text field in a checkpoint's metadata. */
export const METADATA_FIELD_MAX: number = 1 << 16;
/** Characters of one regular expression in a tokenizer.json; DeepSeek's longest has about 300. */
export const REGEX_CHARS_MAX: number = 4096;
/** Added tokens in a tokenizer.json; Gemma 3's has 6,414. */
export const ADDED_TOKENS_MAX: number = 65_536;
/** UTF-16 units in the text of one vocabulary entry or added token; real ones stay below 512. */
export const TOKEN_CHARS_MAX: number = 8192;
/** Tokens in one shard: at 4 bytes each, 4 GiB. */
export const SHARD_TOKENS_MAX: number = 1 << 30;
/** Bytes of one piece, the unit of verified reading. */
export const PIECE_BYTES_MAX: number = 64 << 20;
/** Pieces of one shard, whose hashes are read at once: 2 MiB. */
export const PIECES_MAX: number = 65_536;
/** Tokens in one split, so that positions are exact in float64 and the permutation reaches them all. */
export const SPLIT_TOKENS_MAX: number = 2 ** 48;
/** Bytes of one line of a JSONL file. */
export const LINE_BYTES_MAX: number = 64 << 20;
/** UTF-16 units in one document; longer texts are cut at line breaks. */
export const DOCUMENT_CHARS_MAX: number = 64 << 20;
/** Side of a chunk of the codec: positions within a chunk stay below 2^16. */
export const CHUNK_SIDE_MAX: number = 256;
/** Contributions one round may apply; the usual cap is 20. Bounds the scratch memory of `apply`. */
export const CONTRIBUTIONS_MAX: number = 1024;
/** Magnitude of a value in a payload. Params are of the order of 1; no honest round moves one by this much. */
export const LEVEL_MAX: number = 65_536;
/** Bits of a payload's stream per kept value. Real ones take 8 to 11; a peer whose values cannot be said in so many sends nothing. */
export const STREAM_BITS_MAX: number = 20;
/** Characters of a keystore file; real ones have about 500. */
export const KEYSTORE_CHARS_MAX: number = 16_384;
/** Bytes that a keystore file may make scrypt take: twice what geth's standard cost does. */
export const SCRYPT_BYTES_MAX: number = 512 << 20;
/** n·r·p of a keystore file: four times geth's standard cost. */
export const SCRYPT_WORK_MAX: number = 1 << 23;
/** Rounds of PBKDF2 that a keystore file may ask for: about forty times the usual. */
export const PBKDF2_ROUNDS_MAX: number = 10_000_000;
/** Bytes of one request to the embedded chain, and requests in one batch. */
export const RPC_BODY_BYTES_MAX: number = 1 << 20;
export const RPC_BATCH_MAX: number = 100;
/** Bytes of one signed transaction, as geth has it. */
export const TRANSACTION_BYTES_MAX: number = 128 << 10;
/** Gas of one transaction on the embedded chain, where gas is free: the largest page of an epoch takes 16.7 million. */
export const TRANSACTION_GAS_MAX: number = 100_000_000;
/** Gas of one simulated call: reading a whole metagraph takes some tens of millions. */
export const CALL_GAS_MAX: number = 500_000_000;
/** Transactions waiting on the embedded chain. */
export const POOL_MAX: number = 16_384;
