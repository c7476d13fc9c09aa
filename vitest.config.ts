/** Tests: built once beforehand for those that run the command line; `skein` and `skein/node` mean the sources. */
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

/** Where .ci/run wants a report as JSON. */
const report = process.env["SKEIN_TEST_REPORT"];

const source = (file: string): string => fileURLToPath(new URL(`src/${file}`, import.meta.url));

export default defineConfig({
  resolve: {
    alias: [
      { find: /^skein$/, replacement: source("index.ts") },
      { find: /^skein\/node$/, replacement: source("node.ts") },
    ],
  },
  test: {
    globalSetup: ["test/helpers/build.ts"],
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    maxWorkers: "100%", // else one of two cores stays idle
    isolate: false, // modules are loaded once a worker: a fifth of the time, and nothing in the project keeps state that a test could mind
    reporters: report ? ["default", ["json", { outputFile: report }]] : ["default"],
  },
});
