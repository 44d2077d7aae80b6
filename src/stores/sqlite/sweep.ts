import { burialMs, eventMemoryMs } from "../store.ts";
import type { StoreClock } from "./clock.ts";
import type { Erasing } from "./erasing.ts";
import type { SqliteFile } from "./file.ts";
import type { Transactions } from "./transactions.ts";

/** How many rows of one kind a step removes at most, as its statements say. */
const fullStep = 200;

/** Removes what is out of date, a few rows at a time, so that nobody waits for it. */
export function sweeper(
  file: SqliteFile,
  clock: StoreClock,
  transactions: Transactions,
  erasing: Erasing,
): () => Promise<void> {
  const sql = file.prepare(
    ...(["sweepDocuments", "sweepMarks", "sweepOwners", "sweepWakes", "sweepRates", "sweepRecords"] as const),
  );
  let isSweeping = false;
  const step = () => {
    const { now } = clock;
    const documents = sql.sweepDocuments.change(now);
    const records = sql.sweepRecords.change(Date.now());
    const removed = [
      documents,
      records,
      sql.sweepMarks.change(Math.floor(now / eventMemoryMs) - 1),
      sql.sweepOwners.change(now - burialMs),
      sql.sweepWakes.change(now),
      sql.sweepRates.change(now),
    ];
    // These have words.
    if (documents + records > 0) erasing.later();
    return removed.some((count) => count >= fullStep);
  };
  return async () => {
    if (isSweeping) return;
    isSweeping = true;
    try {
      while (await transactions.run(step));
      erasing.attempt();
    } catch {
      // The next sign of life comes with the next try, and whoever uses the store is told that it fails.
    } finally {
      isSweeping = false;
    }
  };
}
