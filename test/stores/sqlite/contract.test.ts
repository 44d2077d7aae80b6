import { openStore } from "aparte";
import { describe, it } from "vitest";
import type { OpenedStore } from "../../../src/testing/opened-store.ts";
import { storeContract } from "../../../src/testing/store.ts";
import { onFile } from "../../support/sqlite.ts";

/** A store in a file that stays until it is closed. */
function openFile(): Promise<OpenedStore> {
  return new Promise((resolve, reject) => {
    let end = () => {};
    const ended = new Promise<void>((over) => {
      end = over;
    });
    const done = onFile(async ({ open, advance }) => {
      const store = await open();
      resolve({
        ...{ store, advance, again: () => open() },
        close: () => {
          end();
          return done;
        },
      });
      await ended;
    });
    done.catch(reject);
  });
}

storeContract({ describe, it }, { name: "sqlite", shared: true, durable: true, open: openFile });

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
