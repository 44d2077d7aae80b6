import { openStore } from "aparte";
import { compareWithMemory, type OpenedStore, type StoreCommand } from "aparte/testing";
import fc from "fast-check";
import { Keyv } from "keyv";
import { describe, it } from "vitest";
import { keyvStore } from "../../src/stores/keyv.ts";
import { openRedis, openSqlite } from "../support/opened-stores.ts";
import { describeOnRedis } from "../support/redis.ts";

/** Few of each, so that commands meet. */
const lane = fc.constantFrom("l1", "l2", "l3");
const owner = fc.constantFrom("ada", "bob", "eve");
const some = (names: fc.Arbitrary<string>) => fc.uniqueArray(names, { maxLength: 2 });
const mark = fc.constantFrom("m1", "m2", "m3", "m4", "m5");
const value = fc.oneof(
  fc.record({ n: fc.nat(9), text: fc.string({ unit: "grapheme", maxLength: 5 }) }, { noNullPrototype: true }),
  fc.constantFrom("", [], 7),
);

const commit: fc.Arbitrary<StoreCommand> = fc.record(
  {
    do: fc.constant("commit" as const),
    lane,
    against: fc.constantFrom("current", "current", "current", "current", "former", "none", "unknown"),
    document: value,
    record: fc.option(value, { nil: null }),
    marks: some(mark),
    restoredMarks: some(mark),
    removedMarks: some(mark),
    entering: some(owner),
    leaving: some(owner),
    wakes: some(owner),
    isLate: fc.integer({ min: 0, max: 9 }).map((n) => n === 9),
    isApart: fc.boolean(),
  },
  { requiredKeys: ["do", "lane", "against", "isApart"], noNullPrototype: true },
);

const isApart = fc.boolean();
const command: fc.Arbitrary<StoreCommand> = fc.oneof(
  { weight: 12, arbitrary: commit },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("read" as const), lane, isApart }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("beat" as const), owner, isOver: fc.boolean(), isApart }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("bury" as const), owner, isUnknownToo: fc.boolean(), isApart }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("dead" as const), isApart }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("listen" as const), owner, isApart }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constantFrom("get" as const, "delete" as const), lane, isApart }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom("set" as const, "setIfAbsent" as const),
      lane,
      value,
      isApart,
    }),
  },
);

const commands = fc.array(command, { minLength: 1, maxLength: 60, size: "max" });

/** @param numRuns how many sequences of each seed */
function answersAsMemory(name: string, open: () => Promise<OpenedStore>, numRuns: number): void {
  describe(`Store ${name}`, () => {
    // The fresh one is printed when it fails, and belongs among the others then.
    for (const seed of [1, 20_261_126, Math.floor(Math.random() * 0x7f_ff_ff_ff)]) {
      it(`answers as the one in memory (seed ${seed})`, { timeout: 120_000 }, () =>
        fc.assert(
          fc.asyncProperty(commands, async (sequence) => {
            const opened = await open();
            try {
              await compareWithMemory(opened, sequence);
            } finally {
              await opened.close();
            }
          }),
          // While it looks for the shortest sequence that fails, each try may wait for a wake that never comes.
          { seed, numRuns, interruptAfterTimeLimit: 60_000 },
        ),
      );
    }
  });
}

answersAsMemory(
  "keyv",
  async () => {
    const store = keyvStore(new Keyv());
    return { store, close: () => store.close() };
  },
  60,
);

answersAsMemory(
  "sqlite in memory",
  async () => {
    const store = await openStore("sqlite::memory:");
    return { store, close: () => store.close() };
  },
  60,
);

answersAsMemory("sqlite, in two processes", openSqlite, 60);

describeOnRedis("On a Redis server", (url) => {
  answersAsMemory("redis, in two processes", async () => openRedis(await url()), 60);
});
