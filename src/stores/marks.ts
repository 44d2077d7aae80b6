import { eventMemoryMs } from "./store.ts";

/** How many marks one generation holds before the older one is dropped early. */
const maxMarks = 500_000;

/** Remembers marks for at least {@link eventMemoryMs}, in two generations, so that forgetting costs nothing. */
export class Marks {
  #young = new Set<string>();
  #old = new Set<string>();
  #bornAt: number;

  constructor(now: number) {
    this.#bornAt = now;
  }

  has(mark: string): boolean {
    return this.#young.has(mark) || this.#old.has(mark);
  }

  add(mark: string, now: number): void {
    if (now - this.#bornAt > eventMemoryMs || this.#young.size >= maxMarks) {
      this.#old = this.#young;
      this.#young = new Set();
      this.#bornAt = now;
    }
    this.#young.add(mark);
  }

  delete(mark: string): void {
    this.#young.delete(mark);
    this.#old.delete(mark);
  }
}
