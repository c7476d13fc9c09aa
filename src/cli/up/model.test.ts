import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { toySpec } from "../../../test/helpers/network.ts";
import { TOY_SHAPE, toyDataset } from "../../../test/helpers/toy.ts";
import { toHex } from "../../base/hash.ts";
import { latestCheckpoint, loadCheckpoint } from "../../checkpoint/checkpoint.ts";
import { publishCheckpoint } from "../../checkpoint/shared/publish.ts";
import type { Dataset } from "../../data/dataset.ts";
import { byteTokenizer } from "../../data/tokenizer.ts";
import { openReference } from "../../engine/reference/reference.ts";
import { initParams } from "../../model/init.ts";
import { stateRoot } from "../../round/state-root.ts";
import { specHash } from "../../run/parse.ts";
import type { RunSpec } from "../../run/spec.ts";
import { folderStore } from "../../store/folder.node.ts";
import { type ModelKeeper, modelKeeper } from "./model.ts";

const TOKENIZER = byteTokenizer();
const SPEC: RunSpec = { ...toySpec(), model: { ...TOY_SHAPE, vocabSize: TOKENIZER.vocabSize } };
const DATASET: Dataset = { ...toyDataset(), tokenizer: async () => TOKENIZER };
const PARAMS = initParams(SPEC.model, "another seed");
const ROOT = toHex(stateRoot(PARAMS));

let folder = "";
let manifest = "";
const said: string[] = [];

function keeper(): ModelKeeper {
  said.length = 0;
  const options = { spec: SPEC, dataset: DATASET, engine: "reference" } as const;
  return modelKeeper(
    { ...options, blobs: path.join(folder, "store"), folder: path.join(folder, "model") },
    (round, text) => said.push(`${round}: ${text}`),
    (why) => said.push(why),
  );
}

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "skein-model-"));
  const store = folderStore(path.join(folder, "store"));
  ({ manifest } = await publishCheckpoint(store, { specHash: specHash(SPEC), round: 5, params: PARAMS }));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("the model", () => {
  it("becomes a run folder that can be generated from, and writes a line", async () => {
    const models = keeper();
    models.offer({ round: 5, manifest, root: ROOT });
    await models.rest();
    expect(said).toHaveLength(1);
    expect(said[0]).toMatch(/^5: Returns the/);
    const made = folderStore(path.join(folder, "model"));
    const found = await latestCheckpoint(made);
    expect(found?.info).toMatchObject({ step: 5 * SPEC.inner.steps, shape: SPEC.model, config: `{"seqLen":8}` });
    const engine = await openReference({ shape: SPEC.model, seqLen: 8, microBatch: 1 });
    await loadCheckpoint(made, found?.key ?? "", engine, ["params"]);
    expect(await engine.read("params")).toEqual(PARAMS);
    expect(await made.size("tokenizer.json")).toBeGreaterThan(100);
  });

  it("is not taken twice, nor while another one is taken, nor an older one", async () => {
    const models = keeper();
    for (const round of [5, 5, 6, 4]) models.offer({ round, manifest, root: ROOT });
    await models.rest();
    models.offer({ round: 5, manifest, root: ROOT });
    await models.rest();
    expect(said.map((text) => text.slice(0, 2))).toEqual(["5:"]);
  });

  it("is not taken from a checkpoint of other params, of another round, or that is not there", async () => {
    for (const published of [
      { round: 5, manifest, root: "00".repeat(32) },
      { round: 6, manifest, root: ROOT },
      { round: 5, manifest: "00".repeat(32), root: ROOT },
    ]) {
      const models = keeper();
      models.offer(published);
      await models.rest();
      expect(said).toEqual([]);
    }
  });
});
