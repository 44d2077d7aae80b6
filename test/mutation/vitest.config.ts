import { defineConfig } from "vitest/config";
import tests from "../vitest.config.ts";

/** Tests that start processes or builds: too slow to be run once a fault, and the fault is not in their processes. */
const processTests = [
  "test/processes/**",
  "test/adapters/botkit/process.test.ts",
  "test/cli/program.test.ts",
  "test/crash.test.ts",
  "test/docs/snippets.test.ts",
  "test/examples.test.ts",
  "test/main-job.test.ts",
  "test/many-processes/**",
  "test/package.test.ts",
  "test/readme.test.ts",
  "test/security/canaries.test.ts",
  "test/security/first-hour.test.ts",
  "test/security/program.test.ts",
  "test/stores/sqlite/processes.test.ts",
];

const { projects: _, ...settings } = tests.test ?? {};

/** The test files that take part are chosen here, and not by Stryker's `testFiles`, with which no fault in a module's top level is ever switched on. */
export default defineConfig({
  ...tests,
  test: {
    ...settings,
    include: process.env.MUTATE_TESTS?.split(",") ?? ["test/**/*.test.ts"],
    exclude: processTests,
    setupFiles: ["test/mutation/setup.ts"],
    // What a fault keeps from ever coming is not waited for as long as on a machine that runs all tests at once.
    expect: { poll: { timeout: 10_000 } },
  },
});
