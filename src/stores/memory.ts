import { Keyv } from "keyv";
import { keyvStore } from "./keyv.ts";
import { namespace, type Store } from "./old-store.ts";

/** A store in this process's memory: for trying things out and for tests. It is empty after a restart. */
export function memoryStore(): Store {
  // One flat string for each record, as a pair: half the room of objects, and faster than Keyv's own serializer.
  const keyv = new Keyv(new Map(), {
    namespace,
    serialize: ({ value, expires }) => JSON.stringify(expires === undefined ? [value] : [value, expires]),
    deserialize: (text) => {
      const [value, expires] = JSON.parse(text);
      return { value, expires };
    },
  });
  return keyvStore(keyv, undefined, "memory");
}
