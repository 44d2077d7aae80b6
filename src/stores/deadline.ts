import { AparteError, asAparteError } from "../errors.ts";
import type { Records } from "./store.ts";

/** How long one call of a store may take, in milliseconds. */
export const callTimeout = 1_000;

/**
 * Runs one call of a store with a deadline, and every failure as an {@link AparteError}: `store-failed`, or
 * `store-timeout` when no answer came in time. A call that ran out of time may still have been carried out.
 * @param what for people: "read", "write" …
 */
export async function withDeadline<T>(
  what: string,
  run: () => Promise<T>,
  deadlineMs: number = callTimeout,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const message = `The store did not answer within ${deadlineMs} ms (${what}). Look whether its server is up.`;
      reject(new AparteError("store-timeout", message));
    }, deadlineMs);
  });
  try {
    return await Promise.race([run(), deadline]);
  } catch (error) {
    throw asAparteError(error, "store-failed", `The store failed (${what}). The cause is kept in the error.`);
  } finally {
    clearTimeout(timer);
  }
}

/** The same records with a deadline on every call. */
export function recordsWithDeadline(records: Records): Records {
  return {
    get: <T>(key: string) => withDeadline("read", () => records.get<T>(key)),
    set: (key, value, ttlMs) => withDeadline("write", () => records.set(key, value, ttlMs)),
    setIfAbsent: (key, value, ttlMs) => withDeadline("write", () => records.setIfAbsent(key, value, ttlMs)),
    delete: (key) => withDeadline("delete", () => records.delete(key)),
    entries: (prefix) => boundedEntries(records, prefix),
  };
}

async function* boundedEntries<T>(records: Records, prefix: string): AsyncGenerator<[string, T]> {
  const iterator = records.entries<T>(prefix)[Symbol.asyncIterator]();
  for (;;) {
    const step = await withDeadline("list", () => iterator.next());
    if (step.done) return;
    yield step.value;
  }
}
