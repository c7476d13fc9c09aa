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
/** Pieces (1 MiB of params) that the manifest of a shared checkpoint may name: 64 GiB, four times what fits one typed array. */
export const SHARED_PIECES_MAX: number = 65_536;
/** Bytes of such a manifest: 67 for each piece, and its other fields. */
export const SHARED_MANIFEST_BYTES_MAX: number = 67 * SHARED_PIECES_MAX + 1024;
/** Bytes of a validator's report on a round: at most 840 for each uid. */
export const REPORT_BYTES_MAX: number = 256 << 10;
/** Magnitude of a loss or a gain in nats, and of all that a report reckons with; no loss of a model that is any good reaches 20. */
export const NATS_MAX = 100;
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
/** Bytes of a run spec, and characters of a run.json with its comments; real ones have 1,000 and 4,200. */
export const SPEC_BYTES_MAX: number = 1 << 16;
/** Characters of a run's name, which is shown in one line, and of its seed. */
export const RUN_NAME_CHARS_MAX: number = 64;
export const RUN_SEED_CHARS_MAX: number = 256;
/** Uids of a subnet: the bits of a vote's bitmap on chain, entries of reports. */
export const RUN_UIDS_MAX: number = 256;
/** Inner steps of a run: at ten a second, three years. */
export const RUN_STEPS_MAX: number = 1_000_000_000;
/** Sequences in one step of one peer. */
export const BATCH_MAX: number = 1_000_000;
/** Sequences that a round hands out to all uids: as many as the keyed permutation orders. */
export const ROUND_SLOTS_MAX: number = 2 ** 48;
/** Params of a run's model: fifteen Covenant-72Bs; counts of bytes stay exact in float64. */
export const RUN_PARAMS_MAX: number = 2 ** 40;
/** Blocks of one phase of a round. */
export const PHASE_BLOCKS_MAX: number = 100_000;
/** Blocks of the rounds that nodes look back upon (run/parse.ts): a contract sees the hashes of the last 256 blocks only. */
export const ROUND_BLOCKS_MAX: number = 255;
/** Sequences of one kind on which a payload is judged; bounds a validator's work for one payload. */
export const SCORE_SEQUENCES_MAX: number = 4096;
/** Spans into which a round's inner steps are cut for audits; each costs three state roots a round. */
export const AUDIT_SPANS_MAX: number = 64;
/** Sequences of the validation loss; bounds a validator's work for one round. */
export const VALIDATION_SEQUENCES_MAX: number = 65_536;
/** Characters of a join link. */
export const LINK_CHARS_MAX: number = 2048;
/** Bytes of a gateway's description of its run; real ones have 800. */
export const RUN_INFO_BYTES_MAX: number = 1 << 14;
/** Bytes of one record of news; real ones have 400. */
export const NEWS_BYTES_MAX: number = 4096;
/** Records of news that a gateway keeps: some dozens of subnets' worth of hotkeys; those of hotkeys that left make room. */
export const NEWS_KEYS_MAX: number = 10_000;
/** Bytes of a list of keys: NEWS_KEYS_MAX of them, and room. */
export const LIST_BYTES_MAX: number = 2 << 20;
/** Bytes of a blob that is fetched whole where the caller names no limit; the largest shard that `skein data` makes is smaller. */
export const HTTP_GET_BYTES_MAX: number = 2 ** 31;
/** Bytes of a server's words about an error that are read, and characters of them that are shown. */
export const ERROR_BODY_BYTES_MAX: number = 4096;
export const ERROR_CHARS_MAX: number = 300;
/** Characters of a request's path: a key, and a prefix before it. */
export const HTTP_PATH_CHARS_MAX: number = 1024;
/** Bytes of a request's head; real ones have some hundreds. */
export const HTTP_HEAD_BYTES_MAX: number = 8192;
/** Bytes of a refused request's body that are read and thrown away, so that the refusal arrives before the connection is cut. */
export const HTTP_DISCARD_BYTES_MAX: number = 16 << 20;
/** Bytes of an answer of the chain that a gateway passes on: all weights of a subnet of 256 validators are 9 MB. */
export const RPC_ANSWER_BYTES_MAX: number = 64 << 20;
/** Bytes of a request to a faucet: an account. */
export const FAUCET_BODY_BYTES_MAX: number = 1024;
/** Grants of one faucet: its book is in memory, some 300 bytes a grant. */
export const FAUCET_GRANTS_MAX: number = 100_000;
/** Bytes of a faucet's file: at most three lines of 200 bytes a grant. */
export const FAUCET_FILE_BYTES_MAX: number = 600 * FAUCET_GRANTS_MAX;
/** Characters of one event that a process of `skein up` tells; the longest, of a round of 256 peers, has some thousands. */
export const EVENT_LINE_CHARS_MAX: number = 1 << 20;
/** Bytes of the history of such a network that are read again when it goes on: some 600 rounds of six nodes. */
export const HISTORY_BYTES_MAX: number = 8 << 20;
