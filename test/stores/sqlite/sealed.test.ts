import { storeContract } from "aparte/testing";
import { describe, it } from "vitest";
import { sealedStore } from "../../../src/stores/sealed.ts";
import { openSqlite } from "../../support/opened-stores.ts";

storeContract(
  { describe, it },
  {
    name: "sqlite, sealed",
    shared: true,
    durable: true,
    open: async () => {
      const opened = await openSqlite();
      const sealed = (store: typeof opened.store) => sealedStore(store, ["the secret of the tests"]);
      const again = async () => sealed((await opened.again?.()) ?? opened.store);
      return { ...opened, store: sealed(opened.store), again };
    },
  },
);
