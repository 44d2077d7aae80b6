import { Keyv } from "keyv";
import { describe, it } from "vitest";
import { keyvStore } from "../../src/stores/keyv.ts";
import { memoryStore } from "../../src/stores/memory.ts";
import type { Store } from "../../src/stores/old-store.ts";
import { storeContract } from "../../src/testing/store.ts";

const opened = (store: Store) => ({ store, close: () => store.close() });

storeContract(
  { describe, it },
  { name: "memory", shared: false, durable: false, open: async () => opened(memoryStore()) },
);

/** A map whose reads can be made to fail. */
class FailingMap extends Map<string, unknown> {
  isBroken = false;

  override get(key: string): unknown {
    if (this.isBroken) throw new Error("the map is broken");
    return super.get(key);
  }
}

let map: FailingMap;

storeContract(
  { describe, it },
  {
    name: "on a plain Keyv",
    shared: false,
    durable: false,
    open: async () => {
      map = new FailingMap();
      return opened(keyvStore(new Keyv(map), undefined));
    },
    breakReads: (_, isBroken) => {
      map.isBroken = isBroken;
    },
  },
);
