import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SkeinError } from "../base/errors.ts";
import { type FileOptions, fileDocuments, measureFiles } from "./files.node.ts";
import type { Skip } from "./sources.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "skein-files-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, content: string | Uint8Array): void {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}

async function names(paths: string[], options: FileOptions = {}): Promise<string[]> {
  const out: string[] = [];
  for await (const { name } of fileDocuments(paths, options)) out.push(name);
  return out;
}

describe("fileDocuments", () => {
  it("walks folders in byte order and leaves out what is no text of ours", async () => {
    for (const name of [
      "b.md",
      "a/z.txt",
      "a.md",
      "a/Z.txt",
      "é.md",
      "node_modules/x/readme.md",
      ".git/config",
      "a/.git/x",
    ]) {
      write(name, `text of ${name}`);
    }
    write("picture.png", Uint8Array.of(137, 80, 0, 1));
    write("empty.txt", "");
    write("rows.jsonl", '{"text":"one"}\n{"text":"two"}\n');
    const skips: Skip[] = [];
    expect(await names([folder], { onSkip: (skip) => skips.push(skip) })).toEqual([
      "a/Z.txt",
      "a/z.txt",
      "a.md",
      "b.md",
      "rows.jsonl:1",
      "rows.jsonl:2",
      "é.md",
    ]);
    expect(skips).toEqual([{ name: "picture.png", reason: "binary" }]);
    expect(await names([folder], { extensions: [".md"] })).toEqual(["a.md", "b.md", "é.md"]);
    expect(await names([join(folder, "b.md"), join(folder, "a")])).toEqual(["b.md", "Z.txt", "z.txt"]);
    expect(await names([folder], { ignore: ["a", "node_modules"], extensions: ["config"] })).toEqual([".git/config"]);
    expect(await measureFiles([join(folder, "a")])).toEqual({ files: 2, bytes: 30 });
  });

  it("follows links once and survives loops and dead ends", async () => {
    write("real/one.txt", "one");
    symlinkSync(folder, join(folder, "real/loop"));
    symlinkSync(join(folder, "real"), join(folder, "again"));
    symlinkSync(join(folder, "real/one.txt"), join(folder, "linked.txt"));
    symlinkSync(join(folder, "nowhere"), join(folder, "dead"));
    const skips: Skip[] = [];
    expect(await names([folder], { onSkip: (skip) => skips.push(skip) })).toEqual(["again/one.txt", "linked.txt"]);
    expect(skips.map(({ name, reason }) => [name, reason])).toEqual([["dead", "unreadable"]]);
  });

  it("streams big files in parts", async () => {
    write("big.txt", "a line of text\n".repeat(200_000));
    const found = await names([join(folder, "big.txt")]);
    expect(found).toEqual(["big.txt#1", "big.txt#2", "big.txt#3"]);
  });

  it("says which path leads nowhere", async () => {
    await expect(names([join(folder, "missing")])).rejects.toThrow(SkeinError);
    await expect(names(["/dev/null"])).rejects.toThrow(/neither file nor folder/);
  });

  it("can be left early", async () => {
    write("a.txt", "x\n".repeat(3_000_000));
    for await (const { name } of fileDocuments([folder])) {
      expect(name).toBe("a.txt#1");
      break;
    }
  });
});
