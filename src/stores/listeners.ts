/** Told which lane has news; undefined: some may have been missed. */
export type Wake = (lane: string | undefined) => void;

/** Who listens in this process, by owner. */
export class Listeners {
  readonly #wakes = new Map<string, Set<{ readonly wake: Wake }>>();

  /** @returns ends it */
  add(owner: string, wake: Wake): () => void {
    const wakes = this.#wakes.get(owner) ?? new Set();
    const listener = { wake };
    this.#wakes.set(owner, wakes.add(listener));
    return () => {
      wakes.delete(listener);
      if (wakes.size === 0 && this.#wakes.get(owner) === wakes) this.#wakes.delete(owner);
    };
  }

  has(owner: string): boolean {
    return this.#wakes.has(owner);
  }

  get owners(): readonly string[] {
    return [...this.#wakes.keys()];
  }

  /** Soon. Whoever ended listening meanwhile hears nothing more. @returns false if the owner is none of this process */
  tell(owner: string, lane: string): boolean {
    const wakes = this.#wakes.get(owner);
    if (wakes === undefined) return false;
    for (const listener of wakes) {
      queueMicrotask(() => {
        if (wakes.has(listener)) listener.wake(lane);
      });
    }
    return true;
  }

  clear(): void {
    this.#wakes.clear();
  }
}
