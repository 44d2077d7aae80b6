import { Listeners, type Wake } from "../listeners.ts";
import type { SqliteFile } from "./file.ts";
import type { Transactions } from "./transactions.ts";

/** How often a process looks for wakes from others, in milliseconds. A look takes a few microseconds. */
const lookMs = 10;

/**
 * Carries wakes to owners: at once within this process, and through a table to those of other processes.
 */
export class SqliteWakes {
  readonly #isInMemory: boolean;
  readonly #transactions: Transactions;
  readonly #sql;
  readonly #listeners = new Listeners();
  #timer: NodeJS.Timeout | undefined;

  constructor(file: SqliteFile, transactions: Transactions) {
    this.#isInMemory = file.isInMemory;
    this.#transactions = transactions;
    this.#sql = file.prepare("wake", "hasWakes", "takeWakes");
  }

  listen(owner: string, wake: Wake): () => void {
    if (!this.#isInMemory && this.#timer === undefined) this.#lookLater();
    return this.#listeners.add(owner, wake);
  }

  /** @returns false if the owner is none of this process */
  tell(owner: string, lane: string): boolean {
    return this.#listeners.tell(owner, lane);
  }

  /** Within a transaction. @returns false if the owner is dead, or unknown */
  leave(owner: string, lane: string, now: number): boolean {
    return this.#listeners.has(owner) || this.#sql.wake.change(owner, lane, now) > 0;
  }

  close(): void {
    this.#listeners.clear();
    clearTimeout(this.#timer);
  }

  #lookLater(): void {
    this.#timer = setTimeout(async () => {
      await this.#look().catch(() => {}); // The next look finds them, and whoever uses the store is told that it fails.
      this.#timer = undefined;
      if (this.#listeners.owners.length > 0) this.#lookLater();
    }, lookMs).unref();
  }

  async #look(): Promise<void> {
    for (const owner of this.#listeners.owners) {
      if (this.#sql.hasWakes.first(owner) === undefined) continue;
      const lanes = await this.#transactions.run(() => this.#sql.takeWakes.all(owner));
      for (const [lane] of lanes) this.tell(owner, String(lane));
    }
  }
}
