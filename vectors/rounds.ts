/**
 * Writes vectors/rounds.json: what the golden rounds of test/helpers/golden-rounds.ts come to, done by the slow reference.
 *
 *   npm run build:all && node build/ts/vectors/rounds.js
 */
import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { goldenSequence, slowRound } from "../test/helpers/golden-rounds.ts";

const file = resolve(fileURLToPath(import.meta.url), "../../../../vectors/rounds.json"); // from build/ts/vectors/
const sequences = ([1, 2] as const).map((bits) => goldenSequence(bits, slowRound));
writeFileSync(file, `${JSON.stringify(sequences, null, 1)}\n`);
