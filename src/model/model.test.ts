import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TOY_SHAPE } from "../../test/helpers/toy.ts";
import { bytesOf } from "../base/bytes.ts";
import { sha256Hex } from "../base/hash.ts";
import { seededRandom } from "../base/random.ts";
import { checkShape, type ModelShape, paramCount, paramLayout } from "../engine/shape.ts";
import { checkSchedule } from "../optim/schedule.ts";
import { countParams, stateBytes, trainFlopsPerToken } from "./count.ts";
import { INIT_STD, initParams, initTensors, sumOfTwelve } from "./init.ts";
import { parseShape, sameShape, shapeJson } from "./parse.ts";
import { PRESET_NAMES, PRESETS, presetNamed, withVocab } from "./presets.ts";

const toy: ModelShape = { ...TOY_SHAPE, vocabSize: 11 };

describe("presets", () => {
  it("are valid, grow, and are named by their keys", () => {
    let before = 0;
    for (const name of PRESET_NAMES) {
      const preset = PRESETS[name];
      checkShape(preset.shape);
      checkSchedule(preset.schedule);
      expect(preset.name).toBe(name);
      expect(paramCount(preset.shape)).toBeGreaterThan(before);
      before = paramCount(preset.shape);
    }
  });

  it("have the published and the intended numbers of params", () => {
    const count = (name: string): number => countParams(presetNamed(name).shape).total;
    expect(count("nano")).toBe(806_784);
    expect(count("nano")).toBeLessThan(1e6);
    expect(count("2m")).toBe(2_137_728);
    expect(count("7m")).toBe(6_843_648);
    expect(count("34m")).toBe(33_694_208);
    expect(count("125m")).toBe(125_848_320);
    expect(count("1b")).toBe(1_235_814_400); // Llama 3.2 1B
    expect(count("8b")).toBe(8_030_261_248); // Llama 3 8B
    expect(count("covenant-72b")).toBe(72_747_327_488);
    expect(countParams({ ...PRESETS["covenant-72b"].shape, tied: true }).total).toBe(70_599_843_840);
  });

  it("refuse unknown names and take other vocabularies", () => {
    expect(() => presetNamed("toString")).toThrow(expect.objectContaining({ code: "usage" }));
    expect(withVocab(PRESETS.nano, 257).shape).toEqual({ ...PRESETS.nano.shape, vocabSize: 257 });
    expect(() => withVocab(PRESETS.nano, 0)).toThrow(expect.objectContaining({ code: "config" }));
  });
});

describe("counts", () => {
  it("agree with the layout, group by group", () => {
    for (const shape of [toy, { ...toy, tied: true }, ...PRESET_NAMES.map((name) => PRESETS[name].shape)]) {
      const counts = countParams(shape);
      const sum = (pattern: RegExp): number =>
        paramLayout(shape).reduce((total, e) => total + (pattern.test(e.name) ? e.length : 0), 0);
      expect(counts).toEqual({
        embedding: sum(/^embed$/),
        attention: sum(/\.w[qkvo]$/),
        ffn: sum(/\.w(gate|up|down)$/),
        norms: sum(/norm\d?$/),
        head: sum(/^head$/),
        total: paramCount(shape),
      });
      expect(stateBytes(shape).total).toBe(16 * counts.total);
    }
  });

  it("count FLOPs as counted by hand", () => {
    // per token, forward: per layer q 2·8·8, k and v 2·8·4 each, o 2·8·8, ffn 3·2·8·12; head 2·8·11; scores and mix 2·8·(T+1)/2 each
    const forward = 2 * (128 + 64 + 64 + 128 + 576 + 2 * 8 * 6) + 176;
    expect(trainFlopsPerToken(toy, 5)).toBe(3 * forward);
    expect(trainFlopsPerToken({ ...toy, tied: true }, 5)).toBe(3 * forward);
  });
});

describe("initParams", () => {
  it("has these bits on every machine (worked out once by another program, in Python)", () => {
    expect(sha256Hex(bytesOf(initParams(toy, 1)))).toBe(
      "0cf7c10296827ef9a12658abbb357745f5307a3f43628001b1af62fe41546094",
    );
    expect(sha256Hex(bytesOf(initParams({ ...toy, tied: true }, "run/7")))).toBe(
      "208720fab7b1306dec1cb0d57c5097aa2f8325252edc5b116810dd3dc3dea9cd",
    );
  });

  it("gives each tensor its own stream, gains of 1, and smaller residual outputs", () => {
    const shape: ModelShape = { ...toy, vocabSize: 500, dim: 64, headDim: 32, ffnDim: 128 };
    const params = initParams(shape, 3);
    for (const { entry, start, values } of initTensors(shape, 3)) {
      expect(values).toEqual(params.slice(entry.offset + start, entry.offset + start + values.length));
      if (entry.dims.length === 1) {
        expect(values.every((x) => x === 1)).toBe(true);
        continue;
      }
      const mean = values.reduce((a, x) => a + x, 0) / values.length;
      const std = Math.sqrt(values.reduce((a, x) => a + (x - mean) ** 2, 0) / values.length);
      const expected = /\.(wo|wdown)$/.test(entry.name) ? INIT_STD / 2 : INIT_STD;
      expect(Math.abs(mean)).toBeLessThan((5 * expected) / Math.sqrt(values.length));
      expect(Math.abs(std / expected - 1)).toBeLessThan(5 / Math.sqrt(values.length));
    }
    expect(initParams(shape, 4)).not.toEqual(params);
    const names = [...initTensors(shape, 3)].map(({ values }) => values.slice(0, 4).join());
    expect(new Set(names.filter((text) => text !== "1,1,1,1")).size).toBe(names.length - 5);
  });

  it("streams a tensor larger than a piece exactly as one draw after the other", () => {
    const shape: ModelShape = { ...toy, vocabSize: 600_000, tied: true };
    const pieces = [...initTensors(shape, 1)].filter(({ entry }) => entry.name === "embed");
    expect(pieces.map(({ start, values }) => [start, values.length])).toEqual([
      [0, 4_194_304],
      [4_194_304, 605_696],
    ]);
    const random = seededRandom("init/1/embed");
    for (let i = 0; i < 4_194_304; i++) sumOfTwelve(random);
    expect(pieces[1]?.values[0]).toBe(Math.fround(INIT_STD * sumOfTwelve(random)));
  });
});

describe("parseShape", () => {
  it("reads back what shapeJson writes", () => {
    for (const name of PRESET_NAMES) {
      const { shape } = PRESETS[name];
      expect(parseShape(JSON.parse(shapeJson(shape)))).toEqual(shape);
      expect(sameShape(shape, { ...shape })).toBe(true);
      expect(sameShape(shape, { ...shape, tied: !shape.tied })).toBe(false);
    }
  });

  it("refuses everything else with a config error, whatever the JSON", () => {
    const good = JSON.parse(shapeJson(toy));
    const bad = [
      null,
      [],
      "x",
      {},
      { ...good, extra: 1 },
      { ...good, dim: "8" },
      { ...good, dim: 8.5 },
      { ...good, tied: 1 },
      { ...good, layers: 1e9 },
      { ...good, headDim: 3 },
      JSON.parse(`{"__proto__": ${shapeJson(toy)}}`),
      Object.create(good),
    ];
    for (const json of bad) expect(() => parseShape(json)).toThrow(expect.objectContaining({ code: "config" }));
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(...Object.keys(good)), (value, field) => {
        const json = { ...good, [field]: value };
        try {
          checkShape(parseShape(json));
        } catch (thrown) {
          expect(thrown).toMatchObject({ name: "SkeinError", code: "config" });
        }
      }),
    );
  });
});
