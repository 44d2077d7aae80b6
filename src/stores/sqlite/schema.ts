import { AparteError } from "../../errors.ts";
import type { SqliteFile } from "./file.ts";

/** The version of the tables below, kept as the file's `user_version`. */
const version = 1;

const tables = `
-- The records, as @keyv/sqlite keeps them.
CREATE TABLE IF NOT EXISTS keyv (key VARCHAR(255) PRIMARY KEY, value TEXT);

-- The turns of all lanes that have not ended. Times are of the machine's clock, see machine-clock.ts.
CREATE TABLE aparte_turns (
  lane TEXT NOT NULL,
  place INTEGER NOT NULL,              -- the order in the lane
  event BLOB NOT NULL,
  owner TEXT,                          -- null if the owner has left
  overlap TEXT NOT NULL,
  merge_key TEXT NOT NULL,
  platform TEXT,
  fence INTEGER,                       -- of the grant that it runs under; null while it waits
  is_carried INTEGER NOT NULL,         -- it runs as part of the turn with the same fence
  lease_from INTEGER,
  lease_until INTEGER,
  attempt INTEGER NOT NULL,            -- how often it was granted
  facts TEXT,
  turn TEXT NOT NULL,                  -- JSON of its key and body
  PRIMARY KEY (lane, place)
) WITHOUT ROWID;

-- Every event that was taken, in generations, so that old ones lie together.
CREATE TABLE aparte_seen (
  generation INTEGER NOT NULL,
  event BLOB NOT NULL,
  parked TEXT,                         -- JSON of what its parked turn had come to
  PRIMARY KEY (generation, event)
) WITHOUT ROWID;

-- Owners and how long they are taken for alive.
CREATE TABLE aparte_owners (
  id TEXT PRIMARY KEY,
  lease_from INTEGER NOT NULL,
  lease_until INTEGER NOT NULL
) WITHOUT ROWID;

-- What an owner in another process has to be told.
CREATE TABLE aparte_wakes (id INTEGER PRIMARY KEY, owner TEXT NOT NULL, wake TEXT NOT NULL);

-- The number of the last grant. One for all lanes, so that it never goes back when a lane is forgotten.
CREATE TABLE aparte_fence (last INTEGER NOT NULL);
INSERT INTO aparte_fence VALUES (0);

PRAGMA user_version = ${version};
`;

/**
 * Makes the tables of a new file.
 * @throws {AparteError} `store-failed` when a newer aparte, or another program, made the file.
 */
export function prepareTables(file: SqliteFile): void {
  file.step(() => {
    const [found] = file.query("PRAGMA user_version").first() ?? [];
    if (found === version) return;
    if (found === 0) file.exec(tables);
    else {
      throw new AparteError(
        "store-failed",
        `The SQLite file has version ${found}; this aparte knows ${version}. Update aparte, or name another file.`,
      );
    }
  });
}
