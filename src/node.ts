/**
 * The library in Node: `import { … } from "skein/node"`. All of `skein` (index.ts), and what needs Node: files, the native
 * engine, this machine's default corpus.
 *
 * @example
 * import { folderStore, openDataset, openEngine, PRESETS, trainSolo, withVocab } from "skein/node";
 *
 * const dataset = await openDataset(folderStore("data"));
 * const { shape, schedule, batch, seqLen } = withVocab(PRESETS["2m"], dataset.manifest.tokenizer.vocabSize);
 * const engine = await openEngine({ shape, seqLen, microBatch: batch });
 * await trainSolo({ engine, dataset, schedule, config: { seed: 1, batch, seqLen }, store: folderStore("run") });
 * await engine.close();
 */

export { fileLog } from "./base/log/file.node.ts";
export { type KeyFolder, keyFolder } from "./chain/keys/keys.node.ts";
export { contractsGenesis } from "./chain/local/genesis.node.ts";
export { type LocalChain, type LocalChainOptions, startLocalChain } from "./chain/local/local.node.ts";
export {
  type CorpusListing,
  type DefaultCorpus,
  type DefaultCorpusOptions,
  defaultCorpus,
} from "./data/default-corpus.node.ts";
export { type FileOptions, fileDocuments, findFiles } from "./data/files.node.ts";
export { describeEngines, type EngineName, type EngineReport, openEngine, planMemory } from "./engine/open.node.ts";
export { type Gateway, startGateway } from "./gateway/gateway.node.ts";
export * from "./index.ts";
export { bestMeans } from "./round/native/native.node.ts";
export { folderStore } from "./store/folder.node.ts";
