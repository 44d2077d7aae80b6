import { closeSync, mkdirSync, openSync, readFileSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Database } from "libsql";
import { AparteError } from "../../errors.ts";
import { guarded, isLocked } from "./failures.ts";
import { Query, type Row, type SqlValue } from "./query.ts";

/** The statements of statements.sql, by name. */
const texts = new Map(
  [...sqlOf("statements").matchAll(/-- name: (\w+)\n([^;]+;)/g)].map(([, name, text]) => [name, text]),
);

/** How long an opening file may be locked, in milliseconds: processes that start together make its tables one by one. */
const openTimeout = 30_000;

/** Of a file beside this one. */
export function sqlOf(name: string): string {
  return readFileSync(new URL(`./${name}.sql`, import.meta.url), "utf8");
}

/** An open SQLite file. Its calls block, each for some microseconds, and never wait for other processes. */
export class SqliteFile {
  readonly isInMemory: boolean;
  readonly #path: string;
  readonly #database: Database;
  readonly #place: string | undefined;
  #isOpen = true;

  /**
   * @param isDurable every transaction is on the disk when it ends
   * @throws {AparteError} `option-invalid` without the package; `store-failed` when the file cannot be used;
   * `store-timeout`
   */
  static async open(path: string, isDurable?: boolean): Promise<SqliteFile> {
    const Driver = await loadDriver();
    const file = guarded("open", () => new SqliteFile(Driver, path));
    try {
      if (!file.isInMemory) await file.#writeAhead();
      file.exec(`PRAGMA synchronous = ${isDurable ? "FULL" : "NORMAL"}`);
      // What is deleted is overwritten: it holds what people said.
      file.exec("PRAGMA secure_delete = ON");
      return file;
    } catch (error) {
      file.close();
      throw error;
    }
  }

  private constructor(Driver: typeof import("libsql"), path: string) {
    this.isInMemory = path === ":memory:";
    // An absolute path, since libsql takes some others for addresses of servers.
    this.#path = this.isInMemory ? path : resolve(path);
    if (!this.isInMemory) {
      mkdirSync(dirname(this.#path), { recursive: true });
      // It holds what people say while their turns are under way: readable by its owner alone.
      closeSync(openSync(this.#path, "a", 0o600));
    }
    this.#database = new Driver(this.#path, { timeout: 0 });
    this.#place = this.#placeNow();
  }

  /** From then on, who reads and who writes do not wait for each other. */
  async #writeAhead(): Promise<void> {
    const mode = await whenFree(() => this.#pragma("journal_mode = WAL"));
    if (mode === "wal") return;
    throw new AparteError(
      "store-failed",
      "SQLite cannot share memory beside this file. Put it on a local disk, not on a network one.",
    );
  }

  /** Which version of the tables is in it; 0 in a new one. */
  version(): number {
    return Number(this.#pragma("user_version"));
  }

  #pragma(pragma: string): SqlValue | undefined {
    const row: unknown = this.#checked(() => this.#database.prepare(`PRAGMA ${pragma}`).raw().get());
    return (row as Row)[0];
  }

  /**
   * Whether the file is still where it was opened. One that was deleted or replaced goes on being written by those that
   * have it open, and those that come find another one.
   * @throws {AparteError} `closed`; `store-failed` where its path cannot be looked at
   */
  isInPlace(): boolean {
    return this.#checked(() => this.#placeNow() === this.#place);
  }

  #placeNow(): string | undefined {
    const stat = this.isInMemory ? undefined : statSync(this.#path, { throwIfNoEntry: false });
    return stat && `${stat.dev}:${stat.ino}`;
  }

  /** Statements of statements.sql. */
  prepare<Name extends string>(...names: readonly Name[]): Readonly<Record<Name, Query>> {
    const queries = names.map((name) => {
      const text = texts.get(name) as string;
      return [name, new Query(() => this.#database.prepare(text), this.#checked)];
    });
    return Object.fromEntries(queries) as Record<Name, Query>;
  }

  exec(sql: string): void {
    this.#checked(() => this.#database.exec(sql));
  }

  /**
   * Brings all that was committed into the file itself, and empties its log, which still has what was deleted.
   * @returns false while another process, or a reader, keeps it
   */
  emptyLog(): boolean {
    return this.isInMemory || !this.#isOpen || this.#pragma("wal_checkpoint(TRUNCATE)") === 0;
  }

  rollBack(): void {
    // After some failures SQLite has rolled back by itself.
    if (this.#isOpen && this.#database.inTransaction) this.#database.exec("ROLLBACK");
  }

  close(): void {
    try {
      // All is in the file itself then, as those who copy or delete it expect: libsql goes on having a file open until
      // the last statement is collected as garbage, and SQLite would do this only then.
      this.#database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    } catch {
      // Others have it open, and the last one of them does it.
    }
    this.#isOpen = false;
    this.#database.close();
  }

  readonly #checked = <T>(run: () => T): T => {
    if (!this.#isOpen) throw new AparteError("closed", "The SQLite store was closed.");
    return guarded("use", run);
  };
}

/**
 * Tries until the file is not locked by another process. Nothing of this one stands still meanwhile.
 * @param giveUp is asked before each further attempt, and throws to end them
 */
export async function whenFree<T>(
  run: () => T,
  giveUp: (error: unknown) => void = afterTimeout(),
): Promise<T> {
  for (;;) {
    try {
      return run();
    } catch (error) {
      if (!isLocked(error)) throw error;
      giveUp(error);
    }
    await pause(1 + Math.random() * 4);
  }
}

function afterTimeout(): (error: unknown) => void {
  const until = performance.now() + openTimeout;
  return (error) => {
    if (performance.now() > until) throw error;
  };
}

async function loadDriver(): Promise<typeof import("libsql")> {
  try {
    return (await import("libsql")).default;
  } catch (error) {
    throw new AparteError(
      "option-invalid",
      'The SQLite store needs the package "libsql" with its part for this platform. Install it: npm i libsql',
      { field: "store", cause: error },
    );
  }
}
