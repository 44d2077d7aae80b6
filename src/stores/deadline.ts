import { AparteError, asAparteError } from "../errors.ts";
import type { Begun, Grant, LaneOwner, Lanes, Records, Store } from "./old-store.ts";

/**
 * The same store with a deadline on every call, and every failure as an {@link AparteError}: `store-failed`, or
 * `store-timeout` when no answer came within `deadlineMs`. A call that ran out of time may still have been
 * carried out.
 */
export function withDeadline(store: Store, deadlineMs: number): Store {
  if (store.isBounded) return store;
  const bound: Bound = (what, run, late) => bounded(what, run, deadlineMs, late);
  const { rates } = store;
  return {
    name: store.name,
    shared: store.shared,
    durable: store.durable,
    records: recordsWithDeadline(store.records, deadlineMs),
    ...(rates === undefined
      ? {}
      : { rates: { take: (key, limit, spanMs) => bound("count", () => rates.take(key, limit, spanMs)) } }),
    join: (owner: LaneOwner): Lanes => {
      const lanes = store.join(owner);
      return {
        begin: (turn) => {
          const since = performance.now();
          // Taken all the same: it is run, although whoever began it was told of a failure.
          const late = (begun: Begun) => {
            if (begun.is === "run") owner.granted(begun.grant, since);
          };
          return bound("take a turn", () => lanes.begin(turn), late);
        },
        note: (grant, facts) => bound("note a turn", () => lanes.note(grant, facts)),
        save: (grant, record) => bound("write", () => lanes.save(grant, record)),
        end: (grant, record) => bound("end a turn", () => lanes.end(grant, record)),
        withdraw: (lane, key) => bound("withdraw a turn", () => lanes.withdraw(lane, key)),
        renew: (grants) => bound("renew leases", () => lanes.renew(grants)),
        park: (grant) => bound("park a turn", () => lanes.park(grant)),
        takeOver: (platforms) => {
          const since = performance.now();
          const late = (grants: readonly Grant[]) => {
            for (const grant of grants) owner.granted(grant, since);
          };
          return bound("take over turns", () => lanes.takeOver(platforms), late);
        },
        leave: () => bound("leave", () => lanes.leave()),
      };
    },
    close: () => bound("close", () => store.close()),
  };
}

type Bound = <T>(what: string, run: () => Promise<T>, late?: (result: T) => void) => Promise<T>;

/** The same records with a deadline on every call, as {@link withDeadline}. */
export function recordsWithDeadline(records: Records, deadlineMs: number): Records {
  const bound: Bound = (what, run) => bounded(what, run, deadlineMs);
  return {
    get: <T>(key: string) => bound("read", () => records.get<T>(key)),
    set: (key, value, ttlMs) => bound("write", () => records.set(key, value, ttlMs)),
    setIfAbsent: (key, value, ttlMs) => bound("write", () => records.setIfAbsent(key, value, ttlMs)),
    delete: (key) => bound("delete", () => records.delete(key)),
    entries: (prefix) => boundedEntries(records, prefix, bound),
  };
}

async function* boundedEntries<T>(
  records: Records,
  prefix: string,
  bound: Bound,
): AsyncGenerator<[string, T]> {
  const iterator = records.entries<T>(prefix)[Symbol.asyncIterator]();
  for (;;) {
    const step = await bound("list", () => iterator.next());
    if (step.done) return;
    yield step.value;
  }
}

/** @param late gets what comes after the deadline */
async function bounded<T>(
  what: string,
  run: () => Promise<T>,
  deadlineMs: number,
  late?: (result: T) => void,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  let isLate = false;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      isLate = true;
      reject(
        new AparteError(
          "store-timeout",
          `The store did not answer within ${deadlineMs} ms (${what}). Look whether its server is up.`,
        ),
      );
    }, deadlineMs);
  });
  try {
    const running = run();
    if (late !== undefined) {
      running.then(
        (result) => {
          if (isLate) late(result);
        },
        () => {}, // Whoever waited for it knows that it failed.
      );
    }
    return await Promise.race([running, deadline]);
  } catch (error) {
    throw asAparteError(error, "store-failed", `The store failed (${what}). The cause is kept in the error.`);
  } finally {
    clearTimeout(timer);
  }
}
