import { AparteError } from "../../errors.ts";
import type { Store } from "../old-store.ts";
import { SqliteFile } from "./file.ts";
import { SqliteLanes } from "./lanes.ts";
import { sqliteRates } from "./rates.ts";
import { sqliteRecords } from "./records.ts";
import { prepareTables } from "./schema.ts";

/**
 * Opens a store in a SQLite file, for the processes of one machine. Taken turns outlive the processes.
 *
 * @param path of the file, from the current directory; it is made with its directories if it is missing.
 * `:memory:` keeps all in this process.
 * @throws {AparteError} `option-invalid` when the path or the package `libsql` is missing; `store-failed` when
 * the file cannot be used.
 */
export async function openSqliteStore(path: string): Promise<Store> {
  if (path === "") {
    throw new AparteError("option-invalid", 'The SQLite file needs a path: "sqlite:./aparte.db".', {
      field: "store",
    });
  }
  const file = await SqliteFile.open(path);
  try {
    prepareTables(file);
    const records = sqliteRecords(file);
    const lanes = new SqliteLanes(file, records);
    return {
      name: "sqlite",
      shared: !file.isInMemory,
      durable: !file.isInMemory,
      // A call waits for a locked file, and for nothing else.
      isBounded: true,
      records,
      rates: sqliteRates(file),
      join: (owner) => lanes.join(owner),
      close: async () => {
        lanes.close();
        file.close();
      },
    };
  } catch (error) {
    file.close();
    throw error;
  }
}
