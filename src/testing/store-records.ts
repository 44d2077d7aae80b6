import assert from "node:assert/strict";
import type { Records } from "../stores/old-store.ts";
import { onStore, type StoreContractOptions } from "./opened-store.ts";
import { type ContractRunner, until } from "./runner.ts";

/** Keys that look like one another, or like something to a database. */
const hostileKeys: readonly string[] = [
  "a",
  "A",
  "a:b",
  "a::b",
  ":a",
  "a b",
  " a",
  "a\u0000",
  "a\u0000b",
  "a\n",
  "ä",
  "a\u0308", // looks like the one before
  "ключ",
  "会話",
  "👩‍👧",
  "*",
  "a*?[b]",
  "%",
  "_",
  "{a}",
  "a/../b",
  'a"b',
  "a'; DROP TABLE keyv; --",
  "\\",
  "__proto__",
  "constructor",
  "x".repeat(4000),
];

const values: readonly unknown[] = [
  { v: 1, deep: [{ of: null }, [], {}] },
  "",
  ":colon first",
  ":base64:AAAA",
  "\u0000 and 👩‍👧 and \u2028",
  0,
  -1.5,
  false,
  ["a", 1],
];

export function recordContract({ it }: ContractRunner, options: StoreContractOptions, apart: boolean): void {
  const on = (test: (records: Records, other: Records) => Promise<void>) => () =>
    onStore(options, apart, ({ store, other }) => test(store.records, other.records));

  it(
    "gives back what was written, and undefined for what never was",
    on(async (records, other) => {
      assert.equal(await other.get("nothing"), undefined);
      for (const value of values) {
        await records.set("key", value);
        assert.deepEqual(await other.get("key"), value);
      }
    }),
  );

  it(
    "gives values of the reader's own: changing one changes no record",
    on(async (records, other) => {
      const value = { list: [1] };
      await records.set("key", value);
      value.list.push(2);
      (await other.get<typeof value>("key"))?.list.push(3);
      assert.deepEqual(await records.get("key"), { list: [1] });
    }),
  );

  it(
    "deletes, and deleting nothing is no error",
    on(async (records, other) => {
      await records.set("key", 1);
      await other.delete("key");
      await other.delete("key");
      assert.equal(await records.get("key"), undefined);
    }),
  );

  it(
    "forgets a record when its time is over",
    on(async (records, other) => {
      await records.set("short", 1, 40.5);
      await records.set("long", 2, 600_000.7);
      await until("the record is gone", async () =>
        (await other.get("short")) === undefined ? true : undefined,
      );
      assert.equal(await other.get("long"), 2);
      assert.deepEqual(await listed(other, ""), [["long", 2]]);
      await records.set("long", 3);
      assert.equal(await other.get("long"), 3);
    }),
  );

  it(
    "writes only if nothing is there",
    on(async (records, other) => {
      assert.equal(await records.setIfAbsent("key", "first"), true);
      assert.equal(await other.setIfAbsent("key", "second"), false);
      assert.equal(await other.get("key"), "first");
      await other.delete("key");
      assert.equal(await other.setIfAbsent("key", "third", 40.5), true);
      await until("it may be written again", async () =>
        (await records.setIfAbsent("key", "fourth")) ? true : undefined,
      );
      assert.equal(await other.get("key"), "fourth");
    }),
  );

  it(
    "lets one of many writers win that write at once if nothing is there",
    on(async (records, other) => {
      for (const key of ["one", "two", "three"]) {
        const writers = Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? records : other));
        const wrote = await Promise.all(writers.map((writer, index) => writer.setIfAbsent(key, index)));
        assert.equal(wrote.filter(Boolean).length, 1);
        assert.equal(await records.get(key), wrote.indexOf(true));
      }
    }),
  );

  it(
    "lists the records whose key starts with a prefix, each once",
    on(async (records, other) => {
      const keys = Array.from({ length: 1200 }, (_, index) => `session:s${index}`);
      await Promise.all(keys.map((key) => records.set(key, { key })));
      await records.set("token:t", 1);
      await records.set("session", 2);
      const expected = keys.map((key): [string, unknown] => [key, { key }]).sort(byKey);
      assert.deepEqual(await listed(other, "session:"), expected);
      assert.equal((await listed(other, "session:s11")).length, 1 + 10 + 100);
      assert.deepEqual(await listed(other, "nothing:"), []);
    }),
  );

  it(
    "keeps apart keys that look alike, whatever characters they hold",
    on(async (records, other) => {
      const entries = hostileKeys.map((key, index): [string, unknown] => [`session:${key}`, index]);
      for (const [key, value] of entries) assert.equal(await records.setIfAbsent(key, value), true);
      for (const [key, value] of entries) assert.equal(await other.get(key), value);
      assert.deepEqual(await listed(other, "session:"), entries.sort(byKey));
      for (const [key] of entries) await other.delete(key);
      assert.deepEqual(await listed(records, ""), []);
    }),
  );
}

async function listed(records: Records, prefix: string): Promise<[string, unknown][]> {
  const entries: [string, unknown][] = [];
  for await (const entry of records.entries(prefix)) entries.push(entry);
  return entries.sort(byKey);
}

function byKey([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : Number(a > b);
}
