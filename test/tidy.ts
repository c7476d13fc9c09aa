/**
 * Scanners behind tidy.test.ts: pure functions from the text of files to complaints. They read text, not syntax trees, so they
 * stay small; each has a test that feeds it what it must catch.
 */
import path from "node:path";

/** Folders of src/ by floor: a folder may import from its own folder and from lower floors. `index.ts` and `node.ts` sit under the roof. */
export const FLOORS: Readonly<Record<string, number>> = {
  base: 1,
  engine: 2,
  store: 2,
  chain: 2,
  codec: 3,
  optim: 3,
  model: 3,
  data: 3,
  round: 4,
  evaluate: 4,
  run: 5,
  checkpoint: 5,
  score: 5,
  roles: 6,
  sim: 7,
  gateway: 7,
  cli: 8,
};

/** Files that may touch the machine besides everything named `*.node.ts` and the whole of cli/. Each is a door or half of one. */
export const ADAPTERS: readonly string[] = [
  "base/clock.ts",
  "base/random.ts",
  "base/hash.ts",
  "base/platform.ts",
  "store/transfer.ts",
];

/** A file of the project: path from the root with "/" between parts, and its text. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

/** Characters after which "/" starts a regular expression and not a division. */
const BEFORE_REGEX = /(?:^|[(,=:[!&|?{};+\-*%~^<>\n]|\breturn|\bcase|\btypeof)\s*$/;

/**
 * `source` with comments blanked out, and with string, template and regex contents blanked too where `strings` says so. Length
 * and line breaks stay, so indices keep their meaning.
 */
export function mask(source: string, { strings }: { strings: boolean }): string {
  let out = "";
  let at = 0;
  const blank = (end: number, hide: boolean): void => {
    const piece = source.slice(at, end);
    out += hide ? piece.replace(/[^\n]/g, " ") : piece;
    at = end;
  };
  const indexAfter = (needle: string, from: number): number => {
    const found = source.indexOf(needle, from);
    return found < 0 ? source.length : found + needle.length;
  };
  while (at < source.length) {
    const c = source[at];
    if (source.startsWith("//", at)) blank(indexAfter("\n", at) - (source.includes("\n", at) ? 1 : 0), true);
    else if (source.startsWith("/*", at)) blank(indexAfter("*/", at + 2), true);
    else if (c === '"' || c === "'") blank(endOfQuoted(source, at, c), strings);
    else if (c === "`") blank(endOfQuoted(source, at, c), strings);
    else if (c === "/" && BEFORE_REGEX.test(out.slice(-40))) blank(endOfRegex(source, at), strings);
    else blank(at + 1, false);
  }
  return out;
}

function endOfQuoted(source: string, start: number, quote: string): number {
  let i = start + 1;
  while (i < source.length && source[i] !== quote) {
    if (source[i] === "\\") i++;
    else if (quote === "`" && source.startsWith("${", i)) i = endOfSubstitution(source, i) - 1;
    i++;
  }
  return Math.min(i + 1, source.length);
}

function endOfSubstitution(source: string, start: number): number {
  let depth = 0;
  for (let i = start + 1; i < source.length; i++) {
    const c = source[i] ?? "";
    if (c === "{") depth++;
    else if (c === "}") {
      depth--;
      if (depth === 0) return i + 1;
    } else if (c === '"' || c === "'" || c === "`") i = endOfQuoted(source, i, c) - 1;
  }
  return source.length;
}

function endOfRegex(source: string, start: number): number {
  let inClass = false;
  for (let i = start + 1; i < source.length; i++) {
    const c = source[i];
    if (c === "\\") i++;
    else if (c === "\n") return i;
    else if (c === "[") inClass = true;
    else if (c === "]") inClass = false;
    else if (c === "/" && !inClass) return i + 1;
  }
  return source.length;
}

/** Module names that `source` imports or re-exports, statically or by `import("…")`, in order. */
export function importsOf(source: string): string[] {
  const code = mask(source, { strings: false });
  const found: { index: number; name: string }[] = [];
  for (const pattern of [
    /^[ \t]*(?:import|export)\b[^;"'`]*?\bfrom\s*["']([^"']+)["']/gm,
    /^[ \t]*import\s*["']([^"']+)["']/gm,
    /\bimport\s*\(\s*["']([^"']+)["']/g,
  ]) {
    for (const match of code.matchAll(pattern)) found.push({ index: match.index, name: match[1] ?? "" });
  }
  return found.sort((a, b) => a.index - b.index).map(({ name }) => name);
}

/** The project file that relative import `name` in `from` means; undefined for packages and node: modules. */
export function resolveImport(from: string, name: string): string | undefined {
  return name.startsWith(".") ? path.posix.normalize(path.posix.join(path.posix.dirname(from), name)) : undefined;
}

/** The folder of src/ that holds `file`: "base", "engine", …; "" for files right in src/. */
export function folderOf(file: string): string {
  const parts = file.split("/");
  return parts.length > 2 ? (parts[1] ?? "") : "";
}

/** Imports that climb: into a higher floor, into a neighbour on the same floor, or into the roof (src/index.ts). */
export function upwardImports(files: readonly SourceFile[]): string[] {
  const complaints: string[] = [];
  for (const { path: from, text } of files) {
    const folder = folderOf(from);
    const floor = folder === "" ? 9 : FLOORS[folder];
    if (floor === undefined) complaints.push(`${from}: folder src/${folder} stands on no floor`);
    for (const name of importsOf(text)) {
      const to = resolveImport(from, name);
      if (to === undefined || !to.startsWith("src/")) continue;
      const target = folderOf(to);
      if (target === folder) continue;
      const targetFloor = target === "" ? 9 : (FLOORS[target] ?? 9);
      if (targetFloor >= (floor ?? 0)) complaints.push(`${from} imports ${to}, which is not below it`);
    }
  }
  return complaints;
}

/** Circles among the imports of `files`, each as "a → b → a". Type-only imports count too. */
export function importCycles(files: readonly SourceFile[]): string[] {
  const edges = new Map(
    files.map(({ path: from, text }) => [from, importsOf(text).map((n) => resolveImport(from, n))]),
  );
  const state = new Map<string, "open" | "done">();
  const trail: string[] = [];
  const cycles: string[] = [];
  const visit = (file: string): void => {
    if (state.get(file) === "done" || !edges.has(file)) return;
    if (state.get(file) === "open") {
      cycles.push([...trail.slice(trail.indexOf(file)), file].join(" → "));
      return;
    }
    state.set(file, "open");
    trail.push(file);
    for (const next of edges.get(file) ?? []) if (next !== undefined) visit(next);
    trail.pop();
    state.set(file, "done");
  };
  for (const { path: file } of files) visit(file);
  return cycles;
}

/** Whether `file` may touch the machine. */
export function isAdapter(file: string): boolean {
  return file.startsWith("src/cli/") || file.endsWith(".node.ts") || ADAPTERS.includes(file.replace(/^src\//, ""));
}

const DOORS: readonly (readonly [RegExp, string])[] = [
  [/(?<![\w$.])Date\b(?!\s*:)/, "Date (use base/clock.ts)"],
  [/(?<![\w$.])set(?:Timeout|Interval|Immediate)\b/, "a timer (use base/clock.ts)"],
  [/(?<![\w$.])performance\s*\.\s*now\b/, "performance.now (use base/clock.ts)"],
  [/\bMath\s*\.\s*random\b/, "Math.random (use base/random.ts)"],
  [/(?<![\w$.])crypto\s*\./, "crypto (use base/random.ts or base/hash.ts)"],
  [/(?<![\w$.])fetch\s*\(/, "fetch (use a Store)"],
  [/(?<![\w$.])process\s*\./, "process (use a *.node.ts adapter)"],
  [/\bglobalThis\s*\.\s*process\b/, "process (use a *.node.ts adapter)"],
  [/(?<![\w$.])console\s*\./, "console (use base/log.ts)"],
];

/** Uses of the machine in a file that is no adapter: clock, timers, entropy, network, process, console, Node modules. */
export function bannedUses(file: SourceFile): string[] {
  if (isAdapter(file.path)) return [];
  const complaints: string[] = [];
  mask(file.text, { strings: true })
    .split("\n")
    .forEach((line, i) => {
      for (const [pattern, what] of DOORS)
        if (pattern.test(line)) complaints.push(`${file.path}:${i + 1} uses ${what}`);
    });
  for (const name of importsOf(file.text)) {
    if (name.startsWith("node:")) complaints.push(`${file.path} imports ${name} (use a *.node.ts adapter)`);
  }
  return complaints;
}

const EXPORTED =
  /^export\s+(?:default\s+)?(?:declare\s+)?(?:abstract\s+)?(?:async\s+)?(?:function\*?|const|let|class|interface|type|namespace)\s+(\w+)/;

/** Every name a file exports by declaration, and whether a docstring stands right above it. */
export function exportsOf(source: string): { name: string; documented: boolean }[] {
  const lines = source.split("\n");
  const code = mask(source, { strings: true }).split("\n");
  const found = new Map<string, boolean>();
  code.forEach((line, i) => {
    const name = EXPORTED.exec(line)?.[1];
    if (name === undefined) return;
    const documented = (lines[i - 1] ?? "").trimEnd().endsWith("*/");
    found.set(name, documented || (found.get(name) ?? false));
  });
  return [...found].map(([name, documented]) => ({ name, documented }));
}

/** Whether the file opens with a block comment that says something (after a #! line, if any). */
export function hasHeader(source: string): boolean {
  return /^(?:#![^\n]*\n)?\/\*\*[\s\S]{20,}?\*\//.test(source);
}

/** Uses of the type `any`. */
export function anyTypes(file: SourceFile): string[] {
  return complainPerLine(file, mask(file.text, { strings: true }), [
    [/(?::|\bas|<|\||=>|,)\s*any\b(?!\s*[:(])|\bany\s*\[\]/, "the type any"],
  ]);
}

const FORBIDDEN_TEXT: readonly (readonly [RegExp, string])[] = [
  [/\b(?:TO[D]O|FIX[M]E)\b/, "an open end (do it, or write it down as an issue)"],
  [/\/(?:work|home|Users|root)\/[a-z]/, "a path of somebody's machine"],
  [/\b[A-Z]:\\Users\\/, "a path of somebody's machine"],
];

/** Open ends and machine paths, comments and documents included. */
export function forbiddenText(file: SourceFile): string[] {
  return complainPerLine(file, file.text, FORBIDDEN_TEXT);
}

/** Words that mean something else here (GLOSSARY.md), by the folders where they would mislead. */
const MISUSED: readonly { readonly word: RegExp; readonly folders: readonly string[]; readonly say: string }[] = [
  {
    word: /\b[wW]eights\b|\bnumWeights\b/,
    folders: ["engine", "model", "optim", "data", "checkpoint", "evaluate"],
    say: "`weights` for params (a weight is a validator's vote)",
  },
  {
    word: /\b(?:num)?[eE]pochs?\b/,
    folders: ["engine", "model", "optim", "data", "checkpoint", "evaluate"],
    say: "`epoch` for a pass over data (an epoch is a reward interval)",
  },
];

/** Identifiers that break GLOSSARY.md. */
export function misusedWords(file: SourceFile): string[] {
  const rules = MISUSED.filter(({ folders }) => folders.includes(folderOf(file.path)));
  return complainPerLine(
    file,
    mask(file.text, { strings: true }),
    rules.map(({ word, say }) => [word, say] as const),
  );
}

function complainPerLine(file: SourceFile, text: string, rules: readonly (readonly [RegExp, string])[]): string[] {
  return text
    .split("\n")
    .flatMap((line, i) =>
      rules.filter(([pattern]) => pattern.test(line)).map(([, what]) => `${file.path}:${i + 1} has ${what}`),
    );
}

/** Folders with more than `max` source files in them, tests and generated files aside. */
export function crowdedFolders(paths: readonly string[], max: number): string[] {
  const counts = new Map<string, number>();
  for (const file of paths) counts.set(path.posix.dirname(file), (counts.get(path.posix.dirname(file)) ?? 0) + 1);
  return [...counts].filter(([, n]) => n > max).map(([folder, n]) => `${folder} holds ${n} files (at most ${max})`);
}

/** Relative links of a Markdown file: targets as paths from the root, without #fragments; code blocks aside. */
export function linksOf(file: SourceFile): string[] {
  const prose = file.text.replace(/```[\s\S]*?```/g, "").replace(/`[^`\n]*`/g, "");
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map((match) => (match[1] ?? "").replace(/#.*$/, ""))
    .filter((target) => target !== "" && !/^[a-z]+:/.test(target))
    .map((target) => path.posix.normalize(path.posix.join(path.posix.dirname(file.path), target)));
}
