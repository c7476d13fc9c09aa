/** `skein keys`: makes, lists, imports and exports coldkeys and hotkeys. */
import { Command } from "commander";
import { fromUtf8 } from "../../base/bytes.ts";
import { SkeinError } from "../../base/errors.ts";
import { readBounded } from "../../chain/files.node.ts";
import { type KeyInfo, type KeyName, keyFolder } from "../../chain/keys/keys.node.ts";
import { withJson } from "../shared/options.ts";
import { processTerminal, table } from "../shared/terminal.ts";
import { KEYS_FOLDER, passwordOf } from "./connection.ts";

interface KeysFlags {
  readonly keys: string;
  readonly json?: boolean;
  readonly hotkey?: string;
  readonly encrypt?: boolean;
  readonly passwordFile?: string;
  readonly from?: string;
}

const SECRET_BYTES_MAX = 1 << 16;

/** The verb `keys`. */
export function keysCommand(): Command {
  const common = (command: Command): Command =>
    withJson(
      command
        .option("--keys <folder>", "where keys are", KEYS_FOLDER)
        .option("--password-file <file>", "password (default: $SKEIN_PASSWORD, else asked for)"),
    );
  const which = (command: Command): Command => command.option("--hotkey <name>", "this hotkey instead of the coldkey");
  const create = new Command("create")
    .summary("make a coldkey and a hotkey")
    .description(
      "Makes a wallet: a coldkey, which owns money and uids, and a hotkey, which works for it. With --hotkey, one more " +
        "hotkey. Nothing is asked; the files can be read by you alone. --encrypt asks for a password and keeps them " +
        "encrypted (keystore V3, which MetaMask and geth import).",
    )
    .argument("[name]", "the wallet's name", "default")
    .option("--encrypt", "encrypt with a password")
    .action((name: string, flags: KeysFlags) => create_(name, flags));
  const list = new Command("list")
    .summary("all keys, with their addresses")
    .description("Lists keys with their addresses and accounts. No password is needed.")
    .action((flags: KeysFlags) => listKeys(flags));
  const importing = new Command("import")
    .summary("take a key from elsewhere")
    .description("Takes hex digits, twelve or more words, or a keystore file, read from --from or else from stdin.")
    .argument("<name>", "the wallet's name")
    .option("--from <file>", "where the key is")
    .action((name: string, flags: KeysFlags) => importKey(name, flags));
  const exporting = new Command("export")
    .summary("show a key, to take it elsewhere")
    .description(
      "Prints the private key as hex digits, or with --encrypt as a keystore file. Whoever reads it owns the key. In " +
        "MetaMask: Add account, Import account.",
    )
    .argument("<name>", "the wallet's name")
    .option("--encrypt", "as a keystore file, with a new password")
    .action((name: string, flags: KeysFlags) => exportKey(name, flags));
  return new Command("keys")
    .summary("make, list, import and export keys")
    .description("A wallet is a coldkey, which owns, and hotkeys, which work. Keep coldkeys off machines that train.")
    .addCommand(which(common(create)))
    .addCommand(common(list))
    .addCommand(which(common(importing)))
    .addCommand(which(common(exporting)));
}

const keyNamed = (name: string, { hotkey }: KeysFlags): KeyName => (hotkey === undefined ? { name } : { name, hotkey });
const shownKey = ({ name, hotkey }: KeyName): string =>
  hotkey === undefined ? `${name} (coldkey)` : `${name}/${hotkey}`;

async function create_(name: string, flags: KeysFlags): Promise<void> {
  const terminal = processTerminal(flags.json === true);
  const folder = keyFolder(flags.keys);
  const password = flags.encrypt ? await newPassword(flags) : undefined;
  const wanted: KeyName[] =
    flags.hotkey === undefined ? [{ name }, { name, hotkey: "default" }] : [keyNamed(name, flags)];
  for (const key of wanted) {
    const created = await folder.create(key, password);
    terminal.line(`made ${shownKey(key)}: ${created.address}`);
    terminal.event("created", { ...factsOf(created), mnemonic: created.mnemonic ?? null });
    if (created.mnemonic === undefined) continue;
    terminal.line(`\n  ${created.mnemonic}\n`);
    terminal.line("Write these words down: they give the coldkey back if the file is lost, and are stored nowhere.\n");
  }
  if (password === undefined)
    terminal.note("Not encrypted (--encrypt does that): whoever reads the files owns the keys.");
}

async function newPassword(flags: KeysFlags): Promise<string> {
  const password = await passwordOf(flags, "new password");
  if (password === "")
    throw new SkeinError("usage", "an empty password protects nothing", { remedy: "choose a longer one" });
  return password;
}

async function listKeys(flags: KeysFlags): Promise<void> {
  const terminal = processTerminal(flags.json === true);
  const keys = await keyFolder(flags.keys).list();
  const rows = keys.map((key) => [shownKey(key), key.address, key.encrypted ? "encrypted" : "plain", key.account]);
  if (keys.length === 0) terminal.line(`no keys in ${flags.keys}; make some: skein keys create`);
  else for (const line of table([["key", "address", "file", "account"], ...rows])) terminal.line(line);
  for (const key of keys) terminal.event("key", factsOf(key));
}

function factsOf({ name, hotkey, address, account, encrypted, file }: KeyInfo) {
  return { name, hotkey: hotkey ?? null, address, account, encrypted, file };
}

async function importKey(name: string, flags: KeysFlags): Promise<void> {
  const terminal = processTerminal(flags.json === true);
  const secret = flags.from === undefined ? await standardInput() : await secretIn(flags.from);
  const key = keyNamed(name, flags);
  const info = await keyFolder(flags.keys).importKey(key, secret, {
    secretPassword: () => passwordOf(flags, "password of the imported key"),
  });
  terminal.line(`imported ${shownKey(key)}: ${info.address}`);
  terminal.event("imported", factsOf(info));
}

async function secretIn(file: string): Promise<string> {
  const bytes = await readBounded(file, SECRET_BYTES_MAX);
  if (bytes === undefined) throw new SkeinError("usage", `there is no file ${file}`, { remedy: "check --from" });
  return fromUtf8(bytes);
}

async function standardInput(): Promise<string> {
  if (process.stdin.isTTY) process.stderr.write("key, words or keystore, then Ctrl-D: ");
  let text = "";
  for await (const chunk of process.stdin.setEncoding("utf8")) {
    text += chunk;
    if (text.length > SECRET_BYTES_MAX) throw new SkeinError("data", "this is no key: it is too long");
  }
  return text.trim();
}

async function exportKey(name: string, flags: KeysFlags): Promise<void> {
  const terminal = processTerminal(flags.json === true);
  const key = keyNamed(name, flags);
  const old = (): Promise<string> => passwordOf(flags, `password of ${shownKey(key)}`);
  const text = await keyFolder(flags.keys).exportKey(key, old, flags.encrypt ? await newPassword(flags) : undefined);
  terminal.line(text);
  terminal.event("exported", { name, hotkey: flags.hotkey ?? null, key: text });
}
