import { randomUUID } from "node:crypto";
import { openStore, type Store } from "aparte";
import { describe, it } from "vitest";
import { storeContract } from "../../../src/testing/store.ts";
import { describeOnRedis } from "../../support/redis.ts";

const quiet = { info() {}, warn() {}, error() {} };

describeOnRedis("On a Redis server", (url) => {
  storeContract(
    { describe, it },
    {
      name: "redis",
      shared: true,
      durable: true,
      open: async () => {
        // A database of its own for each test, as far as names go.
        const namespace = `t-${randomUUID()}`;
        const address = await url();
        const stores: Store[] = [];
        const again = async () => {
          const store = await openStore(address, { namespace, logger: quiet });
          stores.push(store);
          return store;
        };
        const store = await again();
        const close = async () => {
          for (const each of stores) await each.close();
        };
        return { store, again, close };
      },
    },
  );
});
