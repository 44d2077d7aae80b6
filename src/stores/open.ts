import { optionInvalid, refuseUnknown } from "../check.ts";
import { memoryStore } from "./memory.ts";
import type { RedisClient } from "./redis/client.ts";
import type { RedisStoreOptions } from "./redis/index.ts";
import type { SqliteStoreOptions } from "./sqlite/index.ts";
import type { Store } from "./store.ts";

/**
 * Opens a store by its URL:
 * - `memory:` for trying things out,
 * - `sqlite:./aparte.db` for the processes of one machine (needs the package `libsql`),
 * - `redis://user:password@host:6379/0`, or `rediss://` for TLS, for any number of machines (needs the package
 *   `@keyv/redis`). A client, cluster or sentinel of node-redis serves in place of the URL; it is left open when
 *   the store is closed. A server that is away fails the calls until it is back, and not this one.
 *
 * @param options of the store that is opened
 * @throws {AparteError} `option-invalid` when the URL is none of these, the package is missing, or Redis refuses
 * the credentials; `store-failed` when the file cannot be opened.
 */
export async function openStore(
  target: string | RedisClient,
  options: RedisStoreOptions & SqliteStoreOptions = {},
): Promise<Store> {
  if (typeof target === "object" && target !== null) {
    if (!("evalSha" in target)) {
      throw optionInvalid(
        "store",
        "is neither a URL nor a client of node-redis (createClient of @keyv/redis)",
      );
    }
    return openRedis(target, options);
  }
  const scheme = typeof target === "string" ? target.slice(0, target.indexOf(":") + 1) : "";
  switch (scheme) {
    case "memory:":
      refuseUnknown(options, ["logger"]);
      if (!/^memory:(\/\/)?$/.test(target))
        throw optionInvalid("store", 'has more than "memory:", which takes nothing');
      return memoryStore();
    case "sqlite:": {
      refuseUnknown(options, ["durability", "logger"]);
      const { openSqliteStore } = await import("./sqlite/index.ts");
      return openSqliteStore(sqlitePath(target.slice(scheme.length)), options);
    }
    case "redis:":
    case "rediss:":
      checkRedisURL(target);
      return openRedis(target, options);
    default:
      throw optionInvalid("store", 'must be a URL with "memory:", "sqlite:", "redis:" or "rediss:"');
  }
}

/** @throws {AparteError} `option-invalid` for what would be read as another path than the one that was meant */
function sqlitePath(path: string): string {
  if (/^\/\/(?!\/)/.test(path)) {
    throw optionInvalid(
      "store",
      'must be "sqlite:./a/file.db" from here, or "sqlite:///a/file.db" from the root',
    );
  }
  if (path.startsWith("~")) throw optionInvalid("store", 'begins with "~", which only a shell understands');
  if (path.includes("?"))
    throw optionInvalid("store", 'has a "?": a SQLite file takes nothing behind its path');
  return path;
}

/** @throws {AparteError} `option-invalid` for what would be taken for another server or database, or passed over */
function checkRedisURL(target: string): void {
  const example = 'must be such as "redis://user:password@host:6379/0"';
  if (!URL.canParse(target)) {
    throw optionInvalid(
      "store",
      `${example}; "#", "/", "?" and "@" in the password are written %23, %2F, %3F and %40`,
    );
  }
  const { hostname, pathname, search, hash } = new URL(target);
  if (hostname === "") throw optionInvalid("store", `${example}: it has no host`);
  if (!/^\/?\d*$/.test(pathname)) throw optionInvalid("store", `${example}: its database is no number`);
  if (search !== "" || hash !== "")
    throw optionInvalid("store", `${example}: what stands behind "?" or "#" is not read`);
}

async function openRedis(target: string | RedisClient, options: RedisStoreOptions): Promise<Store> {
  refuseUnknown(options, ["namespace", "logger"]);
  const { openRedisStore } = await import("./redis/index.ts");
  return openRedisStore(target, options);
}
