import { Keyv } from "keyv";
import { AparteError } from "../../errors.ts";
import { namespace, type Records } from "../store.ts";
import type { SqliteFile } from "./file.ts";
import type { Transactions } from "./transactions.ts";

/** What a row holds. */
interface Envelope<T> {
  readonly value?: T;
  /** Unix time in milliseconds. */
  readonly expires?: number | null;
}

/** Keyv's own serializer. */
const { serialize, deserialize } = new Keyv();

/** The key of a record's row. */
export function rowKey(key: string): string {
  return `${namespace}:${key}`;
}

/** The text of a record's row. */
export function rowOf(value: unknown, ttlMs?: number): string {
  const expires = ttlMs === undefined ? undefined : Date.now() + Math.max(1, Math.floor(ttlMs));
  return serialize?.({ value, expires }) as string;
}

/** Keyv puts a colon before text that begins with one. To take it off again, it reads ten times as slowly. */
const colonText = /[:,[]\s*":/;

/** @returns undefined if the record's time is over. @throws {SyntaxError} when the text is damaged */
export function parseRow<T>(row: string): T | undefined {
  const envelope = colonText.test(row) ? deserialize?.<T>(row) : JSON.parse(row);
  const { value, expires } = (envelope ?? {}) as Envelope<T>;
  return typeof expires === "number" && expires < Date.now() ? undefined : value;
}

/**
 * The records, in the table that `@keyv/sqlite` would make and as Keyv writes them:
 * `new Keyv(new KeyvSqlite(file), { namespace: "aparte" })` reads them.
 */
export class SqliteRecords implements Records {
  readonly #sql;
  readonly #transactions: Transactions;

  constructor(file: SqliteFile, transactions: Transactions) {
    this.#sql = file.prepare("record", "setRecord", "setRecordIfAbsent", "deleteRecord", "recordsFrom");
    this.#transactions = transactions;
  }

  async get<T>(key: string): Promise<T | undefined> {
    const [row = null] = (await this.#transactions.read(() => this.#sql.record.first(rowKey(key)))) ?? [];
    try {
      return row === null ? undefined : parseRow<T>(String(row));
    } catch (cause) {
      throw new AparteError("store-failed", "A record in the SQLite file is damaged.", { cause });
    }
  }

  async set(key: string, value: unknown, ttlMs?: number): Promise<void> {
    await this.#transactions.run(() => this.#sql.setRecord.run(rowKey(key), rowOf(value, ttlMs)));
  }

  setIfAbsent(key: string, value: unknown, ttlMs?: number): Promise<boolean> {
    return this.#transactions.run(
      () => this.#sql.setRecordIfAbsent.change(rowKey(key), rowOf(value, ttlMs), Date.now()) > 0,
    );
  }

  async delete(key: string): Promise<void> {
    await this.#transactions.run(() => this.#sql.deleteRecord.run(rowKey(key)));
  }

  /** A page at a time. Of a damaged record its text is given: one must not keep all others from being listed. */
  async *entries<T>(prefix: string): AsyncGenerator<[string, T]> {
    const start = rowKey(prefix);
    let from: Uint8Array = Buffer.from(start);
    for (;;) {
      const rows = await this.#transactions.read(() => this.#sql.recordsFrom.all(from));
      if (rows.length === 0) return;
      for (const [bytes, row] of rows) {
        // The next page begins with the first key after this one.
        from = Buffer.concat([bytes as Uint8Array, Buffer.of(0)]);
        const key = Buffer.from(bytes as Uint8Array).toString();
        if (!key.startsWith(start)) return;
        const value = readable<T>(String(row));
        if (value !== undefined) yield [key.slice(rowKey("").length), value];
      }
    }
  }
}

function readable<T>(row: string): T | undefined {
  try {
    return parseRow<T>(row);
  } catch {
    return row as T;
  }
}
