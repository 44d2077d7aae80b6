import { setImmediate as otherWork } from "node:timers/promises";
import { AparteError, asAparteError } from "../../errors.ts";
import { describeError, type Logger } from "../../logger.ts";
import { callTimeout } from "../deadline.ts";
import type { StoreClock } from "./clock.ts";
import { type SqliteFile, whenFree } from "./file.ts";

/** How many calls one transaction carries at most. */
const callsAtOnce = 200;

interface Call {
  readonly run: () => unknown;
  readonly writes: boolean;
  readonly resolve: (result: never) => void;
  readonly reject: (error: unknown) => void;
  readonly since: number;
  /** Since one of those that came with it failed. */
  readonly isAlone?: boolean;
}

/**
 * The calls of this process to the file, first come, first served. Those that come at the same time share one
 * transaction. A file that another process has locked is tried again in a moment.
 */
export class Transactions {
  readonly #file: SqliteFile;
  readonly #clock: StoreClock;
  readonly #logger: Logger;
  #calls: Call[] = [];
  #isWorking = false;
  #isPlaceLost = false;

  constructor(file: SqliteFile, clock: StoreClock, logger: Logger) {
    this.#file = file;
    this.#clock = clock;
    this.#logger = logger;
  }

  /**
   * What it writes is written as a whole, or not at all when it throws.
   * @param writes false for what only reads: it does not wait for other processes that write
   * @throws {AparteError} `store-timeout` when the file was locked for too long, `store-failed`, `closed`
   */
  run<T>(run: () => T, writes = true): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#calls.push({ run, writes, resolve, reject, since: performance.now() });
      if (this.#isWorking) return;
      this.#isWorking = true;
      queueMicrotask(() => void this.#work());
    });
  }

  /** @throws {AparteError} as {@link run} */
  read<T>(run: () => T): Promise<T> {
    return this.run(run, false);
  }

  async #work(): Promise<void> {
    while (this.#calls.length > 0) {
      const started = performance.now();
      try {
        await whenFree(
          () => this.#transact(),
          (error) => this.#giveUp(started, error),
        );
      } catch (error) {
        for (const { reject } of this.#next()) reject(error);
      }
      // Also where none waits: one who asks again and again without end would keep all else from being done.
      await otherWork();
    }
    this.#isWorking = false;
  }

  /** Those that the next transaction carries, which do not wait any longer. */
  #next(): readonly Call[] {
    return this.#calls.splice(0, this.#calls[0]?.isAlone ? 1 : callsAtOnce);
  }

  /** @throws {unknown} where it cannot begin: its calls go on waiting then */
  #transact(): void {
    this.#checkPlace();
    const calls = this.#next();
    const writes = calls.some((call) => call.writes);
    try {
      this.#file.exec(writes ? "BEGIN IMMEDIATE" : "BEGIN");
      this.#clock.read();
    } catch (error) {
      this.#file.rollBack();
      this.#calls.unshift(...calls);
      throw error;
    }
    try {
      const results = calls.map(({ run }) => run());
      if (writes) this.#clock.write();
      this.#file.exec("COMMIT");
      for (const [index, { resolve }] of calls.entries()) resolve(results[index] as never);
    } catch (error) {
      this.#file.rollBack();
      // One call that fails must not fail the others.
      if (calls.length > 1) this.#calls.unshift(...calls.map((call) => ({ ...call, isAlone: true })));
      else calls[0]?.reject(asAparteError(error, "store-failed", "The call failed."));
    }
  }

  #checkPlace(): void {
    if (this.#file.isInPlace()) return;
    const error = new AparteError(
      "store-failed",
      "The SQLite file was deleted or replaced while it was in use. Stop all processes that use it, put the right " +
        "file in its place, and start them anew.",
    );
    if (!this.#isPlaceLost) this.#logger.error("the store's file is gone", describeError(error));
    this.#isPlaceLost = true;
    throw error;
  }

  /** Ends the calls that have waited long for another process. */
  #giveUp(lockedSince: number, error: unknown): void {
    const late = performance.now() - callTimeout;
    const isLate = ({ since }: Call) => Math.max(since, lockedSince) < late;
    const given = this.#calls.filter(isLate);
    this.#calls = this.#calls.filter((call) => !isLate(call));
    for (const { reject } of given) reject(error);
    if (this.#calls.length === 0) throw error;
  }
}
