import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { escaped, PAGE_POLICY, type PageParts, runPage, shortCount } from "./page.ts";

const parts: PageParts = {
  card: { name: "first run", params: 1_236_000, rounds: 4000 },
  specHash: "ab".repeat(32),
  netuid: 7,
  runId: 3,
  faucet: true,
  link: `http://127.0.0.1:4800/r/${"ab".repeat(32)}`,
  progress: { block: 12_345, round: 17, peers: 9 },
};

describe("the page", () => {
  it("tells the run and the command", () => {
    const html = runPage(parts);
    for (const text of [
      "<h1>first run</h1>",
      "1.24M",
      "17 / 4,000",
      "12,345",
      `npx skein join ${parts.link}`,
      "costs nothing",
    ]) {
      expect(html).toContain(text);
    }
    expect(runPage({ ...parts, progress: null, faucet: false })).toContain("need some coins");
  });

  it("needs nothing from elsewhere, and its policy allows its own script and style only", async () => {
    const html = runPage(parts);
    expect(html).not.toMatch(/src=|url\(|@import|<link|https?:\/\/(?!127\.0\.0\.1)|style="| on\w+="/);
    for (const tag of ["script", "style"]) {
      const inside = new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`).exec(html)?.[1] ?? "";
      const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(inside));
      expect(PAGE_POLICY).toContain(`'sha256-${Buffer.from(digest).toString("base64")}'`);
    }
  });

  it("escapes whatever a run is called", () => {
    const tagsOf = (html: string): number => html.split("<").length;
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom("<", ">", '"', "'", "&", "`", "a", "/", "$", "script") }),
        (name) => {
          const html = runPage({ ...parts, card: { ...parts.card, name }, link: name });
          expect(tagsOf(html)).toBe(tagsOf(runPage(parts)));
          return !/[<>"'`]/.test(escaped(name));
        },
      ),
    );
    expect(runPage({ ...parts, card: { ...parts.card, name: "<script>alert(1)</script>" } })).toContain(
      "&#60;script&#62;",
    );
  });

  it("shortens counts", () => {
    expect([0, 999, 1000, 807_232, 999_499, 999_999, 1_236_000, 14_960_000, 72e9, 1.5e15].map(shortCount)).toEqual([
      "0",
      "999",
      "1k",
      "807k",
      "999k",
      "1M",
      "1.24M",
      "15M",
      "72B",
      "1500T",
    ]);
  });
});
