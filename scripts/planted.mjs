/**
 * Has the simulator teeth? Three known bugs are put, one after another, into a copy of what was built, and `skein simulate` must find each of them within a
 * hundred seeds. (A bug that stood on a branch would be out of date with the next commit; here it is put in where it belongs, or this fails.)
 *
 *   node scripts/planted.mjs        after `npm run build`
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dirname, "..");
const SEEDS = 100;
/** Seeds of one call, after which it is asked whether one was broken. */
const STEP = 10;

const BUGS = [
  {
    name: "a trainer forgets its error feedback when it starts again",
    file: "roles/network/trainer/memory.js",
    find: /(\n\s*)(memory\.pending = pending === null)/,
    put: "$1memory.residual.fill(0);$1$2",
  },
  {
    name: "a file is written in place of the old one, and not flushed",
    file: "store/folder/folder.js",
    find: /const temporary = `\$\{file\}~\$\{disk\.label\(\)\}`;/,
    put: [
      "await disk.unlink(file).catch(() => undefined);",
      "const inPlace = await openNew(place, file);",
      "for await (const part of bytes instanceof Uint8Array ? [bytes] : bytes) await inPlace.write(part);",
      "await inPlace.close();",
      "return true;",
      "const temporary = file;",
    ].join(" "),
  },
  {
    name: "the count of votes takes one of them twice",
    file: "chain/twin/rounds.js",
    find: /ballotsOf\(\[\.\.\.state\.votes\.values\(\)\], seats\)/,
    put: "ballotsOf([...state.votes.values()].flatMap((vote, i) => (i === 0 ? [vote, vote] : [vote])), seats)",
  },
];

const folder = mkdtempSync(join(tmpdir(), "skein-planted-"));
let failed = 0;
try {
  for (const bug of BUGS) if (!found(bug)) failed += 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
console.log(`${BUGS.length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

/** Puts the bug into a copy, and looks for it. */
function found({ name, file, find, put }) {
  rmSync(folder, { recursive: true, force: true });
  cpSync(join(ROOT, "dist"), join(folder, "dist"), { recursive: true });
  cpSync(join(ROOT, "package.json"), join(folder, "package.json"));
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
  symlinkSync(join(ROOT, "build"), join(folder, "build"));
  const path = join(folder, "dist", file);
  const text = readFileSync(path, "utf8");
  if (!find.test(text)) {
    console.log(`cannot plant "${name}": ${file} has changed`);
    return false;
  }
  writeFileSync(path, text.replace(find, put));
  for (let first = 1; first <= SEEDS; first += STEP) {
    const seeds = `${first}-${first + STEP - 1}`;
    const args = [join(folder, "dist/cli/main.js"), "simulate", "--faults", "--seeds", seeds, "--json"];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", maxBuffer: 1 << 28 });
    if (status === 0) continue;
    const broken = stdout.split("\n").flatMap(brokenIn)[0];
    console.log(`found: ${name}, ${broken ?? `by an error: ${stderr.slice(0, 400)}`}`);
    return true;
  }
  console.log(`NOT found in ${SEEDS} seeds: ${name}`);
  return false;
}

/** What a line of the answer says of a broken seed. */
function brokenIn(line) {
  try {
    const { seed, broken } = JSON.parse(line);
    return Array.isArray(broken) && broken.length > 0 ? [`seed ${seed}: ${broken[0]}`] : [];
  } catch {
    return [];
  }
}
