import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { coins, refusal, refusalName, refusalTypes } from "./errors.ts";

const CONTRACTS = path.resolve(import.meta.dirname, "../../contracts/src");

/** `error Name(type name, …);` of every contract, without comments. */
function declared(): Map<string, string> {
  const found = new Map<string, string>();
  for (const name of readdirSync(CONTRACTS, { recursive: true, encoding: "utf8" })) {
    if (!name.endsWith(".sol")) continue;
    const text = readFileSync(path.join(CONTRACTS, name), "utf8").replace(/\/\/.*|\/\*[\s\S]*?\*\//g, "");
    for (const [, error = "", args = ""] of text.matchAll(/\berror\s+(\w+)\s*\(([^)]*)\)/g)) {
      const types = args.split(",").map((arg) => arg.trim().split(/\s+/)[0] ?? "");
      found.set(`${error}(${types.join(",")})`, name);
    }
  }
  return found;
}

/** Names that the twin refuses by. */
function usedByTwin(): string[] {
  const folder = path.join(import.meta.dirname, "twin");
  const files = readdirSync(folder).filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"));
  const text = files.map((name) => readFileSync(path.join(folder, name), "utf8")).join("\n");
  return [...text.matchAll(/"([A-Z]\w+)"/g)].map(([, name = ""]) => name).filter((name) => /[a-z]/.test(name));
}

const table = refusalTypes.map(([name, types]) => `${name}(${types.join(",")})`);

describe("the table of refusals", () => {
  it("has every error of the contracts, with its types, and no others", () => {
    const contracts = declared();
    expect(contracts.size).toBeGreaterThan(60);
    expect([...contracts.keys()].filter((error) => !table.includes(error))).toEqual([]);
    const inherited = ["ReentrancyGuardReentrantCall()"];
    expect(table.filter((error) => !contracts.has(error) && !inherited.includes(error))).toEqual([]);
  });

  it("has every name that the twin uses", () => {
    const used = usedByTwin();
    expect(used.length).toBeGreaterThan(40);
    expect(used.filter((name) => !refusalTypes.some(([known]) => known === name))).toEqual([]);
  });

  it("says of each what is wrong and what to do, in plain words", () => {
    for (const [name, types] of refusalTypes) {
      const error = refusal(name, ...types.map((type, i) => (type === "bytes32" ? "tempo" : BigInt(i + 2))));
      expect(error, name).toMatchObject({ code: "chain", details: expect.stringContaining(`${name}(`) });
      for (const text of [error.message, error.remedy ?? ""]) {
        expect(text.length, name).toBeGreaterThan(5);
        expect(text, name).not.toMatch(/undefined|NaN|\d+n\b|chain refused/);
        expect(text, name).not.toContain(name);
      }
    }
  });
});

describe("a refusal", () => {
  it("counts blocks and coins for its reader", () => {
    expect(refusal("SettingWeightsTooFast", 1).remedy).toBe("wait 1 block");
    expect(refusal("SettingWeightsTooFast", 17n).remedy).toBe("wait 17 blocks");
    const poor = refusal("NotEnoughBalanceToStake", 1_500_000_000n, 2_000_000_001n);
    expect(poor.message).toBe("the account has 1.5 coin and needs 2.000000001 coin");
    expect(poor.remedy).toContain("0.500000001 coin");
    expect(poor.details).toBe("NotEnoughBalanceToStake(1500000000, 2000000001)");
    expect(coins(0n)).toBe("0 coin");
  });

  it("reads names that the chain gives as 32 bytes", () => {
    const hex = `0x${Buffer.from("tempo").toString("hex").padEnd(64, "0")}`;
    expect(refusal("ValueNotInBounds", hex, 1n, 50_400n).message).toBe("tempo must be from 1 to 50400");
    expect(refusal("ValueNotInBounds", "tempo", 1, 50_400)).toEqual(refusal("ValueNotInBounds", hex, 1n, 50_400n));
    const hash = `0x${"ff".repeat(32)}`;
    expect(refusal("ValueNotInBounds", hash, 1n, 2n).message).toContain(hash);
  });

  it("passes on names that it does not know", () => {
    const strange = refusal("Strange", 7);
    expect(strange.message).toContain("Strange(7)");
    expect(strange.remedy).toBeTruthy();
    expect(refusal("constructor").message).toContain("constructor()");
    expect(refusal("SettingWeightsTooFast").message).toContain("refused"); // an argument is missing
  });

  it("is known by its name", () => {
    expect(refusalName(refusal("AmountTooLow"))).toBe("AmountTooLow");
    expect(refusalName(new Error("AmountTooLow()"))).toBeUndefined();
    expect(refusalName(undefined)).toBeUndefined();
  });
});
