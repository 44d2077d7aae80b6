import type { JsonValue } from "../../json.ts";
import {
  type Beat,
  burialMs,
  type Commit,
  type Committed,
  type DeadOwner,
  eventMemoryMs,
  type FoundLane,
  type Store,
  sessionKey,
} from "../store.ts";
import type { StoreClock } from "./clock.ts";
import type { SqliteFile } from "./file.ts";
import type { SqliteRecords } from "./records.ts";
import type { Transactions } from "./transactions.ts";
import { SqliteWakes } from "./wakes.ts";

/** How many lanes of one dead owner are listed at a time: any of them, so that those that cannot be had keep none up. */
const listedLanes = 500;

/** How many rows that are out of date one sign of life removes of each kind. */
const sweptRows = 500;

/** Lanes and owners in a SQLite file. Each operation is one transaction, or a part of one. */
export class SqliteLanes implements Pick<Store, "commit" | "read" | "beat" | "bury" | "dead" | "listen"> {
  readonly #clock: StoreClock;
  readonly #transactions: Transactions;
  readonly #records: SqliteRecords;
  readonly #sql: ReturnType<typeof prepare>;
  readonly #wakes: SqliteWakes;

  constructor(file: SqliteFile, clock: StoreClock, transactions: Transactions, records: SqliteRecords) {
    this.#clock = clock;
    this.#transactions = transactions;
    this.#records = records;
    this.#sql = prepare(file);
    this.#wakes = new SqliteWakes(file, transactions);
  }

  commit(commit: Commit): Promise<Committed> {
    return this.#transactions.run(() => this.#commit(commit));
  }

  read(lane: string): Promise<FoundLane> {
    return this.#transactions.run(() => this.#found(lane, this.#clock.now()));
  }

  beat(owner: string, leaseMs: number): Promise<Beat> {
    return this.#transactions.run(() => {
      const now = this.#clock.now();
      const [until, buriedAt] = this.#sql.owner.first(owner) ?? [];
      const was = typeof until === "number" ? until : undefined;
      if (typeof buriedAt === "number") return { isBuried: true, until: was, now };
      this.#sql.keepOwner.run(owner, now + Math.floor(leaseMs), null);
      this.#sweep(now);
      return { isBuried: false, until: was, now };
    });
  }

  bury(owner: string, isUnknownToo = false): Promise<"dead" | "alive" | "unknown"> {
    return this.#transactions.run(() => {
      const now = this.#clock.now();
      const [until, buriedAt] = this.#sql.owner.first(owner) ?? [];
      if (typeof buriedAt === "number") return "dead";
      if (typeof until !== "number" && !isUnknownToo) return "unknown";
      if (typeof until === "number" && until > now) return "alive";
      this.#sql.keepOwner.run(owner, typeof until === "number" ? until : now, now);
      return "dead";
    });
  }

  dead(): Promise<readonly DeadOwner[]> {
    return this.#transactions.run(() => {
      const now = this.#clock.now();
      const dead: DeadOwner[] = [];
      for (const [id = null] of this.#sql.deadOwners.all(now)) {
        const lanes = this.#sql.lanesOf.all(id).map(([lane]) => String(lane));
        if (lanes.length > 0) dead.push({ owner: String(id), lanes });
      }
      return dead;
    });
  }

  async listen(owner: string, wake: (lane: string | undefined) => void): Promise<() => void> {
    return this.#wakes.listen(owner, wake);
  }

  close(): void {
    this.#wakes.close();
  }

  #found(lane: string, now: number): FoundLane {
    const [version = 0, document = null] = this.#sql.lane.first(lane, now) ?? [];
    const [row] = this.#records.now.row(sessionKey(lane));
    return {
      version: Number(version),
      document: document === null ? undefined : parse(String(document)),
      record: row === undefined ? null : this.#record(String(row)),
      now,
    };
  }

  #record(row: string): JsonValue | null | undefined {
    try {
      return this.#records.now.parse<JsonValue>(row) ?? undefined;
    } catch {
      return undefined;
    }
  }

  #commit(commit: Commit): Committed {
    const now = this.#clock.now();
    const { lane, document, record, marks = [], ttlMs, wakes = [] } = commit;
    const found = this.#found(lane, now);
    const day = Math.floor(now / eventMemoryMs);
    const refuse = (is: "changed" | "duplicate" | "late", duplicates: readonly string[] = []): Committed => ({
      ...{ ...found, is, duplicates },
    });
    if (now >= commit.until) return refuse("late");
    if (found.version !== commit.version) return refuse("changed");
    const duplicates = marks.filter((mark) => this.#sql.marked.first(mark, day) !== undefined);
    if (duplicates.length > 0) return refuse("duplicate", duplicates);
    const version = this.#clock.nextVersion(now);
    if (document === undefined) this.#sql.removeLane.run(lane);
    else {
      const until = ttlMs === undefined ? null : now + Math.ceil(ttlMs);
      this.#sql.keepLane.run(lane, version, JSON.stringify(document), until);
    }
    if (record === null) this.#records.now.delete(sessionKey(lane));
    else if (record !== undefined) this.#records.now.set(sessionKey(lane), record);
    for (const mark of marks) this.#sql.mark.run(day, mark);
    for (const mark of commit.restoredMarks ?? []) this.#sql.mark.run(day, mark);
    for (const mark of commit.removedMarks ?? []) this.#sql.unmark.run(day, mark);
    for (const owner of commit.entering ?? []) this.#sql.enter.run(owner, lane);
    for (const owner of commit.leaving ?? []) this.#sql.leave.run(owner, lane);
    const unheard = wakes.filter((owner) => !this.#wake(owner, lane, now));
    return {
      ...{ is: "done", record: found.record, now, unheard },
      version: document === undefined ? 0 : version,
    };
  }

  /** @returns false if the owner does not listen */
  #wake(owner: string, lane: string, now: number): boolean {
    if (this.#wakes.tell(owner, lane)) return true;
    const [until, buriedAt] = this.#sql.owner.first(owner) ?? [];
    if (typeof until !== "number" || typeof buriedAt === "number" || until <= now) return false;
    this.#sql.keepWake.run(owner, lane);
    return true;
  }

  /** Removes what is out of date, a little at a time. */
  #sweep(now: number): void {
    this.#sql.sweepLanes.run(now);
    this.#sql.sweepMarks.run(Math.floor(now / eventMemoryMs) - 1);
    this.#sql.sweepRecords.run(Date.now());
    this.#sql.sweepOwners.run(now - burialMs);
    this.#sql.sweepWakes.run();
  }
}

function prepare(file: SqliteFile) {
  const expires = "CASE WHEN json_valid(value) THEN json_extract(value, '$.expires') END";
  return {
    lane: file.query(
      "SELECT version, document FROM aparte_lanes WHERE lane = ? AND (until IS NULL OR until > ?)",
    ),
    keepLane: file.query("INSERT OR REPLACE INTO aparte_lanes VALUES (?, ?, ?, ?)"),
    removeLane: file.query("DELETE FROM aparte_lanes WHERE lane = ?"),
    marked: file.query("SELECT 1 FROM aparte_marks WHERE mark = ?1 AND day IN (?2, ?2 - 1)"),
    mark: file.query("INSERT OR IGNORE INTO aparte_marks VALUES (?, ?)"),
    unmark: file.query("DELETE FROM aparte_marks WHERE day IN (?1, ?1 - 1) AND mark = ?2"),
    enter: file.query("INSERT OR IGNORE INTO aparte_owner_lanes VALUES (?, ?)"),
    leave: file.query("DELETE FROM aparte_owner_lanes WHERE owner = ? AND lane = ?"),
    owner: file.query("SELECT until, buried_at FROM aparte_owners WHERE id = ?"),
    keepOwner: file.query("INSERT OR REPLACE INTO aparte_owners VALUES (?, ?, ?)"),
    deadOwners: file.query("SELECT id FROM aparte_owners WHERE until <= ?"),
    lanesOf: file.query(
      `SELECT lane FROM aparte_owner_lanes WHERE owner = ? ORDER BY random() LIMIT ${listedLanes}`,
    ),
    keepWake: file.query("INSERT INTO aparte_wakes (owner, lane) VALUES (?, ?)"),
    sweepLanes: file.query(
      `DELETE FROM aparte_lanes WHERE lane IN (SELECT lane FROM aparte_lanes WHERE until <= ? LIMIT ${sweptRows})`,
    ),
    sweepMarks: file.query(
      `DELETE FROM aparte_marks WHERE (day, mark) IN (SELECT day, mark FROM aparte_marks WHERE day < ? LIMIT ${sweptRows})`,
    ),
    sweepRecords: file.query(
      `DELETE FROM keyv WHERE rowid IN (SELECT rowid FROM keyv WHERE ${expires} < ? LIMIT ${sweptRows})`,
    ),
    sweepOwners: file.query(
      `DELETE FROM aparte_owners WHERE until < ? AND id NOT IN (SELECT owner FROM aparte_owner_lanes)`,
    ),
    sweepWakes: file.query(
      "DELETE FROM aparte_wakes WHERE owner NOT IN (SELECT id FROM aparte_owners WHERE buried_at IS NULL)",
    ),
  };
}

function parse(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    // Whoever reads the lane finds that it is no document.
    return null;
  }
}
