import { describe, expect, it } from "vitest";
import { isHex } from "./json.ts";

describe("isHex", () => {
  it("takes bytes in lower-case hex, so many at most", () => {
    for (const hex of ["", "00", "0aff"]) expect(isHex(hex, 2), hex).toBe(true);
    for (const other of ["0", "0AFF", "0x00", "0a f", "zz", "000000", "0aff\n", 10, null, undefined, ["00"]])
      expect(isHex(other, 2), JSON.stringify(other)).toBe(false);
  });
});
