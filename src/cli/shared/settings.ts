/** The settings a run was begun with, kept in its folder, so that `skein train --out DIR` alone goes on. */
import path from "node:path";
import { fromUtf8, utf8 } from "../../base/bytes.ts";
import { SkeinError } from "../../base/errors.ts";
import { folderStore } from "../../store/folder.node.ts";

/** What decides the model that comes out, as `skein train` names it. */
export interface RunSettings {
  /** Folder of the dataset. */
  readonly data?: string;
  readonly preset?: string;
  readonly steps?: number;
  readonly batch?: number;
  readonly seq?: number;
  readonly lr?: number;
  readonly seed?: string;
  /** Of several peers; the rest says how they train together. */
  readonly peers?: number;
  readonly method?: string;
  readonly innerSteps?: number;
  readonly outerLr?: number;
  readonly aggregation?: string;
  readonly k?: number;
  readonly bits?: number;
  readonly beta?: number;
}

const SETTINGS_KEY = "train.json";
const SETTINGS_BYTES_MAX = 1 << 16;

/** The settings that the run in `folder` was begun with; none where it is new. Throws SkeinError("config") where they cannot be read. */
export async function readSettings(folder: string): Promise<RunSettings> {
  const bytes = await folderStore(folder).get(SETTINGS_KEY, { start: 0, end: SETTINGS_BYTES_MAX });
  if (bytes === undefined) return {};
  const fields = new Map<string, unknown>(Object.entries(parsed(fromUtf8(bytes), folder)));
  const of = (name: string, type: "string" | "number"): Record<string, unknown> => {
    const value = fields.get(name);
    return typeof value === type ? { [name]: value } : {};
  };
  const texts = ["data", "preset", "seed", "method", "aggregation"].map((name) => of(name, "string"));
  const numbers = ["steps", "batch", "seq", "lr", "peers", "innerSteps", "outerLr", "k", "bits", "beta"].map((name) =>
    of(name, "number"),
  );
  return Object.assign({}, ...texts, ...numbers);
}

function parsed(text: string, folder: string): object {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value;
  } catch {
    // said below
  }
  throw new SkeinError("config", `${folder}/${SETTINGS_KEY} cannot be read`, {
    remedy: "delete it and give the settings as options",
  });
}

/** Keeps the settings of a run that begins; those of one that goes on stay as they are. */
export async function writeSettings(folder: string, settings: RunSettings): Promise<void> {
  const data = settings.data === undefined ? {} : { data: path.resolve(settings.data) };
  await folderStore(folder).putIfAbsent(SETTINGS_KEY, utf8(`${JSON.stringify({ ...settings, ...data }, null, 2)}\n`));
}
