import { DigestSet, digestOf } from "./digest-set.ts";
import { eventMemoryMs } from "./store.ts";

/** How many marks one generation holds before the older one is dropped early: 58 a second for a day, 134 MB. */
const maxMarks = 5_000_000;

/** Remembers marks for at least {@link eventMemoryMs}, in two generations, so that forgetting costs nothing. */
export class Marks {
  #young = new DigestSet();
  #old = new DigestSet();
  #bornAt: number;

  /** @param now the store's time, in milliseconds */
  constructor(now: number) {
    this.#bornAt = now;
  }

  has(mark: string): boolean {
    const digest = digestOf(mark);
    return this.#young.has(digest) || this.#old.has(digest);
  }

  /** @param now the store's time, in milliseconds */
  add(mark: string, now: number): void {
    if (now - this.#bornAt > eventMemoryMs || this.#young.size >= maxMarks) {
      this.#old = this.#young;
      this.#young = new DigestSet();
      this.#bornAt = now;
    }
    this.#young.add(digestOf(mark));
  }

  delete(mark: string): void {
    const digest = digestOf(mark);
    this.#young.delete(digest);
    this.#old.delete(digest);
  }
}
