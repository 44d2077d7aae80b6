import { setTimeout as pause } from "node:timers/promises";
import type { SqliteFile } from "./file.ts";

/** How long an erasure waits for readers in other processes, in milliseconds; from then on each sign of life tries. */
const patience = 1_000;

/** Empties the file's log once something was erased: until then the log still has it. */
export class Erasing {
  readonly #file: SqliteFile;
  #isDue = false;

  constructor(file: SqliteFile) {
    this.#file = file;
  }

  /** Something was erased. Resolves when no file has it any more, or when that takes too long. */
  async now(): Promise<void> {
    this.#isDue = true;
    for (const until = performance.now() + patience; !this.attempt() && performance.now() < until; ) {
      await pause(5 + Math.random() * 10);
    }
  }

  /** @returns whether nothing is left to do. A failure is told by the next call of the store. */
  attempt(): boolean {
    try {
      if (this.#isDue && this.#file.emptyLog()) this.#isDue = false;
    } catch {
      return false;
    }
    return !this.#isDue;
  }

  /** Something that was out of date was removed: the next attempt takes it out of the log, too. */
  later(): void {
    this.#isDue = true;
  }
}
