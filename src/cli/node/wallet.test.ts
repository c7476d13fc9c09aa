import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { openTerminal } from "../shared/terminal.ts";
import { openWallet } from "./wallet.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

describe("a wallet", () => {
  it("is made where there is none, with its words told once, and opened afterwards", async () => {
    const keys = mkdtempSync(path.join(tmpdir(), "skein-wallet-"));
    folders.push(keys);
    const said: string[] = [];
    const sink = { write: (text: string) => said.push(text) };
    const terminal = openTerminal({ json: false, stdout: sink, stderr: sink, env: {} });
    const flags = { wallet: "w", hotkey: "h", keys };
    const made = await openWallet(flags, terminal);
    expect(said.join("")).toMatch(/made the wallet w in .*:\n\n {2}(?:[a-z]+ ){11}[a-z]+\n/);
    said.length = 0;
    const again = await openWallet(flags, terminal);
    expect(again.coldkey.account).toBe(made.coldkey.account);
    expect(again.hotkey.account).toBe(made.hotkey.account);
    const other = await openWallet({ ...flags, hotkey: "h2" }, terminal);
    expect(other.coldkey.account).toBe(made.coldkey.account);
    expect(other.hotkey.account).not.toBe(made.hotkey.account);
    expect(said).toEqual([]);
  });
});
