import { copyFile, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import Database from "libsql";
import { afterEach, describe, expect, it, vi } from "vitest";
import { SqliteFile, whenFree } from "../../../src/stores/sqlite/file.ts";
import { openSqliteStore } from "../../../src/stores/sqlite/index.ts";
import { commit, onFile } from "../../support/sqlite.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

describe("A SQLite file that is closed", () => {
  it("has all in itself: it can be copied alone", () =>
    onFile(async ({ folder, path, open }) => {
      const store = await open();
      await commit(store, { lane: "lane", document: "kept" });
      expect((await stat(`${path}-wal`)).size).toBeGreaterThan(0);
      await store.close();
      const copy = join(folder, "copy.db");
      await copyFile(path, copy);
      const copied = await openSqliteStore(copy);
      expect((await copied.read("lane")).document).toBe("kept");
      await copied.close();
    }));

  it("in the middle of a transaction has nothing of it, and can be closed twice", () =>
    onFile(async ({ path, open, count }) => {
      await (await open()).close();
      const file = await SqliteFile.open(path);
      file.exec("BEGIN IMMEDIATE; INSERT INTO keyv VALUES ('key', 'half')");
      file.close();
      file.close();
      file.rollBack();
      expect(file.emptyLog()).toBe(true);
      expect(() => file.exec("SELECT 1")).toThrow("The SQLite store was closed.");
      expect(count("keyv")).toBe(0);
    }));

  it("while others use it leaves them what they do", () =>
    onFile(async ({ path, open }) => {
      const store = await open();
      await commit(store, { lane: "lane", document: 1 });
      const other = new Database(path);
      other.exec("BEGIN IMMEDIATE");
      await store.close();
      other.exec("INSERT INTO keyv VALUES ('key', 'theirs'); COMMIT");
      expect(other.prepare("SELECT count(*) FROM keyv").raw().get([])).toEqual([1]);
      other.close();
    }));
});

describe("A SQLite file that is open", () => {
  it("is rolled back only where a transaction is under way", () =>
    onFile(async ({ path, open, count }) => {
      await (await open()).close();
      const file = await SqliteFile.open(path);
      file.rollBack();
      file.exec("BEGIN IMMEDIATE; INSERT INTO keyv VALUES ('key', 'half')");
      file.rollBack();
      file.rollBack();
      expect(count("keyv")).toBe(0);
      file.close();
    }));

  it("cannot empty its log while another one reads or writes, and can then", () =>
    onFile(async ({ path, open }) => {
      await (await open()).close();
      const file = await SqliteFile.open(path);
      const other = new Database(path);
      for (const begin of ["BEGIN", "BEGIN IMMEDIATE"]) {
        file.exec("INSERT OR REPLACE INTO keyv VALUES ('key', 'words')");
        other.exec(begin);
        other.prepare("SELECT count(*) FROM keyv").raw().get([]);
        expect(file.emptyLog()).toBe(false);
        other.exec("ROLLBACK");
        expect(file.emptyLog()).toBe(true);
      }
      other.close();
      file.close();
    }));

  it("is in its place until it is moved or replaced", () =>
    onFile(async ({ path, open }) => {
      await (await open()).close();
      const file = await SqliteFile.open(path);
      expect(file.isInPlace()).toBe(true);
      const bytes = await readFile(path);
      await rm(path);
      expect(file.isInPlace()).toBe(false);
      await writeFile(`${path}.new`, bytes);
      await copyFile(`${path}.new`, path);
      expect(file.isInPlace()).toBe(false);
      file.close();
    }));

  it("in memory has no place and no log", async () => {
    const file = await SqliteFile.open(":memory:");
    expect([file.isInMemory, file.isInPlace(), file.emptyLog(), file.version()]).toEqual([
      true,
      true,
      true,
      0,
    ]);
    file.close();
  });
});

describe("A SQLite file that is locked while it is opened", () => {
  it("is waited for", () =>
    onFile(async ({ path, open }) => {
      await (await open()).close();
      const other = new Database(path);
      other.exec("BEGIN IMMEDIATE");
      const opening = openSqliteStore(path);
      await new Promise((resolve) => setImmediate(resolve));
      other.exec("COMMIT");
      await (await opening).close();
      other.close();
    }));

  it("is given up after thirty seconds, and other failures at once", async () => {
    let now = 10_000;
    vi.spyOn(performance, "now").mockImplementation(() => now);
    let tries = 0;
    const locked = () => {
      tries += 1;
      if (tries === 3) now += 30_000;
      if (tries === 5) now += 1;
      throw Object.assign(new Error("locked"), { code: "SQLITE_BUSY" });
    };
    const { guarded } = await import("../../../src/stores/sqlite/failures.ts");
    await expect(whenFree(() => guarded("open", locked))).rejects.toMatchObject({ code: "store-timeout" });
    expect(tries).toBe(5);
    const failing = vi.fn(() => {
      throw new Error("broken");
    });
    await expect(whenFree(failing)).rejects.toThrow("broken");
    expect(failing).toHaveBeenCalledOnce();
  });
});
