import { Keyv, type KeyvStoreAdapter } from "keyv";
import { keyvRecords } from "../keyv.ts";
import { namespace, type Records } from "../store.ts";
import type { SqliteFile, SqlValue } from "./file.ts";
import type { Transactions } from "./transactions.ts";

/** The records of a SQLite file, as commits may read and write them, too. */
export interface SqliteRecords extends Records {
  /** Within a transaction. */
  readonly now: {
    /** The text of a record's row; empty if there is none. */
    row(key: string): readonly SqlValue[];
    /** From the text of a row; undefined if its time is over. */
    parse<T>(row: string): T | undefined;
    set(key: string, value: unknown): void;
    delete(key: string): void;
  };
}

/** A record's row, as Keyv keeps it. */
interface Envelope<T> {
  readonly value?: T;
  /** Unix time in milliseconds. */
  readonly expires?: number | null;
}

/** The key of a record's row. */
export function rowKey(key: string): string {
  return `${namespace}:${key}`;
}

/** Rows read at a time when all are listed. */
const pageSize = 500;

/**
 * A Keyv on the table that `@keyv/sqlite` would make, with Keyv's own serializer: the records can be read by
 * `new Keyv(new KeyvSqlite(file), { namespace: "aparte" })`.
 */
export function sqliteRecords(file: SqliteFile, transactions: Transactions): SqliteRecords {
  const get = file.query("SELECT value FROM keyv WHERE key = ?");
  const put = file.query("INSERT OR REPLACE INTO keyv (key, value) VALUES (?, ?)");
  const remove = file.query("DELETE FROM keyv WHERE key = ?");
  const clear = file.query("DELETE FROM keyv WHERE substr(key, 1, length(?1)) = ?1");
  const insert = file.query(`
    INSERT INTO keyv (key, value) VALUES (?1, ?2)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value WHERE json_extract(keyv.value, '$.expires') < ?3`);
  const write = <T>(run: () => T) => transactions.run(run);
  const adapter: KeyvStoreAdapter = {
    // Keyv lists the keys of an adapter only if it knows its database's name.
    opts: { dialect: "sqlite" },
    get: async <Value>(key: string) => get.first(key)?.[0] as Value | undefined,
    set: (key, value) => write(() => put.run(key, value) > 0),
    delete: (key) => write(() => remove.run(key) > 0),
    clear: () => write(() => void clear.run(rowKey(""))),
    iterator: rowsOf(file),
    on: () => adapter,
  };
  const keyv = new Keyv(adapter, { namespace, throwOnErrors: true });
  const serialize = (value: unknown, ttlMs?: number) => {
    const expires = ttlMs === undefined ? undefined : Date.now() + Math.max(1, Math.floor(ttlMs));
    return keyv.serialize?.({ value, expires }) as string;
  };
  return {
    ...keyvRecords(keyv),
    setIfAbsent: (key, value, ttlMs) =>
      write(() => insert.run(rowKey(key), serialize(value, ttlMs), Date.now()) > 0),
    now: {
      row: (key) => get.first(rowKey(key)) ?? [],
      parse: <T>(row: string) => {
        const kept = keyv.deserialize?.<T>(row) as Envelope<T>;
        return typeof kept.expires === "number" && Date.now() > kept.expires ? undefined : kept.value;
      },
      set: (key, value) => put.run(rowKey(key), serialize(value)),
      delete: (key) => remove.run(rowKey(key)),
    },
  };
}

/** All rows of the namespace, a page at a time, so that nobody waits for a long list. */
function rowsOf(file: SqliteFile): <Value>() => AsyncGenerator<[string, Awaited<Value>], void> {
  // Keys as bytes: libsql cuts text at U+0000.
  const page = file.query(`
    SELECT CAST(key AS BLOB), value FROM keyv WHERE key > CAST(? AS TEXT) ORDER BY key LIMIT ${pageSize}`);
  return async function* rows<Value>() {
    const prefix = rowKey("");
    let last: Uint8Array = Buffer.from(prefix);
    for (;;) {
      const found = page.all(last);
      for (const [bytes, value] of found) {
        last = bytes as Uint8Array;
        const key = Buffer.from(last).toString();
        if (!key.startsWith(prefix)) return;
        yield [key, value as Awaited<Value>];
      }
      if (found.length < pageSize) return;
    }
  };
}
