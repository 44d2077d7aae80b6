import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openStore, type Store } from "aparte";
import { describe, it } from "vitest";
import { storeContract } from "../../../src/testing/store.ts";

storeContract(
  { describe, it },
  {
    name: "sqlite",
    shared: true,
    durable: true,
    open: async () => {
      const folder = mkdtempSync(join(tmpdir(), "aparte-sqlite-"));
      const stores: Store[] = [];
      const again = async () => {
        const store = await openStore(`sqlite:${join(folder, "aparte.db")}`);
        stores.push(store);
        return store;
      };
      const store = await again();
      const close = async () => {
        for (const each of stores) await each.close();
        rmSync(folder, { recursive: true });
      };
      return { store, again, close };
    },
  },
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
