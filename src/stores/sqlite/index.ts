import { optionInvalid } from "../../check.ts";
import { AparteError } from "../../errors.ts";
import { consoleLogger, type Logger } from "../../logger.ts";
import type { Rates, Store } from "../store.ts";
import { machineTime, StoreClock } from "./clock.ts";
import { Erasing } from "./erasing.ts";
import { SqliteFile, sqlOf, whenFree } from "./file.ts";
import { SqliteLanes } from "./lanes.ts";
import { SqliteRecords } from "./records.ts";
import { sweeper } from "./sweep.ts";
import { Transactions } from "./transactions.ts";

/** The version of the tables in schema.sql, kept as the file's `user_version`. */
const tablesVersion = 2;

export interface SqliteStoreOptions {
  /**
   * What outlives a power failure, or a crash of the machine. Processes may end as they like: what was committed stays.
   * With `"normal"`, the last commits before the power failed may be missing (those since the file's log was last
   * brought into the file: up to some thousand), each as a whole, and the file itself stays whole; with `"full"` none
   * is missing, and each commit waits for the disk. @default "normal"
   */
  readonly durability?: "normal" | "full";
  /** Told when the file was deleted or replaced while it was in use. @default the console */
  readonly logger?: Logger;
}

/**
 * Opens a store in a SQLite file, for the processes of one machine. Taken turns outlive the processes.
 *
 * @param path of the file, from the current directory; it is made with its directories if it is missing.
 * `:memory:` keeps all in this process.
 * @param machine the machine's own clock, in microseconds
 * @throws {AparteError} `option-invalid` when the path or the package `libsql` is missing; `store-failed` when
 * the file cannot be used; `store-timeout` when another process keeps it locked.
 */
export async function openSqliteStore(
  path: string,
  options: SqliteStoreOptions = {},
  machine: () => number = machineTime,
): Promise<Store> {
  const { durability = "normal", logger = consoleLogger } = options;
  if (durability !== "normal" && durability !== "full") {
    throw optionInvalid("durability", 'must be "normal" or "full"');
  }
  if (path === "") throw optionInvalid("store", 'needs a path for the SQLite file: "sqlite:./aparte.db"');
  const file = await SqliteFile.open(path, durability === "full");
  try {
    await whenFree(() => makeTables(file));
    return storeOf(file, new StoreClock(file, machine), logger);
  } catch (error) {
    file.close();
    throw error;
  }
}

/** @throws {AparteError} `store-failed` when another version of aparte, or another program, made the file. */
function makeTables(file: SqliteFile): void {
  file.exec("BEGIN IMMEDIATE");
  try {
    const version = file.version();
    if (version === 0) file.exec(sqlOf("schema"));
    else if (version !== tablesVersion) {
      throw new AparteError(
        "store-failed",
        `The SQLite file has version ${version}; this aparte knows ${tablesVersion}. Use the aparte that made it, or ` +
          "name another file.",
      );
    }
    file.exec("COMMIT");
  } catch (error) {
    file.rollBack();
    throw error;
  }
}

function storeOf(file: SqliteFile, clock: StoreClock, logger: Logger): Store {
  const transactions = new Transactions(file, clock, logger);
  const lanes = new SqliteLanes(file, clock, transactions);
  const erasing = new Erasing(file);
  // A process that ended badly may have left it undone.
  erasing.later();
  const sweep = sweeper(file, clock, transactions, erasing);
  return {
    name: "sqlite",
    shared: !file.isInMemory,
    durable: !file.isInMemory,
    records: new SqliteRecords(file, transactions),
    rates: sqliteRates(file, clock, transactions),
    commit: async (commit) => {
      const committed = await lanes.commit(commit);
      // A record goes only where its person is forgotten.
      if (commit.record === null && committed.is === "done") await erasing.now();
      return committed;
    },
    read: (lane) => lanes.read(lane),
    beat: (owner, leaseMs) => {
      const beat = lanes.beat(owner, leaseMs);
      void sweep();
      return beat;
    },
    bury: (owner, isUnknownToo) => lanes.bury(owner, isUnknownToo),
    dead: () => lanes.dead(),
    listen: (owner, wake) => lanes.listen(owner, wake),
    close: async () => {
      lanes.close();
      // What was called before is done before.
      await transactions.read(() => {}).catch(() => {});
      file.close();
    },
  };
}

/** Counts for all processes that share the file, in fixed spans of time, each of which begins with its first use. */
function sqliteRates(file: SqliteFile, clock: StoreClock, transactions: Transactions): Rates {
  const { use } = file.prepare("use");
  return {
    take: (key, limit, spanMs) =>
      transactions.run(() => {
        const { now } = clock;
        const [uses, until] = use.first(`${limit}/${spanMs}:${key}`, now, spanMs) ?? [];
        return Number(uses) <= limit ? 0 : Math.max(1, Number(until) - now);
      }),
  };
}
