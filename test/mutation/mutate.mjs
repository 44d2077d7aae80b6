import { parseArgs } from "node:util";
import { Stryker } from "@stryker-mutator/core";
import { mirroredTests, sourceFiles, testPatterns } from "./files.mjs";
import { report } from "./report.mjs";
import { sampleFaults } from "./sample.mjs";

const usage = `npm run mutate -- [file or folder …] [--tests file or folder,… | all] [--sample N] [--seed S]`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    tests: { type: "string" },
    sample: { type: "string" },
    seed: { type: "string", default: "1" },
    help: { type: "boolean" },
  },
});
if (values.help) {
  console.log(usage);
  process.exit();
}

const paths = positionals.length > 0 ? positionals : ["src", "adapters"];
const files = [...new Set(paths.flatMap(sourceFiles))].sort();
const tests = testsFor(values.tests);
process.env.MUTATE_TESTS = tests.join(",");

const size = Number(values.sample ?? Number.POSITIVE_INFINITY);
if (!(size >= 1)) throw new Error(`--sample must be a number from 1.\n${usage}`);
const total = await sampleFaults(files, size, values.seed);
console.log(
  `${Math.min(size, total)} of ${total} faults in ${files.length} files, tests: ${tests.join(", ")}`,
);

const start = performance.now();
const stryker = new Stryker({ configFile: "test/mutation/stryker.config.json", mutate: files });
// Stryker has said what went wrong, for example which test fails without any fault.
const mutants = await stryker.runMutationTest().catch(() => process.exit(1));
const seconds = (performance.now() - start) / 1_000;
console.log(report(mutants));
console.log(`\n${seconds.toFixed(0)} s, ${(seconds / mutants.length).toFixed(2)} s a fault`);

function testsFor(option) {
  if (option === "all") return ["test/**/*.test.ts"];
  if (option === undefined) return [...new Set(files.flatMap(mirroredTests))];
  const patterns = option.split(",").flatMap(testPatterns);
  if (patterns.length === 0) throw new Error(`There are no tests at ${option}.\n${usage}`);
  return patterns;
}
