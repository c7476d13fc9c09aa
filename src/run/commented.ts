/**
 * run.json as `skein init` writes it: every field with what it is, in which unit, and what follows when it is changed. `readSpecText`
 * gives the same spec again.
 */
import { must } from "../base/assert.ts";
import { parseSpec } from "./parse.ts";
import type { RunSpec } from "./spec.ts";

const HEAD = `// A run of Skein. Everything that its result depends on is in here, and the sha256 of its canonical form (no comments, no
// spaces, fields sorted) is the run's name: change one digit, and it is another run. So change it before \`skein launch\`.
`;

/** What is said of each field, by its path. Several lines where a line would be long. */
const COMMENTS: Readonly<Record<string, string>> = {
  protocol: "version of the rules",
  name: "for people: 1 to 64 characters",
  model: `the model: a Llama-3 style decoder. genesisRoot follows from it and from the seed: to change these, run \`skein init\` again`,
  "model.vocabSize": "tokens in the vocabulary: those of the dataset's tokenizer",
  "model.dim": "width of the residual stream",
  "model.layers": "",
  "model.heads": "query heads",
  "model.kvHeads": "key/value heads; a divisor of heads",
  "model.headDim": "width of a head; even",
  "model.ffnDim": "width of the feed-forward",
  "model.ropeTheta": "base of the rotary embedding",
  "model.normEps": "epsilon of RMSNorm",
  "model.tied": "whether the output head is the embedding",
  seed: "chooses the first params and the order of the data",
  genesisRoot: "state root of the first params: 64 hex digits",
  data: "the dataset, by sha256: any copy of it will do",
  "data.manifest": "of manifest.json",
  "data.tokenizer": "of the tokenizer's file",
  uids: "uids with data of their own, 0 to this - 1; the subnet's maxUids; at most 256",
  inner: "what a peer does in a round",
  "inner.steps": "optimizer steps of a round",
  "inner.batch": "sequences in a step; a slow machine may take fewer",
  "inner.seqLen": "tokens in a sequence",
  "inner.adamw": "the inner optimizer",
  "inner.adamw.beta1": "decay of the first moment",
  "inner.adamw.beta2": "decay of the second moment",
  "inner.adamw.eps": "",
  "inner.adamw.weightDecay": "on matrices; scaled by the learning rate",
  "inner.adamw.clipNorm": "largest norm of a gradient",
  "inner.schedule": "the inner learning rate, by step of the whole run: round * inner.steps + step",
  "inner.schedule.kind": '"constant" or "cosine"',
  "inner.schedule.lr": "the peak",
  "inner.schedule.warmupSteps": "steps of linear rise at the beginning",
  "inner.schedule.steps": "length of the run in steps; divided by inner.steps it is the number of rounds",
  "inner.schedule.floorLr": "what the cosine falls to",
  "inner.schedule.annealSteps": "steps of linear fall to zero at the end",
  "inner.resetMoments":
    "whether AdamW's moments begin at zero in every round: audits then need less from a peer,\nand the run learns a little slower",
  codec: "how a pseudo-gradient becomes a payload",
  "codec.chunkSide": "matrices are cut into blocks of this side; a power of two from 8 to 256",
  "codec.k": "values sent of a whole block",
  "codec.bits": "of a value: 1 (sign) or 2 (sign and one of two magnitudes)",
  "codec.beta": "share of what was not sent that is kept for the next round: 0 to 1",
  outer: "what is made of all payloads",
  "outer.lr": "outer learning rate",
  "outer.aggregation": "how many values become one",
  "outer.aggregation.rule": '"mean-all", "mean-senders" or "trimmed-mean"',
  "outer.aggregation.clip": '"none", or "median-norm": nobody moves a tensor further than the median of all',
  "outer.aggregation.trimPercent": "share dropped at either end: 0 to 49",
  "outer.cap": "payloads applied in a round, at most",
  "outer.newcomerSlots": "places among them for peers that have earned nothing yet",
  "outer.delay":
    "0: a round starts from the newest params; 1: from those of one round before,\nso that peers train while votes are counted (wants half the outer rate or less)",
  timing: "phases of a round in blocks; 255 together at most",
  "timing.trainBlocks": "train, and commit the payload's hash",
  "timing.revealBlocks": "upload the payload",
  "timing.voteBlocks": "validators fetch, check and vote",
  checkpointEvery: "rounds between two checkpoints that validators publish",
  score: "how validators judge",
  "score.sequences": "sequences that the sender was assigned, on which its payload is judged",
  "score.unassigned": "sequences that nobody was assigned, on which all payloads of a round are judged",
  "score.peers": "payloads that one validator judges in a round, at most",
  "score.validationSequences": "sequences on which the validation loss is measured, at most",
  audit: "how work is proven: validators replay parts of it, drawn after the payload is promised",
  "audit.spans": "parts of a round's steps, of which a challenge asks for one: at most inner.steps and 64",
  "audit.perMille": "payloads of a thousand that are challenged: 0 to 1000",
  "audit.tolerance":
    "relative error that a replay may show for engines that do not compute the same bits everywhere;\n0: only those that do may take part",
};

/**
 * The text of a run.json with comments, in the order of `RunSpec`. Throws SkeinError("config") where `spec` is none.
 *
 * @example
 * readSpecText(commentedSpec(spec)); // equals spec
 */
export function commentedSpec(spec: RunSpec): string {
  return `${HEAD}${written(parseSpec(spec), "", "")}\n`;
}

/** `value`, which stands at `path`, with `indent` in front of its closing bracket. */
function written(value: unknown, path: string, indent: string): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const inner = `${indent}  `;
  const fields = Object.entries(value);
  const lines = fields.map(([name, field], i) => {
    const at = path === "" ? name : `${path}.${name}`;
    const comment = must(COMMENTS[at], `a comment for ${at}`);
    const comma = i < fields.length - 1 ? "," : "";
    return fieldText(`${JSON.stringify(name)}: ${written(field, at, inner)}${comma}`, comment, inner);
  });
  return `{\n${lines.join("\n")}\n${indent}}`;
}

/** A field under its comment, or before it where both fit one line. */
function fieldText(text: string, comment: string, indent: string): string {
  if (comment === "") return indent + text;
  const beside = `${indent}${text} // ${comment}`;
  if (!text.includes("\n") && !comment.includes("\n") && beside.length <= 120) return beside;
  const above = comment.split("\n").map((line) => `${indent}// ${line}`);
  return `${above.join("\n")}\n${indent}${text}`;
}
