import type { Rates } from "../old-store.ts";
import { limiterRates } from "../rates.ts";
import type { SqliteFile, SqlValue } from "./file.ts";

const table = "aparte_rates";

/** How often what is out of date is removed, in milliseconds. */
const sweepMs = 5 * 60_000;

/** Counts for all processes that share the file. */
export function sqliteRates(file: SqliteFile): Rates {
  let sweptAt = performance.now();
  const rates = limiterRates((library, options) => {
    file.step(() => {
      file.exec(`CREATE TABLE IF NOT EXISTS ${table} (key TEXT PRIMARY KEY, points INTEGER, expire INTEGER)`);
    });
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
        file.step(() => file.query(`DELETE FROM ${table} WHERE expire < ?`).run(Date.now()));
      }
      return waitMs;
    },
  };
}

/** The file as the library knows databases: rows are objects, and its statements name the same two columns. */
function clientOf(file: SqliteFile): object {
  return {
    prepare(sql: string) {
      const query = file.query(sql);
      return {
        run: (...values: SqlValue[]) => file.step(() => query.run(...values)),
        get(...values: SqlValue[]) {
          const [points, expire] = query.first(...values) ?? [];
          return points === undefined ? undefined : { points, expire };
        },
      };
    },
    transaction:
      <T>(run: () => T) =>
      () =>
        file.step(run),
  };
}
