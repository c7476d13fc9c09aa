/** What the chain's commands share: which chain, which keys, and closing the connection afterwards. */
import * as path from "node:path";
import { createInterface } from "node:readline/promises";
import type { Command } from "commander";
import { fromUtf8 } from "../../base/bytes.ts";
import { SkeinError } from "../../base/errors.ts";
import type { Chain, Signer } from "../../chain/chain.ts";
import { connectChain } from "../../chain/connect.ts";
import type { AddressBook } from "../../chain/evm/deploy.ts";
import { readBounded } from "../../chain/files.node.ts";
import { type KeyFolder, type KeyName, keyFolder } from "../../chain/keys/keys.node.ts";
import { HOME, withJson } from "../shared/options.ts";
import type { Terminal } from "../shared/terminal.ts";

/** What `--rpc`, `--contracts`, `--json`, `--wallet`, `--hotkey`, `--keys` and `--password-file` give. */
export interface ChainFlags {
  readonly rpc?: string;
  readonly contracts?: string;
  readonly json?: boolean;
  readonly wallet: string;
  readonly hotkey: string;
  readonly keys: string;
  readonly passwordFile?: string;
}

/** Where the embedded chain lives, if nothing else is said. */
export const CHAIN_FOLDER: string = path.join(HOME, "chain");
/** Where keys live, if nothing else is said. */
export const KEYS_FOLDER: string = path.join(HOME, "keys");
const SMALL_FILE_BYTES_MAX = 1 << 16;

/** Adds `--rpc`, `--contracts`, `--json`. */
export function withChain(command: Command): Command {
  return withJson(
    command
      .option(
        "--rpc <url>",
        `JSON-RPC address of the chain (default: $SKEIN_RPC, else the one running in ${CHAIN_FOLDER})`,
      )
      .option(
        "--contracts <file>",
        "where the contracts are, as `skein chain deploy` wrote it (default: the fixed addresses)",
      ),
  );
}

/** Adds `--wallet`, `--hotkey` and where they are. */
export function withKeys(command: Command): Command {
  return command
    .option("--wallet <name>", "whose coldkey pays and owns", "default")
    .option("--hotkey <name>", "which of the wallet's hotkeys", "default")
    .option("--keys <folder>", "where keys are", KEYS_FOLDER)
    .option("--password-file <file>", "password of encrypted keys (default: $SKEIN_PASSWORD, else asked for)");
}

/** Connects, does the work, closes. */
export async function withConnection<T>(
  flags: ChainFlags,
  terminal: Terminal,
  work: (chain: Chain) => Promise<T>,
): Promise<T> {
  const contracts = await contractsOf(flags);
  const chain = await connectChain({ rpcUrl: await rpcOf(flags), ...(contracts ? { contracts } : {}) });
  try {
    return await work(chain);
  } finally {
    terminal.clear();
    await chain.close();
  }
}

/** Which chain is meant: `--rpc`, else SKEIN_RPC, else the one that runs here. */
export async function rpcOf({ rpc }: Pick<ChainFlags, "rpc">): Promise<string> {
  return rpc ?? process.env["SKEIN_RPC"] ?? (await localEndpoint());
}

/** Where the contracts are, by `--contracts`; undefined: at the fixed addresses. Throws SkeinError("usage", "config") for the file. */
export async function contractsOf({ contracts }: Pick<ChainFlags, "contracts">): Promise<AddressBook | undefined> {
  return contracts === undefined ? undefined : readAddressBook(contracts);
}

/** Address of the chain that runs in the usual folder. Throws SkeinError("chain") where none does. */
async function localEndpoint(): Promise<string> {
  const bytes = await readBounded(path.join(CHAIN_FOLDER, "endpoint"), SMALL_FILE_BYTES_MAX);
  if (bytes !== undefined) return fromUtf8(bytes).trim();
  throw new SkeinError("chain", `no chain is running in ${CHAIN_FOLDER}`, {
    remedy: "start one with `skein chain`, or name one with --rpc URL",
  });
}

async function readAddressBook(file: string): Promise<AddressBook> {
  const { parseAddressBook } = await import("../../chain/evm/book.ts");
  const bytes = await readBounded(file, SMALL_FILE_BYTES_MAX);
  if (bytes === undefined)
    throw new SkeinError("usage", `there is no file ${file}`, {
      remedy: "deploy the contracts first: skein chain deploy",
    });
  return parseAddressBook(fromUtf8(bytes), file);
}

/** The wallet's coldkey, decrypted. */
export function coldkeyOf(flags: ChainFlags): Promise<Signer> {
  return signerOf(flags, { name: flags.wallet });
}

/** The wallet's hotkey, decrypted. */
export function hotkeyOf(flags: ChainFlags): Promise<Signer> {
  return signerOf(flags, { name: flags.wallet, hotkey: flags.hotkey });
}

async function signerOf(flags: ChainFlags, key: KeyName): Promise<Signer> {
  const keys: KeyFolder = keyFolder(flags.keys);
  if ((await keys.find(key)) === undefined) {
    const hotkey = key.hotkey === undefined ? "" : ` --hotkey ${key.hotkey}`;
    const what = key.hotkey === undefined ? `coldkey ${key.name}` : `hotkey ${key.name}/${key.hotkey}`;
    throw new SkeinError("usage", `there is no ${what} in ${flags.keys}`, {
      remedy: `make it: skein keys create ${key.name}${hotkey}`,
    });
  }
  return keys.load(key, () =>
    passwordOf(flags, `password of ${key.name}${key.hotkey === undefined ? "" : `/${key.hotkey}`}`),
  );
}

/** A password: from the file, from the environment, or typed. Throws SkeinError("usage") where nobody can be asked. */
export async function passwordOf(
  { passwordFile }: Pick<ChainFlags, "passwordFile">,
  question: string,
): Promise<string> {
  if (passwordFile !== undefined) {
    const bytes = await readBounded(passwordFile, SMALL_FILE_BYTES_MAX);
    if (bytes === undefined)
      throw new SkeinError("usage", `there is no file ${passwordFile}`, { remedy: "write the password into it" });
    return fromUtf8(bytes).replace(/\r?\n$/, "");
  }
  const fromEnvironment = process.env["SKEIN_PASSWORD"];
  if (fromEnvironment !== undefined) return fromEnvironment;
  if (!process.stdin.isTTY) {
    throw new SkeinError("usage", `the ${question} is needed`, { remedy: "give --password-file or SKEIN_PASSWORD" });
  }
  return typed(`${question}: `);
}

/** What is typed, without showing it. */
async function typed(question: string): Promise<string> {
  const { Writable } = await import("node:stream");
  process.stderr.write(question);
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: silent, terminal: true });
  try {
    return await lines.question("");
  } finally {
    lines.close();
    process.stderr.write("\n");
  }
}
