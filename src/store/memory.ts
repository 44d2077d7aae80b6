import { Keyv } from "keyv";
import { keyvStore } from "./keyv.ts";
import { namespace, type Store } from "./store.ts";

/** A store in this process's memory: for trying things out and for tests. It is empty after a restart. */
export function memoryStore(): Store {
  const keyv = new Keyv(new Map(), { namespace });
  // Records are never changed in place, so they need no copying, which would take most of the time.
  keyv.serialize = undefined;
  keyv.deserialize = undefined;
  return keyvStore(keyv, undefined, "memory");
}
