/**
 * What a launch has done on its chain so far, kept in the gateway's folder: started again, it serves the same run, and buys nothing twice. It
 * is written before and after every step that costs something.
 */
import { utf8 } from "../../base/bytes.ts";
import { SkeinError } from "../../base/errors.ts";
import { fieldsIn, isCount, isHash, jsonIn } from "../../base/json.ts";
import type { Store } from "../../store/store.ts";

/** How far a launch has come. */
export interface LaunchRecord {
  readonly chainId: number;
  /** 64 hex digits. */
  readonly specHash: string;
  /** The newest block when the subnet was about to be made: if there is one of this owner and hotkey that is not older, it is the one. */
  readonly subnetFrom?: number;
  readonly netuid?: number;
  readonly runId?: number;
}

/** Name of the file in a gateway's folder. */
export const LAUNCH_KEY = "launch.json";
const BYTES_MAX = 4096;

/** What was launched from this folder; undefined where nothing was. Throws SkeinError("config") where that cannot be read. */
export async function readLaunch(folder: Store): Promise<LaunchRecord | undefined> {
  const bytes = await folder.get(LAUNCH_KEY, { start: 0, end: BYTES_MAX });
  if (bytes === undefined) return undefined;
  const record = recordIn(bytes);
  if (record !== undefined) return record;
  throw new SkeinError("config", `${LAUNCH_KEY} cannot be read`, {
    remedy: "move it away: a run that is on chain already is found again by its spec",
  });
}

/** Keeps a record. */
export async function writeLaunch(folder: Store, record: LaunchRecord): Promise<void> {
  await folder.put(LAUNCH_KEY, utf8(`${JSON.stringify(record, undefined, 2)}\n`));
}

function recordIn(bytes: Uint8Array): LaunchRecord | undefined {
  const fields = fieldsIn(jsonIn(bytes));
  const [chainId, specHash] = [fields.get("chainId"), fields.get("specHash")];
  if (!isCount(chainId) || !isHash(specHash)) return undefined;
  const steps = ["subnetFrom", "netuid", "runId"].filter((name) => fields.has(name));
  if (!steps.every((name) => isCount(fields.get(name)))) return undefined;
  return { chainId, specHash, ...Object.fromEntries(steps.map((name) => [name, fields.get(name)])) };
}
