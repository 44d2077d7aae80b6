import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "vitest";
import type { OpenedStore } from "../../src/contracts/opened-store.ts";
import { storeContract } from "../../src/contracts/store.ts";
import { openStore } from "../../src/store/open.ts";
import type { Store } from "../../src/store/store.ts";

async function openFile(): Promise<OpenedStore> {
  const directory = await mkdtemp(join(tmpdir(), "aparte-sqlite-"));
  const stores: Store[] = [];
  const again = async () => {
    const store = await openStore(`sqlite:${join(directory, "aparte.db")}`);
    stores.push(store);
    return store;
  };
  const close = async () => {
    for (const store of stores) await store.close();
    await rm(directory, { recursive: true });
  };
  return { store: await again(), again, close };
}

storeContract({ describe, it }, { name: "in a SQLite file", shared: true, durable: true, open: openFile });

storeContract(
  { describe, it },
  {
    name: "in SQLite's memory",
    shared: false,
    durable: false,
    open: async () => {
      const store = await openStore("sqlite::memory:");
      return { store, close: () => store.close() };
    },
  },
);
