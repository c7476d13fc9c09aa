/** A document: a named text, the unit of de-duplication, of the validation split, and of end-of-text. */
import type { SplitName } from "./shards/manifest.ts";

/** A named text. */
export interface Document {
  /** Where it came from, for people: a relative path, perhaps with "#" and a part number. */
  readonly name: string;
  readonly text: string;
  /** The split it belongs to; by default its content decides. */
  readonly split?: SplitName;
}
