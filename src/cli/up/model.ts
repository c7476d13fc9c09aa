/**
 * What the network has made so far, for its owner to use: each checkpoint that a validator publishes becomes a run folder that `skein generate`
 * reads, and a line of what the model writes. The params are taken only if they are those of the state root that all followed.
 */
import { utf8 } from "../../base/bytes.ts";
import { messageOf } from "../../base/errors.ts";
import { fromHex } from "../../base/hash.ts";
import { saveCheckpoint } from "../../checkpoint/checkpoint.ts";
import { fetchCheckpoint, isCheckpointFault } from "../../checkpoint/shared/fetch.ts";
import type { Dataset } from "../../data/dataset.ts";
import { type EngineName, openEngine } from "../../engine/open.node.ts";
import { paramCount } from "../../engine/shape.ts";
import { generate } from "../../evaluate/generate.ts";
import { specHash } from "../../run/parse.ts";
import type { RunSpec } from "../../run/spec.ts";
import { folderStore } from "../../store/folder.node.ts";
import { memoryStore } from "../../store/memory.ts";
import { RUN_TOKENIZER } from "../shared/training.ts";

/** Where the model comes from and goes to. */
export interface ModelOptions {
  readonly spec: RunSpec;
  readonly dataset: Dataset;
  /** The folder of the gateway's blobs. */
  readonly blobs: string;
  /** The run folder that is written. */
  readonly folder: string;
  readonly engine: EngineName;
}

/** A checkpoint as a validator tells it, with the state root that the rounds before it gave. */
export interface Published {
  readonly round: number;
  /** sha256 of its manifest, in hex. */
  readonly manifest: string;
  /** In hex. */
  readonly root: string;
}

const PROMPT = "Returns the";
const TOKENS = 32;

/** Takes checkpoints as they are published. */
export interface ModelKeeper {
  /** Takes this one, unless it is busy with another or has a later one. */
  offer(published: Published): void;
  /** Resolves when nothing is under way. */
  rest(): Promise<void>;
}

/** A keeper that tells what each model writes, or why it could not be taken. Never throws. */
export function modelKeeper(
  options: ModelOptions,
  onText: (round: number, text: string) => void,
  onTrouble: (why: string) => void,
): ModelKeeper {
  let newest = -1;
  let busy: Promise<void> | undefined;
  const take = async (published: Published): Promise<void> => {
    try {
      const text = await writeModel(options, published);
      if (text !== undefined) onText(published.round, text);
    } catch (thrown) {
      onTrouble(messageOf(thrown));
    } finally {
      busy = undefined;
    }
  };
  return {
    offer(published) {
      if (busy !== undefined || published.round <= newest) return;
      newest = published.round;
      busy = take(published);
    },
    rest: async () => busy,
  };
}

/** Writes the run folder anew and gives what the model writes, prompt and all; undefined where the checkpoint is not to be had. */
async function writeModel(options: ModelOptions, { round, manifest, root }: Published): Promise<string | undefined> {
  const { spec, dataset, blobs, folder, engine: name } = options;
  const { model: shape, inner, seed } = spec;
  const expected = { specHash: specHash(spec), round, root: fromHex(root), paramCount: paramCount(shape) };
  const params = await fetchCheckpoint([memoryStore(), folderStore(blobs)], manifest, expected);
  if (isCheckpointFault(params)) return undefined;
  const tokenizer = await dataset.tokenizer();
  const engine = await openEngine({ engine: name, shape, seqLen: inner.seqLen, microBatch: 1, threads: 1 });
  try {
    await engine.write("params", params);
    const facts = { step: round * inner.steps, tokensSeen: 0, seed, dataHash: spec.data.manifest };
    const store = folderStore(folder);
    await store.put(RUN_TOKENIZER, utf8(tokenizer.toJson()));
    await saveCheckpoint(store, engine, { ...facts, config: JSON.stringify({ seqLen: inner.seqLen }) }, 1);
    const { text } = await generate(engine, tokenizer, PROMPT, { maxTokens: TOKENS, seed: `${seed}/${round}` });
    return `${PROMPT}${text}`.replace(/\s+/g, " ").trim();
  } finally {
    await engine.close();
  }
}
