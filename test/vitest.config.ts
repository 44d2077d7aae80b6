import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { LeftOut } from "./support/left-out.ts";
import { LongestFirst } from "./support/longest-first.ts";

const source = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));

/** What the tests write is searched for credentials, and for what people said. */
const searchAll = source("test/support/search-all.ts");

/** Tests that set timers, or count timers or bytes of their process: another file's must not be among them. */
const apart = [
  "test/adapters/discord/channels.test.ts",
  "test/backends/http/kit.test.ts",
  "test/security/{floods,jwt,remains}.test.ts",
  "test/session/shared-tokens.test.ts",
  "test/stores/{deadline,keyv,marks,rates}.test.ts",
  "test/stores/redis/commands.test.ts",
  "test/stores/sqlite/{time,wakes}.test.ts",
];

export default defineConfig({
  test: {
    root: source("."),
    reporters: ["default", new LeftOut()],
    // Real servers and real processes: slow machines need room, and nothing here waits without an event.
    // Most of a test's time is waiting for processes and sockets.
    maxWorkers: 6,
    // `--sequence.shuffle` has an order of its own.
    sequence: process.argv.some((argument) => argument.startsWith("--sequence.shuffle"))
      ? {}
      : { sequencer: LongestFirst },
    // For what hangs: where others keep the machine busy, a test takes its time.
    testTimeout: 300_000,
    // A second, as it is by default, measures the machine.
    expect: { poll: { timeout: 30_000 } },
    hookTimeout: 300_000,
    projects: [
      // A process runs one test file after another: the packages of the platforms take a second to load.
      {
        extends: true,
        test: {
          name: "together",
          include: ["test/**/*.test.ts"],
          exclude: apart,
          isolate: false,
          setupFiles: [source("test/support/fresh-modules.ts"), searchAll],
        },
      },
      { extends: true, test: { name: "apart", include: apart, setupFiles: [searchAll] } },
    ],
    coverage: { include: ["src/**", "adapters/**"] },
  },
  resolve: {
    // The tests import the package by its public name and get the sources.
    alias: [
      { find: /^aparte$/, replacement: source("test/support/aparte.ts") },
      { find: /^aparte\/backend$/, replacement: source("src/backends/http/index.ts") },
      { find: /^aparte\/adapter$/, replacement: source("src/adapter/index.ts") },
      { find: /^aparte\/testing$/, replacement: source("src/testing/index.ts") },
      { find: /^aparte\/(slack|discord|botkit|web)$/, replacement: `${source("adapters")}/$1/index.ts` },
      {
        find: /^aparte\/(coze|sonaops|dialogflow-cx)$/,
        replacement: `${source("src/backends")}/$1/index.ts`,
      },
    ],
  },
});
