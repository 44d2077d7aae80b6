import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { promisify } from "node:util";
import { Keyv, type KeyvStoreAdapter } from "keyv";
import Database from "libsql";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { eventMemoryMs, type Store } from "../../src/stores/old-store.ts";
import { openStore } from "../../src/stores/open.ts";
import { Participant } from "../../src/testing/participant.ts";
import { builtRoot } from "../build.ts";

let directory: string;
let path: string;
let stores: Store[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "aparte-sqlite-"));
  path = join(directory, "aparte.db");
});

afterEach(async () => {
  vi.useRealTimers();
  for (const store of stores) await store.close();
  stores = [];
  await rm(directory, { recursive: true });
});

async function open(at = path): Promise<Store> {
  const store = await openStore(`sqlite:${at}`);
  stores.push(store);
  return store;
}

/** Looks at the file, or changes it, behind the store's back. */
function inFile<T>(use: (database: Database.Database) => T): T {
  const database = new Database(path);
  try {
    return use(database);
  } finally {
    database.close();
  }
}

/** The shape of `@keyv/sqlite`'s adapter, as far as Keyv uses it to read and write. */
function adapterOf(database: Database.Database): KeyvStoreAdapter {
  const adapter: KeyvStoreAdapter = {
    opts: { dialect: "sqlite" },
    get: async <T>(key: string) => {
      const rows = database.prepare("SELECT value FROM keyv WHERE key = ?").raw().all([key]) as T[][];
      return rows[0]?.[0];
    },
    set: async (key: string, value: string) => {
      database.prepare("INSERT INTO keyv (key, value) VALUES (?, ?)").run([key, value]);
    },
    delete: async () => false,
    clear: async () => {},
    on: () => adapter,
  };
  return adapter;
}

const record = {
  v: 1,
  speaker: { scope: "user" },
  conversations: { helper: { id: "c1", title: ":wave: hello" } },
};

describe("SQLite file", () => {
  it("is made, with its directories, at a path from the current directory", async () => {
    path = join(directory, "not", "there", "yet.db");
    const store = await open(relative(process.cwd(), path));
    await store.records.set("key", 1);
    expect(existsSync(path)).toBe(true);
  });

  it("keeps records as any Keyv reads and writes them", async () => {
    const store = await open();
    await store.records.set("session:ours", record);
    const database = new Database(path);
    const keyv = new Keyv(adapterOf(database), { namespace: "aparte" });
    expect(await keyv.get("session:ours")).toEqual(record);
    await keyv.set("session:theirs", record);
    database.close();
    expect(await store.records.get("session:theirs")).toEqual(record);
    expect((await new Participant(store).run("theirs", "1")).record).toEqual(record);
    const rows = inFile((file) => file.prepare("SELECT key FROM keyv ORDER BY key").raw().all([]));
    expect(rows).toEqual([["aparte:session:ours"], ["aparte:session:theirs"]]);
  });

  it("is refused without a path", async () => {
    await expect(openStore("sqlite:")).rejects.toMatchObject({ code: "option-invalid", field: "store" });
  });

  it("is refused when it is no database, and stays as it was", async () => {
    await writeFile(path, "Dear diary, ".repeat(1000));
    await expect(open()).rejects.toMatchObject({
      code: "store-failed",
      message: expect.stringContaining("no SQLite file"),
    });
  });

  it("is refused when it is a directory", async () => {
    await expect(open(directory)).rejects.toMatchObject({
      code: "store-failed",
      message: expect.stringContaining("path"),
    });
  });

  it("is refused when a newer version made it", async () => {
    inFile((file) => file.exec("PRAGMA user_version = 7"));
    await expect(open()).rejects.toMatchObject({
      code: "store-failed",
      message: expect.stringContaining("version 7"),
    });
  });

  it("may be opened by many at the same time when it is new", async () => {
    const [first, ...others] = await Promise.all(Array.from({ length: 8 }, () => open()));
    await first?.records.set("key", "seen by all");
    for (const other of others) expect(await other.records.get("key")).toBe("seen by all");
  });

  it("fails a call in time while another process keeps it locked, and works afterwards", async () => {
    const store = await open();
    const participant = new Participant(store);
    await store.records.set("key", 1);
    const other = new Database(path);
    other.exec("BEGIN IMMEDIATE");
    await expect(participant.begin("lane", "1")).rejects.toMatchObject({ code: "store-timeout" });
    await expect(store.records.set("key", 2)).rejects.toMatchObject({ code: "store-timeout" });
    expect(await store.records.get("key")).toBe(1);
    other.exec("COMMIT");
    other.close();
    await store.records.set("another key", 3);
    expect([await store.records.get("key"), await store.records.get("another key")]).toEqual([1, 3]);
    await participant.run("lane", "1");
  });

  it("tells that it was closed", async () => {
    const store = await open();
    const participant = new Participant(store);
    await store.close();
    await store.close();
    await expect(store.records.get("key")).rejects.toMatchObject({ code: "closed" });
    await expect(participant.begin("lane", "1")).rejects.toMatchObject({ code: "closed" });
  });

  it("remembers an event for its time, also when the clock is set, and then forgets it", async () => {
    const participant = new Participant(await open());
    const events = () => inFile((file) => file.prepare("SELECT count(*) FROM aparte_seen").raw().get([]));
    vi.useFakeTimers({ toFake: ["Date"] });
    await participant.lanes.end(await participant.run("lane", "1"));
    const now = Date.now();
    for (const at of [now + eventMemoryMs, now - 3_600_000]) {
      vi.setSystemTime(at);
      await participant.lanes.renew([]);
      expect(await participant.begin("lane", "1")).toEqual({ is: "duplicate" });
    }
    expect(events()).toEqual([1]);
    vi.setSystemTime(now + 3 * eventMemoryMs);
    await participant.lanes.renew([]);
    expect(events()).toEqual([0]);
    await participant.run("lane", "1");
  });

  it("keeps of an event's name only its digest when the turn has ended", async () => {
    const participant = new Participant(await open());
    await participant.lanes.end(await participant.run("lane", "U0123456789"));
    const rows = inFile((file) =>
      file.prepare("SELECT hex(event) FROM aparte_seen").raw().all([]),
    ) as string[][];
    expect(rows[0]?.[0]).toMatch(/^[0-9A-F]{32}$/);
    expect(inFile((file) => file.prepare("SELECT count(*) FROM aparte_turns").raw().get([]))).toEqual([0]);
  });

  it("takes a lease of an earlier start of the machine for one that has run out", async () => {
    const store = await open();
    const before = new Participant(store);
    await before.run("lane", "1");
    const after = new Participant(store);
    expect(await after.takeOverAll()).toEqual([]);
    // The machine's clock begins anew: what was written before lies in the future.
    inFile((file) =>
      file.exec("UPDATE aparte_turns SET lease_from = lease_from + 1e9, lease_until = lease_until + 1e9"),
    );
    expect(await after.takeOverAll()).toMatchObject([{ turn: { key: "1" }, attempt: 2 }]);
  });

  it("needs the package libsql, and says so where it is missing", async () => {
    const url = (script: string) => `data:text/javascript,${encodeURIComponent(script)}`;
    const resolve = `export const resolve = (name, context, next) => {
      if (name === "libsql") throw Object.assign(new Error("Cannot find package"), { code: "ERR_MODULE_NOT_FOUND" });
      return next(name, context);
    }`;
    const register = `import { register } from "node:module"; register(${JSON.stringify(url(resolve))});`;
    const script = `const { openStore } = await import(process.argv[1]);
      await openStore("sqlite::memory:").catch(({ code, message }) => console.log(JSON.stringify({ code, message })));`;
    const module = join(await builtRoot(), "src/store/open.js");
    const { stdout } = await promisify(execFile)(process.execPath, [
      ...["--import", url(register), "--input-type=module", "--eval", script, module],
    ]);
    expect(JSON.parse(stdout)).toMatchObject({
      code: "option-invalid",
      message: expect.stringContaining("npm i libsql"),
    });
  });
});
