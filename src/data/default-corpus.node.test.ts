import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, parse } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SkeinError } from "../base/errors.ts";
import { defaultCorpus } from "./default-corpus.node.ts";

let root = "";
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "skein-corpus-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function write(name: string, content: string | Uint8Array): void {
  mkdirSync(dirname(join(root, name)), { recursive: true });
  writeFileSync(join(root, name), content);
}

/** Installs a package: its entry for the lockfile. */
function install(key: string, files: Record<string, string | Uint8Array>, flags: object = {}): [string, object] {
  write(`${key}/package.json`, JSON.stringify({ version: "1.0.0" }));
  for (const [name, content] of Object.entries(files)) write(`${key}/${name}`, content);
  return [key, { version: "1.0.0", ...flags }];
}

function lock(entries: [string, object][], name = "package-lock.json"): void {
  write(
    name,
    JSON.stringify({ lockfileVersion: 3, packages: Object.fromEntries([["", { name: "host" }], ...entries]) }),
  );
}

async function names(options = {}): Promise<string[]> {
  const out: string[] = [];
  for await (const { name } of (await defaultCorpus({ from: root, ...options })).documents) out.push(name);
  return out;
}

describe("defaultCorpus", () => {
  it("takes prose, then declarations, then sources, package by package", async () => {
    lock([
      install("node_modules/b", {
        "README.md": "about b",
        "index.js": "const b = 1;",
        "index.d.ts": "declare b",
        "x/y.txt": "text b",
      }),
      install("node_modules/a", {
        "README.md": "about a",
        "a.mjs": "const a = 1;",
        "data.json": "{}",
        "logo.png": "x",
      }),
      install("node_modules/@s/c/node_modules/a", { "lib.ts": "let c" }),
    ]);
    expect(await names()).toEqual([
      "a/README.md",
      "b/README.md",
      "b/x/y.txt",
      "b/index.d.ts",
      "@s/c/node_modules/a/lib.ts",
      "a/a.mjs",
      "b/index.js",
    ]);
    const { listing, documents } = await defaultCorpus({ from: root });
    expect(listing).toMatchObject({ files: 7, packages: ["a@1.0.0", "b@1.0.0"], missing: [] });
    let bytes = 0;
    for await (const { text } of documents) bytes += text.length;
    expect(listing.bytes).toBe(bytes);
  });

  it("leaves out what another machine may not have", async () => {
    lock([
      install("node_modules/good", { "README.md": "good" }),
      install("node_modules/optional", { "README.md": "optional" }, { optional: true }),
      install("node_modules/linux", { "README.md": "linux" }, { os: ["linux"] }),
      install("node_modules/arm", { "README.md": "arm" }, { cpu: ["arm64"] }),
      install("node_modules/scripted", { "README.md": "scripted" }, { hasInstallScript: true }),
      install("packages/linked", { "README.md": "linked" }),
      ["node_modules/gone", { version: "1.0.0" }],
      ["node_modules/newer", { version: "2.0.0" }],
      ["node_modules/../../outside", { version: "1.0.0" }],
    ]);
    install("node_modules/newer", { "README.md": "newer" });
    install("node_modules/unlocked", { "README.md": "unlocked" });
    expect(await names()).toEqual(["good/README.md"]);
    expect((await defaultCorpus({ from: root })).listing.missing).toEqual(["gone@1.0.0", "newer@2.0.0"]);
  });

  it("leaves out licences, logs of changes, bundles, binaries, copies and links", async () => {
    const source = Array.from({ length: 20 }, (_, i) => `export const number${i} = ${i};`).join("\n");
    lock([
      install("node_modules/a", {
        "LICENSE.md": "licence",
        "CHANGELOG.md": "changes",
        "README.zh-CN.md": "other language",
        "index.min.js": "x",
        "bundle.js": `x${"y".repeat(1000)}`,
        "binary.txt": Uint8Array.of(1, 0, 2),
        "latin.txt": Uint8Array.of(0xe9, 0xe8, 10),
        "huge.js": "a line of code;\n".repeat(20_000),
        "lib/cjs.js": source,
        "lib/esm.js": `${source}\n`,
        "node_modules/stray/README.md": "stray",
        "own.js": "const own = true;",
      }),
    ]);
    symlinkSync(join(root, "node_modules/a/own.js"), join(root, "node_modules/a/link.js"));
    symlinkSync(join(root, "node_modules/a"), join(root, "node_modules/a/loop"));
    expect(await names()).toEqual(["a/lib/cjs.js", "a/own.js"]);
  });

  it("stays below its cap and gives the same again", async () => {
    lock([
      install("node_modules/a", {
        "1.md": "x".repeat(600),
        "2.md": "y".repeat(600),
        "3.md": "z".repeat(300),
        "4.md": "w".repeat(300),
      }),
    ]);
    expect(await names({ bytesMax: 1000 })).toEqual(["a/1.md", "a/3.md"]);
    const [one, two] = [await defaultCorpus({ from: root }), await defaultCorpus({ from: root })];
    expect(one.listing).toEqual(two.listing);
    const capped = await defaultCorpus({ from: root, bytesMax: 1000 });
    expect(capped.listing.bytes).toBe(900);
    expect(capped.listing.sha256).not.toBe(one.listing.sha256);
  });

  it("finds the lockfile from inside an installed package, also the one npm hides", async () => {
    const entries = [
      install("node_modules/skein", { "dist/data/x.js": "let x;" }),
      install("node_modules/b", { "a.md": "b" }),
    ];
    lock(entries, "node_modules/.package-lock.json");
    expect(await names({ from: join(root, "node_modules/skein/dist/data") })).toEqual([
      "b/a.md",
      "skein/dist/data/x.js",
    ]);
  });

  it("says what is wrong", async () => {
    const failing = async (from = root): Promise<SkeinError> => {
      const error = await defaultCorpus({ from }).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(SkeinError);
      return error as SkeinError;
    };
    expect((await failing(parse(root).root)).message).toMatch(/no package-lock.json above/);
    mkdirSync(join(root, "node_modules"));
    for (const content of [
      "{",
      "null",
      "[]",
      '{"packages":5}',
      '{"packages":{"node_modules/x":null}}',
      '{"packages":{}}',
    ]) {
      write("package-lock.json", content);
      expect((await failing()).remedy).toMatch(/text to train on/);
    }
  });

  it("finds megabytes beside this very program", async () => {
    const { listing } = await defaultCorpus({ bytesMax: 2_000_000 });
    expect(listing.bytes).toBeGreaterThan(1_000_000);
    expect(listing.bytes).toBeLessThanOrEqual(2_000_000);
  });
});
