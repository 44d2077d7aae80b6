import { optionInvalid, refuseUnknown } from "../check.ts";
import { AparteError } from "../errors.ts";
import { memoryStore } from "./memory.ts";
import type { Store } from "./old-store.ts";
import type { RedisClient } from "./redis/connection.ts";
import type { RedisStoreOptions } from "./redis/index.ts";

/**
 * Opens a store by its URL:
 * - `memory:` for trying things out,
 * - `sqlite:./aparte.db` for the processes of one machine (needs the package `libsql`),
 * - `redis://user:password@host:6379/0`, or `rediss://` for TLS, for any number of machines (needs the package
 *   `@keyv/redis`). A client, cluster or sentinel of node-redis serves in place of the URL; it is left open when
 *   the store is closed. A server that is away fails the calls until it is back, and not this one.
 *
 * @param options for Redis
 * @throws {AparteError} `option-invalid` when the URL is none of these, the package is missing, or Redis refuses
 * the credentials; `store-failed` when the file cannot be opened.
 */
export async function openStore(
  target: string | RedisClient,
  options: RedisStoreOptions = {},
): Promise<Store> {
  refuseUnknown(options, ["namespace", "logger"]);
  if (typeof target === "object" && target !== null) {
    if (!("evalSha" in target)) {
      throw optionInvalid(
        "store",
        "is neither a URL nor a client of node-redis (createClient of @keyv/redis)",
      );
    }
    const { openRedisStore } = await import("./redis/index.ts");
    return openRedisStore(target, options);
  }
  const scheme = typeof target === "string" ? target.slice(0, target.indexOf(":") + 1) : "";
  switch (scheme) {
    case "memory:":
      return memoryStore();
    case "sqlite:": {
      const { openSqliteStore } = await import("./sqlite/index.ts");
      return openSqliteStore(target.slice(scheme.length));
    }
    case "redis:":
    case "rediss:": {
      const { openRedisStore } = await import("./redis/index.ts");
      return openRedisStore(target, options);
    }
    default:
      throw new AparteError(
        "option-invalid",
        'The store\'s URL must start with "memory:", "sqlite:", "redis:" or "rediss:".',
        { field: "store" },
      );
  }
}
