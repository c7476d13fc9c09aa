// Compiles the Solidity contracts with the npm package solc: contracts/src/**/*.sol to build/contracts/<Name>.json and
// contracts/test/**/*.sol (what only tests deploy) to build/contracts/test/<Name>.json. Plain JavaScript, so that it runs in a fresh
// checkout before anything is built.
//
//   node scripts/contracts.mjs [--product | --only Name,Other] [--quiet]
//
// An artifact holds {name, source, abi, bytecode, deployedBytecode, linkReferences?}. A file whose sources (with all that it imports),
// settings and compiler are unchanged is skipped; the others are compiled side by side. Errors and warnings fail, and so does a product
// contract above the EVM's limit of 24,576 bytes; one broken file does not keep the others from being written. Artifacts are replaced
// whole (temporary file, rename). --product leaves out what only tests need; --only names files without their ending.
import { createHash } from "node:crypto";
import fs from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, Worker } from "node:worker_threads";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const OUT = path.join(ROOT, "build/contracts");
const PRODUCT = "contracts/src";
const TEST = "contracts/test";
/** EIP-170. */
const CODE_BYTES_MAX = 24_576;
/** Calls to optimize for; less where the code would not fit. */
const RUNS = { default: 1000, EpochPages: 1_000_000 };
/** Said of transient storage wherever it is used, which is on purpose; and of size, which is judged here. */
const WARNINGS_KNOWN = new Set(["2394", "5574", "3860"]);
/** Those that take longest, so that none of them is begun last. */
const SLOW = ["Epochs", "EpochLab", "Neurons", "Extras"];
/** A compiler takes about 300 MB. */
const WORKERS_MAX = 4;

if (isMainThread) await main(options(process.argv.slice(2)));
else parentPort.on("message", (job) => parentPort.postMessage(compiledJob(job)));

async function main({ only, quiet, product }) {
  const files = [...solidityFiles(PRODUCT), ...(product ? [] : solidityFiles(TEST))].filter(
    (file) => !only || only.has(path.basename(file, ".sol")),
  );
  const jobs = files.map(jobFor);
  const stale = jobs.filter(({ artifacts, complaint }) => !artifacts && !complaint).sort((a, b) => haste(b) - haste(a));
  await compileAll(stale, ({ notes }) => {
    if (!quiet) for (const note of notes) console.log(note);
  });
  findNamesakes(jobs);
  const complaints = jobs.filter(({ complaint }) => complaint);
  if (!only && !product && complaints.length === 0) removeLeftovers(jobs);
  for (const { file, complaint } of complaints) console.error(`${file}: ${complaint.trimEnd()}`);
  if (complaints.length === 0) return;
  console.error(`${complaints.length} of ${jobs.length} contract files could not be compiled; see above.`);
  process.exitCode = 1;
}

/** What is to be done for a file: {file, stamp, hash, size}, with its `artifacts` where it is up to date, or a `complaint`. */
function jobFor(file) {
  const stamp = path.join(OUT, ".stamps", `${file.replaceAll("/", "-")}.json`);
  try {
    const inputs = JSON.stringify([
      fs.readFileSync(fileURLToPath(import.meta.url), "utf8"),
      solcVersion(),
      ...closure(file),
    ]);
    const hash = createHash("sha256").update(inputs).digest("hex");
    const before = readJson(stamp);
    const fresh =
      before?.hash === hash && before.artifacts.every((artifact) => fs.existsSync(path.join(OUT, artifact)));
    return { file, stamp, hash, size: inputs.length, artifacts: fresh ? before.artifacts : undefined };
  } catch (thrown) {
    return { file, stamp, complaint: messageOf(thrown) };
  }
}

/** Larger where a file should be begun earlier. */
function haste({ file, size }) {
  const rank = SLOW.indexOf(path.basename(file, ".sol"));
  return rank < 0 ? size : 1e9 - rank;
}

/** Has workers compile the jobs, which get their `artifacts` or a `complaint`. */
async function compileAll(jobs, report) {
  const queue = [...jobs];
  const count = Math.min(jobs.length, os.availableParallelism(), WORKERS_MAX);
  const run = async () => {
    const worker = new Worker(new URL(import.meta.url));
    for (let job = queue.shift(); job; job = queue.shift()) {
      const answer = await answerOf(worker, { file: job.file });
      Object.assign(job, answer);
      report(answer);
      if (!job.complaint) writeAtomically(job.stamp, { hash: job.hash, artifacts: job.artifacts });
    }
    await worker.terminate();
  };
  await Promise.all(Array.from({ length: count }, run));
}

function answerOf(worker, message) {
  return new Promise((resolve, reject) => {
    const settle = (end, value) => {
      worker.off("message", resolved).off("error", rejected);
      end(value);
    };
    const resolved = (answer) => settle(resolve, answer);
    const rejected = (thrown) => settle(reject, thrown);
    worker.on("message", resolved).on("error", rejected).postMessage(message);
  });
}

/** In a worker: compiles and writes the contracts that a file itself defines. */
function compiledJob({ file }) {
  const notes = [];
  try {
    return { artifacts: compile(file, notes), notes };
  } catch (thrown) {
    return { complaint: messageOf(thrown), notes };
  }
}

function compile(file, notes) {
  const solc = createRequire(import.meta.url)("solc");
  const started = Date.now();
  const input = {
    language: "Solidity",
    sources: Object.fromEntries([...closure(file)].map(([name, content]) => [name, { content }])),
    settings: {
      ...{ viaIR: true, evmVersion: "cancun", metadata: { bytecodeHash: "none" } },
      optimizer: { enabled: true, runs: RUNS[path.basename(file, ".sol")] ?? RUNS.default },
      outputSelection: { [file]: { "*": ["abi", "evm.bytecode", "evm.deployedBytecode"] } },
    },
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input)));
  const faults = (output.errors ?? []).filter((fault) => counts(fault));
  if (faults.length > 0) throw new Error(`\n${faults.map((fault) => fault.formattedMessage).join("\n")}`);
  const artifacts = [];
  for (const [name, contract] of Object.entries(output.contracts?.[file] ?? {})) {
    const artifact = artifactOf(name, file, contract);
    if (artifact === undefined) continue;
    const bytes = artifact.deployedBytecode.length / 2 - 1;
    if (file.startsWith(PRODUCT) && bytes > CODE_BYTES_MAX) {
      throw new Error(`${name} has ${bytes} bytes of code, ${CODE_BYTES_MAX} are allowed; make it smaller`);
    }
    const target = path.join(OUT, file.startsWith(TEST) ? "test" : "", `${name}.json`);
    writeAtomically(target, artifact);
    artifacts.push(path.relative(OUT, target));
    notes.push(`${name}: ${bytes} bytes (${((Date.now() - started) / 1000).toFixed(1)} s)`);
  }
  return artifacts;
}

/** What is written of a contract; undefined of what nobody can call: interfaces, abstract contracts, libraries that are inlined. */
function artifactOf(name, source, { abi, evm }) {
  if (evm.deployedBytecode.object === "" || !abi.some(({ type }) => type === "function")) return undefined;
  const { object, linkReferences } = evm.bytecode;
  return {
    ...{ name, source, abi, bytecode: `0x${object}`, deployedBytecode: `0x${evm.deployedBytecode.object}` },
    ...(Object.keys(linkReferences ?? {}).length > 0 ? { linkReferences } : {}),
  };
}

function counts(fault) {
  if (fault.severity === "error") return true;
  if (WARNINGS_KNOWN.has(fault.errorCode)) return false;
  return fault.severity === "warning" && !fault.sourceLocation?.file?.startsWith("@openzeppelin/");
}

/** `file` and all that it imports: names as the compiler will ask for them, with their text. */
function closure(file) {
  const sources = new Map();
  const visit = (name, from) => {
    if (sources.has(name)) return;
    const onDisk = path.join(ROOT, name.startsWith("@") ? `node_modules/${name}` : name);
    if (!fs.existsSync(onDisk)) throw new Error(`${from} imports ${name}, which does not exist`);
    const text = fs.readFileSync(onDisk, "utf8");
    sources.set(name, text);
    for (const [, imported] of text.matchAll(/^\s*import\s(?:[^"';]*\sfrom\s)?\s*["']([^"']+)["']/gm)) {
      visit(imported.startsWith(".") ? path.posix.join(path.posix.dirname(name), imported) : imported, name);
    }
  };
  visit(file, "the command line");
  return sources;
}

/** Two contracts of one name would overwrite each other. */
function findNamesakes(jobs) {
  const owners = new Map();
  for (const job of jobs) {
    for (const artifact of job.artifacts ?? []) {
      const other = owners.get(artifact);
      if (other) job.complaint = `${artifact} also comes from ${other}; contracts need names of their own`;
      owners.set(artifact, job.file);
    }
  }
}

/** Artifacts and stamps of files that are gone. */
function removeLeftovers(jobs) {
  const kept = new Set(jobs.flatMap(({ stamp, artifacts }) => [path.relative(OUT, stamp), ...artifacts]));
  for (const entry of fs.existsSync(OUT) ? fs.readdirSync(OUT, { recursive: true }) : []) {
    if (entry.endsWith(".json") && !kept.has(entry)) fs.rmSync(path.join(OUT, entry), { force: true });
  }
}

function solidityFiles(folder) {
  const entries = fs.existsSync(path.join(ROOT, folder))
    ? fs.readdirSync(path.join(ROOT, folder), { recursive: true })
    : [];
  return entries
    .filter((entry) => entry.endsWith(".sol"))
    .map((entry) => path.posix.join(folder, entry.split(path.sep).join("/")))
    .sort();
}

function solcVersion() {
  return JSON.parse(fs.readFileSync(path.join(ROOT, "node_modules/solc/package.json"), "utf8")).version;
}

function writeAtomically(file, value) {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const temporary = `${file}.${process.pid}.tmp`;
  fs.writeFileSync(temporary, `${JSON.stringify(value)}\n`);
  fs.renameSync(temporary, file);
}

function readJson(file) {
  try {
    return JSON.parse(fs.readFileSync(file, "utf8"));
  } catch {
    return undefined;
  }
}

function messageOf(thrown) {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

function options(args) {
  const at = args.indexOf("--only");
  const names = at < 0 ? undefined : args[at + 1];
  if (at >= 0 && !names) throw new Error("--only wants names of contract files, separated by commas");
  return {
    only: names && new Set(names.split(",")),
    quiet: args.includes("--quiet"),
    product: args.includes("--product"),
  };
}
