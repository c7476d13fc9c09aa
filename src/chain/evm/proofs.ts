/**
 * Hotkeys' signatures: typed data (EIP-712) by which a hotkey says which coldkey it wants, bound to chain and contract, each good once and
 * for a short while. What contracts/src/neurons/HotkeyProofs.sol checks.
 */
import { bytesToHex, encodeFunctionData, type Hex, hashTypedData, hexToBytes } from "viem";
import type { Address, Signer } from "../chain.ts";
import { NEURONS_ABI } from "./abi.ts";
import type { AddressBook } from "./deploy.ts";
import { asked, isCount, isU64, type Link, nonsense } from "./link.ts";

/** Blocks for which a hotkey's signature holds. */
const PROOF_BLOCKS = 300n;

/** What a proof depends on besides the hotkey. */
export interface ProofContext {
  readonly link: Link;
  readonly book: AddressBook;
  /** The coldkey. */
  readonly signer: Signer;
}

const NETUID = [{ name: "netuid", type: "uint16" }] as const;
const TERMS = [
  { name: "coldkey", type: "address" },
  { name: "nonce", type: "uint64" },
  { name: "deadline", type: "uint64" },
] as const;

/** The call that registers `hotkey` for this coldkey, with the hotkey's signature over it. */
export async function registrationWithProof(
  context: ProofContext,
  netuid: number,
  hotkey: Signer,
  burnMax: bigint,
): Promise<Hex> {
  const { terms, deadline } = await termsOf(context, hotkey);
  const digest = hashTypedData({
    domain: domainOf(context),
    primaryType: "Register",
    types: { Register: [...NETUID, ...TERMS] },
    message: { netuid, ...terms },
  });
  const args = [netuid, hotkey.address, burnMax, deadline, await signatureOf(hotkey, digest)] as const;
  return encodeFunctionData({ abi: NEURONS_ABI, functionName: "registerWithProof", args });
}

/** The call that lets this coldkey have `hotkey`; undefined where it may already: it is its own, or has it, or was let before. */
export async function authorization(context: ProofContext, hotkey: Signer): Promise<Hex | undefined> {
  const { link, book, signer } = context;
  if (hotkey.account === signer.account) return undefined;
  const neurons = { address: book.neurons, abi: NEURONS_ABI, args: [hotkey.account] } as const;
  const holders = await asked(
    "a hotkey's owner",
    Promise.all([
      link.client.readContract({ ...neurons, functionName: "ownerOf" }),
      link.client.readContract({ ...neurons, functionName: "authorizedOf" }),
    ]),
  );
  if (holders.includes(signer.account)) return undefined;
  const { terms, deadline } = await termsOf(context, hotkey);
  const digest = hashTypedData({
    domain: domainOf(context),
    primaryType: "Authorize",
    types: { Authorize: TERMS },
    message: terms,
  });
  const args = [hotkey.address, deadline, await signatureOf(hotkey, digest)] as const;
  return encodeFunctionData({ abi: NEURONS_ABI, functionName: "authorizeWithProof", args });
}

function domainOf({ link, book }: ProofContext): {
  name: string;
  version: string;
  chainId: number;
  verifyingContract: Address;
} {
  return { name: "Skein neurons", version: "1", chainId: link.chainId, verifyingContract: book.neurons };
}

interface Terms {
  readonly coldkey: Address;
  readonly nonce: bigint;
  readonly deadline: bigint;
}

async function termsOf(
  { link: { client }, book, signer }: ProofContext,
  hotkey: Signer,
): Promise<{ readonly terms: Terms; readonly deadline: bigint }> {
  const neurons = { address: book.neurons, abi: NEURONS_ABI } as const;
  const [nonce, head] = await asked(
    "a hotkey's next proof",
    Promise.all([
      client.readContract({ ...neurons, functionName: "nonces", args: [hotkey.address] }),
      client.getBlockNumber({ cacheTime: 0 }),
    ]),
  );
  if (!isU64(nonce) || !isCount(head)) throw nonsense("a hotkey's next proof");
  const deadline = head + PROOF_BLOCKS;
  return { terms: { coldkey: signer.address, nonce, deadline }, deadline };
}

async function signatureOf(signer: Signer, digest: Hex): Promise<Hex> {
  const signature = await signer.sign(hexToBytes(digest));
  return bytesToHex(Uint8Array.of(...signature.subarray(0, 64), 27 + ((signature[64] as number) % 27)));
}
