import { storeContract } from "aparte/testing";
import { describe, expect, it } from "vitest";
import { memoryStore } from "../../src/stores/memory.ts";

/** What the suite says of a store, for each test that fails: the first line, below which the runner shows the two values. */
async function failuresOf(broken: Partial<ReturnType<typeof memoryStore>>): Promise<string[]> {
  const tests: (() => unknown)[] = [];
  const runner = {
    describe: (_: string, define: () => void) => define(),
    it: (_: string, test: () => unknown) => void tests.push(test),
  };
  const open = async () => {
    const store = { ...memoryStore(), ...broken };
    return { store, close: () => store.close() };
  };
  storeContract(runner, { name: "broken", shared: false, durable: false, open });
  const failures: string[] = [];
  for (const test of tests) {
    await Promise.resolve()
      .then(test)
      .catch((error: Error) => failures.push(error.message.split("\n", 1)[0] ?? ""));
  }
  return failures;
}

describe("A contract suite", () => {
  it("says which call failed, with what it answered and what was expected", async () => {
    const failures = await failuresOf({ bury: async () => "unknown" });
    expect(failures).toContain('bury("ada") answers "unknown"; expected is "dead"');
    expect(
      failures.filter((failure) => !/ answers .*; expected is |^This does not hold: /s.test(failure)),
    ).toEqual([]);
  });
});
