import { AparteError } from "../../errors.ts";

/** What to do, by the beginning of SQLite's own code. */
const remedies: readonly [code: string, remedy: string][] = [
  ["SQLITE_NOTADB", "It is no SQLite file. Name another one."],
  ["SQLITE_CORRUPT", "It is damaged. Put a backup in its place, or move it away to begin with an empty one."],
  ["SQLITE_FULL", "The disk is full. Make room on it."],
  ["SQLITE_READONLY", "It cannot be written. Look at the rights of the file and of its directory."],
  ["SQLITE_IOERR", "The disk failed. Look at the system's log."],
];

/** Runs something with the file. What it throws is an {@link AparteError}. */
export function guarded<T>(what: "open" | "use", run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof AparteError) throw error;
    const code = error instanceof Error && "code" in error ? String(error.code) : "no code";
    if (code.startsWith("SQLITE_BUSY") || code.startsWith("SQLITE_LOCKED")) {
      const message = "Another process has the SQLite file locked. Look for one that hangs.";
      throw new AparteError("store-timeout", message, { cause: error });
    }
    const otherwise =
      what === "open"
        ? "It cannot be opened. Look at its path and at the rights of its directory."
        : "The cause is kept in the error.";
    const remedy = remedies.find(([start]) => code.startsWith(start))?.[1] ?? otherwise;
    const message = `The SQLite file failed (${what}, ${code}). ${remedy}`;
    throw new AparteError("store-failed", message, { cause: error });
  }
}

export function isLocked(error: unknown): boolean {
  return error instanceof AparteError && error.code === "store-timeout";
}
