import type { Keyv } from "keyv";
import { AparteError } from "../errors.ts";
import { recordsWithDeadline } from "./deadline.ts";
import { LocalLanes } from "./local-lanes.ts";
import type { Records, Store } from "./old-store.ts";
import { memoryRates } from "./rates.ts";

/**
 * A store on any Keyv 5. Records go where the Keyv keeps them; lanes live in this process, so one process
 * keeps all promises, and several that share the Keyv would not.
 *
 * The Keyv is handed over: its `throwOnErrors` is switched on, since Keyv otherwise answers a failed read as
 * "nothing there" and a failed write as done.
 *
 * @param deadlineMs how long one call may take, in milliseconds; undefined where none can hang.
 * @throws {AparteError} `option-invalid` when the Keyv or its adapter would hide failures.
 */
export function keyvStore(keyv: Keyv, deadlineMs: number | undefined, name = "keyv"): Store {
  checkThrows(keyv);
  // Bounded here, below the lanes: a lane must not wait for a record that never comes.
  const records =
    deadlineMs === undefined ? keyvRecords(keyv) : recordsWithDeadline(keyvRecords(keyv), deadlineMs);
  const lanes = new LocalLanes(records);
  return {
    name,
    shared: false,
    durable: false,
    isBounded: true,
    records,
    rates: memoryRates(),
    join: (owner) => lanes.join(owner),
    // The Keyv is the caller's: other parts of the program may still use it.
    close: async () => {},
  };
}

function checkThrows(keyv: Keyv): void {
  if (!("throwOnErrors" in keyv)) {
    throw new AparteError(
      "option-invalid",
      "This Keyv cannot be told to throw when its database fails (Keyv 6 cannot). Use keyv 5.6.0.",
      { field: "store" },
    );
  }
  const adapter: unknown = keyv.store;
  if (hidesFailures(adapter)) {
    throw new AparteError(
      "option-invalid",
      "This Keyv's adapter hides failures. Make it with { throwOnErrors: true }, or use openStore(url).",
      { field: "store" },
    );
  }
  keyv.throwOnErrors = true;
}

function hidesFailures(adapter: unknown): boolean {
  return (
    typeof adapter === "object" &&
    adapter !== null &&
    "throwOnErrors" in adapter &&
    adapter.throwOnErrors === false
  );
}

/** The records of a Keyv. `setIfAbsent` is atomic within this process only. */
export function keyvRecords(keyv: Keyv): Records {
  /** Of each key, the last write that was made only if nothing is there. */
  const writes = new Map<string, Promise<boolean>>();
  const set = async (key: string, value: unknown, ttlMs?: number) => {
    // Redis refuses fractions of a millisecond, and Keyv says nothing of it.
    const ttl = ttlMs === undefined ? undefined : Math.max(1, Math.floor(ttlMs));
    if ((await keyv.set(key, value, ttl)) === false) {
      throw new AparteError("store-failed", "The store did not keep a record. Look at its own log.");
    }
  };
  return {
    get: (key) => keyv.get(key),
    set,
    setIfAbsent: (key, value, ttlMs) => {
      const before = writes.get(key) ?? Promise.resolve(false);
      const write = before
        .catch(() => {}) // Told to whoever made that write.
        .then(async () => {
          if ((await keyv.get(key)) !== undefined) return false;
          await set(key, value, ttlMs);
          return true;
        })
        .finally(() => {
          if (writes.get(key) === write) writes.delete(key);
        });
      writes.set(key, write);
      return write;
    },
    delete: async (key) => {
      await keyv.delete(key);
    },
    entries: async function* entries<T>(prefix: string) {
      if (keyv.iterator === undefined) {
        throw new AparteError("backend-unsupported", "This Keyv's adapter cannot list its keys.");
      }
      for await (const [key, value] of keyv.iterator({})) {
        if (typeof key === "string" && key.startsWith(prefix)) yield [key, value as T];
      }
    },
  };
}
