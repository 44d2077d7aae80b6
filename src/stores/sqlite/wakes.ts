import type { SqliteFile } from "./file.ts";

/** What an owner is told of what others did. */
export type Wake =
  | { readonly is: "granted"; readonly lane: string; readonly fence: number }
  | { readonly is: "merged"; readonly lane: string; readonly key: string }
  | { readonly is: "interrupted"; readonly lane: string; readonly key: string };

/** How often a process looks for wakes, in milliseconds: while a turn of its own waits, and while one runs. */
const waitingMs = 5;
const runningMs = 25;

/**
 * Carries wakes between processes: they are kept in a table, and a process looks whether the file was changed
 * by another one (which costs some microseconds, and reads nothing) for as long as it has turns.
 */
export class SqliteWakes {
  readonly #file: SqliteFile;
  readonly #isWaiting: () => boolean;
  readonly #changed: () => void;
  readonly #version;
  readonly #keep;
  readonly #find;
  readonly #remove;
  #lastVersion: unknown;
  #runsUntil = 0;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  /** @param changed called when another process has changed the file */
  constructor(file: SqliteFile, isWaiting: () => boolean, changed: () => void) {
    this.#file = file;
    this.#isWaiting = isWaiting;
    this.#changed = changed;
    this.#version = file.query("PRAGMA data_version");
    this.#keep = file.query("INSERT INTO aparte_wakes (owner, wake) VALUES (?, ?)");
    this.#find = file.query("SELECT id, wake FROM aparte_wakes WHERE owner = ? ORDER BY id");
    this.#remove = file.query("DELETE FROM aparte_wakes WHERE id = ?");
  }

  /** Within a step: keeps a wake for an owner of another process. */
  send(owner: string, wake: Wake): void {
    this.#keep.run(owner, JSON.stringify(wake));
  }

  /** Takes the owner's wakes out of the table. `take` is called within the step that does so. */
  receive<T>(owner: string, take: (wake: Wake) => T): T[] {
    if (this.#find.first(owner) === undefined) return [];
    return this.#file.step(() =>
      this.#find.all(owner).map(([id = null, wake]) => {
        this.#remove.run(id);
        return take(JSON.parse(String(wake)) as Wake);
      }),
    );
  }

  /** A turn of this process waits, or runs until then at least (`performance.now()`). */
  watch(runsUntil = 0): void {
    this.#runsUntil = Math.max(this.#runsUntil, runsUntil);
    if (this.#file.isInMemory) return;
    const isWaiting = this.#isWaiting();
    if (this.#timer !== undefined) {
      if (!isWaiting || this.#timer.hasRef()) return;
      clearTimeout(this.#timer);
    }
    this.#arm(isWaiting);
  }

  #arm(isWaiting: boolean): void {
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => this.#look(), isWaiting ? waitingMs : runningMs);
    // A turn that waits for another process keeps this one alive; a running one has what keeps it.
    if (!isWaiting) this.#timer.unref();
  }

  #look(): void {
    this.#timer = undefined;
    try {
      const [version] = this.#version.first() ?? [];
      if (version !== this.#lastVersion) {
        this.#changed();
        this.#lastVersion = version;
      }
    } catch {
      // The next look finds the wakes again; whoever uses the store is told that it fails.
    }
    const isWaiting = this.#isWaiting();
    if (this.#timer === undefined && (isWaiting || performance.now() < this.#runsUntil)) this.#arm(isWaiting);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }
}
