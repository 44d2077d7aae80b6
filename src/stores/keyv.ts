import type { DeserializedData, Keyv } from "keyv";
import { AparteError } from "../errors.ts";
import type { JsonValue } from "../json.ts";
import { boundedRecords } from "./deadline.ts";
import { LocalLanes, steadyNow } from "./local-lanes.ts";
import { memoryRates } from "./rates.ts";
import type { Records, Store } from "./store.ts";

/**
 * A store on any Keyv 5. Records go where the Keyv keeps them; lanes live in this process, so one process
 * keeps all promises, and several that share the Keyv would not.
 *
 * The Keyv is handed over: its `throwOnErrors` is switched on, since Keyv otherwise answers a failed read as
 * "nothing there" and a failed write as done.
 *
 * @throws {AparteError} `option-invalid` when the Keyv or its adapter would hide failures.
 */
export function keyvStore(keyv: Keyv): Store {
  checkThrows(keyv);
  const records = boundedRecords(keyvRecords(keyv));
  const lanes = new LocalLanes(records, (key) => readable(records, key), steadyNow);
  // The Keyv is the caller's: other parts of the program may still use it.
  return localStore("keyv", records, lanes, async () => {});
}

/** A store whose lanes live in this process. */
export function localStore(
  name: string,
  records: Records,
  lanes: LocalLanes,
  close: () => Promise<void>,
): Store {
  return {
    name,
    records,
    close,
    shared: false,
    durable: false,
    rates: memoryRates(),
    commit: (commit) => lanes.commit(commit),
    read: (lane) => lanes.read(lane),
    beat: (owner, leaseMs) => lanes.beat(owner, leaseMs),
    bury: (owner, isUnknownToo) => lanes.bury(owner, isUnknownToo),
    dead: () => lanes.dead(),
    listen: (owner, wake) => lanes.listen(owner, wake),
  };
}

/** Text that Keyv cannot take apart is one person's damage, and no failure of the store. */
async function readable(records: Records, key: string): Promise<JsonValue | null | undefined> {
  try {
    return (await records.get<JsonValue>(key)) ?? null;
  } catch (error) {
    if (error instanceof AparteError && error.cause instanceof SyntaxError) return undefined;
    throw error;
  }
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

/**
 * The key that a Keyv's adapter is handed. Keyv makes it so itself, but of one that begins with the namespace already,
 * which it takes for another one: so it is given this one.
 */
export function adapterKey({ namespace, useKeyPrefix }: Keyv, key: string): string {
  return useKeyPrefix && namespace ? `${namespace}:${key}` : key;
}

/**
 * What lies in a Keyv, as its adapter lists it. Keyv's own iterator ends with the first value that is damaged, lists
 * namespaces that have its own one within their keys, and takes off all up to the first colon, also where the namespace
 * has one itself or there is none.
 * @returns of a damaged record its text: one must not keep all others from being listed
 */
async function* listed<T>(keyv: Keyv, prefix: string): AsyncGenerator<[string, T]> {
  const start = adapterKey(keyv, prefix);
  const { store } = keyv;
  const all: AsyncIterable<[unknown, unknown]> =
    store instanceof Map ? store : store.iterator(store.namespace);
  for await (const [key, raw] of all) {
    if (typeof key !== "string" || !key.startsWith(start)) continue;
    const damaged = (): DeserializedData<T> => ({ value: raw as T });
    const { value, expires } = (await keyv.deserializeData<T>(raw as string).catch(damaged)) ?? {};
    if (typeof expires === "number" && expires < Date.now()) continue;
    yield [prefix + key.slice(start.length), value as T];
  }
}

/** The records of a Keyv. `setIfAbsent` is atomic within this process only. */
export function keyvRecords(keyv: Keyv): Records {
  /** Of each key, the last write that was made only if nothing is there. */
  const writes = new Map<string, Promise<boolean>>();
  const set = async (key: string, value: unknown, ttlMs?: number) => {
    // Redis refuses fractions of a millisecond, and Keyv says nothing of it.
    const ttl = ttlMs === undefined ? undefined : Math.max(1, Math.floor(ttlMs));
    if ((await keyv.set(adapterKey(keyv, key), value, ttl)) === false) {
      throw new AparteError("store-failed", "The store did not keep a record. Look at its own log.");
    }
  };
  return {
    get: (key) => keyv.get(adapterKey(keyv, key)),
    set,
    setIfAbsent: (key, value, ttlMs) => {
      const before = writes.get(key) ?? Promise.resolve();
      const write = before
        .catch(() => {}) // Told to whoever made that write.
        .then(async () => {
          if ((await keyv.get(adapterKey(keyv, key))) !== undefined) return false;
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
      await keyv.delete(adapterKey(keyv, key));
    },
    async *entries<T>(prefix: string) {
      if (keyv.iterator === undefined) {
        throw new AparteError("backend-unsupported", "This Keyv's adapter cannot list its keys.");
      }
      yield* listed<T>(keyv, prefix);
    },
  };
}
