import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Commit, Committed, Store } from "aparte";
import Database from "libsql";
import { expect } from "vitest";
import { openSqliteStore, type SqliteStoreOptions } from "../../src/stores/sqlite/index.ts";
import { lookInFiles } from "./search.ts";

/** A SQLite file for one test, in a folder of its own. */
export interface TestFile {
  readonly folder: string;
  readonly path: string;
  /** What was logged as an error. */
  readonly logged: string[];
  open(options?: SqliteStoreOptions): Promise<Store>;
  /** Lets the machine's own clock go on, in milliseconds, and the wall clock not. */
  advance(ms: number): void;
  /** The machine's own clock begins anew. */
  restartMachine(): void;
  /** Looks into the file behind the store's back, or changes it. */
  inFile<T>(use: (database: Database.Database) => T): T;
  /** How many rows a table has. */
  count(table: string): number;
}

export async function onFile(test: (file: TestFile) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "aparte-sqlite-"));
  const path = join(folder, "aparte.db");
  const stores: Store[] = [];
  const logged: string[] = [];
  const logger = { info() {}, warn() {}, error: (message: string) => void logged.push(message) };
  // Long after its start, as most machines are.
  let machine = 3_600e6;
  const inFile = <T>(use: (database: Database.Database) => T): T => {
    const database = new Database(path);
    try {
      return use(database);
    } finally {
      database.close();
    }
  };
  try {
    await test({
      ...{ folder, path, logged, inFile },
      open: async (options) => {
        const store = await openSqliteStore(path, { logger, ...options }, () => machine);
        stores.push(store);
        return store;
      },
      advance: (ms) => {
        machine += ms * 1000;
      },
      restartMachine: () => {
        machine = 1e6;
      },
      count: (table) =>
        inFile((file) => (file.prepare(`SELECT count(*) FROM ${table}`).raw().get([]) as [number])[0]),
    });
  } finally {
    lookInFiles("a SQLite file", folder);
    for (const store of stores) await store.close();
    lookInFiles("a SQLite file", folder);
    await rm(folder, { recursive: true });
  }
}

/** A commit that is done, with what is not said left out. */
export async function commit(
  store: Store,
  what: Partial<Commit> & { readonly lane: string },
): Promise<Committed & { is: "done" }> {
  const answer = await store.commit({
    version: 0,
    document: undefined,
    until: Number.MAX_SAFE_INTEGER,
    ...what,
  });
  expect(answer.is).toBe("done");
  return answer as Committed & { is: "done" };
}
