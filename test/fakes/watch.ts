/** Lets tests wait for what happens on a fake server. */
export class Watch {
  readonly #watchers = new Set<() => void>();
  readonly #tell: () => string;

  /** @param tell what has happened so far, for whoever waited in vain */
  constructor(tell: () => string) {
    this.#tell = tell;
  }

  happened(): void {
    const watchers = [...this.#watchers];
    this.#watchers.clear();
    for (const wake of watchers) wake();
  }

  /** Resolves with what `look` finds; it looks again whenever something happened. */
  async until<T>(look: () => T | undefined | false, withinMs = 120_000): Promise<T> {
    const over = performance.now() + withinMs;
    for (;;) {
      const found = look();
      if (found !== undefined && found !== false) return found;
      if (performance.now() > over) {
        throw new Error(`What the test waits for did not happen. What did:\n${this.#tell()}`);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, over - performance.now() + 1);
        this.#watchers.add(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }
}
