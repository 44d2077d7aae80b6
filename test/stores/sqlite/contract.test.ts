import { openStore } from "aparte";
import { storeContract } from "aparte/testing";
import { describe, it } from "vitest";
import { openSqlite } from "../../support/opened-stores.ts";

storeContract(
  { describe, it },
  { name: "sqlite", shared: true, durable: true, canSpoil: true, open: openSqlite },
);

storeContract(
  { describe, it },
  {
    name: "sqlite in memory",
    shared: false,
    durable: false,
    open: async () => {
      const store = await openStore("sqlite::memory:");
      return { store, close: () => store.close() };
    },
  },
);
