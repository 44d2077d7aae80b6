import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import Database from "libsql";
import { seconds } from "./clock.ts";
import type { FaultLog } from "./fault-log.ts";
import type { Random } from "./random.ts";
import { type StoreFaults, Troubles } from "./store-faults.ts";

/** A SQLite file whose write lock somebody else holds now and then. */
export function startSqlite(folder: string, leaseMs: number, log: FaultLog): StoreFaults {
  const file = join(folder, "aparte.db");
  // Tried again instead of waited for: this process must not stand still.
  const database = new Database(file, { timeout: 0 });
  const troubles = new Troubles();
  const counts = { locks: 0, longLocks: 0 };

  const lock = async (random: Random) => {
    const chosen = random.next();
    const ms =
      chosen < 0.7
        ? random.between(20, 500)
        : chosen < 0.9
          ? random.between(1_000, 3_000)
          : random.between(1.2 * leaseMs, 2.5 * leaseMs);
    while (!begins(database)) await sleep(2);
    counts.locks += 1;
    if (ms > leaseMs) counts.longLocks += 1;
    const over = troubles.begin();
    log.note(`somebody holds the write lock for ${seconds(ms)}`);
    await sleep(ms);
    database.exec("COMMIT");
    void sleep(1_000).then(over);
  };

  return {
    url: () => `sqlite:${file}`,
    faults: [{ name: "locks", pause: [1_000, 5_000], cause: lock }],
    isLockedByBots: true,
    troubles,
    counts: () => ({
      "write lock held by somebody else": counts.locks,
      "longer than the lease": counts.longLocks,
    }),
    async close() {
      database.close();
    },
  };
}

function begins(database: Database.Database): boolean {
  try {
    database.exec("BEGIN IMMEDIATE");
    return true;
  } catch {
    return false;
  }
}
