import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "libsql";
import { describe, it } from "vitest";
import type { Store } from "../../src/stores/old-store.ts";
import { openStore } from "../../src/stores/open.ts";
import type { OpenedStore } from "../../src/testing/opened-store.ts";
import { storeContract } from "../../src/testing/store.ts";

let path: string;

async function openFile(): Promise<OpenedStore> {
  const directory = await mkdtemp(join(tmpdir(), "aparte-sqlite-"));
  path = join(directory, "aparte.db");
  const stores: Store[] = [];
  const again = async () => {
    const store = await openStore(`sqlite:${path}`);
    stores.push(store);
    return store;
  };
  const close = async () => {
    for (const store of stores) await store.close();
    await rm(directory, { recursive: true });
  };
  return { store: await again(), again, close };
}

storeContract(
  { describe, it },
  {
    name: "in a SQLite file",
    shared: true,
    durable: true,
    open: openFile,
    breakReads: (_, isBroken) => {
      const database = new Database(path);
      database.exec(isBroken ? "ALTER TABLE keyv RENAME TO away" : "ALTER TABLE away RENAME TO keyv");
      database.close();
    },
  },
);

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
