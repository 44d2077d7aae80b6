import { limiterRates } from "../rates.ts";
import type { Rates } from "../store.ts";
import type { SqliteFile, SqlValue } from "./file.ts";
import type { Transactions } from "./transactions.ts";

const table = "aparte_rates";

/** How often what is out of date is removed, in milliseconds. */
const sweepMs = 5 * 60_000;

/** Counts for all processes that share the file. */
export function sqliteRates(file: SqliteFile, transactions: Transactions): Rates {
  let sweptAt = performance.now();
  const rates = limiterRates(async (library, options) => {
    await transactions.run(() =>
      file.exec(`CREATE TABLE IF NOT EXISTS ${table} (key TEXT PRIMARY KEY, points INTEGER, expire INTEGER)`),
    );
    return new library.RateLimiterSQLite({
      ...options,
      storeClient: clientOf(file),
      storeType: "better-sqlite3",
      tableName: table,
      tableCreated: true,
      // Its own sweep would end the process where the file is locked, or closed.
      clearExpiredByTimeout: false,
    });
  });
  return {
    async take(key, limit, spanMs) {
      const waitMs = await rates.take(key, limit, spanMs);
      if (performance.now() - sweptAt > sweepMs) {
        sweptAt = performance.now();
        await transactions.run(() => file.query(`DELETE FROM ${table} WHERE expire < ?`).run(Date.now()));
      }
      return waitMs;
    },
  };
}

/** The file as the library knows databases: rows are objects, and its statements name the same two columns. */
function clientOf(file: SqliteFile): object {
  const step = <T>(run: () => T): T => {
    file.exec("BEGIN IMMEDIATE");
    try {
      const result = run();
      file.exec("COMMIT");
      return result;
    } catch (error) {
      file.rollBack();
      throw error;
    }
  };
  return {
    prepare(sql: string) {
      const query = file.query(sql);
      return {
        run: (...values: SqlValue[]) => step(() => query.run(...values)),
        get(...values: SqlValue[]) {
          const [points, expire] = query.first(...values) ?? [];
          return points === undefined ? undefined : { points, expire };
        },
      };
    },
    transaction:
      <T>(run: () => T) =>
      () =>
        step(run),
  };
}
