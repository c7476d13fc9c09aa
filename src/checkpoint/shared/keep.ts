/**
 * Which shared checkpoints a store keeps. A blob has no owner: a piece may belong to several checkpoints, so pieces go only with the last
 * manifest that names them. A fetch that is under way leaves a note, `checkpoint-partial/<hash of the manifest>`, with the manifest in
 * it, so that pieces of a fetch that never ended are found again and do not stay for ever.
 *
 * Only blobs of exactly a piece's length are deleted, whatever a manifest names.
 */
import { assert } from "../../base/assert.ts";
import { equalBytes } from "../../base/bytes.ts";
import { SHARED_MANIFEST_BYTES_MAX } from "../../base/limits.ts";
import { BLOBS_PREFIX, blobKey } from "../../store/blobs.ts";
import type { Store } from "../../store/store.ts";
import {
  decodeSharedManifest,
  isManifestFault,
  pieceBytes,
  SHARED_MANIFEST_START,
  type SharedManifest,
} from "./manifest.ts";

const PARTIAL = "checkpoint-partial/";

/** A manifest and the key under which it lies. */
interface Found {
  readonly key: string;
  readonly manifest: SharedManifest;
}

/** What was dropped. */
export interface Dropped {
  readonly checkpoints: number;
  readonly bytes: number;
}

/** Notes that a fetch begins, before its first piece is put. */
export async function beginPartial(store: Store, hash: string, manifest: Uint8Array): Promise<void> {
  await store.put(PARTIAL + hash, manifest);
}

/** Makes a whole checkpoint of a fetch that has ended well. */
export async function endPartial(store: Store, hash: string, manifest: Uint8Array): Promise<void> {
  await store.put(blobKey(hash), manifest);
  await store.delete(PARTIAL + hash);
}

/** Deletes what was fetched of a checkpoint that turned out to be none, as far as no other checkpoint names it. */
export async function dropPartial(store: Store, hash: string): Promise<void> {
  const partial = await partialManifests(store);
  const isIt = ({ key }: Found): boolean => key === PARTIAL + hash;
  const others = [...(await wholeManifests(store)), ...partial.filter((each) => !isIt(each))];
  for (const each of partial.filter(isIt)) await dropOne(store, each, namedBy(others));
}

/**
 * Deletes the shared checkpoints of each run that are older than its newest `keep` rounds, with the pieces that no kept one names, and what
 * fetches left behind that are not newer than a whole checkpoint. Not while a checkpoint is being fetched into or published to `store`.
 *
 * In a store that strangers write to, `trusted` says which manifests count, such as those with a state root that the chain has; others are
 * left alone. Rejects with SkeinError("store").
 */
export async function dropOld(
  store: Store,
  keep: number,
  trusted: (manifest: SharedManifest) => boolean | Promise<boolean> = () => true,
): Promise<Dropped> {
  assert(Number.isSafeInteger(keep) && keep >= 1, "a node keeps at least one checkpoint");
  const whole: Found[] = [];
  for (const each of await wholeManifests(store)) if (await trusted(each.manifest)) whole.push(each);
  const partial = await partialManifests(store);
  const roundsOf = ({ manifest: { specHash } }: Found): number[] =>
    [...new Set(whole.filter((w) => w.manifest.specHash === specHash).map((w) => w.manifest.round))].sort(
      (a, b) => b - a,
    );
  const isKept = (each: Found): boolean => roundsOf(each).slice(0, keep).includes(each.manifest.round);
  const isAhead = (each: Found): boolean => each.manifest.round > (roundsOf(each)[0] ?? -1);
  const kept = namedBy([...whole.filter(isKept), ...partial.filter(isAhead)]);
  const old = [...whole.filter((each) => !isKept(each)), ...partial.filter((each) => !isAhead(each))];
  let bytes = 0;
  for (const each of old) bytes += await dropOne(store, each, kept);
  return { checkpoints: old.length, bytes };
}

/** Deletes pieces first and the manifest last, so that whoever is interrupted finds it again. */
async function dropOne(store: Store, { key, manifest }: Found, kept: ReadonlySet<string>): Promise<number> {
  let bytes = 0;
  for (const [index, hash] of manifest.pieces.entries()) {
    const length = pieceBytes(manifest.paramCount, index);
    if (kept.has(hash) || (await store.size(blobKey(hash))) !== length) continue;
    await store.delete(blobKey(hash));
    bytes += length;
  }
  bytes += (await store.size(key)) ?? 0;
  await store.delete(key);
  return bytes;
}

function namedBy(found: readonly Found[]): ReadonlySet<string> {
  return new Set(found.flatMap(({ manifest }) => manifest.pieces));
}

async function wholeManifests(store: Store): Promise<Found[]> {
  const start = { start: 0, end: SHARED_MANIFEST_START.length };
  const found: Found[] = [];
  for (const key of await store.list(BLOBS_PREFIX)) {
    const first = await store.get(key, start);
    if (first && equalBytes(first, SHARED_MANIFEST_START)) found.push(...(await manifestAt(store, key)));
  }
  return found;
}

async function partialManifests(store: Store): Promise<Found[]> {
  const found: Found[] = [];
  for (const key of await store.list(PARTIAL)) found.push(...(await manifestAt(store, key)));
  return found;
}

/** The manifest under `key`; none where something else lies there. */
async function manifestAt(store: Store, key: string): Promise<Found[]> {
  const bytes = await store.get(key, { start: 0, end: SHARED_MANIFEST_BYTES_MAX + 1 });
  const manifest = bytes && decodeSharedManifest(bytes);
  return manifest && !isManifestFault(manifest) ? [{ key, manifest }] : [];
}
