import { eventMemoryMs } from "./store.ts";
import { encode, TextSet } from "./text-set.ts";

/** How many marks one generation holds before the older one is dropped early: 58 a second for a day, 160 MB. */
const maxMarks = 5_000_000;

/** Remembers marks for at least {@link eventMemoryMs}, in two generations, so that forgetting costs nothing. */
export class Marks {
  #young = new TextSet();
  #old = new TextSet();
  #bornAt: number;

  /** @param now the store's time, in milliseconds */
  constructor(now: number) {
    this.#bornAt = now;
  }

  has(mark: string): boolean {
    const text = encode(mark);
    return this.#young.has(text) || this.#old.has(text);
  }

  /** @param now the store's time, in milliseconds */
  add(mark: string, now: number): void {
    if (now - this.#bornAt > eventMemoryMs || this.#young.size >= maxMarks) {
      this.#old = this.#young;
      this.#young = new TextSet();
      this.#bornAt = now;
    }
    const text = encode(mark);
    if (!this.#young.has(text)) this.#young.add(text);
  }

  delete(mark: string): void {
    const text = encode(mark);
    this.#young.delete(text);
    this.#old.delete(text);
  }
}
