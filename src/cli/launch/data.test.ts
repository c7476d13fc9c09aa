import * as fs from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildDataset } from "../../data/build.ts";
import { type Manifest, piecesKey } from "../../data/shards/manifest.ts";
import { byteTokenizer } from "../../data/tokenizer.ts";
import { makeSpec } from "../../run/presets.ts";
import type { RunSpec } from "../../run/spec.ts";
import { folderStore } from "../../store/folder.node.ts";
import { memoryStore } from "../../store/memory.ts";
import type { Store } from "../../store/store.ts";
import { checkGenesis, dataFolderOf, openRunData } from "./data.ts";

let home = "";
let manifest: Manifest;
let spec: RunSpec;

async function* texts(): AsyncGenerator<{ name: string; text: string }> {
  for (let i = 0; i < 200; i++)
    yield { name: `${i}`, text: `Story ${i}: the river went to the sea. `.repeat(10 + (i % 7)) };
}

beforeAll(async () => {
  home = await fs.mkdtemp(path.join(tmpdir(), "skein-launch-"));
  const options = { documents: texts(), tokenizer: byteTokenizer(), description: "stories", validFraction: 0.1 };
  manifest = await buildDataset(options, folderStore(path.join(home, "data-257")));
  spec = makeSpec({ preset: "tiny", name: "tiny", seed: "1", manifest });
});
afterAll(() => fs.rm(home, { recursive: true, force: true }));

/** The dataset in memory, to be spoiled. */
async function copied(): Promise<Store> {
  const [from, to] = [folderStore(path.join(home, "data-257")), memoryStore()];
  for (const key of await from.list()) await to.put(key, (await from.get(key)) as Uint8Array);
  return to;
}

describe("dataFolderOf", () => {
  it("finds the dataset that the spec names, among others", async () => {
    await fs.mkdir(path.join(home, "data-1"));
    await fs.writeFile(path.join(home, "data-1", "manifest.json"), "{}");
    await fs.mkdir(path.join(home, "data-0"));
    expect(await dataFolderOf(spec, undefined, ["/nowhere", home])).toBe(path.join(home, "data-257"));
    expect(await dataFolderOf(spec, "given", [home])).toBe("given");
  });

  it("says which ones it has looked at where none is the one", async () => {
    const other = { ...spec, data: { ...spec.data, manifest: "cd".repeat(32) } };
    await expect(dataFolderOf(other, undefined, [home])).rejects.toMatchObject({
      code: "data",
      details: expect.stringContaining(`${path.join(home, "data-257")} is another one`),
      remedy: expect.stringContaining("--data"),
    });
  });
});

describe("openRunData", () => {
  it("opens the dataset of the run", async () => {
    const dataset = await openRunData(spec, await copied());
    expect(dataset.manifest.source.description).toBe("stories");
  });

  it("refuses another dataset, and a spec that was changed where it may not be", async () => {
    const store = await copied();
    const other = { ...spec, data: { ...spec.data, manifest: "cd".repeat(32) } };
    await expect(openRunData(other, store)).rejects.toMatchObject({ code: "data", message: /another dataset/ });
    const tokenizer = { ...spec, data: { ...spec.data, tokenizer: "cd".repeat(32) } };
    await expect(openRunData(tokenizer, store)).rejects.toMatchObject({ code: "config", message: /data\.tokenizer/ });
    const vocab = { ...spec, model: { ...spec.model, vocabSize: 300 } };
    await expect(openRunData(vocab, store)).rejects.toMatchObject({ code: "config", message: /model\.vocabSize/ });
  });

  it("refuses a dataset with a file that is gone or cut", async () => {
    const [shard] = manifest.splits.train.shards;
    if (shard === undefined) throw new Error("no shard");
    const [gone, cut, listless] = [await copied(), await copied(), await copied()];
    await gone.delete(shard.name);
    await expect(openRunData(spec, gone)).rejects.toMatchObject({ code: "data", message: /is missing: train/ });
    await cut.put(shard.name, ((await cut.get(shard.name)) as Uint8Array).subarray(0, 100));
    await expect(openRunData(spec, cut)).rejects.toMatchObject({ message: /has 100 bytes instead of/ });
    await listless.delete(piecesKey(shard));
    await expect(openRunData(spec, listless)).rejects.toMatchObject({ message: /is missing: .*\.pieces/ });
  });

  it("refuses a dataset that is too small for the run", async () => {
    const store = await copied();
    const many = { ...spec, uids: 256 };
    await expect(openRunData(many, store)).rejects.toMatchObject({ code: "data", message: /sequences .* are needed/ });
    const long = { ...spec, uids: 2, inner: { ...spec.inner, steps: 1, batch: 1, seqLen: 9000 } };
    await expect(openRunData(long, store)).rejects.toMatchObject({ code: "data", message: /validation split/ });
  });
});

describe("checkGenesis", () => {
  it("takes the root that model and seed give, and no other", () => {
    checkGenesis(spec);
    expect(() => checkGenesis({ ...spec, seed: "2" })).toThrow(/genesisRoot/);
  });
});
