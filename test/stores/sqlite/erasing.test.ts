import { readFile, stat } from "node:fs/promises";
import Database from "libsql";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Erasing } from "../../../src/stores/sqlite/erasing.ts";
import { SqliteFile } from "../../../src/stores/sqlite/file.ts";
import { commit, onFile } from "../../support/sqlite.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

/** The time as an erasure measures how long it waits, set by the test. */
function stopTime() {
  const time = { now: 10_000, asked: 0 };
  vi.spyOn(performance, "now").mockImplementation(() => {
    time.asked += 1;
    return time.now;
  });
  /** Resolves when the log was tried some times more: each time asks how late it is. */
  const tried = async () => {
    const from = time.asked;
    await vi.waitUntil(() => time.asked > from + 3, { interval: 5, timeout: 30_000 });
  };
  return { time, tried };
}

interface Parts {
  readonly erasing: Erasing;
  /** Lets another connection read, as another process does, and then no more. */
  readonly reader: Database.Database;
  /** How long the file's log is, in bytes. */
  readonly log: () => Promise<number>;
  write(): void;
}

async function onErasing(test: (parts: Parts) => Promise<void>): Promise<void> {
  await onFile(async ({ path, open }) => {
    await (await open()).close();
    const file = await SqliteFile.open(path);
    const reader = new Database(path);
    const write = () => file.exec("INSERT OR REPLACE INTO keyv VALUES ('key', 'words')");
    write();
    try {
      const log = async () => (await stat(`${path}-wal`)).size;
      await test({ erasing: new Erasing(file), reader, write, log });
    } finally {
      reader.close();
      file.close();
    }
  });
}

const read = (reader: Database.Database) => {
  reader.exec("BEGIN");
  reader.prepare("SELECT count(*) FROM keyv").raw().get([]);
};

describe("What was erased from a SQLite file", () => {
  it("leaves the log at once where nobody reads", () =>
    onErasing(async ({ erasing, log }) => {
      expect(await log()).toBeGreaterThan(0);
      await erasing.now();
      expect(await log()).toBe(0);
      expect(erasing.attempt()).toBe(true);
    }));

  it("leaves the log as soon as a reader has ended", () =>
    onErasing(async ({ erasing, reader, write, log }) => {
      read(reader);
      write();
      const { tried } = stopTime();
      let isDone = false;
      const done = erasing.now().then(() => {
        isDone = true;
      });
      await tried();
      expect(isDone).toBe(false);
      expect(await log()).toBeGreaterThan(0);
      reader.exec("COMMIT");
      await done;
      expect(await log()).toBe(0);
    }));

  it("is waited for a second and no longer, and leaves the log with a later attempt", () =>
    onErasing(async ({ erasing, reader, write, log }) => {
      read(reader);
      write();
      const { time, tried } = stopTime();
      let isDone = false;
      const done = erasing.now().then(() => {
        isDone = true;
      });
      time.now += 999;
      await tried();
      expect(isDone).toBe(false);
      time.now += 1;
      await done;
      expect(await log()).toBeGreaterThan(0);
      expect(erasing.attempt()).toBe(false);
      reader.exec("COMMIT");
      expect(erasing.attempt()).toBe(true);
      expect(await log()).toBe(0);
    }));

  it("is looked for where something was erased, and not otherwise", () =>
    onErasing(async ({ erasing, write, log }) => {
      expect(erasing.attempt()).toBe(true);
      expect(await log()).toBeGreaterThan(0);
      erasing.later();
      expect(erasing.attempt()).toBe(true);
      expect(await log()).toBe(0);
      write();
      expect(erasing.attempt()).toBe(true);
      expect(await log()).toBeGreaterThan(0);
    }));

  it("is tried again where the file failed", () => {
    let isBroken = true;
    const file = {
      emptyLog() {
        if (isBroken) throw new Error("the disk failed");
        return true;
      },
    };
    const erasing = new Erasing(file as unknown as SqliteFile);
    erasing.later();
    expect(erasing.attempt()).toBe(false);
    isBroken = false;
    expect(erasing.attempt()).toBe(true);
  });

  it("is in no file when a record's deletion was committed, and not before", () =>
    onFile(async ({ path, open }) => {
      const store = await open();
      const record = { text: "meet me at the old mill ".repeat(60) };
      const kept = await commit(store, { lane: "lane", document: 1, record });
      const inLog = async () => (await readFile(`${path}-wal`, "latin1")).includes("meet me");
      expect(await inLog()).toBe(true);
      await commit(store, { lane: "other", document: 1, record: { v: 1 } });
      expect(await inLog()).toBe(true);
      const gone = { lane: "lane", document: undefined, record: null, until: 1e300 };
      expect(await store.commit({ ...gone, version: 1 })).toMatchObject({ is: "changed" });
      expect(await inLog()).toBe(true);
      await store.commit({ ...gone, version: kept.version });
      expect(await inLog()).toBe(false);
      expect(await readFile(path, "latin1")).not.toContain("meet me");
    }));

  it("leaves the log with the first sign of life after a process that ended badly", () =>
    onFile(async ({ path, open }) => {
      await (await open()).close();
      const other = new Database(path);
      const store = await open();
      other.exec("INSERT INTO keyv VALUES ('key', 'words')");
      expect((await stat(`${path}-wal`)).size).toBeGreaterThan(0);
      await store.beat("ada", 1_000);
      // The signs of life themselves are written before.
      await expect.poll(async () => (await stat(`${path}-wal`)).size).toBe(0);
      other.close();
    }));
});
