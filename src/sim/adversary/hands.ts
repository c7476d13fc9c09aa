/** What attacks are put together from: parts of a node exchanged for others, work that is not done, bytes signed again. */
import { must } from "../../base/assert.ts";
import { sha256 } from "../../base/hash.ts";
import type { Random } from "../../base/random.ts";
import type { ChainAccount } from "../../chain/chain.ts";
import { decodeBody } from "../../codec/body.ts";
import { compressor, type SentTensor, valuesOf } from "../../codec/feedback.ts";
import type { Dataset } from "../../data/dataset.ts";
import type { Engine } from "../../engine/engine.ts";
import { type ActingNode, roundSeed } from "../../roles/network/node.ts";
import type { Tamper } from "../../roles/network/trainer/tamper.ts";
import type { TrainerOptions } from "../../roles/network/trainer/trainer.ts";
import type { Work } from "../../roles/network/trainer/work.ts";
import { dealtDigest } from "../../roles/network/work.ts";
import { PAYLOAD_HEADER_BYTES, PAYLOAD_SIGNATURE_BYTES, signedPayload } from "../../round/payload.ts";
import type { Store } from "../../store/store.ts";

/** A role's options, as far as they are changed here. */
interface Options {
  readonly node: ActingNode;
  readonly engine: Engine;
}

/** The same with other parts of the node. */
export function withNode<T extends Options>(options: T, parts: Partial<ActingNode>): T {
  return { ...options, node: { ...options.node, ...parts } };
}

/** The same with another shared store. */
export function withShared<T extends Options>(options: T, wrap: (shared: Store) => Partial<Store>): T {
  const { node } = options;
  const shared = { ...node.shared, ...wrap(node.shared) };
  return withNode(options, { shared, stores: [node.local, shared, ...(node.mirrors ?? [])] });
}

/** The same with other hands on the chain. */
export function withActing<T extends Options>(options: T, wrap: (acting: ChainAccount) => Partial<ChainAccount>): T {
  const { acting } = options.node;
  return withNode(options, { acting: { ...acting, ...wrap(acting) } });
}

/** The same with another source of training text. */
export function withText<T extends Options>(options: T, change: (tokens: Int32Array, index: number) => Int32Array): T {
  const { dataset } = options.node;
  const split: Dataset["split"] = (name) => {
    const source = dataset.split(name);
    if (name !== "train") return source;
    const sequence = async (index: number, length: number): Promise<Int32Array> =>
      change(await source.sequence(index, length), index);
    return { ...source, sequences: (length) => source.sequences(length), sequence };
  };
  return withNode(options, { dataset: { ...dataset, split } });
}

/** The same with parts of its work changed, where `rounds` says so; by default always. */
export function withTamper(options: TrainerOptions, tamper: Tamper): TrainerOptions {
  return { ...options, tamper: { ...options.tamper, ...tamper } };
}

/** The same with an engine that does something else. */
export function withEngine<T extends Options>(options: T, wrap: (engine: Engine) => Partial<Engine>): T {
  const { engine } = options;
  const all: Engine = {
    name: engine.name,
    backend: engine.backend,
    deterministic: engine.deterministic,
    options: engine.options,
    plan: engine.plan,
    read: (...args) => engine.read(...args),
    write: (...args) => engine.write(...args),
    stepCount: () => engine.stepCount(),
    setStepCount: (steps) => engine.setStepCount(steps),
    gradients: (batch) => engine.gradients(batch),
    trainStep: (batch, step) => engine.trainStep(batch, step),
    losses: (batch) => engine.losses(batch),
    logits: (tokens) => engine.logits(tokens),
    close: () => engine.close(),
  };
  return { ...options, engine: { ...all, ...wrap(engine) } };
}

/** The same with only the first `steps` of a round's steps done; the others are claimed. */
export function withFirstSteps<T extends Options>(options: T, steps: number | (() => number)): T {
  return withEngine(options, (engine) => {
    let [done, most] = [0, 0];
    return {
      write: (vector, ...rest) => {
        if (vector === "params") [done, most] = [0, typeof steps === "number" ? steps : steps()]; // a round begins
        return engine.write(vector, ...rest);
      },
      trainStep: async (batch, step) => {
        done += 1;
        if (done <= most) return engine.trainStep(batch, step);
        engine.setStepCount(engine.stepCount() + 1);
        return { loss: 1, gradNorm: 1, applied: true };
      },
    };
  });
}

/** `unsigned`, what comes before a payload's signature, with a fresh signature of this node. */
export async function signedAgain({ signer }: ActingNode, unsigned: Uint8Array): Promise<Uint8Array> {
  return signedPayload(unsigned, await signer.sign(sha256(unsigned)));
}

/** A payload's bytes before the signature: a copy. */
export function unsignedOf(bytes: Uint8Array): Uint8Array {
  return bytes.slice(0, bytes.length - PAYLOAD_SIGNATURE_BYTES);
}

/** The tensors in any payload of the run; undefined where there are none. */
export function tensorsIn({ body }: ActingNode, bytes: Uint8Array): SentTensor[] | undefined {
  const tensors = decodeBody(unsignedOf(bytes).subarray(PAYLOAD_HEADER_BYTES), body);
  return typeof tensors === "string" ? undefined : tensors;
}

/** Compressed tensors as one vector as long as the params. */
export function denseOf({ layout }: ActingNode, tensors: readonly SentTensor[]): Float32Array {
  const length = layout.reduce((sum, entry) => sum + entry.length, 0);
  const dense = new Float32Array(length);
  for (const [i, { offset }] of layout.entries()) {
    const tensor = must(tensors[i], "a tensor of the layout");
    const values = valuesOf(tensor);
    for (const [j, index] of tensor.indices.entries()) dense[offset + index] = values[j] as number;
  }
  return dense;
}

/** A vector compressed without error feedback. */
export function compressed({ layout, spec }: ActingNode, dense: Float32Array): SentTensor[] {
  const { compress } = compressor(spec.codec);
  return layout.map(({ dims, offset, length }) =>
    compress(dims, dense.subarray(offset, offset + length), new Float32Array(length)),
  );
}

/** The data digest that an honest peer's payload would have: it takes reading the text, not training on it. */
export async function honestDigest(node: ActingNode, { round, uid, tokens }: Work): Promise<Uint8Array> {
  const { steps, seqLen } = node.spec.inner;
  const seed = await roundSeed(node, round);
  return dealtDigest(node, { round, uid, batch: tokens / (steps * seqLen), seed });
}

/** About normally distributed numbers of variance 1, by additions alone: the same everywhere. */
export function noise(length: number, random: Random): Float32Array {
  return Float32Array.from({ length }, () => {
    let sum = -6;
    for (let i = 0; i < 12; i++) sum += random.uniform();
    return sum;
  });
}

/** Euclidean length. */
export function normOf(vector: Float32Array): number {
  return Math.sqrt(vector.reduce((sum, x) => sum + x * x, 0));
}
