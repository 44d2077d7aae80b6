import type { SqliteFile } from "./file.ts";
import type { Transactions } from "./transactions.ts";

/** How often a process looks for wakes, in milliseconds: shortly after it was told something, and otherwise. */
const activeMs = 5;
const quietMs = 25;

/** How many looks are made in quick order after something was found. */
const activeLooks = 100;

type Wake = (lane: string | undefined) => void;

/**
 * Carries wakes to owners: at once within this process. From other processes they come through a table, and a process
 * looks whether another one has changed the file, which costs some microseconds and reads nothing.
 */
export class SqliteWakes {
  readonly #file: SqliteFile;
  readonly #transactions: Transactions;
  readonly #listeners = new Map<string, Wake>();
  readonly #changed;
  readonly #find;
  readonly #take;
  #lastVersion: unknown;
  #looksLeft = 0;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(file: SqliteFile, transactions: Transactions) {
    this.#file = file;
    this.#transactions = transactions;
    this.#changed = file.query("PRAGMA data_version");
    this.#find = file.query("SELECT 1 FROM aparte_wakes WHERE owner = ? LIMIT 1");
    this.#take = file.query("DELETE FROM aparte_wakes WHERE owner = ? RETURNING lane");
  }

  listen(owner: string, wake: Wake): () => void {
    this.#listeners.set(owner, wake);
    if (!this.#file.isInMemory) this.#arm();
    return () => this.#listeners.delete(owner);
  }

  /** @returns false if the owner is none of this process */
  tell(owner: string, lane: string): boolean {
    const wake = this.#listeners.get(owner);
    // In a task of its own, since the transaction is not committed yet.
    if (wake !== undefined) setImmediate(wake, lane);
    return wake !== undefined;
  }

  close(): void {
    this.#isClosed = true;
    this.#listeners.clear();
    clearTimeout(this.#timer);
  }

  #arm(): void {
    if (this.#isClosed || this.#timer !== undefined || this.#listeners.size === 0) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        void this.#look().finally(() => this.#arm());
      },
      this.#looksLeft > 0 ? activeMs : quietMs,
    );
    this.#timer.unref();
  }

  async #look(): Promise<void> {
    this.#looksLeft -= 1;
    try {
      const [version] = this.#changed.first() ?? [];
      if (version === this.#lastVersion) return;
      this.#looksLeft = activeLooks;
      for (const [owner, wake] of [...this.#listeners]) {
        if (this.#find.first(owner) === undefined) continue;
        const lanes = await this.#transactions.run(() => this.#take.all(owner));
        for (const lane of new Set(lanes.map(([lane]) => String(lane)))) wake(lane);
      }
      this.#lastVersion = version;
    } catch {
      // The next look finds the wakes again; whoever uses the store is told that it fails.
    }
  }
}
