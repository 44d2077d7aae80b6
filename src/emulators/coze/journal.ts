import { closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { AparteError } from "../../errors.ts";

/** What is kept in the file, one record each. */
export type RecordKind = "setup" | "token" | "jti" | "conversation" | "message" | "chat" | "file";

/** The emulator's memory on disk. A record is written when `put` returns, so a kill after it loses nothing. */
export interface Journal {
  /** Everything kept, in the order it first came. */
  load(): readonly { readonly kind: RecordKind; readonly id: string; readonly value: unknown }[];
  put(kind: RecordKind, id: string, value: unknown): void;
  drop(kind: RecordKind, id: string): void;
  close(): void;
}

/** Opens (or makes) the SQLite file at `path`. */
export async function openJournal(path: string): Promise<Journal> {
  const { default: Database } = await import("libsql").catch((cause: unknown) => {
    throw new AparteError("option-invalid", "`persist` needs the package libsql: run `npm install libsql`.", {
      field: "persist",
      cause,
    });
  });
  try {
    mkdirSync(dirname(path), { recursive: true });
    // It holds a private key and what people said: readable by its owner alone, from the first moment.
    closeSync(openSync(path, "a", 0o600));
    const database = new Database(path, { timeout: 5000 });
    database.pragma("journal_mode = WAL");
    // WAL with NORMAL survives the death of the process; only a dead machine may lose the last moments.
    database.pragma("synchronous = NORMAL");
    // What is deleted is overwritten.
    database.pragma("secure_delete = ON");
    database.exec(
      "CREATE TABLE IF NOT EXISTS records " +
        "(seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, id TEXT NOT NULL, json TEXT NOT NULL, UNIQUE (kind, id))",
    );
    const all = database.prepare("SELECT kind, id, json FROM records ORDER BY seq");
    const put = database.prepare(
      "INSERT INTO records (kind, id, json) VALUES (?, ?, ?) " +
        "ON CONFLICT (kind, id) DO UPDATE SET json = excluded.json",
    );
    const drop = database.prepare("DELETE FROM records WHERE kind = ? AND id = ?");
    let isDue = false;
    // The log still has what was dropped.
    const emptyLog = () => {
      if (isDue) database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
      isDue = false;
    };
    return {
      load: () =>
        all.all().map((row) => {
          const { kind, id, json } = row as { kind: RecordKind; id: string; json: string };
          return { kind, id, value: JSON.parse(json) as unknown };
        }),
      put: (kind, id, value) => void put.run(kind, id, JSON.stringify(value)),
      drop: (kind, id) => {
        drop.run(kind, id);
        // Once for all that go together.
        if (!isDue) setImmediate(emptyLog);
        isDue = true;
      },
      close: () => {
        if (!database.open) return;
        isDue = true;
        emptyLog();
        database.close();
      },
    };
  } catch (cause) {
    throw new AparteError(
      "option-invalid",
      "The emulator's file could not be opened. `persist` must name a SQLite file of its own, in a folder it may write to.",
      { field: "persist", cause },
    );
  }
}
