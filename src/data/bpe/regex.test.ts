import { describe, expect, it } from "vitest";
import { nestedRepeat, translateRegex } from "./regex.ts";

const split = (pattern: string, text: string): string[] => text.match(translateRegex(pattern).regex as RegExp) ?? [];

describe("translateRegex", () => {
  it("has Unicode's white space and digits", () => {
    expect(split("\\s+", "a\u0085\u00a0b\ufeffc d")).toEqual(["\u0085\u00a0", " "]);
    expect(split("\\d", "1٣²")).toEqual(["1", "٣"]);
    expect(split("[^\\s]+", "a\u0085b")).toEqual(["a", "b"]);
  });

  it("ignores case where asked to, and only there", () => {
    expect(split("(?i:'s|'ll)|x", "'s 'S 'lL 'ſ x X")).toEqual(["'s", "'S", "'lL", "'ſ", "x"]);
    expect(split("(?i:[a-c])", "aBd")).toEqual(["a", "B"]);
    expect(split("(?i:[sk])", "S\u212a")).toEqual(["S", "\u212a"]);
  });

  it("knows properties, scripts, look-around, counts, literal braces", () => {
    expect(split("\\p{Han}+|\\p{^L}", "漢字a1")).toEqual(["漢字", "1"]);
    expect(split("\\p{N}{1,3}(?=x)", "1234x")).toEqual(["234"]);
    expect(split("a(?!b)|(?<=b)c", "ab a bc")).toEqual(["a", "c"]);
    expect(split("{|}|]", "{]}")).toEqual(["{", "]", "}"]);
    expect(split('[!"#/\\-\\[\\]^]', "/-^")).toEqual(["/", "-", "^"]);
    expect(split(".", "a\n\r")).toEqual(["a", "\r"]);
    expect(split("\\x{1F9F5}|\\u00e9|\\.", "🧵é.")).toEqual(["🧵", "é", "."]);
  });

  it.each([
    "\\w+",
    "\\bx",
    "^a",
    "a$",
    "a++",
    "a{2}?",
    "[a[b]]",
    "[a&&b]",
    "[[:alpha:]]",
    "(?>a)",
    "(?<n>a)",
    "(?i)a",
    "(?i:é)",
    "(?i:\\p{Lu})",
    "\\1",
    "\\p{Nonsense}",
    "\\pL",
    "(",
    ")",
    "[",
    "[]a]",
    "*",
    "[z-a]",
    "\\",
  ])("declines %s with a reason", (pattern) => {
    expect(translateRegex(pattern).unsupported).toMatch(/./);
  });
});

describe("nestedRepeat", () => {
  it.each([
    "(a+)+",
    "(?:a*b)*",
    "((a+))*",
    "(a{2,})+",
    "(?:[)]+)*",
    "(x(a+)y){2,5}",
    "(a|ab)+",
    "(a?){9}",
    "(a{1,2})*",
    "(?i:a|b){2}",
    "a+*",
    "a{2}{9}",
  ])("finds it in %s", (pattern) => {
    expect(nestedRepeat(pattern)).toBe(true);
  });
  it.each([
    "(a+)?",
    "a+b*",
    "(?:ab)+",
    "[(a+)]+",
    "\\(a+\\)+",
    "(a{1,3})b+",
    "(?i:'s|'t)?\\p{L}+",
    "(a+)(b+)",
    "(?:ab){3}c+",
    "(?=a+)?b",
    "(?:a|b)c+",
  ])("finds none in %s", (pattern) => {
    expect(nestedRepeat(pattern)).toBe(false);
  });
});
