import { systemClock, within } from "../clock.ts";
import { AparteError, asAparteError } from "../errors.ts";
import type { Records } from "./store.ts";

/** How long one call of a store may take, in milliseconds. */
export const callTimeout = 1_000;

/**
 * Runs one call of a store with a deadline, and every failure as an {@link AparteError}: `store-failed`, or
 * `store-timeout` when no answer came in time. A call that ran out of time may still have been carried out.
 * @param what for people: "read", "write" …
 * @param ms how long it may take
 */
export async function withDeadline<T>(
  what: string,
  run: () => Promise<T>,
  ms: number = callTimeout,
): Promise<T> {
  const late = () =>
    new AparteError(
      "store-timeout",
      `The store did not answer within ${ms} ms (${what}). Look whether its server is up.`,
    );
  try {
    return await within(systemClock, ms, run(), late);
  } catch (error) {
    throw asAparteError(error, "store-failed", `The store failed (${what}). The cause is kept in the error.`);
  }
}

/** Runs one call of a store. @param what for people: "read", "write" … */
type Run = <T>(what: string, call: () => Promise<T>) => Promise<T>;

/** The same records, with every call run so: by default, with a deadline. */
export function boundedRecords(
  records: Records,
  run: Run = (what, call) => withDeadline(what, call),
): Records {
  return {
    get: <T>(key: string) => run("read", () => records.get<T>(key)),
    set: (key, value, ttlMs) => run("write", () => records.set(key, value, ttlMs)),
    setIfAbsent: (key, value, ttlMs) => run("write", () => records.setIfAbsent(key, value, ttlMs)),
    delete: (key) => run("delete", () => records.delete(key)),
    async *entries<T>(prefix: string) {
      const iterator = records.entries<T>(prefix)[Symbol.asyncIterator]();
      let isOver = false;
      try {
        for (;;) {
          const step = await run("list", () => iterator.next());
          isOver = step.done === true;
          if (step.done) return;
          // Undefined or null: deleted since its key was listed.
          if (step.value[1] != null) yield step.value;
        }
      } finally {
        // The reader left, or a step failed. Not waited for: a store that hangs would hold the reader.
        if (!isOver) void iterator.return?.().then(undefined, () => {});
      }
    },
  };
}
