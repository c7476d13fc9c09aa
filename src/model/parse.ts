/** A model's shape out of JSON that somebody else wrote: exactly the known fields, each of its type and within its limit. */
import { SkeinError } from "../base/errors.ts";
import { checkShape, type ModelShape } from "../engine/shape.ts";

const NUMBERS = [
  "vocabSize",
  "dim",
  "layers",
  "heads",
  "kvHeads",
  "headDim",
  "ffnDim",
  "ropeTheta",
  "normEps",
] as const satisfies readonly (keyof ModelShape)[];

function refuse(message: string): never {
  throw new SkeinError("config", `model shape: ${message}`, {
    remedy: `give an object of the numbers ${NUMBERS.join(", ")} and the boolean tied`,
  });
}

/** The shape that `json` (a parsed JSON value) describes. Throws SkeinError("config") where it describes none. */
export function parseShape(json: unknown): ModelShape {
  if (typeof json !== "object" || json === null || Array.isArray(json)) refuse("must be an object");
  const fields = new Map<string, unknown>(Object.entries(json));
  const number = (name: (typeof NUMBERS)[number]): number => {
    const value = fields.get(name);
    if (typeof value !== "number") refuse(`${name} must be a number`);
    return value;
  };
  const tied = fields.get("tied");
  if (typeof tied !== "boolean") refuse("tied must be true or false");
  for (const name of fields.keys()) {
    if (name !== "tied" && !NUMBERS.some((known) => known === name))
      refuse(`unknown field ${JSON.stringify(name.slice(0, 40))}`);
  }
  const shape: ModelShape = {
    vocabSize: number("vocabSize"),
    dim: number("dim"),
    layers: number("layers"),
    heads: number("heads"),
    kvHeads: number("kvHeads"),
    headDim: number("headDim"),
    ffnDim: number("ffnDim"),
    ropeTheta: number("ropeTheta"),
    normEps: number("normEps"),
    tied,
  };
  checkShape(shape);
  return shape;
}

/** The one JSON text of a shape: fields in the order of the interface, no spaces. */
export function shapeJson(shape: ModelShape): string {
  const { vocabSize, dim, layers, heads, kvHeads, headDim, ffnDim, ropeTheta, normEps, tied } = shape;
  return JSON.stringify({ vocabSize, dim, layers, heads, kvHeads, headDim, ffnDim, ropeTheta, normEps, tied });
}

/** Whether two shapes describe the same model. */
export function sameShape(a: ModelShape, b: ModelShape): boolean {
  return shapeJson(a) === shapeJson(b);
}
