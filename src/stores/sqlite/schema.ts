import { readFileSync } from "node:fs";
import { AparteError } from "../../errors.ts";
import type { SqliteFile } from "./file.ts";

/** The version of the tables in schema.sql, kept as the file's `user_version`. */
const version = 2;

const tables: string = readFileSync(new URL("./schema.sql", import.meta.url), "utf8");

/**
 * Makes the tables of a new file.
 * @throws {AparteError} `store-failed` when another version of aparte, or another program, made the file.
 */
export function prepareTables(file: SqliteFile): void {
  const [found] = file.query("PRAGMA user_version").first() ?? [];
  if (found === version) return;
  if (found === 0) file.exec(tables);
  else {
    throw new AparteError(
      "store-failed",
      `The SQLite file has version ${found}; this aparte knows ${version}. Update aparte, or name another file.`,
    );
  }
}
