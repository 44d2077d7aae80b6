/**
 * Time and chance, as the core sees them: a mapper takes both from here, so that a simulation can bring its own.
 * Times are in milliseconds.
 */
export interface Clock {
  /** A monotonic clock that nobody can set. */
  now(): number;
  /**
   * Runs something later, once.
   * @param isBackground it does not keep the process alive
   * @returns takes it back
   */
  after(ms: number, run: () => void, isBackground?: boolean): () => void;
  /** From 0 on, below 1. */
  random(): number;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  after: (ms, run, isBackground = false) => {
    const timer = setTimeout(run, ms);
    if (isBackground) timer.unref();
    return () => clearTimeout(timer);
  },
  random: Math.random,
};

/** Resolves after a while, or at once when the signal is aborted. */
export function pause(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      cancel();
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const cancel = clock.after(ms, done);
    signal?.addEventListener("abort", done, { once: true });
  });
}
