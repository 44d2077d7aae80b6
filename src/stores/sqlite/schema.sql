-- The tables of a store's file. Times are the store's, in milliseconds, where nothing else is said.

-- The records, as @keyv/sqlite keeps them.
CREATE TABLE IF NOT EXISTS keyv (key VARCHAR(255) PRIMARY KEY, value TEXT);

-- Those that end: Keyv keeps the time (Unix time in milliseconds) in the value.
CREATE INDEX aparte_ending_records ON keyv (iif(json_valid(value), json_extract(value, '$.expires'), NULL))
WHERE iif(json_valid(value), json_extract(value, '$.expires'), NULL) IS NOT NULL;

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
  owner TEXT PRIMARY KEY,
  until INTEGER NOT NULL,              -- until when it is taken for alive
  buried_at INTEGER                    -- null while it is not
) WITHOUT ROWID;

-- The lanes in which an owner has turns.
CREATE TABLE aparte_owner_lanes (
  owner TEXT NOT NULL,
  lane TEXT NOT NULL,
  PRIMARY KEY (owner, lane)
) WITHOUT ROWID;

-- The lanes of which an owner in another process is to be told that they have news.
CREATE TABLE aparte_wakes (
  owner TEXT NOT NULL,
  lane TEXT NOT NULL,
  PRIMARY KEY (owner, lane)
) WITHOUT ROWID;

-- How often something was used, in a span of time that began with its first use.
CREATE TABLE aparte_rates (
  key TEXT PRIMARY KEY,
  uses INTEGER NOT NULL,
  until INTEGER NOT NULL               -- when the span is over
) WITHOUT ROWID;
CREATE INDEX aparte_ending_rates ON aparte_rates (until);

-- One row: the last version that was given to a document, the store's time when something was last written, and what
-- the machine's own clock showed then. All in microseconds. At first the machine's clock is not known.
CREATE TABLE aparte_clock (version INTEGER NOT NULL, time INTEGER NOT NULL, machine INTEGER);
INSERT INTO aparte_clock VALUES (0, 0, NULL);

PRAGMA user_version = 2;
