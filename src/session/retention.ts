import type { Clock } from "../clock.ts";
import { describeError, type Logger } from "../logger.ts";
import type { Records } from "../stores/store.ts";
import { lastSeen, type SessionRecord } from "./record.ts";
import { sessionRecords } from "./records.ts";

export interface RetentionOptions {
  readonly records: Records;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How long a person must have been silent, in milliseconds. */
  readonly idleMs: number;
  /** The store's time, in milliseconds. */
  readonly storeNow: () => number;
  /** Erases a session, unless it is idle no more when its turn has come. */
  readonly erase: (name: string, record: SessionRecord) => Promise<void>;
}

/** How often one of the processes looks for idle sessions, in milliseconds. */
const sweepTime = 60 * 60_000;

/** How many are erased at once, and how long until the next ones, in milliseconds: others use the service, too. */
const stepSize = 100;
const stepTime = 60_000;

/** Erases sessions whose people have been silent for long. */
export class Retention {
  readonly #options: RetentionOptions;
  #cancel = () => {};
  #isClosed = false;

  constructor(options: RetentionOptions) {
    this.#options = options;
    this.#after(sweepTime);
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel();
  }

  #after(ms: number): void {
    if (this.#isClosed) return;
    this.#cancel = this.#options.clock.after(ms, () => void this.#sweep(ms === stepTime), true);
  }

  /** @param isNext the sweep before this one left some */
  async #sweep(isNext: boolean): Promise<void> {
    const { records, logger } = this.#options;
    let erased = 0;
    try {
      // A little less, so that the process whose turn it was may be the next one, too.
      const isMine = isNext || (await records.setIfAbsent("retention", true, sweepTime - stepTime));
      if (isMine) erased = await this.#step();
    } catch (error) {
      logger.warn("old sessions could not be erased", describeError(error));
    }
    if (erased > 0) logger.info("sessions were erased, since their people were silent", { count: erased });
    this.#after(erased === stepSize ? stepTime : sweepTime);
  }

  /** @returns how many were erased */
  async #step(): Promise<number> {
    const { records, idleMs, storeNow, erase } = this.#options;
    let erased = 0;
    // One that is damaged is told to whoever lists the sessions, and to its person.
    for await (const [name, record] of sessionRecords(records)) {
      if (this.#isClosed || erased === stepSize) break;
      if (storeNow() - lastSeen(record) < idleMs) continue;
      await erase(name, record);
      erased += 1;
    }
    return erased;
  }
}
