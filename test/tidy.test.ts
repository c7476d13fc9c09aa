/** The style guide (STYLE.md) as a test: what it asks of the tree that a machine can check. The second half shows each scanner failing. */
import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, it } from "vitest";
import {
  anyTypes,
  bannedUses,
  crowdedFolders,
  exportsOf,
  FLOORS,
  forbiddenText,
  hasHeader,
  importCycles,
  importsOf,
  isAdapter,
  linksOf,
  mask,
  misusedWords,
  type SourceFile,
  upwardImports,
} from "./tidy.ts";

const ROOT = path.resolve(import.meta.dirname, "..");
const BIOME = path.join(ROOT, "node_modules/@biomejs/biome/bin/biome");
const SKIPPED = new Set(["node_modules", "dist", "build", ".git", ".skein", "coverage", "__pycache__"]);

function walk(folder: string): string[] {
  return readdirSync(path.join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const name = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory()) return SKIPPED.has(entry.name) ? [] : walk(name);
    return entry.isFile() ? [name] : [];
  });
}

const read = (file: string): SourceFile => ({ path: file, text: readFileSync(path.join(ROOT, file), "utf8") });

const paths = walk("");
const isGenerated = (file: string): boolean => file.endsWith(".wasm.ts");
const isText = (file: string): boolean =>
  /\.(?:ts|js|mjs|c|h|py|sh|md|html)$|^\.ci\/|^scripts\//.test(file) &&
  !isGenerated(file) &&
  statSync(path.join(ROOT, file)).size < 1e6;
const source = paths
  .filter((file) => /^src\/.*\.ts$/.test(file) && !file.endsWith(".test.ts") && !isGenerated(file))
  .map(read);
const documents = paths.filter((file) => file.endsWith(".md")).map(read);
const srcFolders = [...new Set(source.map(({ path: file }) => file.split("/")[1] ?? ""))].filter(
  (f) => !f.endsWith(".ts"),
);
const textOf = (file: string): string => documents.find((document) => document.path === file)?.text ?? "";

describe("the tree", () => {
  it("imports downwards only", () => expect(upwardImports(source)).toEqual([]));

  it("imports in no circle", () => expect(importCycles(source)).toEqual([]));

  it("touches the machine only through its doors", () => expect(source.flatMap(bannedUses)).toEqual([]));

  it("names Node in the header of every adapter outside base/ and cli/", () => {
    const adapters = source.filter(({ path: file }) => isAdapter(file) && !/^src\/(?:base|cli)\//.test(file));
    expect(adapters.filter(({ text }) => !/Node/.test(text.slice(0, text.indexOf("*/")))).map((f) => f.path)).toEqual(
      [],
    );
  });

  it("keeps files to 500 lines", () => {
    const lines = paths.filter((f) => /\.(?:ts|c|h)$/.test(f) && !isGenerated(f)).map(read);
    expect(lines.filter(({ text }) => text.split("\n").length > 501).map((f) => f.path)).toEqual([]);
  });

  it("keeps folders to a dozen source files", () => {
    expect(
      crowdedFolders(
        source.map((f) => f.path),
        12,
      ),
    ).toEqual([]); // cli/ has a file per verb; when it passes 12, give it folders
  });

  it("opens every file by saying what it is", () => {
    expect(source.filter(({ text }) => !hasHeader(text)).map((f) => f.path)).toEqual([]);
  });

  it("documents what it exports", () => {
    const all = source.flatMap(({ path: file, text }) => exportsOf(text).map((e) => ({ ...e, file })));
    const bare = all.filter((e) => !e.documented).map((e) => `${e.file}: ${e.name}`);
    expect(all.length).toBeGreaterThan(50);
    expect(bare.length / all.length, bare.join("\n")).toBeLessThanOrEqual(0.05);
  });

  it("says what it means: no any, no open ends, no machine paths, no misused words", () => {
    expect(source.flatMap(anyTypes)).toEqual([]);
    expect(paths.filter(isText).map(read).flatMap(forbiddenText)).toEqual([]);
    expect(source.flatMap(misusedWords)).toEqual([]);
  });

  it("passes biome: format, lint, functions of at most 70 lines, no floating promises", () => {
    const run = spawnSync(process.execPath, [BIOME, "check", "--max-diagnostics=20", "."], {
      cwd: ROOT,
      encoding: "utf8",
    });
    expect(run.status, run.stdout + run.stderr).toBe(0);
  }, 60_000);
});

describe("the documents", () => {
  it("link only to what exists", () => {
    const broken = documents.flatMap((file) =>
      linksOf(file)
        .filter((target) => !existsSync(path.join(ROOT, target)))
        .map((target) => `${file.path} links to ${target}`),
    );
    expect(broken).toEqual([]);
  });

  it("are all linked from another one", () => {
    const linked = new Set(documents.flatMap((file) => linksOf(file).filter((target) => target !== file.path)));
    const lonely = documents.map((f) => f.path).filter((file) => file !== "README.md" && !linked.has(file));
    expect(lonely).toEqual([]);
  });

  it("name every folder of src in the README's map and every floor in ARCHITECTURE.md", () => {
    expect(srcFolders.filter((folder) => !textOf("README.md").includes(`\`src/${folder}/\``))).toEqual([]);
    expect(srcFolders.filter((folder) => FLOORS[folder] === undefined)).toEqual([]);
    expect(srcFolders.filter((folder) => !textOf("ARCHITECTURE.md").includes(`\`${folder}/\``))).toEqual([]);
  });

  it("define the words the code leans on", () => {
    const words = [
      "step",
      "round",
      "epoch",
      "pass",
      "block",
      "params",
      "checkpoint",
      "export",
      "token",
      "key",
      "shard",
      "manifest",
    ];
    words.push(
      "sequence",
      "batch",
      "micro-batch",
      "engine",
      "preset",
      "plan",
      "seed",
      "aggregate",
      "payload",
      "uid",
      "weight",
    );
    expect(words.filter((word) => !textOf("GLOSSARY.md").includes(`**${word}**`))).toEqual([]);
  });

  it("give a reason for every dependency", () => {
    const { dependencies, devDependencies } = JSON.parse(readFileSync(path.join(ROOT, "package.json"), "utf8"));
    const names = Object.keys({ ...dependencies, ...devDependencies });
    expect(names.filter((name) => !textOf("ARCHITECTURE.md").includes(`\`${name}\``))).toEqual([]);
  });
});

const file = (at: string, text: string): SourceFile => ({ path: at, text });

describe("the scanners", () => {
  it("tell code from comments, strings, templates and regular expressions", () => {
    const code = mask('a("x//y"); // Date\n`t $' + '{f("}")} Date`; b = /["Date]\\//g; c / d; /* Date */ e', {
      strings: true,
    });
    expect(code).not.toContain("Date");
    expect(code).toMatch(/^a\(/);
    expect(code).toMatch(/c \/ d;\s+e$/);
    expect(code.split("\n")).toHaveLength(2);
    expect(mask('x = "kept" // gone', { strings: false }).trim()).toBe('x = "kept"');
  });

  it("find imports of every form", () => {
    const text =
      'import a from "./a.ts";\nimport type {\n  B,\n} from "./b.ts";\nexport { c } from "./c.ts";\nimport "./d.ts";\n';
    expect(
      importsOf(`${text}const e = await import("./e.ts");\n// import f from "./f.ts"\n/** import g from "./g.ts" */`),
    ).toEqual(["./a.ts", "./b.ts", "./c.ts", "./d.ts", "./e.ts"]);
  });

  it("catch imports that climb, go sideways, or come from an unknown folder", () => {
    expect(upwardImports([file("src/base/a.ts", 'import x from "../engine/x.ts";')])).toHaveLength(1);
    expect(upwardImports([file("src/model/a.ts", 'import x from "../data/x.ts";')])).toHaveLength(1);
    expect(upwardImports([file("src/roles/a.ts", 'import x from "../index.ts";')])).toHaveLength(1);
    expect(upwardImports([file("src/cli/a.ts", 'import x from "../index.ts";')])).toHaveLength(1);
    expect(upwardImports([file("src/misc/a.ts", "")])).toHaveLength(1);
    expect(
      upwardImports([file("src/engine/exact/a.ts", 'import x from "../shape.ts"; import y from "../../base/y.ts";')]),
    ).toEqual([]);
  });

  it("catch circles, also of three", () => {
    const a = file("src/base/a.ts", 'import b from "./b.ts";');
    const b = file("src/base/b.ts", 'import type { C } from "./c.ts";');
    expect(importCycles([a, b, file("src/base/c.ts", 'import a from "./a.ts";')])).toEqual([
      "src/base/a.ts → src/base/b.ts → src/base/c.ts → src/base/a.ts",
    ]);
    expect(importCycles([a, b, file("src/base/c.ts", "")])).toEqual([]);
  });

  it("catch the machine outside its doors", () => {
    const uses = [
      "new Date()",
      "Date.now()",
      "setTimeout(f, 1)",
      "Math.random()",
      "fetch(url)",
      "process.env",
      "performance.now()",
    ];
    uses.push("console.log(1)", "crypto.getRandomValues(x)", 'import fs from "node:fs";', "globalThis.process?.x");
    for (const use of uses) {
      expect(bannedUses(file("src/model/a.ts", use)), use).not.toEqual([]);
      expect(bannedUses(file("src/store/folder.node.ts", use)), use).toEqual([]);
      expect(bannedUses(file("src/cli/a.ts", use)), use).toEqual([]);
    }
    expect(
      bannedUses(file("src/model/a.ts", '// Date\nconst s = "fetch(x)"; store.fetch(1); clock.process.x;')),
    ).toEqual([]);
  });

  it("catch exports without docstring and files without header", () => {
    const text =
      "/** Yes. */\nexport function a(): void {}\nexport const b = 1;\n\n/** Yes. */\nexport interface C {}\n";
    expect(exportsOf(text)).toEqual([
      { name: "a", documented: true },
      { name: "b", documented: false },
      { name: "C", documented: true },
    ]);
    expect(hasHeader("export const b = 1;")).toBe(false);
    expect(hasHeader("#!/usr/bin/env node\n/** The command line: finds the verb. */\n")).toBe(true);
  });

  it("catch any, open ends, machine paths and misused words", () => {
    for (const bad of ["let x: any;", "x as any", "f<any>()", "any[]", "Map<string, any>"]) {
      expect(anyTypes(file("src/a.ts", bad)), bad).toHaveLength(1);
    }
    expect(anyTypes(file("src/a.ts", '// any\nconst any = 1; say("in any case");'))).toEqual([]);
    for (const bad of [
      ["TO", "DO: x"],
      ["FIX", "ME"],
      ["/ho", "me/ann/x"],
      ["/wo", "rk/main"],
      ["C:\\Us", "ers\\ann"],
    ]) {
      expect(forbiddenText(file("a.md", bad.join(""))), bad.join("")).toHaveLength(1);
    }
    expect(forbiddenText(file("a.md", "https://example.org/homepage and network/mainnet"))).toEqual([]);
    expect(misusedWords(file("src/model/a.ts", "const weights = 1; let epoch = 2;"))).toHaveLength(2);
    expect(misusedWords(file("src/model/a.ts", "const weightDecay = 1; // weights"))).toEqual([]);
  });

  it("catch crowded folders and read links", () => {
    expect(crowdedFolders(["src/a/1.ts", "src/a/2.ts", "src/b/1.ts"], 1)).toEqual(["src/a holds 2 files (at most 1)"]);
    const text = "[a](b.md#part) [c](https://x.org) [d](#here) `[e](e.md)`\n```\n[f](f.md)\n```\n[g](../g/)";
    expect(linksOf(file("docs/x.md", text))).toEqual(["docs/b.md", "g/"]);
  });

  it("let biome catch long functions and floating promises", () => {
    const project = mkdtempSync(path.join(tmpdir(), "skein-tidy-"));
    const lint = (code: string): string => {
      copyFileSync(path.join(ROOT, "biome.json"), path.join(project, "biome.json"));
      writeFileSync(path.join(project, "probe.ts"), code);
      const run = spawnSync(process.execPath, [BIOME, "lint", "."], { cwd: project, encoding: "utf8" });
      return run.status === 0 ? "" : run.stdout + run.stderr;
    };
    const lines = (n: number): string => `export function f(): void {\n${"  console.error(1);\n".repeat(n)}}\n`;
    expect(lint(lines(60))).toBe("");
    expect(lint(lines(80))).toContain("noExcessiveLinesPerFunction");
    expect(lint("async function f(): Promise<void> {}\nf();\n")).toContain("noFloatingPromises");
    rmSync(project, { recursive: true });
  }, 60_000);
});
