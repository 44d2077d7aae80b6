import { AparteError } from "../errors.ts";
import { memoryStore } from "./memory.ts";
import type { Store } from "./store.ts";

/**
 * Opens a store by its URL:
 * - `memory:` for trying things out,
 * - `sqlite:./aparte.db` for one machine (needs the package `libsql`),
 *
 * @throws {AparteError} `option-invalid` when the URL is none of these or the package is missing;
 * `store-failed` when the file cannot be opened.
 */
export async function openStore(url: string): Promise<Store> {
  const scheme = typeof url === "string" ? url.slice(0, url.indexOf(":") + 1) : "";
  switch (scheme) {
    case "memory:":
      return memoryStore();
    case "sqlite:": {
      const { openSqliteStore } = await import("./sqlite.ts");
      return openSqliteStore(url.slice(scheme.length));
    }
    case "redis:":
    case "rediss:":
      throw new AparteError(
        "option-invalid",
        "A store on Redis is not part of this version. For one process, give a Keyv made with @keyv/redis.",
        { field: "store" },
      );
    default:
      throw new AparteError("option-invalid", 'The store\'s URL must start with "memory:" or "sqlite:".', {
        field: "store",
      });
  }
}
