/** The compiled contracts, from build/contracts/ of this package (scripts/contracts.mjs writes them). Node: reads files. */
import fs from "node:fs";
import path from "node:path";
import { SkeinError } from "../../base/errors.ts";
import { type Artifact, CONTRACT_NAMES } from "./deploy.ts";

/** Artifacts of all product contracts by name; `only` names others, `folder` is below build/contracts/. Throws SkeinError("chain"). */
export function loadArtifacts(
  only: readonly string[] = Object.values(CONTRACT_NAMES),
  folder = "",
): ReadonlyMap<string, Artifact> {
  const from = path.join(packageRoot(), "build/contracts", folder);
  return new Map(only.map((name) => [name, readArtifact(path.join(from, `${name}.json`), name)]));
}

function readArtifact(file: string, name: string): Artifact {
  try {
    return JSON.parse(fs.readFileSync(file, "utf8")) as Artifact;
  } catch (cause) {
    const remedy = "run `npm run build:contracts`";
    throw new SkeinError("chain", `the compiled contract ${name} is missing or damaged`, {
      details: file,
      remedy,
      cause,
    });
  }
}

/** The nearest folder above this file that holds contracts/src: the sources, dist/ and build/ts/ are at different depths. */
function packageRoot(): string {
  let folder = import.meta.dirname;
  while (!fs.existsSync(path.join(folder, "contracts/src")) && !fs.existsSync(path.join(folder, "build/contracts"))) {
    const parent = path.dirname(folder);
    if (parent === folder) throw new SkeinError("chain", "the folder of the compiled contracts is not there");
    folder = parent;
  }
  return folder;
}
