-- The statements of the store. Those that remove what is out of date take few rows at a time, so that nobody waits for
-- them.

-- name: readClock
SELECT version, time, machine FROM aparte_clock;

-- name: setClock
UPDATE aparte_clock SET version = ?, time = ?, machine = ?;

-- name: seen
-- A lane's version, and the row of its session's record.
SELECT (SELECT version FROM aparte_lanes WHERE lane = ?1 AND (until IS NULL OR until > ?3)),
  (SELECT value FROM keyv WHERE key = ?2);

-- name: document
SELECT document FROM aparte_lanes WHERE lane = ? AND (until IS NULL OR until > ?);

-- name: setDocument
INSERT OR REPLACE INTO aparte_lanes (lane, version, document, until) VALUES (?, ?, ?, ?);

-- name: deleteDocument
DELETE FROM aparte_lanes WHERE lane = ?;

-- name: isMarked
-- On this day or the day before.
SELECT 1
WHERE EXISTS (SELECT 1 FROM aparte_marks WHERE day = ?1 AND mark = ?2)
  OR EXISTS (SELECT 1 FROM aparte_marks WHERE day = ?1 - 1 AND mark = ?2);

-- name: mark
INSERT OR IGNORE INTO aparte_marks (day, mark) VALUES (?, ?);

-- name: unmark
DELETE FROM aparte_marks WHERE day IN (?1 - 1, ?1) AND mark = ?2;

-- name: enter
INSERT OR IGNORE INTO aparte_owner_lanes (owner, lane) VALUES (?, ?);

-- name: leave
DELETE FROM aparte_owner_lanes WHERE owner = ? AND lane = ?;

-- name: wake
-- Changes no row if the owner is dead, or unknown.
INSERT OR REPLACE INTO aparte_wakes (owner, lane)
SELECT owner, ?2 FROM aparte_owners WHERE owner = ?1 AND until > ?3 AND buried_at IS NULL;

-- name: hasWakes
SELECT 1 FROM aparte_wakes WHERE owner = ? LIMIT 1;

-- name: takeWakes
DELETE FROM aparte_wakes WHERE owner = ? RETURNING lane;

-- name: owner
SELECT until, buried_at FROM aparte_owners WHERE owner = ?;

-- name: setOwner
INSERT OR REPLACE INTO aparte_owners (owner, until, buried_at) VALUES (?, ?, ?);

-- name: dead
-- Any 500 lanes of each, so that those with which nobody can go on stand in no other's way.
SELECT owner, (
  SELECT json_group_array(lane)
  FROM (SELECT lane FROM aparte_owner_lanes AS l WHERE l.owner = o.owner ORDER BY random() LIMIT 500)
)
FROM aparte_owners AS o
WHERE until <= ? AND EXISTS (SELECT 1 FROM aparte_owner_lanes AS l WHERE l.owner = o.owner);

-- name: record
SELECT value FROM keyv WHERE key = ?;

-- name: setRecord
INSERT OR REPLACE INTO keyv (key, value) VALUES (?, ?);

-- name: setRecordIfAbsent
-- One whose time is over counts as absent.
INSERT INTO keyv (key, value) VALUES (?1, ?2)
ON CONFLICT (key) DO UPDATE SET value = excluded.value
WHERE iif(json_valid(keyv.value), json_extract(keyv.value, '$.expires'), NULL) < ?3;

-- name: deleteRecord
DELETE FROM keyv WHERE key = ?;

-- name: recordsFrom
-- A page of them. Keys travel as bytes, since libsql cuts text at U+0000.
SELECT CAST(key AS BLOB), value FROM keyv WHERE key >= CAST(? AS TEXT) ORDER BY key LIMIT 200;

-- name: use
-- One use in a span of time.
INSERT INTO aparte_rates (key, uses, until) VALUES (?1, 1, ?2 + ?3)
ON CONFLICT (key) DO UPDATE SET
  uses = iif(until > ?2, uses + 1, 1),
  until = iif(until > ?2, until, ?2 + ?3)
RETURNING uses, until;

-- name: sweepDocuments
DELETE FROM aparte_lanes WHERE lane IN (SELECT lane FROM aparte_lanes WHERE until <= ? LIMIT 200);

-- name: sweepMarks
DELETE FROM aparte_marks
WHERE (day, mark) IN (SELECT day, mark FROM aparte_marks WHERE day < ? LIMIT 200);

-- name: sweepOwners
-- Long dead, and nothing of theirs is left.
DELETE FROM aparte_owners
WHERE owner IN (
  SELECT owner FROM aparte_owners
  WHERE coalesce(buried_at, until) <= ? AND owner NOT IN (SELECT owner FROM aparte_owner_lanes) LIMIT 200
);

-- name: sweepWakes
-- Of owners that are dead, or unknown.
DELETE FROM aparte_wakes
WHERE (owner, lane) IN (
  SELECT owner, lane FROM aparte_wakes
  WHERE owner NOT IN (SELECT owner FROM aparte_owners WHERE until > ?) LIMIT 200
);

-- name: sweepRates
DELETE FROM aparte_rates WHERE key IN (SELECT key FROM aparte_rates WHERE until <= ? LIMIT 200);

-- name: sweepRecords
-- By Unix time.
DELETE FROM keyv
WHERE rowid IN (
  SELECT rowid FROM keyv
  WHERE iif(json_valid(value), json_extract(value, '$.expires'), NULL) < ? LIMIT 200
);
