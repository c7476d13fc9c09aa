import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { utf8 } from "../base/bytes.ts";
import { sha256Hex, toHex } from "../base/hash.ts";
import { signerOf } from "../chain/keys/signer.ts";
import { blobKey } from "./blobs.ts";
import { putDigest } from "./upload.ts";

describe("what is signed for a write", () => {
  it("is what docs/protocol/gateway.md says, to the byte", async () => {
    const page = readFileSync(new URL("../../docs/protocol/gateway.md", import.meta.url), "utf8").replace(/\s+/g, " ");
    const signer = signerOf(new Uint8Array(32).fill(1));
    const bodyHash = sha256Hex(utf8("a payload"));
    const specHash = sha256Hex(utf8("a run"));
    const digest = putDigest({ specHash, key: blobKey(bodyHash), bodyHash, length: 9 });
    expect(page).toContain(`address \`${signer.address}\`, run hash \`${specHash}\``);
    expect(page).toContain(`the digest is \`${toHex(digest)}\``);
    expect(page).toContain(`the signature \`${toHex(await signer.sign(digest))}\``);
    const lines = ["skein put", specHash, blobKey(bodyHash), bodyHash, "9"];
    expect(toHex(digest)).toBe(sha256Hex(utf8(lines.join("\n"))));
  });
});
