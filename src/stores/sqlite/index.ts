import { optionInvalid } from "../../check.ts";
import { AparteError } from "../../errors.ts";
import type { Store } from "../store.ts";
import { StoreClock } from "./clock.ts";
import { type Durability, SqliteFile } from "./file.ts";
import { SqliteLanes } from "./lanes.ts";
import { sqliteRates } from "./rates.ts";
import { sqliteRecords } from "./records.ts";
import { prepareTables } from "./schema.ts";
import { Transactions } from "./transactions.ts";

export interface SqliteStoreOptions {
  /**
   * What outlives a power failure. Any commit outlives the process, also one that is killed. With `"normal"` the last
   * commits may be missing after the power failed, and the file stays whole; with `"full"` none is, for about three
   * times the time of each. @default "normal"
   */
  readonly durability?: Durability;
}

/**
 * Opens a store in a SQLite file, for the processes of one machine. Taken turns outlive the processes.
 *
 * @param path of the file, from the current directory; it is made with its directories if it is missing.
 * `:memory:` keeps all in this process.
 * @throws {AparteError} `option-invalid` when the path or the package `libsql` is missing; `store-failed` when
 * the file cannot be used.
 */
export async function openSqliteStore(path: string, options: SqliteStoreOptions = {}): Promise<Store> {
  const { durability = "normal" } = options;
  if (durability !== "normal" && durability !== "full") {
    throw optionInvalid("durability", 'must be "normal" or "full"');
  }
  if (path === "") {
    throw new AparteError("option-invalid", 'The SQLite file needs a path: "sqlite:./aparte.db".', {
      field: "store",
    });
  }
  const file = await SqliteFile.open(path, durability);
  try {
    const clock = await file.prepare(() => {
      prepareTables(file);
      return new StoreClock(file);
    });
    return storeOf(file, clock);
  } catch (error) {
    file.close();
    throw error;
  }
}

function storeOf(file: SqliteFile, clock: StoreClock): Store {
  const transactions = new Transactions(file, clock);
  const records = sqliteRecords(file, transactions);
  const lanes = new SqliteLanes(file, clock, transactions, records);
  return {
    name: "sqlite",
    shared: !file.isInMemory,
    durable: !file.isInMemory,
    records,
    rates: sqliteRates(file, transactions),
    commit: (commit) => lanes.commit(commit),
    read: (lane) => lanes.read(lane),
    beat: (owner, leaseMs) => lanes.beat(owner, leaseMs),
    bury: (owner, isUnknownToo) => lanes.bury(owner, isUnknownToo),
    dead: () => lanes.dead(),
    listen: (owner, wake) => lanes.listen(owner, wake),
    close: async () => {
      lanes.close();
      file.close();
    },
  };
}
