/** Calls of one kind, so far apart as Slack takes them. */
export class Pace {
  readonly #interval: number;
  #next = 0;
  #timer: NodeJS.Timeout | undefined;
  /** The calls that wait: those of complete replies, and those of drafts. */
  readonly #finals: (() => void)[] = [];
  readonly #drafts = new Set<() => void>();

  /** @param interval between two calls, in milliseconds. */
  constructor(interval: number) {
    this.#interval = interval;
  }

  /**
   * Resolves when there is room for another call. Complete replies come first, so that no number of drafts keeps them
   * waiting. A draft waits no longer than until its own reply is complete: what is to be shown is then another call.
   * @param complete aborted when the call's reply is complete.
   * @returns false for a draft whose reply is complete now: it has not got its room.
   */
  turn(complete: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      if (complete.aborted) this.#finals.push(() => resolve(true));
      else {
        const leave = () => {
          this.#drafts.delete(go);
          resolve(false);
        };
        const go = () => {
          this.#drafts.delete(go);
          complete.removeEventListener("abort", leave);
          resolve(true);
        };
        complete.addEventListener("abort", leave, { once: true });
        this.#drafts.add(go);
      }
      this.#serve();
    });
  }

  #serve(): void {
    if (this.#timer !== undefined) return;
    const wait = this.#next - performance.now();
    if (wait > 0) {
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        this.#serve();
      }, wait);
      return;
    }
    const [draft] = this.#drafts;
    const go = this.#finals.shift() ?? draft;
    if (go === undefined) return;
    this.#next = performance.now() + this.#interval;
    go();
    this.#serve();
  }
}

/** Calls of one kind that are made or left, but wait for nothing: so many in any minute. */
export class Allowance {
  readonly #perMinute: number;
  readonly #taken: number[] = [];

  constructor(perMinute: number) {
    this.#perMinute = perMinute;
  }

  take(): boolean {
    const now = performance.now();
    while (this.#taken[0] !== undefined && now - this.#taken[0] >= 60_000) this.#taken.shift();
    if (this.#taken.length >= this.#perMinute) return false;
    this.#taken.push(now);
    return true;
  }
}
