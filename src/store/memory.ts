import { Keyv } from "keyv";
import { keyvStore } from "./keyv.ts";
import { namespace, type Store } from "./store.ts";

/** A store in this process's memory: for trying things out and for tests. It is empty after a restart. */
export function memoryStore(): Store {
  // Plain JSON is three times faster than Keyv's own serializer, and takes less than half the memory.
  const keyv = new Keyv(new Map(), {
    namespace,
    serialize: JSON.stringify,
    deserialize: JSON.parse,
  });
  return keyvStore(keyv, 1_000, "memory");
}
