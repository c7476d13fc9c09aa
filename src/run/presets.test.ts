import { describe, expect, it } from "vitest";
import { manifestWith, TOY_SPEC } from "../../test/helpers/run-specs.ts";
import { toHex } from "../base/hash.ts";
import { RUN_SEED_CHARS_MAX } from "../base/limits.ts";
import { manifestSha256 } from "../data/shards/manifest.ts";
import { paramCount } from "../engine/shape.ts";
import { initParams } from "../model/init.ts";
import { stateRoot } from "../round/state-root.ts";
import { commentedSpec } from "./commented.ts";
import { parseSpec, readSpecText, specHash } from "./parse.ts";
import { genesisRootOf, makeSpec, RUN_PRESET_NAMES, RUN_PRESETS, runPresetNamed, type SpecRequest } from "./presets.ts";
import { blocksOf, peerTokensOf, roundsOf, slotsOf } from "./rules.ts";

const LARGE = manifestWith(4e9);
const tiny: SpecRequest = { preset: "tiny", name: "a run", seed: "seed", manifest: LARGE };

describe("run presets", () => {
  it("make valid specs, in the order of size", () => {
    let before = 0;
    for (const name of RUN_PRESET_NAMES) {
      const preset = RUN_PRESETS[name];
      expect(preset.name).toBe(name);
      expect(paramCount(preset.model)).toBeGreaterThan(before);
      before = paramCount(preset.model);
      const { uids, model, inner, codec, outer, timing, checkpointEvery, score, audit } = preset;
      const parts = { uids, model, inner, codec, outer, timing, checkpointEvery, score, audit };
      const spec = parseSpec({ ...TOY_SPEC, ...parts });
      expect(roundsOf(spec)).toBeGreaterThanOrEqual(10);
      // Nobody should need more than 3,000 tokens a second to take part with whole batches.
      expect(peerTokensOf(spec) / (timing.trainBlocks * preset.blockSeconds)).toBeLessThan(3000);
      expect(blocksOf(spec)).toBeLessThan(100);
    }
    expect(paramCount(RUN_PRESETS.tiny.model)).toBeLessThan(5000);
    expect(() => runPresetNamed("toString")).toThrow(expect.objectContaining({ code: "usage" }));
  });
});

describe("makeSpec", () => {
  it("joins preset, dataset, name and seed, with the root of the first params", () => {
    const spec = makeSpec(tiny);
    expect(spec).toMatchObject({
      ...{ protocol: 1, name: "a run", seed: "seed", uids: 8 },
      data: { manifest: manifestSha256(LARGE), tokenizer: LARGE.tokenizer.sha256 },
      timing: RUN_PRESETS.tiny.timing,
    });
    expect(spec.genesisRoot).toBe(toHex(stateRoot(initParams(spec.model, "seed"))));
    expect(spec.genesisRoot).toBe(genesisRootOf(spec.model, spec.seed));
    expect(parseSpec(spec)).toEqual(spec);
    expect(makeSpec(tiny)).toEqual(spec);
    expect(specHash(makeSpec({ ...tiny, seed: "other" }))).not.toBe(specHash(spec));
    const wide = makeSpec({ ...tiny, manifest: manifestWith(4e9, 1000) });
    expect(wide.model).toEqual({ ...spec.model, vocabSize: 1000 });
  });

  it("takes overrides, and fits to them what was not overridden", () => {
    const overrides = {
      ...{ model: { layers: 1, vocabSize: 5 }, uids: 3, checkpointEvery: 7 },
      ...{ inner: { steps: 1, batch: 1 }, codec: { k: 32 }, timing: { voteBlocks: 9 }, outer: { delay: 1 as const } },
    };
    const spec = makeSpec({ ...tiny, overrides });
    expect(spec).toMatchObject({
      ...{ uids: 3, checkpointEvery: 7, timing: { trainBlocks: 4, revealBlocks: 2, voteBlocks: 9 } },
      ...{ inner: { steps: 1, batch: 1, seqLen: 32 }, codec: { chunkSide: 64, k: 32 } },
      ...{ outer: { delay: 1, cap: 3, newcomerSlots: 2 }, score: { sequences: 1, peers: 3 } },
      model: { layers: 1, vocabSize: 257 },
    });
    expect(makeSpec({ ...tiny, overrides: { outer: { cap: 1 } } }).outer).toMatchObject({ cap: 1, newcomerSlots: 1 });
    for (const [wrong, path] of [
      [{ uids: 0 }, "uids"],
      [{ uids: 4, outer: { cap: 5 } }, "outer.cap"],
      [{ inner: { steps: Number.NaN } }, "inner.steps"],
      [{ model: { dim: 1.5 } }, "model.dim"],
      [{ score: { peers: 0 } }, "score.peers"],
    ] as const) {
      expect(() => makeSpec({ ...tiny, overrides: wrong })).toThrow(
        expect.objectContaining({ code: "config", message: expect.stringContaining(`run spec: ${path} must be`) }),
      );
    }
    for (const seed of ["", "x".repeat(RUN_SEED_CHARS_MAX + 1)])
      expect(() => makeSpec({ ...tiny, seed })).toThrow(/run spec: seed must be/);
  });

  it("has no more uids than the text serves, and says where that is too little", () => {
    const forSequences = (sequences: number, overrides = {}) =>
      makeSpec({ ...tiny, manifest: manifestWith(32 * sequences + 1), overrides });
    for (const [sequences, uids] of [
      [1000, 8],
      [128, 8],
      [127, 7],
      [48, 3],
      [32, 2],
    ] as const) {
      const spec = forSequences(sequences);
      expect(spec.uids).toBe(uids);
      expect(slotsOf(spec)).toBeLessThanOrEqual(sequences / 2); // so that no sequence comes twice in a round
      expect(spec.outer.cap).toBe(uids);
    }
    expect(() => forSequences(31)).toThrow(
      expect.objectContaining({ code: "data", details: expect.stringMatching(/^32 /) }),
    );
    expect(() => makeSpec({ ...tiny, manifest: manifestWith(0) })).toThrow(expect.objectContaining({ code: "data" }));
    expect(forSequences(48, { uids: 3 }).uids).toBe(3);
    expect(() => forSequences(48, { uids: 4 })).toThrow(expect.objectContaining({ code: "data" }));
  });
});

describe("commentedSpec", () => {
  it("explains every field, of every kind of schedule and aggregation, in lines that fit a screen", () => {
    const { lr, warmupSteps, steps } = TOY_SPEC.inner.schedule;
    const others = [
      TOY_SPEC,
      { ...TOY_SPEC, inner: { ...TOY_SPEC.inner, schedule: { kind: "constant", lr, warmupSteps, steps } as const } },
      {
        ...TOY_SPEC,
        outer: { ...TOY_SPEC.outer, aggregation: { rule: "trimmed-mean", clip: "none", trimPercent: 10 } as const },
      },
    ];
    for (const spec of others) {
      const text = commentedSpec(spec);
      expect(readSpecText(text)).toEqual(spec);
      const bare = text.split("\n").filter((line, i, all) => {
        const field = /^ *"(\w+)":/.exec(line);
        return field && !line.includes("//") && !(all[i - 1] ?? "").trim().startsWith("//");
      });
      expect(bare.map((line) => line.trim().split(":")[0])).toEqual(['"layers"', '"eps"']); // these say it themselves
      expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThan(130);
    }
  });
});
