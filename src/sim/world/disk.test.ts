/**
 * The folder store on a disk that fails, tears and forgets: at every operation of every kind of write the process is killed or the power is cut, and what a
 * new process finds must be the old blob or the new one. Stores with a mistake each show that the same questions find it.
 */
import * as fs from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { describeStore } from "../../../test/contract/store.ts";
import { equalBytes, utf8 } from "../../base/bytes.ts";
import { manualClock } from "../../base/clock.ts";
import { seededRandom } from "../../base/random.ts";
import { nodeDisk } from "../../store/folder/disk.node.ts";
import type { Disk } from "../../store/folder/disk.ts";
import { folderStoreOn } from "../../store/folder/folder.ts";
import type { Store } from "../../store/store.ts";
import { type BeforeOp, type SimulatedDisk, simulatedDisk } from "./disk.ts";

const ROOT = "/node/store";

type StoreOn = (disk: Disk) => Store;
const folderOn: StoreOn = (disk) => folderStoreOn(disk, ROOT);

const ioError = (code: string, op: string): Error => Object.assign(new Error(`${code}: injected at ${op}`), { code });

describeStore("folderStore on a simulated disk", async () => {
  const machine = simulatedDisk({ random: seededRandom("contract") });
  const disk = machine.open();
  return {
    store: folderOn(disk),
    failing: (n, code) => {
      let seen = 0;
      const fault = (op: string): void => {
        if (seen++ === n) throw ioError(code, op);
      };
      return folderStoreOn(disk, ROOT, { fault });
    },
    close: async () => {},
  };
});

/** The values of a blob that a test tells apart: longer than two sectors, so that they tear. */
const blobOf = (name: string): Uint8Array => utf8(name.repeat(Math.ceil(1300 / name.length)));
const OLD = blobOf("the old blob ");
const NEW = blobOf("the new blob, which is longer; ");

type How = "kill" | "cut";

/** `work` by a process that ends at its n-th operation of the disk (from 0); true if it did not get that far. */
async function endingAt(
  machine: SimulatedDisk,
  n: number,
  how: How,
  work: (disk: Disk) => Promise<void>,
): Promise<boolean> {
  let seen = 0;
  let die = (): void => {};
  const died = new Promise<void>((resolve) => {
    die = resolve;
  });
  const before: BeforeOp = () => {
    if (seen++ !== n) return;
    if (how === "kill") machine.kill();
    else machine.powerCut();
    die();
  };
  let done = false;
  const finish = async (): Promise<void> => {
    await work(machine.open(before));
    done = true;
  };
  await Promise.race([finish(), died]);
  return done;
}

/** A write, and what a blob may be while it is under way and must be after it. */
interface Write {
  readonly name: string;
  readonly old: Uint8Array | undefined;
  readonly new: Uint8Array | undefined;
  run(store: Store): Promise<unknown>;
}

const KEY = "round/7/blob";
const halves = [NEW.subarray(0, 700), NEW.subarray(700)];
const WRITES: readonly Write[] = [
  { name: "first put", old: undefined, new: NEW, run: (store) => store.put(KEY, NEW) },
  { name: "put over another", old: OLD, new: NEW, run: (store) => store.put(KEY, halves) },
  { name: "putIfAbsent", old: undefined, new: NEW, run: (store) => store.putIfAbsent(KEY, NEW) },
  { name: "putIfAbsent of what is there", old: OLD, new: OLD, run: (store) => store.putIfAbsent(KEY, NEW) },
  { name: "delete", old: OLD, new: undefined, run: (store) => store.delete(KEY) },
];

const same = (a: Uint8Array | undefined, b: Uint8Array | undefined): boolean =>
  a === undefined || b === undefined ? a === b : equalBytes(a, b);

/** What is wrong with a store that may hold one of `values`, as a new process finds it; undefined if nothing is. */
async function wrongWith(
  machine: SimulatedDisk,
  storeOn: StoreOn,
  key: string,
  values: readonly (Uint8Array | undefined)[],
): Promise<string | undefined> {
  const store = storeOn(machine.open());
  const listed = await store.list();
  const blob = await store.get(key);
  if (!values.some((value) => same(value, blob))) return `a blob of ${blob?.length ?? "no"} bytes that is neither`;
  if ((await store.size(key)) !== blob?.length) return "another size than bytes";
  if (listed.includes(key) !== (blob !== undefined)) return "a list that does not fit";
  const foreign = machine.files().filter((file) => !listed.includes(file.slice(ROOT.length + 1)));
  return foreign.length > 0 ? `leftovers: ${foreign}` : undefined;
}

/** The first thing that goes wrong when `write` ends at one of its disk operations, or when the power goes after it. */
async function firstWrong(storeOn: StoreOn, write: Write, how: How, seeds = 10): Promise<string | undefined> {
  for (let n = 0, done = false; !done; n++) {
    for (let seed = 0; seed < seeds; seed++) {
      const machine = simulatedDisk({ random: seededRandom(`${write.name}/${how}/${n}/${seed}`) });
      if (write.old) await folderOn(machine.open()).put(KEY, write.old);
      done = await endingAt(machine, n, how, async (disk) => {
        await write.run(storeOn(disk));
      });
      if (done) machine.powerCut();
      const may = done ? [write.new] : [write.old, write.new];
      const wrong =
        (await wrongWith(machine, storeOn, KEY, may)) ??
        (how === "kill" ? await wrongAgain(machine, storeOn, write) : undefined);
      if (wrong) return `${write.name}, ${how} at ${n}, seed ${seed}: ${wrong}`;
    }
  }
  return undefined;
}

/** The same write again, to its end, by a process that comes after one that was killed; then the power goes. */
async function wrongAgain(machine: SimulatedDisk, storeOn: StoreOn, write: Write): Promise<string | undefined> {
  await write.run(storeOn(machine.open()));
  machine.powerCut();
  const wrong = await wrongWith(machine, storeOn, KEY, [write.new]);
  return wrong && `done again: ${wrong}`;
}

describe("folderStore when the process ends at its n-th disk operation", () => {
  for (const write of WRITES) {
    for (const how of ["kill", "cut"] as const) {
      it(`${write.name}, ${how}: old or new, and new once it said so`, async () => {
        expect(await firstWrong(folderOn, write, how)).toBeUndefined();
      });
    }
  }
});

/** Stores with one mistake each. */
const MISTAKEN: Readonly<Record<string, StoreOn>> = {
  "writes the blob in its place": (disk) => ({
    ...folderOn(disk),
    async put(key, bytes) {
      const file = disk.paths.join(ROOT, key);
      const folder = disk.paths.dirname(file);
      await disk.makeFolder(folder);
      await disk.unlink(file).catch(() => undefined);
      const opened = await disk.create(file);
      for await (const part of bytes instanceof Uint8Array ? [bytes] : bytes) await opened.write(part);
      await opened.sync();
      await opened.close();
      for (let at = file; at !== "/"; at = disk.paths.dirname(at)) await disk.syncFolder(disk.paths.dirname(at));
    },
  }),
  "does not flush the file": (disk) =>
    folderOn({ ...disk, create: async (file) => ({ ...(await disk.create(file)), sync: async () => {} }) }),
  "does not flush the folder": (disk) => folderOn({ ...disk, syncFolder: async () => {} }),
  "flushes nothing but the blob's own folder": (disk) =>
    folderOn({ ...disk, syncFolder: async (at) => (at.endsWith("round/7") ? disk.syncFolder(at) : undefined) }),
  "does not sweep up": (disk) => folderOn({ ...disk, hasEnded: () => undefined }),
};

describe("the questions asked of folderStore", () => {
  for (const [mistake, storeOn] of Object.entries(MISTAKEN)) {
    it(`find a store that ${mistake}`, async () => {
      let found: string | undefined;
      for (const write of WRITES) {
        for (const how of ["kill", "cut"] as const) found ??= await firstWrong(storeOn, write, how);
      }
      expect(found).toBeDefined();
    });
  }
});

describe("folderStore when the n-th disk operation fails", () => {
  for (const write of WRITES) {
    it(`${write.name}: says so or has done it, leaves old or new, and can do it again`, async () => {
      for (let n = 0, reached = true; reached; n++) {
        const machine = simulatedDisk({ random: seededRandom(`${write.name}/${n}`) });
        if (write.old) await folderOn(machine.open()).put(KEY, write.old);
        let left = n;
        const fallible = machine.open((op) => {
          if (left-- === 0) throw ioError("EIO", op);
        });
        const store = folderOn(fallible);
        const outcome = await write.run(store).then(
          () => "done",
          (thrown: unknown) => thrown,
        );
        reached = left < 0;
        left = -1;
        if (outcome !== "done") expect(outcome).toMatchObject({ code: "store", remedy: expect.any(String) });
        const now = await store.get(KEY);
        const may = outcome === "done" ? [write.new] : [write.old, write.new];
        expect(may.some((value) => same(value, now))).toBe(true);
        await write.run(store);
        machine.powerCut();
        expect(await wrongWith(machine, folderOn, KEY, [write.new]), `failure at ${n}`).toBeUndefined();
      }
    });
  }
});

/** One part of a story: a write, and where it ends if it does. */
interface Deed {
  readonly key: string;
  readonly what: "put" | "putIfAbsent" | "delete";
  readonly value: number;
  readonly crash: { readonly n: number; readonly how: How } | undefined;
  /** The power goes after it. */
  readonly cut: boolean;
}

const deeds: fc.Arbitrary<Deed[]> = fc.array(
  fc.record({
    key: fc.constantFrom("a", "b/c", "b/d", "e/f/g"),
    what: fc.constantFrom("put" as const, "put" as const, "putIfAbsent" as const, "delete" as const),
    value: fc.nat(2000),
    crash: fc.option(fc.record({ n: fc.nat(25), how: fc.constantFrom("kill" as const, "cut" as const) }), {
      nil: undefined,
      freq: 2,
    }),
    cut: fc.boolean(),
  }),
  { maxLength: 12 },
);

/** What each blob may be: one value once a write has ended well, more while one has not. */
type Model = Map<string, (Uint8Array | undefined)[]>;

async function play(deed: Deed, index: number, machine: SimulatedDisk, storeOn: StoreOn, model: Model): Promise<void> {
  const { key, what, crash } = deed;
  const value = utf8(String.fromCharCode(97 + index).repeat(deed.value));
  const before = model.get(key) ?? [undefined];
  let after: (Uint8Array | undefined)[] = what === "delete" ? [undefined] : [value];
  const done = await endingAt(machine, crash?.n ?? -1, crash?.how ?? "kill", async (disk) => {
    const store = storeOn(disk);
    if (what === "delete") await store.delete(key);
    else if (what === "put") await store.put(key, [value.subarray(0, 600), value.subarray(600)]);
    else if (!(await store.putIfAbsent(key, value))) after = before.filter((old) => old !== undefined);
  });
  model.set(key, done ? after : [...before, ...after]);
}

/** Plays a story; what a new process finds at any point that the model does not allow. */
async function wrongInStory(story: readonly Deed[], seed: number, storeOn: StoreOn): Promise<string | undefined> {
  const machine = simulatedDisk({ random: seededRandom(seed) });
  const model: Model = new Map();
  for (const [index, deed] of story.entries()) {
    await play(deed, index, machine, storeOn, model);
    if (deed.cut) machine.powerCut();
    for (const [key, values] of model) {
      const wrong = await wrongWith(machine, storeOn, key, values);
      if (wrong) return `deed ${index}, ${key}: ${wrong}`;
      if (!deed.cut) continue;
      model.set(key, [await storeOn(machine.open()).get(key)]); // what a power cut left is on the platter
    }
  }
  return undefined;
}

describe("folderStore through many lives", () => {
  it("keeps what it said it wrote, and of the rest the old or the new", async () => {
    await fc.assert(
      fc.asyncProperty(deeds, fc.nat(), async (story, seed) => {
        expect(await wrongInStory(story, seed, folderOn)).toBeUndefined();
      }),
      { numRuns: 250, seed: 7 },
    );
  });

  it("would not if it had a mistake", async () => {
    for (const [mistake, storeOn] of Object.entries(MISTAKEN)) {
      const result = await fc.check(
        fc.asyncProperty(deeds, fc.nat(), async (story, seed) => {
          expect(await wrongInStory(story, seed, storeOn)).toBeUndefined();
        }),
        { numRuns: 250, seed: 7, endOnFailure: true },
      );
      expect(result.failed, mistake).toBe(true);
    }
  });
});

describe("simulatedDisk", () => {
  const file = "/a/b";

  /** The file of a process that wrote "12" and flushed it, and then "345678" and did not; its name flushed or not. */
  const written = async (machine: SimulatedDisk, named: boolean): Promise<void> => {
    const disk = machine.open();
    await disk.makeFolder("/a");
    await disk.syncFolder("/");
    const opened = await disk.create(file);
    await opened.write(utf8("12"));
    await opened.sync();
    await opened.write(utf8("345678"));
    if (named) await disk.syncFolder("/a");
  };
  const textOf = async (machine: SimulatedDisk): Promise<string> =>
    new TextDecoder().decode(await machine.open().read(file));

  it("loses nothing by a kill, and by a power cut what was not flushed, all or in part", async () => {
    const found = new Set<string>();
    for (let seed = 0; seed < 200; seed++) {
      const machine = simulatedDisk({ random: seededRandom(seed) });
      await written(machine, true);
      machine.kill();
      expect(await textOf(machine)).toBe("12345678");
      machine.powerCut();
      found.add(await textOf(machine));
    }
    for (const text of found) expect(text).toMatch(/^12(?:3?4?5?6?7?8?|\0*)$/);
    expect([...found]).toEqual(expect.arrayContaining(["12", "12345678", "1234", "12\0\0\0\0\0\0"]));
  });

  it("loses a name that was not flushed, or not", async () => {
    const found = new Set<string>();
    for (let seed = 0; seed < 50; seed++) {
      const machine = simulatedDisk({ random: seededRandom(seed) });
      await written(machine, false);
      machine.powerCut();
      found.add(machine.files().join());
    }
    expect([...found].sort()).toEqual(["", file]);
  });

  it("keeps of a folder's unflushed changes the first so many", async () => {
    const found = new Set<string>();
    for (let seed = 0; seed < 100; seed++) {
      const machine = simulatedDisk({ random: seededRandom(seed) });
      const disk = machine.open();
      for (const name of ["/1", "/2", "/3"]) await (await disk.create(name)).sync();
      await disk.rename("/2", "/4");
      machine.powerCut();
      found.add(machine.files().join(""));
    }
    expect([...found].sort()).toEqual(["", "/1", "/1/2", "/1/2/3", "/1/3/4"]);
  });

  it("tears a write that a kill interrupts, and never answers the dead", async () => {
    const found = new Set<string>();
    for (let seed = 0; seed < 100; seed++) {
      const machine = simulatedDisk({ random: seededRandom(seed) });
      const disk = machine.open((op) => (op === "write" ? machine.kill() : undefined));
      const opened = await disk.create("/a");
      let answers = 0;
      for (const dead of [opened.write(utf8("123")), opened.close(), disk.unlink("/a")])
        void dead.then(() => answers++);
      await machine.open().stat("/a");
      expect(answers).toBe(0);
      found.add(new TextDecoder().decode(await machine.open().read("/a")));
    }
    expect([...found].sort()).toEqual(["", "1", "12", "123"]);
  });

  it("takes the time it is told to, and does the same for the same seed", async () => {
    const clock = manualClock(5000);
    const run = async (): Promise<string> => {
      const trace: string[] = [];
      const machine = simulatedDisk({ random: seededRandom("same"), clock, latencyMs: 3 });
      const store = folderOn(machine.open((op, at) => void trace.push(`${op} ${at}`)));
      await store.put("k", NEW);
      machine.powerCut();
      return `${trace.join("\n")}\n${machine.files()}`;
    };
    const first = await run();
    expect(clock.now()).toBe(5000 + 3 * (first.split("\n").length - 1));
    expect(await run()).toBe(first);
  });
});

/** Folders to try a disk in. */
const DISKS: Readonly<Record<string, () => Promise<{ disk: Disk; at: string; close(): Promise<void> }>>> = {
  "this machine's": async () => {
    const at = await fs.mkdtemp(path.join(tmpdir(), "skein-disk-"));
    return { disk: nodeDisk, at, close: () => fs.rm(at, { recursive: true, force: true }) };
  },
  "a simulated one": async () => {
    const disk = simulatedDisk({ random: seededRandom(0) }).open();
    await disk.makeFolder("/some/where");
    return { disk, at: "/some/where", close: async () => {} };
  },
};

describe.each(Object.entries(DISKS))("a disk: %s", (_, open) => {
  const use = async (run: (disk: Disk, inside: (name: string) => string) => Promise<void>): Promise<void> => {
    const { disk, at, close } = await open();
    await run(disk, (name) => disk.paths.join(at, name));
    await close();
  };
  const write = async (disk: Disk, file: string, text: string): Promise<void> => {
    const opened = await disk.create(file);
    for (const letter of text) await opened.write(utf8(letter));
    await opened.sync();
    await opened.close();
  };

  it("makes, names and reads", () =>
    use(async (disk, inside) => {
      expect(await disk.makeFolder(inside("d/e"))).toBe(inside("d"));
      expect(await disk.makeFolder(inside("d/e"))).toBeUndefined();
      await write(disk, inside("f"), "12345");
      await write(disk, inside("d/g"), "");
      expect(await disk.linkUnlessThere(inside("f"), inside("d/h"))).toBe(true);
      expect(await disk.linkUnlessThere(inside("f"), inside("d/g"))).toBe(false);
      expect(await disk.linkUnlessThere(inside("f"), inside("d/e"))).toBe(false);
      await disk.rename(inside("d/h"), inside("d/g"));
      await disk.unlink(inside("f"));
      await disk.removeFolder(inside("d/e"));
      for (const folder of ["", "d"]) await disk.syncFolder(inside(folder));
      expect(await disk.entries(inside(""))).toEqual([{ name: "d", kind: "folder" }]);
      expect(await disk.entries(inside("d"))).toEqual([{ name: "g", kind: "file" }]);
      expect(await disk.stat(inside("d/g"))).toMatchObject({ kind: "file", size: 5 });
      expect(await disk.read(inside("d"))).toBeUndefined();
      expect(await disk.read(inside("d/g"))).toEqual(utf8("12345"));
      for (const [start, end] of [
        [1, 3],
        [0, 9],
        [4, 4],
        [7, 9],
      ] as const) {
        expect(await disk.read(inside("d/g"), { start, end })).toEqual(utf8("12345").slice(start, end));
      }
    }));

  it("fails in POSIX's words", () =>
    use(async (disk, inside) => {
      await disk.makeFolder(inside("d/e"));
      await write(disk, inside("f"), "x");
      const failures: Readonly<Record<string, () => Promise<unknown>>> = {
        "ENOENT create": () => disk.create(inside("none/f")),
        "EEXIST create": () => disk.create(inside("f")),
        "EEXIST create folder": () => disk.create(inside("d")),
        "EEXIST makeFolder": () => disk.makeFolder(inside("f")),
        "ENOTDIR makeFolder": () => disk.makeFolder(inside("f/x/y")),
        "ENOTDIR stat": () => disk.stat(inside("f/x")),
        "ENOENT stat": () => disk.stat(inside("x/y")),
        "ENOENT read": () => disk.read(inside("x")),
        "ENOENT rename": () => disk.rename(inside("x"), inside("y")),
        "EISDIR rename": () => disk.rename(inside("f"), inside("d")),
        "ENOENT linkUnlessThere": () => disk.linkUnlessThere(inside("x"), inside("y")),
        "ENOENT unlink": () => disk.unlink(inside("x")),
        "ENOTEMPTY removeFolder": () => disk.removeFolder(inside("d")),
        "ENOTDIR removeFolder": () => disk.removeFolder(inside("f")),
        "ENOENT syncFolder": () => disk.syncFolder(inside("x")),
        "ENOENT entries": () => disk.entries(inside("x")),
        "ENOTDIR entries": () => disk.entries(inside("f")),
      };
      for (const [failure, attempt] of Object.entries(failures)) {
        const said = { code: failure.split(" ")[0], path: expect.any(String) };
        await expect(attempt(), failure).rejects.toMatchObject(said);
      }
    }));

  it("tells writers apart", () =>
    use(async (disk) => {
      const labels = [disk.label(), disk.label()];
      expect(new Set(labels).size).toBe(2);
      for (const label of labels) {
        const [machine, process, life, serial, ...more] = label.split("~");
        expect([more, disk.hasEnded(label)]).toEqual([[], false]);
        expect(disk.hasEnded(`elsewhere~${process}~${life}~${serial}`)).toBeUndefined();
        expect(disk.hasEnded(`${machine}~999999999~${life}~${serial}`)).toBe(true);
      }
    }));
});
