/**
 * How alike two payloads are, by what they say: which elements they move, and by how much. Peers that train on data of their own find different
 * things; two that send nearly the same have done one computation between them. Order is by commit, when nobody had seen anything yet, so whoever
 * copies is the later one, however fast he uploads (the reference system compares indices only, and takes the later upload for the thief's).
 *
 * likeness = Σ n_t · cos_t / Σ n_t over the tensors t, n_t the values that the run's payloads keep of t, cos_t the cosine of the two as sparse
 * vectors; 0 for a tensor of which either says nothing. Each tensor counts by its share of the values, not by its norm: otherwise one tensor,
 * blown up, would hide that all others are copied. (Clipping takes the blow-up back when the round is applied.)
 *
 * Large payloads are compared at places that are drawn from a block after the commits, so nobody knows beforehand which to change.
 */
import { assert } from "../base/assert.ts";
import { seededRandom } from "../base/random.ts";
import { type SentTensor, valuesOf } from "../codec/feedback.ts";
import { rounded } from "./fields.ts";

/**
 * From this likeness on, the later one of two payloads is a copy, where many values are compared. Honest peers' payloads of one round stay below 0.2
 * (docs/LOG.md), and a copy that is changed until it is below this has lost half of its gain.
 */
export const COPY_LIKENESS = 0.5;
/** Few values are alike by chance: so much more is asked for one value; less with the root of their number. Toys reach 0.47 with 340 values. */
const CHANCE = 3;
/** Nothing more is asked for than this, however few they are. */
const COPY_LIKENESS_MAX = 0.9;
/** Values of a payload that are compared, about: the cosine of a sample of so many is off by 0.008 (one standard deviation) at most. */
const IMPRINT_VALUES = 16_384;

/** The likeness from which on one of two payloads is a copy, where so many values of each are compared. */
export function copyLikeness(values: number): number {
  return Math.min(COPY_LIKENESS_MAX, COPY_LIKENESS + CHANCE / Math.sqrt(Math.max(1, values)));
}

/** What payloads are compared by: places and values, scaled so that the likeness of two is their product. */
export interface Imprint {
  /** Places among all values of the layout's tensors, ascending. */
  readonly places: Float64Array;
  readonly values: Float32Array;
}

/** A payload that is compared. */
export interface Imprinted {
  readonly uid: number;
  readonly round: number;
  /** The sender's hotkey. */
  readonly account: string;
  /** Whether it moved the model; of no account in the round that is judged. */
  readonly applied: boolean;
  readonly imprint: Imprint;
}

/** Which payload another one repeats. */
export interface CopyOf {
  readonly uid: number;
  readonly round: number;
  /** In millionths. */
  readonly likeness: number;
}

/** The imprint of a payload. `seed` draws the places; only imprints of one seed and one layout compare. `wanted` values, about, or all. */
export function imprintOf(tensors: readonly SentTensor[], seed: string, wanted: number = IMPRINT_VALUES): Imprint {
  const keptOf = ({ indices }: SentTensor): number => indices.length;
  const kept = tensors.reduce((sum, tensor) => sum + keptOf(tensor), 0);
  const drawn = kept <= wanted ? 2 ** 32 : Math.floor((wanted / kept) * 2 ** 32);
  const random = seededRandom(`skein likeness ${seed}`);
  const places: number[] = [];
  const values: number[] = [];
  let offset = 0;
  for (const tensor of tensors) {
    const { grid, indices } = tensor;
    const key = random.uint32();
    const all = valuesOf(tensor);
    const first = values.length;
    let square = 0;
    for (let j = 0; j < indices.length; j++) {
      const [index, value] = [indices[j] as number, all[j] as number];
      if (value === 0 || mixed(key ^ index) >= drawn) continue;
      places.push(offset + index);
      values.push(value);
      square += value * value;
    }
    const scale = Math.sqrt(keptOf(tensor) / kept / square);
    for (let j = first; j < values.length; j++) values[j] = (values[j] as number) * scale;
    offset += grid.rows * grid.cols;
  }
  return { places: Float64Array.from(places), values: Float32Array.from(values) };
}

/** 32 bits that look like chance (the last step of MurmurHash3, Appleby 2011). */
function mixed(x: number): number {
  let z = x;
  z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
  z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
  return (z ^ (z >>> 16)) >>> 0;
}

/** How alike two payloads are: −1 to 1; 1 where they say the same but for a factor a tensor. In millionths. */
export function likeness(a: Imprint, b: Imprint): number {
  let [i, j, product] = [0, 0, 0];
  while (i < a.places.length && j < b.places.length) {
    const apart = (a.places[i] as number) - (b.places[j] as number);
    if (apart === 0) product += (a.values[i] as number) * (b.values[j] as number);
    if (apart <= 0) i++;
    if (apart >= 0) j++;
  }
  return rounded(Math.max(-1, Math.min(1, product)));
}

/** Places up to which one payload is laid out flat for the comparison with many others: 32 MB. */
const FLAT_PLACES_MAX = 1 << 22;

/** `likeness` of one payload to any other, to the bit: the same products in the same order, with zeros between them. Five times as fast where it is short. */
function likenessTo(a: Imprint): (b: Imprint) => number {
  const length = (a.places.at(-1) ?? -1) + 1;
  if (length > FLAT_PLACES_MAX) return (b) => likeness(a, b);
  const flat = new Float64Array(length);
  for (let i = 0; i < a.places.length; i++) flat[a.places[i] as number] = a.values[i] as number;
  return ({ places, values }) => {
    let product = 0;
    for (let j = 0; j < places.length && (places[j] as number) < length; j++)
      product += (flat[places[j] as number] as number) * (values[j] as number);
    return rounded(Math.max(-1, Math.min(1, product)));
  };
}

/** Payloads as they come, compared with each other. */
export interface Copybook {
  /** Compares a payload with all that were added before. */
  add(payload: Imprinted): void;
  /**
   * Which payloads of `round` repeat another. `order`: its uids, whoever has the better claim first; those left out neither are copies nor
   * have any. A payload is a copy where it is alike to one before it in this order, or to one of an earlier round; of several the likest is
   * named. So of a cluster one counts. A sender's own earlier payload counts only if it was applied: what was not, error feedback sends again,
   * up to nearly the same where there is little new (models of some thousand params).
   */
  copies(round: number, order: readonly number[]): ReadonlyMap<number, CopyOf>;
}

/** An empty copybook. Holds all imprints; one addition takes as many comparisons as payloads were added before. */
export function copybook(limit: (values: number) => number = copyLikeness): Copybook {
  const added: Imprinted[] = [];
  const pairs: { readonly one: Imprinted; readonly other: Imprinted; readonly likeness: number }[] = [];
  return {
    add(payload) {
      assert(!added.some(({ uid, round }) => uid === payload.uid && round === payload.round), "a payload comes once");
      const likenessOf = likenessTo(payload.imprint);
      for (const one of added) {
        const found = likenessOf(one.imprint);
        const values = Math.min(one.imprint.places.length, payload.imprint.places.length);
        if (found >= limit(values)) pairs.push({ one, other: payload, likeness: found });
      }
      added.push(payload);
    },
    copies(round, order) {
      const claim = new Map(order.map((uid, place) => [uid, place]));
      const claimOf = ({ uid, round: at }: Imprinted): number =>
        at < round ? -1 : (claim.get(uid) ?? Number.POSITIVE_INFINITY);
      const out = new Map<number, CopyOf>();
      for (const { one, other, likeness: alike } of pairs) {
        const [first, second] = claimOf(one) <= claimOf(other) ? [one, other] : [other, one];
        if (second.round !== round || !claim.has(second.uid) || isSentAgain(first, second)) continue;
        const found = { uid: first.uid, round: first.round, likeness: alike };
        const known = out.get(second.uid);
        if (known === undefined || before(found, known)) out.set(second.uid, found);
      }
      return out;
    },
  };
}

/** Whether a payload goes on from one of its sender's that moved nothing. */
function isSentAgain(first: Imprinted, second: Imprinted): boolean {
  return first.round < second.round && first.account === second.account && !first.applied;
}

/** The likest first, then the newer round, then the lower uid: an order that does not depend on which came first. */
function before(a: CopyOf, b: CopyOf): boolean {
  return b.likeness - a.likeness < 0 || (a.likeness === b.likeness && (b.round - a.round || a.uid - b.uid) < 0);
}
