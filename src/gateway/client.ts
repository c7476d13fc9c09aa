/** What a newcomer asks a gateway beside the shared store: which run it serves, and coins to register. */
import { fromUtf8, utf8 } from "../base/bytes.ts";
import { SkeinError } from "../base/errors.ts";
import { ERROR_BODY_BYTES_MAX, RUN_INFO_BYTES_MAX } from "../base/limits.ts";
import { type JoinLink, parseInfo, type RunInfo } from "../run/link.ts";
import { openWire, type Patience, statusError } from "../store/transfer.ts";

/** How to ask. */
export interface AskOptions {
  readonly patience?: Partial<Patience>;
  readonly signal?: AbortSignal;
}

/** Milliseconds that a faucet may take: the coins must be in a block. */
const FAUCET_MS = 180_000;

/**
 * What the gateway says about the run of `link`. Rejects with SkeinError("store") where it does not answer, SkeinError("config") where it serves another
 * run.
 */
export async function askInfo({ base, specHash }: JoinLink, { patience, signal }: AskOptions = {}): Promise<RunInfo> {
  const url = `${base}/info`;
  const { status, body } = await openWire(patience, signal).ask(url, { bytesMax: RUN_INFO_BYTES_MAX + 1 });
  if (status !== 200) throw statusError(url, status, body);
  const info = parseInfo(body);
  if (info.specHash === specHash) return info;
  throw new SkeinError("config", "the gateway serves another run than the link names", {
    details: `link ${specHash}, gateway ${info.specHash}`,
    remedy: "ask whoever gave you the link for the new one",
  });
}

/** Has the gateway's faucet send `account` coins to register, and waits for them. Rejects with SkeinError("store") where it does not. */
export async function askFaucet(
  { base }: JoinLink,
  account: string,
  { patience, signal }: AskOptions = {},
): Promise<{ readonly rao: bigint; readonly block: number }> {
  const url = `${base}/faucet`;
  const { status, body } = await openWire(patience, signal).ask(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: utf8(JSON.stringify({ account })),
    bytesMax: ERROR_BODY_BYTES_MAX,
    silenceMs: FAUCET_MS,
  });
  if (status !== 200) throw statusError(url, status, body);
  try {
    const { rao, block } = JSON.parse(fromUtf8(body)) as { rao: unknown; block: unknown };
    if (typeof rao === "string" && /^\d{1,30}$/.test(rao) && Number.isSafeInteger(block))
      return { rao: BigInt(rao), block: block as number };
  } catch {
    // said below
  }
  throw statusError(url, status, body);
}
