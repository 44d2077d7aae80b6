import type { JsonValue } from "../../json.ts";
import {
  type Beat,
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
import { parseRow, rowKey, rowOf } from "./records.ts";
import type { Transactions } from "./transactions.ts";
import { SqliteWakes } from "./wakes.ts";

/** Lanes and owners in a SQLite file. */
export class SqliteLanes implements Pick<Store, "commit" | "read" | "beat" | "bury" | "dead" | "listen"> {
  readonly #clock: StoreClock;
  readonly #transactions: Transactions;
  readonly #wakes: SqliteWakes;
  readonly #sql;

  constructor(file: SqliteFile, clock: StoreClock, transactions: Transactions) {
    this.#clock = clock;
    this.#transactions = transactions;
    this.#wakes = new SqliteWakes(file, transactions);
    this.#sql = file.prepare(
      ...(["seen", "document", "setDocument", "deleteDocument", "setRecord", "deleteRecord"] as const),
      ...(["isMarked", "mark", "unmark", "enter", "leave", "owner", "setOwner", "dead"] as const),
    );
  }

  async commit(commit: Commit): Promise<Committed> {
    const committed = await this.#transactions.run(() => this.#commit(commit));
    if (committed.is === "done") for (const owner of commit.wakes ?? []) this.#wakes.tell(owner, commit.lane);
    return committed;
  }

  read(lane: string): Promise<FoundLane> {
    return this.#transactions.read(() => {
      const [version, row] = this.#seen(lane);
      return { version, document: this.#document(lane), record: recordIn(row), now: this.#clock.now };
    });
  }

  beat(owner: string, leaseMs: number): Promise<Beat> {
    return this.#transactions.run(() => {
      const { now } = this.#clock;
      const { until, isBuried } = this.#owner(owner);
      if (!isBuried) this.#sql.setOwner.run(owner, now + Math.floor(leaseMs), null);
      return { isBuried, until, now };
    });
  }

  bury(owner: string, isUnknownToo = false): Promise<"dead" | "alive" | "unknown"> {
    return this.#transactions.run(() => {
      const { now } = this.#clock;
      const { until, isBuried } = this.#owner(owner);
      if (isBuried) return "dead";
      if (until === undefined && !isUnknownToo) return "unknown";
      if (until !== undefined && until > now) return "alive";
      this.#sql.setOwner.run(owner, until ?? now, now);
      return "dead";
    });
  }

  dead(): Promise<readonly DeadOwner[]> {
    return this.#transactions.read(() =>
      this.#sql.dead.all(this.#clock.now).map(([owner, lanes]) => ({
        owner: String(owner),
        lanes: JSON.parse(String(lanes)) as string[],
      })),
    );
  }

  async listen(owner: string, wake: (lane: string | undefined) => void): Promise<() => void> {
    return this.#wakes.listen(owner, wake);
  }

  close(): void {
    this.#wakes.close();
  }

  #commit(commit: Commit): Committed {
    const { now } = this.#clock;
    const { lane, document, wakes = [] } = commit;
    const [version, row] = this.#seen(lane);
    const refuse = (is: "changed" | "duplicate" | "late", duplicates: readonly string[] = []): Committed => ({
      is,
      duplicates,
      version,
      document: this.#document(lane),
      record: recordIn(row),
      now,
    });
    if (now >= commit.until) return refuse("late");
    if (version !== commit.version) return refuse("changed");
    const duplicates = (commit.marks ?? []).filter((mark) => this.#sql.isMarked.first(this.#day, mark));
    if (duplicates.length > 0) return refuse("duplicate", duplicates);
    const newVersion = document === undefined ? 0 : this.#clock.nextVersion();
    if (document !== undefined) {
      const until = commit.ttlMs === undefined ? null : now + Math.ceil(commit.ttlMs);
      this.#sql.setDocument.run(lane, newVersion, JSON.stringify(document), until);
    } else if (version !== 0) this.#sql.deleteDocument.run(lane);
    this.#writeBeside(commit);
    const unheard = wakes.filter((owner) => !this.#wakes.leave(owner, lane, now));
    const record = document === undefined ? {} : { record: recordIn(row) };
    return { is: "done", version: newVersion, now, unheard, ...record };
  }

  #writeBeside({ lane, record, marks, restoredMarks, removedMarks, entering, leaving }: Commit): void {
    if (record === null) this.#sql.deleteRecord.run(rowKey(sessionKey(lane)));
    else if (record !== undefined) this.#sql.setRecord.run(rowKey(sessionKey(lane)), rowOf(record));
    for (const mark of marks ?? []) this.#sql.mark.run(this.#day, mark);
    for (const mark of restoredMarks ?? []) this.#sql.mark.run(this.#day, mark);
    for (const mark of removedMarks ?? []) this.#sql.unmark.run(this.#day, mark);
    for (const owner of entering ?? []) this.#sql.enter.run(owner, lane);
    for (const owner of leaving ?? []) this.#sql.leave.run(owner, lane);
  }

  /** Marks lie by the day on which they were made. */
  get #day(): number {
    return Math.floor(this.#clock.now / eventMemoryMs);
  }

  /** @returns the version of the document, and the record's row; null where there is none */
  #seen(lane: string): [version: number, row: string | null] {
    const key = rowKey(sessionKey(lane));
    const [version, row = null] = this.#sql.seen.first(lane, key, this.#clock.now) ?? [];
    return [Number(version), row === null ? null : String(row)];
  }

  #document(lane: string): JsonValue | undefined {
    const [text] = this.#sql.document.first(lane, this.#clock.now) ?? [];
    // Whoever reads a damaged one finds that it is no document.
    return text === undefined ? undefined : (readable(() => JSON.parse(String(text)) as JsonValue) ?? null);
  }

  #owner(owner: string): { readonly until: number | undefined; readonly isBuried: boolean } {
    const [until, buriedAt = null] = this.#sql.owner.first(owner) ?? [];
    return { until: typeof until === "number" ? until : undefined, isBuried: buriedAt !== null };
  }
}

/** @returns null where there is none, undefined where it cannot be understood */
function recordIn(row: string | null): JsonValue | null | undefined {
  return row === null ? null : readable(() => parseRow<JsonValue>(row) ?? null);
}

function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
