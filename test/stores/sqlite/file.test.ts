import { copyFile, readdir, readFile, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { openStore } from "aparte";
import { Keyv, type KeyvStoreAdapter } from "keyv";
import Database from "libsql";
import { describe, expect, it, vi } from "vitest";
import { sessionKey } from "../../../src/stores/store.ts";
import { commit, onFile } from "../../support/sqlite.ts";

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

describe("A SQLite file", () => {
  it("is made, with its directories, at a path from the current directory", () =>
    onFile(async ({ folder }) => {
      const path = join(folder, "not", "there", "yet.db");
      const store = await openStore(`sqlite:${relative(process.cwd(), path)}`);
      await store.close();
      // What people say is nobody's business but the bot's.
      expect((await stat(path)).mode & 0o777).toBe(0o600);
    }));

  it("may be opened by many at the same time when it is new", () =>
    onFile(async ({ open }) => {
      const [first, ...others] = await Promise.all(Array.from({ length: 8 }, () => open()));
      await first?.records.set("key", "seen by all");
      for (const other of others) expect(await other.records.get("key")).toBe("seen by all");
    }));

  it("is refused without a path, and with a durability that does not exist", () =>
    onFile(async ({ path }) => {
      const invalid = (field: string) => expect.objectContaining({ code: "option-invalid", field });
      await expect(openStore("sqlite:")).rejects.toEqual(invalid("store"));
      const options = { durability: "half" as "full" };
      await expect(openStore(`sqlite:${path}`, options)).rejects.toMatchObject({
        ...{ code: "option-invalid", field: "durability" },
        message: expect.stringContaining('"normal" or "full"'),
      });
    }));

  it.each(["normal", "full"] as const)("keeps what was committed with %s durability", (durability) =>
    onFile(async ({ open }) => {
      const store = await open({ durability });
      await commit(store, { lane: "lane", document: "kept" });
      await store.close();
      expect((await (await open()).read("lane")).document).toBe("kept");
    }),
  );

  it.each([
    [undefined, "NORMAL"],
    ["normal", "NORMAL"],
    ["full", "FULL"],
  ] as const)("has what was committed on the disk as its durability says: %s", async (durability, told) => {
    const said: string[] = [];
    class Telling extends Database {
      override exec(sql: string): this {
        said.push(sql);
        return super.exec(sql) as unknown as this;
      }
    }
    vi.doMock("libsql", () => ({ default: Telling }));
    try {
      await onFile(async ({ open }) => {
        await open(durability === undefined ? {} : { durability });
        expect(said.filter((sql) => sql.includes("synchronous"))).toEqual([`PRAGMA synchronous = ${told}`]);
      });
    } finally {
      vi.doUnmock("libsql");
    }
  });

  it("is refused when it is no database, and stays as it was", () =>
    onFile(async ({ path, open }) => {
      await writeFile(path, "Dear diary, ".repeat(1000));
      await expect(open()).rejects.toMatchObject({
        code: "store-failed",
        message: expect.stringContaining("no SQLite file"),
      });
      expect(await readFile(path, "utf8")).toBe("Dear diary, ".repeat(1000));
    }));

  it("is refused where processes cannot share memory, as on a network disk", () =>
    onFile(async ({ open }) => {
      // SQLite answers with the mode that it was in.
      class OnNetworkDisk extends Database {
        constructor(path: string) {
          super(path);
          const prepare = this.prepare.bind(this);
          this.prepare = ((sql: string) =>
            prepare(sql.replace("journal_mode = WAL", "journal_mode"))) as typeof prepare;
        }
      }
      vi.doMock("libsql", () => ({ default: OnNetworkDisk }));
      try {
        await expect(open()).rejects.toMatchObject({
          code: "store-failed",
          message: expect.stringMatching(/cannot share memory beside this file.*local disk/),
        });
      } finally {
        vi.doUnmock("libsql");
      }
    }));

  it("is refused without the package of SQLite, with how to have it", () =>
    onFile(async ({ open }) => {
      vi.doMock("libsql", () => {
        throw new Error("Cannot find package");
      });
      try {
        await expect(open()).rejects.toMatchObject({
          ...{ code: "option-invalid", field: "store", cause: expect.any(Error) },
          message: expect.stringMatching(/needs the package "libsql" .* Install it: npm i libsql$/),
        });
      } finally {
        vi.doUnmock("libsql");
      }
    }));

  it("is refused when it is a directory", () =>
    onFile(async ({ folder }) => {
      await expect(openStore(`sqlite:${folder}`)).rejects.toMatchObject({
        code: "store-failed",
        message: expect.stringContaining("path"),
      });
    }));

  it.each([1, 3])("is refused, and left alone, when its tables have version %i", (version) =>
    onFile(async ({ open, inFile }) => {
      inFile((file) => file.exec(`PRAGMA user_version = ${version}`));
      await expect(open()).rejects.toMatchObject({
        code: "store-failed",
        message: expect.stringContaining(`version ${version}`),
      });
      inFile((file) => {
        expect(file.prepare("SELECT count(*) FROM sqlite_schema").raw().get([])).toEqual([0]);
        expect(file.prepare("PRAGMA user_version").raw().get([])).toEqual([version]);
      });
    }),
  );

  it("is refused when a table of it is not as it was made", () =>
    onFile(async ({ open, inFile }) => {
      await (await open()).close();
      inFile((file) => file.exec("ALTER TABLE aparte_lanes RENAME COLUMN document TO paper"));
      await expect(open()).rejects.toMatchObject({ code: "store-failed" });
    }));

  it.each(["deleted", "moved away", "replaced"])("fails every call, and says so once, when it is %s", (how) =>
    onFile(async ({ folder, path, open, logged }) => {
      const [store, other] = [await open(), await open()];
      await commit(store, { lane: "lane", document: 1 });
      if (how === "deleted") for (const name of await readdir(folder)) await rm(join(folder, name));
      if (how === "moved away") await rename(path, `${path}.old`);
      if (how === "replaced") {
        await copyFile(path, `${path}.new`);
        await rename(`${path}.new`, path);
      }
      const failed = expect.objectContaining({
        code: "store-failed",
        message: expect.stringMatching(
          /deleted or replaced .* Stop all processes .*, and start them anew\.$/,
        ),
      });
      const calls = () => [
        store.commit({ lane: "other", version: 0, document: 1, until: 1e300 }),
        store.read("lane"),
        store.beat("ada", 1_000),
        store.bury("ada"),
        store.dead(),
        store.records.get("key"),
        store.records.set("key", 1),
        store.records.entries("")[Symbol.asyncIterator]().next(),
        store.rates?.take("key", 1, 1_000),
      ];
      for (let round = 0; round < 2; round += 1) {
        for (const call of calls()) await expect(call).rejects.toEqual(failed);
      }
      expect(logged).toEqual(["the store's file is gone"]);
      await expect(other.read("lane")).rejects.toEqual(failed);
    }),
  );

  it("fails every call as a failure of the store where its path cannot be looked at", () =>
    onFile(async ({ path, open }) => {
      const store = await open();
      await rename(path, `${path}.old`);
      // A link to itself: stat() throws.
      await symlink(path, path);
      const failed = { code: "store-failed", cause: { code: "ELOOP" } };
      const calls = [store.read("lane"), store.beat("ada", 1_000), store.records.set("key", 1)];
      for (const call of calls) await expect(call).rejects.toMatchObject(failed);
      await rm(path);
    }));

  it("is not missed where it is deleted once the store is closed", () =>
    onFile(async ({ folder, open, logged }) => {
      const store = await open();
      await store.close();
      for (const name of await readdir(folder)) await rm(join(folder, name));
      await expect(store.read("lane")).rejects.toMatchObject({ code: "closed" });
      expect(logged).toEqual([]);
    }));

  it("holds no words of a document or a record that was deleted", () =>
    onFile(async ({ path, open, inFile }) => {
      const store = await open();
      const words = (of: string) => `${of}: meet me at the old mill `.repeat(60);
      const document = { text: words("lane") };
      const { version } = await commit(store, { lane: "lane", document, record: { text: words("record") } });
      await commit(store, { lane: "kept", document: { text: words("kept") } });
      const bytes = async () => {
        inFile((file) => file.prepare("PRAGMA wal_checkpoint(TRUNCATE)").raw().get([]));
        const files = [path, `${path}-wal`].map((name) => readFile(name, "latin1").catch(() => ""));
        return (await Promise.all(files)).join("");
      };
      for (const of of ["lane", "record"]) expect(await bytes()).toContain(`${of}: meet me`);
      await commit(store, { lane: "lane", version, document: undefined, record: null });
      const after = await bytes();
      expect(after).toContain("kept: meet me");
      for (const of of ["lane", "record"]) expect(after).not.toContain(`${of}: meet me`);
    }));

  it("keeps records as any Keyv reads and writes them", () =>
    onFile(async ({ path, open }) => {
      const store = await open();
      const record = { v: 1, title: ":wave: hello", list: [":a", "b"] };
      await store.records.set("ours", record);
      await commit(store, { lane: "lane", record });
      const database = new Database(path);
      const keyv = new Keyv(adapterOf(database), { namespace: "aparte" });
      const theirs = [await keyv.get("ours"), await keyv.get(sessionKey("lane"))];
      await keyv.set(sessionKey("theirs"), record);
      database.close();
      expect(theirs).toEqual([record, record]);
      expect(await store.records.get(sessionKey("theirs"))).toEqual(record);
      expect((await store.read("theirs")).record).toEqual(record);
    }));

  it("keeps a damaged record or document from nobody but its session", () =>
    onFile(async ({ open, inFile }) => {
      const store = await open();
      for (const lane of ["good", "bad"]) {
        await commit(store, { lane, document: { words: lane }, record: { words: lane } });
      }
      inFile((file) => {
        file.exec(`UPDATE keyv SET value = '{"value":{"wo' WHERE key = 'aparte:session:bad'`);
        file.exec(`UPDATE aparte_lanes SET document = '{"wo' WHERE lane = 'bad'`);
      });
      const { version, document, record } = await store.read("bad");
      expect({ document, record }).toEqual({ document: null, record: undefined });
      await expect(store.records.get(sessionKey("bad"))).rejects.toMatchObject({
        code: "store-failed",
        message: "A record in the SQLite file is damaged.",
      });
      expect(await store.records.setIfAbsent(sessionKey("bad"), 1)).toBe(false);
      const listed: unknown[] = [];
      for await (const entry of store.records.entries(sessionKey(""))) listed.push(entry);
      expect(listed).toEqual([
        [sessionKey("bad"), '{"value":{"wo'],
        [sessionKey("good"), { words: "good" }],
      ]);
      await store.beat("ada", 1_000);
      const done = await commit(store, { lane: "bad", version, record: null });
      expect(done.record).toBeUndefined();
      expect((await store.read("bad")).record).toBeNull();
    }));

  it("lists more records than it reads at a time, and those whose key begins alike alone", () =>
    onFile(async ({ open }) => {
      const store = await open();
      const keys = ["s", ...Array.from({ length: 450 }, (_, index) => `s${1000 + index}`)];
      await Promise.all([...keys, "r9999", "t"].map((key) => store.records.set(key, key)));
      const listed: string[] = [];
      for await (const [key] of store.records.entries("s")) listed.push(key);
      expect(listed).toEqual(keys);
    }));

  it("does what was called before it is closed, and says afterwards that it was closed", () =>
    onFile(async ({ open }) => {
      const store = await open();
      const committed = commit(store, { lane: "lane", document: 1 });
      await store.close();
      await committed;
      await store.close();
      const closed = expect.objectContaining({ code: "closed" });
      await expect(store.records.get("key")).rejects.toEqual(closed);
      await expect(store.beat("ada", 1_000)).rejects.toEqual(closed);
      expect((await (await open()).read("lane")).document).toBe(1);
    }));

  it("fails one call that cannot be done, and no other that came with it", () =>
    onFile(async ({ open }) => {
      const store = await open();
      const circular: { self?: unknown } = {};
      circular.self = circular;
      const calls = [
        commit(store, { lane: "one", document: 1 }),
        store.commit({ lane: "two", version: 0, document: circular as never, until: 1e300 }),
        commit(store, { lane: "three", document: 3 }),
      ];
      const outcomes = await Promise.allSettled(calls);
      expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
      await expect(calls[1]).rejects.toMatchObject({ code: "store-failed" });
      const read = async (lane: string) => (await store.read(lane)).document;
      expect([await read("one"), await read("two"), await read("three")]).toEqual([1, undefined, 3]);
    }));

  it("fails one call that SQLite refuses, with nothing of it done, and goes on", () =>
    onFile(async ({ open, inFile }) => {
      const store = await open();
      inFile((file) =>
        file.exec(`CREATE TRIGGER refused BEFORE INSERT ON aparte_owner_lanes WHEN new.owner = 'refused'
          BEGIN SELECT RAISE(ABORT, 'refused'); END`),
      );
      for (let round = 0; round < 3; round += 1) {
        const refused = store.commit({
          ...{ lane: "refused", version: 0, document: 1, record: 1, marks: ["event"], entering: ["refused"] },
          until: 1e300,
        });
        const others = [
          commit(store, { lane: `lane ${round}`, document: 1 }),
          store.records.set("key", round),
        ];
        await expect(refused).rejects.toMatchObject({ code: "store-failed" });
        await Promise.all(others);
        expect(await store.read("refused")).toMatchObject({ version: 0, record: null });
        expect(await store.records.get("key")).toBe(round);
      }
      await commit(store, { lane: "refused", document: 1, marks: ["event"], entering: ["ada"] });
    }));
});
