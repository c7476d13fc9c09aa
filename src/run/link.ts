/**
 * The join link, all that a newcomer is given: where a gateway is, and the hash of the run. The gateway is asked, the hash is believed.
 * Also what a gateway says about its run (GET <base>/info), which is everything else that one needs to find it on its chain.
 */
import { assert } from "../base/assert.ts";
import { fromUtf8 } from "../base/bytes.ts";
import { SkeinError, shown } from "../base/errors.ts";
import { isHash } from "../base/json.ts";
import { LINK_CHARS_MAX, RUN_INFO_BYTES_MAX } from "../base/limits.ts";
import type { Address } from "../chain/chain.ts";
import type { AddressBook, ContractRole } from "../chain/evm/deploy.ts";
import { quoted } from "./fields.ts";

/** Where a run is to be had, and which one it must be. */
export interface JoinLink {
  /** What stands before /r/, without a slash at its end; all of a gateway's addresses begin with it. */
  readonly base: string;
  /** 64 hex digits. */
  readonly specHash: string;
}

/** What a gateway says about its run. */
export interface RunInfo {
  readonly protocol: 1;
  /** 64 hex digits. */
  readonly specHash: string;
  /** The run's number in the chain's RoundBook. */
  readonly runId: number;
  readonly chainId: number;
  readonly netuid: number;
  /** Where the chain's contracts are; null: at the fixed addresses. */
  readonly contracts: AddressBook | null;
  /** Whether newcomers are given the coins to register. */
  readonly faucet: boolean;
}

const NETUID_MAX = 65_535;
/** Every role, by the compiler's word: chain/evm/deploy.ts lists them too, but brings an EVM client with it. */
const ROLES: Readonly<Record<ContractRole, true>> = {
  metagraph: true,
  subnets: true,
  neurons: true,
  staking: true,
  uidLookup: true,
  addressMapping: true,
  epochs: true,
  epochPages: true,
  roundBook: true,
  extras: true,
};

function noLink(problem: string, remedy = "copy the whole link: http://<host>/r/<64 hex digits>"): SkeinError {
  return new SkeinError("usage", `this is no join link: ${problem}`, { remedy });
}

/** The link in `text`, as somebody pasted it. Throws SkeinError("usage") that says which part is wrong. */
export function parseLink(text: string): JoinLink {
  if (text.length > LINK_CHARS_MAX) throw noLink(`it has ${text.length} characters`);
  const url = urlOf(text.trim());
  if (url.username !== "" || url.password !== "") throw noLink("it has a name or password in it", "take that out");
  const match = /^(.*?)\/r(?:\/([^/]*))?\/?$/.exec(url.pathname);
  if (match === null) throw noLink(`${quoted(text.trim())} has no /r/ followed by the run's hash`);
  const hash = (match[2] ?? "").replace(/^0x/i, "").toLowerCase();
  if (hash === "") throw noLink("nothing follows its /r/, where the run's hash belongs");
  if (/[^0-9a-f]/.test(hash)) throw noLink(`${quoted(hash)} is no hash: it has more in it than 0 to 9 and a to f`);
  if (hash.length !== 64) {
    const why = hash.length < 64 ? "was it cut off?" : "does something else stand behind it?";
    throw noLink(`the hash at its end has ${hash.length} digits instead of 64; ${why}`);
  }
  return { base: withoutSlash(`${url.origin}${match[1]}`), specHash: hash };
}

function urlOf(text: string): URL {
  if (text === "") throw noLink("it is empty");
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === "http:" || url?.protocol === "https:") return url;
  if (/^[\w.-]+(?::\d+)?\//.test(text))
    throw noLink(`${quoted(text)} does not begin with http://`, "add http:// in front");
  if (url === undefined) throw noLink(`${quoted(text)} is no address`);
  throw noLink(`it begins with ${quoted(url.protocol)} instead of http: or https:`);
}

/** The link to the run `specHash` at the gateway `base`. */
export function linkOf(base: string, specHash: string): string {
  assert(isHash(specHash), "a run's hash has 64 hex digits in lower case");
  return `${withoutSlash(base)}/r/${specHash}`;
}

function withoutSlash(base: string): string {
  return base.replace(/\/+$/, "");
}

/**
 * What a gateway answered about its run. Unknown fields are passed over, so that later gateways may say more. Throws
 * SkeinError("config") for anything that is no such answer.
 */
export function parseInfo(bytes: Uint8Array): RunInfo {
  if (bytes.length > RUN_INFO_BYTES_MAX) throw noInfo(`it has more than ${RUN_INFO_BYTES_MAX} bytes`);
  const fields = objectOf(decoded(bytes), "it");
  const whole = (name: string, max: number): number => {
    const value = fields.get(name);
    if (Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= max) return (value as number) + 0;
    throw noInfo(`${name} must be a whole number from 0 to ${max}, not ${quoted(value)}`);
  };
  const protocol = fields.get("protocol");
  if (protocol !== 1) {
    const remedy = "take the version of skein that this run was made for";
    throw noInfo(`protocol must be 1, the only one that this version knows, not ${quoted(protocol)}`, remedy);
  }
  const [specHash, faucet] = [fields.get("specHash"), fields.get("faucet")];
  if (!isHash(specHash)) throw noInfo(`specHash is no hash but ${quoted(specHash)}`);
  if (typeof faucet !== "boolean") throw noInfo(`faucet must be true or false, not ${quoted(faucet)}`);
  return {
    protocol,
    specHash,
    runId: whole("runId", Number.MAX_SAFE_INTEGER),
    chainId: whole("chainId", Number.MAX_SAFE_INTEGER),
    netuid: whole("netuid", NETUID_MAX),
    contracts: contractsOf(fields.get("contracts")),
    faucet,
  };
}

function noInfo(problem: string, remedy = "check the join link, or ask whoever runs that gateway"): SkeinError {
  return new SkeinError("config", `the gateway's answer does not describe a run: ${problem}`, { remedy });
}

function decoded(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(fromUtf8(bytes));
  } catch {
    throw noInfo("it is not JSON");
  }
}

function objectOf(value: unknown, what: string): ReadonlyMap<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw noInfo(`${what} must be an object, not ${shown(value).slice(0, 40)}`);
  return new Map(Object.entries(value));
}

function contractsOf(value: unknown): AddressBook | null {
  if (value === null) return null;
  const fields = objectOf(value, "contracts");
  const entries = Object.keys(ROLES).map((role): readonly [string, Address] => {
    const address = fields.get(role);
    if (typeof address === "string" && /^0x[0-9a-f]{40}$/i.test(address))
      return [role, address.toLowerCase() as Address];
    throw noInfo(`contracts has no address for ${role}`);
  });
  return Object.fromEntries(entries) as AddressBook;
}
