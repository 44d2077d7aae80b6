import type { SqliteFile } from "./file.ts";

/**
 * Microseconds since the machine started: one clock for all processes of a machine, which nobody can set.
 * (Node reads CLOCK_MONOTONIC on Linux, mach_continuous_time on macOS, QueryPerformanceCounter on Windows.)
 */
export function machineTime(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e6 + Math.floor(nanoseconds / 1000);
}

/**
 * The store's time, and the versions that it gives: the same in all processes that have the file open.
 *
 * The time begins as the wall clock's, and then goes on with the machine's own, from what both were at the last write.
 * So a wall clock that is set makes no owner live longer or shorter. Where the machine's clock is behind the last
 * write, the machine was started anew: all owners from before are gone with it, and the wall clock says how late it is,
 * unless it is behind, too. The time never goes back.
 */
export class StoreClock {
  readonly #sql;
  readonly #machineTime: () => number;
  #machine = 0;
  #time = 0;
  #version = 0;

  constructor(file: SqliteFile, machine: () => number) {
    this.#sql = file.prepare("readClock", "setClock");
    this.#machineTime = machine;
  }

  /** The store's time of the transaction that is under way, in milliseconds. */
  get now(): number {
    return Math.floor(this.#time / 1000);
  }

  /** A version for a document: greater than all before it, also than those of documents that are gone. */
  nextVersion(): number {
    this.#version = Math.max(this.#version + 1, this.#time);
    return this.#version;
  }

  /** First in a transaction. */
  read(): void {
    const [version, time, machine] = this.#sql.readClock.first() ?? [];
    this.#machine = this.#machineTime();
    this.#version = Number(version);
    this.#time =
      typeof machine === "number" && machine <= this.#machine
        ? Number(time) + this.#machine - machine
        : Math.max(Number(time), Date.now() * 1000);
  }

  /** Last in a transaction that writes. */
  write(): void {
    this.#sql.setClock.run(this.#version, this.#time, this.#machine);
  }
}
