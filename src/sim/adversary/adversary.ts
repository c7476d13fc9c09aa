/**
 * What a dishonest node is: a small change to what the production role is started with. Everything that is not changed is what honest nodes run,
 * so an attack costs a few lines and meets the real defences.
 */
import type { Hash } from "../../chain/chain.ts";
import type { Engine } from "../../engine/engine.ts";
import type { TrainerOptions } from "../../roles/network/trainer/trainer.ts";
import type { ValidatorOptions } from "../../roles/network/validator/validator.ts";
import type { Store } from "../../store/store.ts";
import type { Network, Start } from "../network.ts";

/** What dishonest nodes of one kind know in common. */
export interface Ring {
  /** All their chance comes from it. */
  readonly seed: string;
  /** Their hotkeys, in order. */
  readonly members: readonly Hash[];
  /** Places of others that they can read although they should not: disks of honest peers, before anything is revealed. */
  readonly leaks: readonly Store[];
}

/** A ring of one, which sees nothing that is not public. */
export function aloneRing(member: Hash, seed = "0"): Ring {
  return { seed, members: [member], leaks: [] };
}

/** What a trouble of the whole network is made from. */
export interface Scene {
  readonly network: Network;
  /** Names of the honest trainers, the dishonest ones and the validators. */
  readonly honest: readonly string[];
  readonly dishonest: readonly string[];
  readonly validators: readonly string[];
  readonly rounds: number;
}

/** A trouble of the whole network, under way. */
export interface Trouble {
  /** How a node sees the world. */
  start?(name: string, start: Start): Start;
  onBlock?(block: number): void;
}

/** Who is dishonest: a trainer, a validator, or nobody (the world is rough). */
export type Who = "peer" | "validator" | "world";

/** A model to ask about an attack's success. */
export interface Probed {
  readonly engine: Engine;
  readonly network: Network;
  /** Sequences of text that were never trained on: seqLen + 1 tokens each. */
  readonly sequences: readonly Int32Array[];
}

/** A kind of attack. */
export interface Adversary {
  /** Its name, as commands take it. */
  readonly name: string;
  /** Its row in the table of attack kinds (docs/protocol/attacks.md). Several variants share one. */
  readonly number: number;
  readonly who: Who;
  /** What it does, and what is meant to stop it: one line each. */
  readonly does: string;
  readonly defence: string;
  readonly trainer?: (options: TrainerOptions, ring: Ring) => TrainerOptions;
  readonly validator?: (options: ValidatorOptions, ring: Ring) => ValidatorOptions;
  readonly world?: (scene: Scene, ring: Ring) => Trouble;
  /** Whether the ring reads honest peers' disks. */
  readonly leak?: boolean;
  /** Rounds after which a member comes back under a new hotkey. */
  readonly lifeRounds?: number;
  /** What to measure in the model at the end, beside its loss. */
  readonly probe?: { readonly what: string; readonly measure: (probed: Probed, ring: Ring) => Promise<number> };
}
