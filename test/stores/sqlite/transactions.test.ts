import Database from "libsql";
import { afterEach, describe, expect, it, vi } from "vitest";
import { StoreClock } from "../../../src/stores/sqlite/clock.ts";
import { SqliteFile } from "../../../src/stores/sqlite/file.ts";
import { Transactions } from "../../../src/stores/sqlite/transactions.ts";
import { LogLines } from "../../support/log-lines.ts";
import { onFile } from "../../support/sqlite.ts";

interface Parts {
  readonly transactions: Transactions;
  /** Another connection to the file, as another process has one. */
  readonly other: Database.Database;
  /** How many transactions there were: each asks once for the time. */
  readonly count: () => number;
  /** What the machine's clock does from now on. */
  failClock(times: number): void;
}

async function onTransactions(test: (parts: Parts) => Promise<void>): Promise<void> {
  await onFile(async ({ path, open }) => {
    await (await open()).close();
    const file = await SqliteFile.open(path);
    const other = new Database(path);
    other.exec("CREATE TABLE words (word TEXT)");
    let asked = 0;
    let failing = 0;
    const clock = new StoreClock(file, () => {
      asked += 1;
      if (failing > 0) {
        failing -= 1;
        throw new Error("the clock stands still");
      }
      return asked;
    });
    const transactions = new Transactions(file, clock, new LogLines());
    const failClock = (times: number) => {
      failing = times;
    };
    try {
      await test({ transactions, other, failClock, count: () => asked });
    } finally {
      other.close();
      file.close();
    }
  });
}

const later = (run: () => void) => setImmediate(run);

afterEach(() => {
  vi.restoreAllMocks();
});

/** The time as calls measure how long they wait, set by the test. */
function stopTime(): { now: number; asked: number } {
  const time = { now: 10_000, asked: 0 };
  vi.spyOn(performance, "now").mockImplementation(() => {
    time.asked += 1;
    return time.now;
  });
  return time;
}

/** What became of a call so far. */
function watched(call: Promise<unknown>): { is: string } {
  const state = { is: "waits" };
  call.then(
    () => {
      state.is = "done";
    },
    ({ code }) => {
      state.is = code;
    },
  );
  return state;
}

/** Resolves when the file was tried some times more: each time asks how late it is. */
async function tried(time: { readonly asked: number }): Promise<void> {
  const from = time.asked;
  await vi.waitUntil(() => time.asked > from + 3, { interval: 5, timeout: 30_000 });
}

describe("Transactions of SQLite", () => {
  it("carry 200 calls each, in their order, and let other work through between them", () =>
    onTransactions(async ({ transactions, count }) => {
      const order: (number | string)[] = [];
      const calls = Array.from({ length: 450 }, (_, index) =>
        transactions.run(() => {
          order.push(index);
          return index;
        }),
      );
      later(() => order.push("other work"));
      const numbers = Array.from({ length: 450 }, (_, index) => index);
      expect(await Promise.all(calls)).toEqual(numbers);
      expect(order).toEqual([...numbers.slice(0, 200), "other work", ...numbers.slice(200)]);
      expect(count()).toBe(3);
      expect(await transactions.run(() => "later")).toBe("later");
      expect(count()).toBe(4);
    }));

  it.each([0, 1, 5, 10])(
    "let other work through where each call waits for the one before and %d steps more",
    (steps) =>
      onTransactions(async ({ transactions }) => {
        let isLetThrough = false;
        later(() => {
          isLetThrough = true;
        });
        let calls = 0;
        for (; !isLetThrough && calls < 100; calls += 1) {
          await transactions.read(() => calls);
          for (let step = 0; step < steps; step += 1) await undefined;
        }
        expect(calls).toBeLessThan(3);
      }),
  );

  it("are written as a whole, or not at all where a call fails, and the others that came with it alone", () =>
    onTransactions(async ({ transactions, other, count }) => {
      const run = (word: string) =>
        transactions.run(() => {
          if (word === "bad") throw new Error("no such word");
          return word;
        });
      const outcomes = await Promise.allSettled(["one", "bad", "two"].map(run));
      expect(outcomes).toMatchObject([
        { status: "fulfilled", value: "one" },
        { status: "rejected", reason: { code: "store-failed", cause: { message: "no such word" } } },
        { status: "fulfilled", value: "two" },
      ]);
      expect(count()).toBe(4);
      // Nothing is locked by what failed.
      other.exec("BEGIN IMMEDIATE; COMMIT");
    }));

  it("of two calls fail the one that cannot be done, and not the other", () =>
    onTransactions(async ({ transactions }) => {
      const bad = transactions.run(() => {
        throw new Error("no such word");
      });
      const good = transactions.run(() => "good");
      expect(await Promise.allSettled([bad, good])).toMatchObject([
        { status: "rejected", reason: { code: "store-failed" } },
        { status: "fulfilled", value: "good" },
      ]);
    }));

  it("that cannot begin fail their calls, and leave the file free", () =>
    onTransactions(async ({ transactions, other, failClock }) => {
      failClock(1);
      const calls = [transactions.run(() => 1), transactions.read(() => 2)];
      for (const call of calls) await expect(call).rejects.toThrow("the clock stands still");
      other.exec("BEGIN IMMEDIATE; COMMIT");
      expect(await transactions.run(() => 3)).toBe(3);
    }));

  it("of one call alone that cannot begin fail it, and no other", () =>
    onTransactions(async ({ transactions, other, failClock }) => {
      const refuse = () => {
        failClock(1);
        throw new Error("refused");
      };
      // The last fails those before with it; the first of them then meets the clock.
      const outcomes = await Promise.allSettled([
        transactions.run(() => "one"),
        transactions.run(() => "two"),
        transactions.run(refuse),
      ]);
      expect(outcomes).toMatchObject([
        { status: "rejected", reason: { message: "the clock stands still" } },
        { status: "fulfilled", value: "two" },
        { status: "rejected", reason: { code: "store-failed" } },
      ]);
      failClock(0);
      other.exec("BEGIN IMMEDIATE; COMMIT");
      expect(await transactions.run(() => 4)).toBe(4);
    }));

  it("that are tried alone, since one that came with them failed, wait for another process, too", () =>
    onTransactions(async ({ transactions, other }) => {
      const time = stopTime();
      later(() => other.exec("BEGIN IMMEDIATE"));
      const calls = [
        () => "one",
        () => {
          throw new Error("refused");
        },
        () => "two",
      ].map((run) => watched(transactions.run(run)));
      await tried(time);
      expect(calls.map(({ is }) => is)).toEqual(["waits", "waits", "waits"]);
      other.exec("COMMIT");
      await expect.poll(() => calls.map(({ is }) => is)).toEqual(["done", "store-failed", "done"]);
    }));

  it("that only read do not wait for another process that writes, and write nothing themselves", () =>
    onTransactions(async ({ transactions, other }) => {
      const time = stopTime();
      other.exec("BEGIN IMMEDIATE");
      expect(await Promise.all([transactions.read(() => 1), transactions.read(() => 2)])).toEqual([1, 2]);
      const writes = watched(transactions.run(() => 3));
      await tried(time);
      expect(writes.is).toBe("waits");
      other.exec("COMMIT");
      await expect.poll(() => writes.is).toBe("done");
    }));

  it("wait for another process for a second each, from when each was called", () =>
    onTransactions(async ({ transactions, other }) => {
      const time = stopTime();
      other.exec("BEGIN IMMEDIATE");
      let isRun = false;
      const first = watched(
        transactions.run(() => {
          isRun = true;
        }),
      );
      await tried(time);
      time.now += 600;
      const second = watched(transactions.run(() => 2));
      time.now += 400;
      await tried(time);
      expect([first.is, second.is]).toEqual(["waits", "waits"]);
      time.now += 1;
      await expect.poll(() => first.is).toBe("store-timeout");
      await tried(time);
      expect(second.is).toBe("waits");
      other.exec("COMMIT");
      await expect.poll(() => second.is).toBe("done");
      expect(isRun).toBe(false);
      // All of them are late.
      other.exec("BEGIN IMMEDIATE");
      const third = watched(transactions.run(() => 3));
      await tried(time);
      time.now += 1_001;
      await expect.poll(() => third.is).toBe("store-timeout");
      other.exec("COMMIT");
      expect(await transactions.run(() => 4)).toBe(4);
    }));

  it("do not count as waiting for another process what was waiting for calls before", () =>
    onTransactions(async ({ transactions, other }) => {
      const time = stopTime();
      const calls = Array.from({ length: 201 }, () => watched(transactions.run(() => 1)));
      later(() => {
        time.now += 5_000;
        other.exec("BEGIN IMMEDIATE");
      });
      await tried(time);
      expect(calls.map(({ is }) => is)).toEqual([...Array(200).fill("done"), "waits"]);
      time.now += 1_000;
      await tried(time);
      expect(calls[200]?.is).toBe("waits");
      time.now += 1;
      await expect.poll(() => calls[200]?.is).toBe("store-timeout");
      other.exec("COMMIT");
    }));
});
