import { describe, expect, it } from "vitest";
import { StoreClock } from "../../../src/stores/sqlite/clock.ts";
import { Erasing } from "../../../src/stores/sqlite/erasing.ts";
import { SqliteFile } from "../../../src/stores/sqlite/file.ts";
import { sweeper } from "../../../src/stores/sqlite/sweep.ts";
import { Transactions } from "../../../src/stores/sqlite/transactions.ts";
import { eventMemoryMs } from "../../../src/stores/store.ts";
import { LogLines } from "../../support/log-lines.ts";
import { commit, onFile, type TestFile } from "../../support/sqlite.ts";

interface Parts {
  readonly file: TestFile;
  readonly sweep: () => Promise<void>;
  /** How many steps were taken. */
  readonly steps: () => number;
  /** Whether the log is to be emptied. */
  readonly emptied: () => number;
  readonly close: () => void;
}

/** @param marks how many there are, all out of date */
async function onSweeper(marks: number, test: (parts: Parts) => Promise<void>): Promise<void> {
  await onFile(async (file) => {
    const store = await file.open();
    const names = Array.from({ length: marks }, (_, index) => `event ${index}`);
    await commit(store, { lane: "short", document: 1, marks: names, ttlMs: 1_000 });
    await store.close();
    const opened = await SqliteFile.open(file.path);
    let steps = 0;
    const clock = new StoreClock(opened, () => {
      steps += 1;
      return 3_600e6 + 3 * eventMemoryMs * 1_000;
    });
    let emptied = 0;
    const erasing = new Erasing({
      emptyLog: () => {
        emptied += 1;
        return true;
      },
    } as SqliteFile);
    const sweep = sweeper(opened, clock, new Transactions(opened, clock, new LogLines()), erasing);
    try {
      const close = () => opened.close();
      await test({ file, sweep, close, steps: () => steps, emptied: () => emptied });
    } finally {
      opened.close();
    }
  });
}

describe("What is out of date in a SQLite file", () => {
  it.each([
    [0, 1],
    [199, 1],
    [200, 2],
    [450, 3],
  ])("is removed 200 rows at a time, in as many steps as it needs: %i rows, %i steps", (marks, steps) =>
    onSweeper(marks, async (parts) => {
      await parts.sweep();
      expect(parts.file.count("aparte_marks")).toBe(0);
      expect(parts.file.count("aparte_lanes")).toBe(0);
      expect(parts.steps()).toBe(steps);
    }),
  );

  it("is removed by one sweep at a time, and by the next one when that has ended", () =>
    onSweeper(450, async ({ sweep, steps }) => {
      await Promise.all([sweep(), sweep(), sweep()]);
      expect(steps()).toBe(3);
      await sweep();
      expect(steps()).toBe(4);
    }));

  it("is taken out of the log where it had words, once", () =>
    onSweeper(0, async ({ file, sweep, emptied }) => {
      await sweep();
      expect(emptied()).toBe(1);
      await sweep();
      expect(emptied()).toBe(1);
      file.inFile((database) => database.exec(`INSERT INTO keyv VALUES ('key', '{"value":1,"expires":1}')`));
      await sweep();
      expect(file.count("keyv")).toBe(0);
      expect(emptied()).toBe(2);
    }));

  it("stays where the file fails, and is tried again", () =>
    onSweeper(10, async ({ file, sweep, close }) => {
      close();
      await sweep();
      await sweep();
      expect(file.count("aparte_marks")).toBe(10);
    }));
});
