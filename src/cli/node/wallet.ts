/** The keys of whoever takes part: made where there are none, so that a newcomer is asked nothing. */

import type { Signer } from "../../chain/chain.ts";
import { type CreatedKey, type KeyName, keyFolder } from "../../chain/keys/keys.node.ts";
import { passwordOf } from "../chain/connection.ts";
import type { Terminal } from "../shared/terminal.ts";

/** What `--wallet`, `--hotkey`, `--keys` and `--password-file` give. */
export interface WalletFlags {
  readonly wallet: string;
  readonly hotkey: string;
  readonly keys: string;
  readonly passwordFile?: string;
}

/** A wallet, unlocked. */
export interface Wallet {
  /** Owns uid and money. */
  readonly coldkey: Signer;
  /** Works for it. */
  readonly hotkey: Signer;
}

/** Opens the wallet, after making what of it is missing. Only a file that is encrypted asks for its password. Throws SkeinError. */
export async function openWallet(flags: WalletFlags, terminal: Terminal): Promise<Wallet> {
  const { wallet: name, hotkey, keys } = flags;
  const folder = keyFolder(keys);
  const open = (key: KeyName): Promise<Signer> =>
    folder.load(key, () =>
      passwordOf(flags, `password of ${key.hotkey === undefined ? name : `${name}/${key.hotkey}`}`),
    );
  if ((await folder.find({ name })) === undefined) tellNewWallet(await folder.create({ name }), flags, terminal);
  await folder.ensure({ name, hotkey });
  return { coldkey: await open({ name }), hotkey: await open({ name, hotkey }) };
}

/** Tells of a wallet that was just made, with the words that nothing else has. */
export function tellNewWallet(
  { mnemonic, account, address }: CreatedKey,
  { wallet, keys }: Pick<WalletFlags, "wallet" | "keys">,
  terminal: Terminal,
): void {
  terminal.line(
    `made the wallet ${wallet} in ${keys}; its coldkey's words, stored nowhere else:\n\n  ${mnemonic ?? ""}\n`,
  );
  terminal.event("wallet", { wallet, keys, account, address });
}
