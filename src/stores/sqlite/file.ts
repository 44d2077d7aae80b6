import { closeSync, mkdirSync, openSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Database, Statement } from "libsql";
import { AparteError } from "../../errors.ts";

/** What SQLite keeps in a column. Text must not hold U+0000: reading stops there. */
export type SqlValue = string | number | null | Uint8Array;

/** What of a commit outlives a power failure: `"full"` keeps all, for three times the time of each. */
export type Durability = "normal" | "full";

/** A prepared statement. Rows are arrays, in the order of the columns. */
export interface Query {
  /** The first row; undefined if there is none. */
  first(...values: SqlValue[]): readonly SqlValue[] | undefined;
  all(...values: SqlValue[]): readonly (readonly SqlValue[])[];
  /**
   * Within a transaction only: a statement that met a locked file cannot be reset with libsql, and
   * no transaction of this process could be committed any more.
   * @returns how many rows were changed.
   */
  run(...values: SqlValue[]): number;
}

/** How long a call waits within SQLite for another process, in milliseconds: this process stands still meanwhile. */
const busyMs = 2;

/** How long a new file that another process is making is waited for, in milliseconds. */
const openMs = 1000;

/** How often it is looked whether the file is still in its place, in milliseconds. */
const placeMs = 1000;

/** Between two looks at a new file that another process is making, in milliseconds. */
const longestPause = 20;

/** An open SQLite file. Its calls block: each takes some microseconds. */
export class SqliteFile {
  readonly isInMemory: boolean;
  readonly #path: string;
  readonly #database: Database;
  readonly #place: string;
  #placeSeenAt = performance.now();
  #isOpen = true;

  /** @throws {AparteError} `option-invalid` without the package; `store-failed` when the file cannot be used. */
  static async open(path: string, durability: Durability = "normal"): Promise<SqliteFile> {
    const Database = await loadDriver();
    const isInMemory = path === ":memory:";
    // An absolute path, since libsql takes some others for addresses of servers.
    const file = isInMemory ? path : resolve(path);
    const opened = guarded("open", () => {
      if (!isInMemory) {
        mkdirSync(dirname(file), { recursive: true });
        // It holds what people say while their turns are under way: readable by its owner alone.
        closeSync(openSync(file, "a", 0o600));
      }
      return new SqliteFile(new Database(file, { timeout: busyMs }), file, isInMemory);
    });
    try {
      await opened.#prepare(durability);
      return opened;
    } catch (error) {
      opened.close();
      throw error;
    }
  }

  private constructor(database: Database, path: string, isInMemory: boolean) {
    this.#database = database;
    this.#path = path;
    this.isInMemory = isInMemory;
    this.#place = this.#placeNow() ?? "";
  }

  async #prepare(durability: Durability): Promise<void> {
    if (!this.isInMemory) await this.#writeAhead();
    this.exec(`PRAGMA synchronous = ${durability === "full" ? "FULL" : "NORMAL"}`);
    // What is deleted is overwritten: it holds what people said.
    this.exec("PRAGMA secure_delete = ON");
  }

  /**
   * Looks whether the file is still the one that was opened: one that was deleted or replaced goes on being written by
   * those that have it open, and is another one for those that come.
   * @throws {AparteError} `store-failed`
   */
  checkPlace(): void {
    if (this.isInMemory || performance.now() - this.#placeSeenAt < placeMs) return;
    if (this.#placeNow() !== this.#place) {
      throw new AparteError(
        "store-failed",
        "The SQLite file was deleted or replaced while it was open. Start all processes anew.",
      );
    }
    this.#placeSeenAt = performance.now();
  }

  #placeNow(): string | undefined {
    if (this.isInMemory) return "";
    const stat = statSync(this.#path, { throwIfNoEntry: false });
    return stat && `${stat.dev}:${stat.ino}`;
  }

  /** Readers and the writer do not wait for each other. */
  async #writeAhead(): Promise<void> {
    const until = performance.now() + openMs;
    let mode: SqlValue | undefined;
    while (mode === undefined) {
      try {
        [mode] = this.query("PRAGMA journal_mode = WAL").first() ?? [null];
      } catch (error) {
        // Several processes that make the file at once refuse each other, and SQLite does not wait here.
        if (!isLocked(error) || performance.now() > until) throw error;
        await pause(Math.random() * longestPause);
      }
    }
    if (mode === "wal") return;
    throw new AparteError(
      "store-failed",
      "SQLite cannot share memory beside this file. Put it on a local disk, not on a network one.",
    );
  }

  query(sql: string): Query {
    const prepare = () => {
      const statement = this.#database.prepare(sql);
      return statement.reader ? statement.raw() : statement;
    };
    return new PreparedQuery(prepare, (run) => this.#checked(run));
  }

  exec(sql: string): void {
    this.#checked(() => this.#database.exec(sql));
  }

  /** Runs something in a transaction: all of it, or nothing when it throws. Before others use the file. */
  async prepare<T>(run: () => T): Promise<T> {
    const until = performance.now() + openMs;
    for (;;) {
      try {
        this.exec("BEGIN IMMEDIATE");
        break;
      } catch (error) {
        if (!isLocked(error) || performance.now() > until) throw error;
        await pause(Math.random() * longestPause);
      }
    }
    try {
      const result = run();
      this.exec("COMMIT");
      return result;
    } catch (error) {
      this.rollBack();
      throw error;
    }
  }

  rollBack(): void {
    // After some failures SQLite has rolled back by itself.
    if (this.#isOpen && this.#database.inTransaction) this.#database.exec("ROLLBACK");
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#database.close();
  }

  #checked<T>(run: () => T): T {
    if (!this.#isOpen) throw new AparteError("closed", "The SQLite store was closed.");
    return guarded("use", run);
  }
}

class PreparedQuery implements Query {
  readonly #prepare: () => Statement;
  readonly #checked: <T>(run: () => T) => T;
  #statement: Statement | undefined;

  constructor(prepare: () => Statement, checked: <T>(run: () => T) => T) {
    this.#prepare = prepare;
    this.#checked = checked;
    this.#statement = checked(prepare);
  }

  first(...values: SqlValue[]): readonly SqlValue[] | undefined {
    // An array of values, since libsql takes a single object for named ones.
    return this.#use((statement) => statement.get(values)) as readonly SqlValue[] | undefined;
  }

  all(...values: SqlValue[]): readonly (readonly SqlValue[])[] {
    return this.#use((statement) => statement.all(values)) as readonly (readonly SqlValue[])[];
  }

  run(...values: SqlValue[]): number {
    return this.#use((statement) => statement.run(values)).changes;
  }

  #use<T>(run: (statement: Statement) => T): T {
    return this.#checked(() => {
      const statement = this.#statement ?? this.#prepare();
      // Kept only if it succeeds: libsql does not reset a statement that failed, and the next use would
      // silently run with the values of this one.
      this.#statement = undefined;
      const result = run(statement);
      this.#statement = statement;
      return result;
    });
  }
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

function guarded<T>(what: "open" | "use", run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof AparteError) throw error;
    throw sqliteFailed(what, error);
  }
}

/** What to do, by the beginning of SQLite's own code. */
const remedies: readonly [code: string, remedy: string][] = [
  ["SQLITE_NOTADB", "It is no SQLite file. Name another one."],
  ["SQLITE_CORRUPT", "It is damaged. Put a backup in its place, or move it away to begin with an empty one."],
  ["SQLITE_FULL", "The disk is full. Make room on it."],
  ["SQLITE_READONLY", "It cannot be written. Look at the rights of the file and of its directory."],
  ["SQLITE_CANTOPEN", "It cannot be opened. Look at its path and at the rights of its directory."],
  ["SQLITE_IOERR", "The disk failed. Look at the system's log."],
];

export function isLocked(error: unknown): boolean {
  return error instanceof AparteError && error.code === "store-timeout";
}

function sqliteFailed(what: string, error: unknown): AparteError {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code.startsWith("SQLITE_BUSY") || code.startsWith("SQLITE_LOCKED")) {
    return new AparteError("store-timeout", "Another process has the SQLite file locked.", { cause: error });
  }
  const known = remedies.find(([start]) => code.startsWith(start))?.[1];
  const remedy = known ?? (what === "open" ? remedies[4]?.[1] : "The cause is kept in the error.");
  return new AparteError(
    "store-failed",
    `The SQLite file failed (${what}, ${code || "no code"}). ${remedy}`,
    {
      cause: error,
    },
  );
}
