import type { Query, SqliteFile } from "./file.ts";
import { machineNow } from "./machine-clock.ts";

/**
 * The store's time, in milliseconds, and the versions that it gives: the same in all processes that have the file open.
 *
 * The time began as the wall clock's when the file was made, and goes on with the machine's own clock, which nobody can
 * set. After the machine was started anew, that clock begins from nothing: then the wall clock says how long it stood
 * still, if it says more.
 */
export class StoreClock {
  readonly now: () => number;
  readonly #read: Query;
  readonly #write: Query;
  #version = 0;
  #wasVersion = 0;

  /** Within a transaction. */
  constructor(file: SqliteFile) {
    this.now = startClock(file);
    this.#read = file.query("SELECT version FROM aparte_clock");
    this.#write = file.query("UPDATE aparte_clock SET version = ?");
  }

  /** Called first in each transaction. */
  begin(): void {
    const [version = 0] = this.#read.first() ?? [];
    this.#version = Number(version);
    this.#wasVersion = this.#version;
  }

  /** A version for a document: greater than all that were given before, also over deletion and a clock that was set. */
  nextVersion(now: number): number {
    this.#version = Math.max(this.#version + 1, Math.floor(now * 1000));
    return this.#version;
  }

  /** Called last in each transaction. */
  end(): void {
    if (this.#version !== this.#wasVersion) this.#write.run(this.#version);
  }
}

function startClock(file: SqliteFile): () => number {
  const [machine, time] = file.query("SELECT machine, time FROM aparte_clock").first() ?? [];
  const now = machineNow();
  if (typeof machine === "number" && typeof time === "number" && machine <= now) {
    return () => time + machineNow() - machine;
  }
  const start = Math.max(Date.now(), Number(time ?? 0));
  if (time === undefined) file.query("INSERT INTO aparte_clock VALUES (0, ?, ?)").run(now, start);
  else file.query("UPDATE aparte_clock SET machine = ?, time = ?").run(now, start);
  return () => start + machineNow() - now;
}
