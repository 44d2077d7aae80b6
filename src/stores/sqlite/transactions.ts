import { setTimeout as pause } from "node:timers/promises";
import { AparteError } from "../../errors.ts";
import { callTimeout } from "../deadline.ts";
import type { StoreClock } from "./clock.ts";
import { isLocked, type SqliteFile } from "./file.ts";

/** How many calls one transaction carries at most. */
const callsAtOnce = 200;

/** The longest pause before a locked file is tried again, in milliseconds. */
const longestPause = 20;

interface Call {
  readonly run: () => unknown;
  readonly resolve: (result: never) => void;
  readonly reject: (error: unknown) => void;
  readonly since: number;
}

/**
 * The calls that write to the file, first come, first served. Those that come at the same time share one transaction.
 * A file that another process has locked is tried again in a moment, and nothing of this process stands still for it.
 */
export class Transactions {
  readonly #file: SqliteFile;
  readonly #clock: StoreClock;
  #calls: Call[] = [];
  #isWorking = false;

  constructor(file: SqliteFile, clock: StoreClock) {
    this.#file = file;
    this.#clock = clock;
  }

  /**
   * Runs a call within a transaction: all of it is written, or nothing when it throws.
   * @throws {AparteError} `store-timeout` when the file was locked for too long, `store-failed`
   */
  run<T>(run: () => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#calls.push({ run, resolve, reject, since: performance.now() });
      if (this.#isWorking) return;
      this.#isWorking = true;
      queueMicrotask(() => void this.#work());
    });
  }

  async #work(): Promise<void> {
    for (let tries = 0; this.#calls.length > 0; ) {
      try {
        this.#file.checkPlace();
        this.#file.exec("BEGIN IMMEDIATE");
      } catch (error) {
        if (!isLocked(error)) {
          for (const { reject } of this.#calls.splice(0)) reject(error);
          break;
        }
        tries += 1;
        this.#giveUp(error);
        await pause(Math.min(2 ** tries, longestPause) * (0.5 + Math.random() / 2));
        continue;
      }
      tries = 0;
      this.#carry(this.#calls.splice(0, callsAtOnce));
      // Other work of this process has its turn between two transactions.
      if (this.#calls.length > 0) await new Promise((resolve) => setImmediate(resolve));
    }
    this.#isWorking = false;
  }

  #carry(calls: readonly Call[]): void {
    const done: (() => void)[] = [];
    try {
      this.#clock.begin();
      for (const { run, resolve } of calls) {
        const result = run();
        done.push(() => resolve(result as never));
      }
      this.#clock.end();
      this.#file.exec("COMMIT");
    } catch (error) {
      this.#file.rollBack();
      // One call that fails must not fail the others.
      if (calls.length === 1) calls[0]?.reject(error);
      else for (const call of calls) this.#alone(call);
      return;
    }
    for (const tell of done) tell();
  }

  #alone(call: Call): void {
    try {
      this.#file.exec("BEGIN IMMEDIATE");
      this.#carry([call]);
    } catch (error) {
      call.reject(error);
    }
  }

  #giveUp(error: unknown): void {
    const now = performance.now();
    const late = this.#calls.filter(({ since }) => now - since > callTimeout);
    this.#calls = this.#calls.filter(({ since }) => now - since <= callTimeout);
    for (const { reject } of late) {
      reject(
        new AparteError(
          "store-timeout",
          `Another process kept the SQLite file locked for ${callTimeout} ms. Look for one that hangs.`,
          { cause: error },
        ),
      );
    }
  }
}
