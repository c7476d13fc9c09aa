/** The dataset that a run.json names: finding its folder, and everything about it that peers would otherwise trip over. */
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { systemCode } from "../../base/disk.node.ts";
import { SkeinError } from "../../base/errors.ts";
import { sha256Hex } from "../../base/hash.ts";
import { MANIFEST_BYTES_MAX } from "../../base/limits.ts";
import { type Dataset, openDataset } from "../../data/dataset.ts";
import { MANIFEST_KEY, manifestSha256, piecesKey } from "../../data/shards/manifest.ts";
import { bytesPerToken } from "../../data/shards/tokens.ts";
import { genesisRootOf } from "../../run/presets.ts";
import { slotsOf } from "../../run/rules.ts";
import type { RunSpec } from "../../run/spec.ts";
import { folderStore } from "../../store/folder.node.ts";
import type { Store } from "../../store/store.ts";

/** The folder of the run's dataset: `given`, else the one below `homes` with the manifest that the run names. Throws SkeinError("data"). */
export async function dataFolderOf(
  spec: RunSpec,
  given: string | undefined,
  homes: readonly string[],
): Promise<string> {
  if (given !== undefined) return given;
  const tried: string[] = [];
  for (const home of new Set(homes.map((each) => path.resolve(each)))) {
    for (const name of await foldersIn(home)) {
      const folder = path.join(home, name);
      const bytes = await folderStore(folder).get(MANIFEST_KEY, { start: 0, end: MANIFEST_BYTES_MAX + 1 });
      if (bytes === undefined) continue;
      if (sha256Hex(bytes) === spec.data.manifest) return folder;
      tried.push(folder);
    }
  }
  throw new SkeinError("data", "the dataset of this run is not here", {
    details: [
      `its manifest has the sha256 ${spec.data.manifest}`,
      ...tried.map((each) => `${each} is another one`),
    ].join("\n"),
    remedy: "name its folder with --data, as you did with `skein init`",
  });
}

/** Folders in `home` that may be a dataset: `data`, `data-4096`, `data.old`. */
async function foldersIn(home: string): Promise<string[]> {
  try {
    const entries = await fs.readdir(home, { withFileTypes: true });
    return entries.filter((each) => each.isDirectory() && /^data\b/.test(each.name)).map(({ name }) => name);
  } catch (thrown) {
    if (["ENOENT", "ENOTDIR", "EACCES"].includes(systemCode(thrown))) return [];
    throw thrown;
  }
}

/** Opens a run's dataset. Throws SkeinError("data") where it is another one, or damaged, or has too little text. */
export async function openRunData(spec: RunSpec, store: Store): Promise<Dataset> {
  const dataset = await openDataset(store);
  const { manifest } = dataset;
  const found = manifestSha256(manifest);
  if (found !== spec.data.manifest) {
    throw new SkeinError("data", "this is another dataset than run.json names", {
      details: `manifest here ${found}\nrun.json says  ${spec.data.manifest}`,
      remedy: "name the right folder with --data, or write a new run.json for this one: skein init --data",
    });
  }
  const { sha256, vocabSize } = manifest.tokenizer;
  if (sha256 !== spec.data.tokenizer) throw edited("data.tokenizer", "is not the hash of the dataset's tokenizer");
  if (vocabSize !== spec.model.vocabSize)
    throw edited("model.vocabSize", `is ${spec.model.vocabSize}, and the dataset's tokenizer has ${vocabSize} tokens`);
  await dataset.tokenizer();
  await checkFiles(dataset, store);
  checkEnough(spec, dataset);
  return dataset;
}

function edited(field: string, problem: string): SkeinError {
  return new SkeinError("config", `run.json: ${field} ${problem}`, {
    remedy: "take back that change, or write a new run.json: skein init",
  });
}

/** Every file is there, with its size; what is in it, whoever reads it will check. */
async function checkFiles({ manifest }: Dataset, store: Store): Promise<void> {
  const shards = [...manifest.splits.train.shards, ...manifest.splits.valid.shards];
  for (const shard of shards) {
    const wanted = shard.tokens * bytesPerToken(manifest.dtype);
    const size = await store.size(shard.name);
    const pieces = await store.size(piecesKey(shard));
    if (size === wanted && pieces !== undefined) continue;
    const problem =
      size === undefined || pieces === undefined ? "is missing" : `has ${size} bytes instead of ${wanted}`;
    throw new SkeinError(
      "data",
      `a file of the dataset ${problem}: ${size === wanted ? piecesKey(shard) : shard.name}`,
      {
        remedy: "copy the dataset again, or run the same `skein data` command again",
      },
    );
  }
}

/** Enough text that no sequence comes twice in a round, and something to measure the validation loss on. */
function checkEnough(spec: RunSpec, dataset: Dataset): void {
  const { seqLen } = spec.inner;
  const sequences = dataset.split("train").sequences(seqLen);
  const needed = 2 * slotsOf(spec);
  if (sequences < needed) {
    throw new SkeinError(
      "data",
      `the dataset has ${sequences} sequences of ${seqLen} tokens, and ${needed} are needed`,
      {
        details: `twice what ${spec.uids} uids train on in a round, so that nobody gets what another one has`,
        remedy: "take more text, or fewer uids, steps or sequences in run.json",
      },
    );
  }
  if (dataset.split("valid").sequences(seqLen) > 0) return;
  throw new SkeinError("data", `the dataset's validation split is shorter than one sequence of ${seqLen} tokens`, {
    remedy: "take more text, or a larger share for validation: skein data --valid-share",
  });
}

/** Throws SkeinError("config") where the first params that model and seed give are not those that run.json promises. Takes a while for large models. */
export function checkGenesis({ model, seed, genesisRoot }: RunSpec): void {
  const found = genesisRootOf(model, seed);
  if (found === genesisRoot) return;
  throw new SkeinError("config", "run.json: genesisRoot is not that of the first params which model and seed give", {
    details: `they give ${found}\nit says    ${genesisRoot}`,
    remedy: "write that root into run.json if the change of model or seed was meant, or run `skein init` again",
  });
}
