/**
 * Names Node: what makes a chain this chain, drawn once when its folder is new and fixed from then on: its id, the time of block 0, and a
 * mnemonic for whoever sets up its contracts. `chain.json` is for everybody, `mnemonic` for its owner alone (mode 600). The mnemonic
 * is never on a command line, where other users of the machine could read it, and anvil itself knows no account at all.
 */
import * as path from "node:path";
import { fromUtf8, utf8 } from "../../base/bytes.ts";
import { systemClock } from "../../base/clock.ts";
import { SkeinError } from "../../base/errors.ts";
import { systemRandom } from "../../base/random.ts";
import { readBounded, writeWhole } from "../files.node.ts";
import { newMnemonic } from "../keys/mnemonic.ts";

/** The lasting facts of a chain. */
export interface ChainSettings {
  readonly format: 1;
  /** EIP-155 id; above the registered ones. */
  readonly chainId: number;
  /** Seconds since 1970 of block 0. */
  readonly genesisTimestamp: number;
  /** Gas of a block. */
  readonly gasLimit: number;
}

const SETTINGS_BYTES_MAX = 1 << 16;
/** Ids from 2^40 on: nobody registers them, and they fit a number in every wallet. */
const CHAIN_ID_BASE = 2 ** 40;
const GAS_LIMIT = 1_000_000_000;

/** Names of the files in a chain's folder. */
export const FILES = {
  settings: "chain.json",
  mnemonic: "mnemonic",
  lock: "lock",
  endpoint: "endpoint",
  anvil: "anvil.pid",
  copies: "states",
  journal: "journal",
} as const;

/** The settings in `folder`, which are drawn where there are none. Throws SkeinError("chain") where they are unreadable. */
export async function chainSettings(folder: string): Promise<ChainSettings> {
  const file = path.join(folder, FILES.settings);
  const known = await readBounded(file, SETTINGS_BYTES_MAX);
  if (known !== undefined) return parseSettings(fromUtf8(known), file);
  const settings: ChainSettings = {
    format: 1,
    chainId: CHAIN_ID_BASE + systemRandom.uint32(),
    genesisTimestamp: Math.floor(systemClock.now() / 1000),
    gasLimit: GAS_LIMIT,
  };
  await writeWhole(path.join(folder, FILES.mnemonic), utf8(`${await newMnemonic()}\n`), { mode: 0o600 });
  await writeWhole(file, utf8(`${JSON.stringify(settings, undefined, 2)}\n`));
  return settings;
}

function parseSettings(text: string, file: string): ChainSettings {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  const { format, chainId, genesisTimestamp, gasLimit } = (json ?? {}) as Record<string, unknown>;
  const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) > 0;
  if (format !== 1 || !isCount(chainId) || !isCount(genesisTimestamp) || !isCount(gasLimit)) {
    const remedy = "restore the file from a backup, or start a new chain in an empty folder";
    throw new SkeinError("chain", "the settings of the chain cannot be read", { details: file, remedy });
  }
  return { format, chainId, genesisTimestamp, gasLimit };
}

/** The chain's own mnemonic. Throws SkeinError("chain") where it is gone. */
export async function chainMnemonic(folder: string): Promise<string> {
  const bytes = await readBounded(path.join(folder, FILES.mnemonic), SETTINGS_BYTES_MAX);
  if (bytes !== undefined) return fromUtf8(bytes).trim();
  throw new SkeinError("chain", "the chain's mnemonic is gone", { remedy: `restore ${FILES.mnemonic} from a backup` });
}
