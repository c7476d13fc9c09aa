/**
 * Feedback: error feedback is not lost. What a payload could not say lies in the residual, and the next payload must begin with exactly that: with the residual
 * after compression if the payload moved the params, else with the one before, as if it had never been sent; with zeros before the first.
 *
 * Seen from outside: a trainer writes its file before it promises a payload, with the residual before and after. The file is read here when the payload is told,
 * and when a process starts, without the reader of the roles (a fault in that must not hide itself). Only hashes of residuals are kept. Which residual
 * the next payload must have follows from the chain alone.
 *
 * Who begins from a checkpoint never saw the outcome; then either is right, and a third never is.
 */
import { fromUtf8 } from "../../base/bytes.ts";
import { fromHex, sha256Hex } from "../../base/hash.ts";
import { fieldsIn, isCount } from "../../base/json.ts";
import { textIn } from "../../base/log/log.ts";
import { candidatesOf, selectContributors } from "../../round/select.ts";
import { exchangeSettings, learningRateAt } from "../../run/rules.ts";
import type { Checker, Sight } from "./checker.ts";
import { honestOf, openLooks } from "./seen.ts";

/** The file (trainer/memory.ts), and its vectors. */
const KEY = "trainer.safetensors";
const BEFORE = "residual";
const AFTER = "nextResidual";

/** A payload as its maker's file has it. Residuals by their hashes; null: zeros. */
export interface Made {
  readonly round: number;
  readonly uid: number;
  readonly hash: string;
  readonly before: string | null;
  readonly after: string | null;
}

/** What is known of a trainer. */
interface Known {
  /** In the order in which they were made. */
  readonly payloads: Made[];
  /** Whether it has begun from a checkpoint since it made the last. */
  jumped: boolean;
}

/** No trainer forgets what it has not sent yet. */
export function feedback(sight: Sight, violated: (what: string) => void): Checker {
  const { spec } = sight.network;
  const honest = new Set(honestOf(sight).filter((name) => sight.trainers.includes(name)));
  const known = new Map<string, Known>();
  const add = async (name: string, made: Made): Promise<void> => {
    const trainer = known.get(name) ?? { payloads: [], jumped: false };
    known.set(name, trainer);
    if (trainer.payloads.some(({ hash }) => hash === made.hash)) return;
    const last = await lastPromised(sight, trainer.payloads, made.round);
    const isSure = !trainer.jumped;
    const moved = last !== undefined && (await isApplied(sight, last));
    const right = last === undefined ? [null] : isSure ? [moved ? last.after : last.before] : [last.after, last.before];
    if (!right.includes(made.before)) {
      const other = last !== undefined && [last.after, last.before].includes(made.before);
      const what = other ? "forgets what became of" : "has lost the error feedback of";
      violated(`${name} in round ${made.round} ${what} ${last ? `its payload of round ${last.round}` : "nothing"}`);
    }
    if (made.after === null && isLossy(sight) && learningRateAt(spec, made.round, spec.inner.steps - 1) > 0)
      violated(`${name} in round ${made.round} kept nothing of what it did not send`);
    trainer.payloads.push(made);
    trainer.jumped = false;
  };
  const looks = openLooks(sight);
  let work = Promise.resolve();
  return {
    name: "feedback",
    onEvent(name, { kind, fields }) {
      if (!honest.has(name) || (kind !== "payload" && kind !== "start")) return;
      const isJump = kind === "start" && textIn(fields, "from") === "checkpoint";
      const read = looks.look(name, async (folder) => ({ bytes: await folder.get(KEY) })); // as it is now
      work = work.then(async () => {
        const file = await read;
        if (file === undefined) return; // the next process will begin with it, and is looked at then
        const made = file.bytes && madeIn(file.bytes);
        if (kind === "payload" && made?.hash !== textIn(fields, "hash"))
          violated(`${name} has a payload of round ${fields["round"]} that is not on its disk`);
        if (made !== undefined) await add(name, made);
        const trainer = known.get(name);
        if (isJump && trainer) trainer.jumped = true;
      });
    },
    onLifeEnd: ({ node }) => looks.ended(node),
    onEnd: () => work,
  };
}

/** The newest payload before `round` that stands on chain. */
async function lastPromised(
  { network: { twin, runId } }: Sight,
  payloads: readonly Made[],
  round: number,
): Promise<Made | undefined> {
  for (const made of [...payloads].reverse()) {
    if (made.round >= round) continue;
    const commits = await twin.commits(runId, made.round);
    if (commits.some(({ payloadHash }) => payloadHash === `0x${made.hash}`)) return made;
  }
  return undefined;
}

async function isApplied({ network: { twin, runId, spec } }: Sight, { round, uid }: Made): Promise<boolean> {
  const decision = await twin.decision(runId, round);
  if (decision === undefined) return false;
  const candidates = candidatesOf(decision.accepted, decision.incentives);
  return selectContributors(candidates, exchangeSettings(spec), fromHex(decision.seed.slice(2))).includes(uid);
}

/** Whether a payload cannot say everything. */
function isLossy({ network: { spec } }: Sight): boolean {
  return spec.codec.k < spec.codec.chunkSide ** 2;
}

/** The payload in a trainer's file; undefined where it has none, or cannot be read. */
export function madeIn(file: Uint8Array): Made | undefined {
  if (file.length < 8) return undefined;
  const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  const head = jsonOf(fromUtf8(file.subarray(8, 8 + length)));
  const pending = fieldsIn(jsonOf(String(fieldsIn(head.get("__metadata__")).get("facts"))).get("pending"));
  const [round, uid, hash] = [pending.get("round"), pending.get("uid"), pending.get("hash")];
  if (!isCount(round) || !isCount(uid) || typeof hash !== "string") return undefined;
  const residual = (name: string): string | null => {
    const [from, to] = fieldsIn(head.get(name)).get("data_offsets") as readonly [number, number];
    const values = file.subarray(8 + length + from, 8 + length + to);
    return values.every((byte) => byte === 0) ? null : sha256Hex(values);
  };
  return { round, uid, hash: hash.slice(2), before: residual(BEFORE), after: residual(AFTER) };
}

function jsonOf(text: string): ReadonlyMap<string, unknown> {
  return fieldsIn(JSON.parse(text) as unknown);
}
