-- The tables of a store's file. Times are the store's, in milliseconds.

-- The records, as @keyv/sqlite keeps them.
CREATE TABLE IF NOT EXISTS keyv (key VARCHAR(255) PRIMARY KEY, value TEXT);

-- Those that end: Keyv keeps the time (Unix time in milliseconds) in the value.
CREATE INDEX aparte_expiring ON keyv (CASE WHEN json_valid(value) THEN json_extract(value, '$.expires') END)
WHERE CASE WHEN json_valid(value) THEN json_extract(value, '$.expires') END IS NOT NULL;

-- The documents of the lanes that are in use.
CREATE TABLE aparte_lanes (
  lane TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  document TEXT NOT NULL,
  until INTEGER                        -- when it is gone; null for never
) WITHOUT ROWID;
CREATE INDEX aparte_ending_lanes ON aparte_lanes (until) WHERE until IS NOT NULL;

-- Every event that was taken, by days, so that old ones lie together.
CREATE TABLE aparte_marks (
  day INTEGER NOT NULL,
  mark TEXT NOT NULL,
  PRIMARY KEY (day, mark)
) WITHOUT ROWID;

CREATE TABLE aparte_owners (
  id TEXT PRIMARY KEY,
  until INTEGER NOT NULL,              -- until when it is taken for alive
  buried_at INTEGER                    -- null while it is not
) WITHOUT ROWID;

-- The lanes in which an owner has turns.
CREATE TABLE aparte_owner_lanes (
  owner TEXT NOT NULL,
  lane TEXT NOT NULL,
  PRIMARY KEY (owner, lane)
) WITHOUT ROWID;

-- What an owner in another process has to be told.
CREATE TABLE aparte_wakes (id INTEGER PRIMARY KEY, owner TEXT NOT NULL, lane TEXT NOT NULL);

-- One row: the last version that was given to a document, and what the machine's clock showed at which time.
CREATE TABLE aparte_clock (version INTEGER NOT NULL, machine INTEGER NOT NULL, time INTEGER NOT NULL);

PRAGMA user_version = 2;
