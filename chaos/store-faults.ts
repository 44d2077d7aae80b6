import { sinceStart } from "./clock.ts";
import type { Random } from "./random.ts";

/** A kind of fault of a store. */
export interface StoreFault {
  readonly name: string;
  /** The shortest and the longest pause between two, in milliseconds. */
  readonly pause: readonly [number, number];
  /** Resolves when it is over. */
  readonly cause: (random: Random) => Promise<void>;
}

/** A store that breaks now and then. */
export interface StoreFaults {
  /** The store's URL for one of the bots. */
  readonly url: (bot: number) => string;
  readonly faults: readonly StoreFault[];
  /** A bot that stands still may hold a lock that all others need. */
  readonly isLockedByBots: boolean;
  readonly troubles: Troubles;
  /** What happened, for the report. */
  readonly counts: () => { readonly [name: string]: number };
  close(): Promise<void>;
}

/** When which bot could not reach the store well. */
export class Troubles {
  readonly #times: { readonly bot: number | undefined; readonly from: number; to: number }[] = [];

  /** @param bot undefined for all of them. @returns to be called when it is over */
  begin(bot?: number): () => void {
    const time = { bot, from: sinceStart(), to: Number.POSITIVE_INFINITY };
    this.#times.push(time);
    return () => {
      time.to = sinceStart();
    };
  }

  /** How many milliseconds of this time the bot had a whole store. */
  healthy(bot: number, from: number, to: number): number {
    let healthy = 0;
    let at = from;
    const times = this.#times.filter((time) => time.bot === undefined || time.bot === bot);
    for (const time of times.sort((a, b) => a.from - b.from)) {
      if (time.to <= at || time.from >= to) continue;
      healthy += Math.max(0, time.from - at);
      at = Math.max(at, time.to);
    }
    return healthy + Math.max(0, to - at);
  }
}
