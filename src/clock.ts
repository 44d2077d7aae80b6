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

/** A time that passes, and can be cut short. */
export interface Timer {
  /** Resolves when the time has passed, or was cut short. */
  readonly over: Promise<void>;
  /** Cuts it short. */
  end(): void;
}

/** What the work gives, or fails with `late()` after `ms`, also if the work never ends. */
export async function within<T>(clock: Clock, ms: number, work: Promise<T>, late: () => Error): Promise<T> {
  let cancel = () => {};
  const overdue = new Promise<never>((_, reject) => {
    cancel = clock.after(ms, () => reject(late()));
  });
  try {
    return await Promise.race([work, overdue]);
  } finally {
    cancel();
  }
}

export function timer(clock: Clock, ms: number): Timer {
  let end = () => {};
  const over = new Promise<void>((resolve) => {
    const cancel = clock.after(ms, resolve);
    end = () => {
      cancel();
      resolve();
    };
  });
  return { over, end };
}
