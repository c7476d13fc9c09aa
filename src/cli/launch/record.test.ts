import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { utf8 } from "../../base/bytes.ts";
import { SkeinError } from "../../base/errors.ts";
import { memoryStore } from "../../store/memory.ts";
import { LAUNCH_KEY, readLaunch, writeLaunch } from "./record.ts";

const SPEC_HASH = "ab".repeat(32);
const step = fc.option(fc.nat(), { nil: undefined });

describe("launch.json", () => {
  it("gives back what was written, at every step of a launch", async () => {
    const records = fc.record({ chainId: fc.maxSafeNat(), subnetFrom: step, netuid: step, runId: step });
    await fc.assert(
      fc.asyncProperty(records, async (fields) => {
        const given = Object.entries(fields).filter(([, value]) => value !== undefined);
        const record = { specHash: SPEC_HASH, chainId: fields.chainId, ...Object.fromEntries(given) };
        const folder = memoryStore();
        expect(await readLaunch(folder)).toBeUndefined();
        await writeLaunch(folder, record);
        expect(await readLaunch(folder)).toEqual(record);
      }),
    );
  });

  it("is refused in words where it is anything else", async () => {
    const json = fc.json().map(utf8);
    const wrong = fc.constantFrom(
      "",
      "null",
      `{"chainId": -1, "specHash": "${SPEC_HASH}"}`,
      `{"chainId": 1, "specHash": "${SPEC_HASH}0"}`,
      `{"chainId": 1, "specHash": "${SPEC_HASH}", "runId": "3"}`,
      `{"chainId": 1, "specHash": "${SPEC_HASH}", "netuid": 1.5}`,
      `{"chainId": 1, "specHash": "${SPEC_HASH}"`,
    );
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.uint8Array(), json, wrong.map(utf8)), async (bytes) => {
        const folder = memoryStore();
        await folder.put(LAUNCH_KEY, bytes);
        const thrown = await readLaunch(folder).catch((error: unknown) => error);
        expect(thrown).toBeInstanceOf(SkeinError);
        expect(thrown).toMatchObject({ code: "config", remedy: expect.any(String) });
      }),
    );
  });
});
