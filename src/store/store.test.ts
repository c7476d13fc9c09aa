import * as fs from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { describeStore } from "../../test/contract/store.ts";
import { utf8 } from "../base/bytes.ts";
import { folderStore } from "./folder.node.ts";
import { memoryStore } from "./memory.ts";

async function temporaryFolder(): Promise<{ folder: string; close: () => Promise<void> }> {
  const folder = await fs.mkdtemp(path.join(tmpdir(), "skein-store-"));
  return { folder, close: () => fs.rm(folder, { recursive: true, force: true }) };
}

/** A fault hook that fails the n-th operation it sees. */
function failAt(n: number, code: string): (operation: string, file: string) => void {
  let seen = 0;
  return (operation) => {
    if (seen++ === n) throw Object.assign(new Error(`${code}: injected at ${operation}`), { code });
  };
}

describeStore("memoryStore", async () => ({ store: memoryStore(), close: async () => {} }));

describeStore("folderStore", async () => {
  const { folder, close } = await temporaryFolder();
  const root = path.join(folder, "made/on/first/write");
  return {
    store: folderStore(root),
    failing: (n, code) => folderStore(root, { fault: failAt(n, code) }),
    close,
  };
});

describe("folderStore", () => {
  it("never writes outside its folder, and leaves no temporary file", async () => {
    const { folder, close } = await temporaryFolder();
    const store = folderStore(path.join(folder, "in"));
    await expect(store.put("../out", utf8("x"))).rejects.toMatchObject({ code: "store" });
    await store.put("a/b", utf8("x"));
    await store.put("a/b", utf8("y"));
    expect(await fs.readdir(folder)).toEqual(["in"]);
    expect(await fs.readdir(path.join(folder, "in/a"))).toEqual(["b"]);
    await close();
  });

  it("leaves no temporary file behind a write that failed, whichever operation it was", async () => {
    const { folder, close } = await temporaryFolder();
    await folderStore(folder).put("k", utf8("old"));
    for (let n = 0; n < 5; n++) {
      await expect(folderStore(folder, { fault: failAt(n, "EIO") }).put("k", utf8("new"))).rejects.toThrow("injected");
      expect(await fs.readdir(folder)).toEqual(["k"]);
    }
    await close();
  });

  it("ignores leftovers of killed writers and removes them on opening, but not those of living ones", async () => {
    const { folder, close } = await temporaryFolder();
    await folderStore(folder).put("a/k", utf8("x"));
    const own = folderStore(folder);
    let temporary = "";
    async function* slow(): AsyncGenerator<Uint8Array> {
      temporary = (await fs.readdir(path.join(folder, "a"))).find((name) => name.includes("~")) ?? "";
      await folderStore(folder).list(); // opens while this write is under way: must not remove its file
      yield utf8("living");
    }
    await own.put("a/slow", slow());
    expect(await own.get("a/slow")).toEqual(utf8("living"));

    const [name, host, , instance] = temporary.split("~");
    const dead = `${name}~${host}~999999999~${instance}~0`;
    const samePid = `${name}~${host}~${process.pid}~other~0`;
    const fresh = `${name}~0badcafe~1~other~0`;
    const old = `${name}~0badcafe~2~other~0`;
    const foreign = "notes~";
    for (const file of [dead, samePid, fresh, old, foreign]) await fs.writeFile(path.join(folder, "a", file), "part");
    await fs.utimes(path.join(folder, "a", old), 1000, 1000);
    expect(await own.list()).toEqual(["a/k", "a/slow"]);
    expect(await folderStore(folder).list()).toEqual(["a/k", "a/slow"]);
    expect((await fs.readdir(path.join(folder, "a"))).sort()).toEqual(["k", foreign, fresh, "slow"].sort());
    await close();
  });

  it("says what to do where the folder is a file or forbidden", async () => {
    const { folder, close } = await temporaryFolder();
    await fs.writeFile(path.join(folder, "file"), "x");
    const store = folderStore(path.join(folder, "file"));
    await expect(store.put("k", utf8("x"))).rejects.toMatchObject({ code: "store", remedy: expect.any(String) });
    expect(await folderStore(path.join(folder, "absent")).list()).toEqual([]);
    await close();
  });
});
