/** Whether the mapper closes: answers that their platforms do not take are left to other processes then. */
export class Closing {
  #isBegun = false;
  readonly #waiting = new Set<() => void>();

  get isBegun(): boolean {
    return this.#isBegun;
  }

  begin(): void {
    this.#isBegun = true;
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  /** Calls `wake` once when it begins. @returns takes it back */
  watch(wake: () => void): () => void {
    if (this.#isBegun) wake();
    else this.#waiting.add(wake);
    return () => this.#waiting.delete(wake);
  }
}
