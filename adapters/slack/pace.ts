import type { Rates } from "aparte";

/**
 * Takes one call of what all processes may make.
 * @returns 0 if there is room, else when there may be, in milliseconds from now
 */
export type Budget = () => Promise<number>;

/**
 * The budget of calls of which there may be one in each interval, in milliseconds.
 * @param atOnce how many of them may come together
 * @returns undefined where each process has its own
 */
export function budgetOf(
  rates: Rates | undefined,
  key: string,
  interval: number,
  atOnce: number,
): Budget | undefined {
  if (rates === undefined) return undefined;
  // A store counts in spans of whole seconds.
  const spanMs = Math.ceil((atOnce * interval) / 1_000) * 1_000;
  const limit = Math.floor(spanMs / interval);
  // Where it is not counted, Slack itself says what is too much.
  return () => rates.take(key, limit, spanMs).catch(() => 0);
}

/** Calls of one kind, so far apart as Slack takes them. */
export class Pace {
  readonly #interval: number;
  readonly #budget: Budget | undefined;
  #next = 0;
  #isAsking = false;
  #timer: NodeJS.Timeout | undefined;
  /** The calls that wait: those of complete replies, and those of drafts. */
  readonly #finals = new Set<() => void>();
  readonly #drafts = new Set<() => void>();

  /**
   * @param interval between two calls of this process, in milliseconds.
   * @param budget of all processes
   */
  constructor(interval: number, budget?: Budget) {
    this.#interval = interval;
    this.#budget = budget;
  }

  /**
   * Resolves when there is room for another call. Complete replies come first, so that no number of drafts keeps them
   * waiting. A draft waits no longer than until its own reply is complete: what is to be shown is then another call.
   * @param complete aborted when the call's reply is complete.
   * @returns false for a draft whose reply is complete now: it has not got its room.
   */
  turn(complete: AbortSignal): Promise<boolean> {
    const waiting = complete.aborted ? this.#finals : this.#drafts;
    return new Promise((resolve) => {
      const end = (hasRoom: boolean) => {
        waiting.delete(go);
        complete.removeEventListener("abort", leave);
        resolve(hasRoom);
      };
      const go = () => end(true);
      const leave = () => end(false);
      complete.addEventListener("abort", leave);
      waiting.add(go);
      this.#serve();
    });
  }

  #serve(): void {
    if (this.#timer !== undefined || this.#isAsking) return;
    const wait = this.#next - performance.now();
    if (wait > 0) {
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        this.#serve();
      }, wait);
    } else if (this.#finals.size + this.#drafts.size > 0) {
      if (this.#budget === undefined) this.#go();
      else void this.#ask(this.#budget);
    }
  }

  async #ask(budget: Budget): Promise<void> {
    this.#isAsking = true;
    const wait = await budget();
    this.#isAsking = false;
    if (wait === 0) return this.#go();
    this.#next = performance.now() + wait;
    this.#serve();
  }

  #go(): void {
    const [go] = this.#finals.size > 0 ? this.#finals : this.#drafts;
    if (go !== undefined) {
      this.#next = performance.now() + this.#interval;
      go();
    }
    this.#serve();
  }
}

/** Calls of one kind that are made or left, but wait for nothing: so many in any minute. */
export class Allowance {
  readonly #perMinute: number;
  readonly #budget: Budget | undefined;
  readonly #taken: number[] = [];

  /** @param budget of all processes */
  constructor(perMinute: number, budget?: Budget) {
    this.#perMinute = perMinute;
    this.#budget = budget;
  }

  async take(): Promise<boolean> {
    return this.#takeHere() && ((await this.#budget?.()) ?? 0) === 0;
  }

  #takeHere(): boolean {
    const now = performance.now();
    while (this.#taken[0] !== undefined && now - this.#taken[0] >= 60_000) this.#taken.shift();
    if (this.#taken.length >= this.#perMinute) return false;
    this.#taken.push(now);
    return true;
  }
}
