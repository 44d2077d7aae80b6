const kept = 10_000;

/** Those who wait for the next event of a kind. */
export class Waiting<Event> {
  readonly #waiting = new Set<(event: Event) => void>();

  /** @param make is called only where somebody waits. */
  happened(make: () => Event): void {
    if (this.#waiting.size === 0) return;
    const event = make();
    for (const listener of [...this.#waiting]) listener(event);
  }

  /** Resolves with the next event that `fits`. */
  next(fits: (event: Event) => boolean = () => true): Promise<Event> {
    return new Promise((resolve) => {
      const listener = (event: Event): void => {
        if (!fits(event)) return;
        this.#waiting.delete(listener);
        resolve(event);
      };
      this.#waiting.add(listener);
    });
  }
}

/** The last 10,000 entries, and those who wait for the next one. */
export class Log<Entry> extends Waiting<Entry> {
  readonly #entries: Entry[] = [];

  add(entry: Entry): void {
    this.#entries.push(entry);
    if (this.#entries.length > 2 * kept) this.#entries.splice(0, this.#entries.length - kept);
    this.happened(() => entry);
  }

  /** Oldest first. */
  get last(): readonly Entry[] {
    return this.#entries.slice(-kept);
  }
}
