import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@keyv/redis";
import { openStore, type Store } from "aparte";
import type { OpenedStore } from "aparte/testing";
import Database from "libsql";
import { openPatientRedis } from "./redis.ts";

const broken = '{"value":';

/** A store that can be opened again, and is closed with all that was opened so. */
async function openedBy(
  open: () => Promise<Store>,
  spoil: (key: string) => Promise<unknown>,
  remove = () => {},
): Promise<OpenedStore> {
  const stores: Store[] = [];
  const again = async () => {
    const store = await open();
    stores.push(store);
    return store;
  };
  return {
    store: await again(),
    again,
    spoil: async (key) => {
      if (!(await spoil(key))) throw new Error(`There is no record to spoil: ${key}`);
    },
    close: async () => {
      for (const each of stores) await each.close();
      remove();
    },
  };
}

/** In a file of its own. */
export function openSqlite(): Promise<OpenedStore> {
  const folder = mkdtempSync(join(tmpdir(), "aparte-sqlite-"));
  const file = join(folder, "aparte.db");
  const spoil = async (key: string) => {
    const database = new Database(file);
    const update = database.prepare("UPDATE keyv SET value = ? WHERE key = ?");
    const { changes } = update.run(broken, `aparte:${key}`);
    database.close();
    return changes === 1;
  };
  return openedBy(
    () => openStore(`sqlite:${file}`),
    spoil,
    () => rmSync(folder, { recursive: true }),
  );
}

const quiet = { info() {}, warn() {}, error() {} };

/** On a server, under names of its own. */
export function openRedis(url: string): Promise<OpenedStore> {
  const namespace = `t-${randomUUID()}`;
  const spoil = async (key: string) => {
    const client = createClient({ url });
    await client.connect();
    const answer = await client.set(`${namespace}::${key}`, broken, { XX: true });
    client.destroy();
    return answer !== null;
  };
  return openedBy(() => openPatientRedis(url, { namespace, logger: quiet }), spoil);
}
