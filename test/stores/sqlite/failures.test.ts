import { AparteError } from "aparte";
import { describe, expect, it } from "vitest";
import { guarded, isLocked } from "../../../src/stores/sqlite/failures.ts";

const thrown = (what: "open" | "use", code?: unknown): { error: unknown; cause: Error } => {
  const cause = Object.assign(new Error("as SQLite says it"), code === undefined ? {} : { code });
  try {
    guarded(what, () => {
      throw cause;
    });
  } catch (error) {
    return { error, cause };
  }
  return expect.unreachable();
};

describe("What SQLite throws", () => {
  it.each([
    "SQLITE_BUSY",
    "SQLITE_BUSY_SNAPSHOT",
    "SQLITE_BUSY_RECOVERY",
    "SQLITE_LOCKED",
    "SQLITE_LOCKED_SHAREDCACHE",
  ])("is a file that is locked: %s", (code) => {
    for (const what of ["open", "use"] as const) {
      const { error, cause } = thrown(what, code);
      expect(error).toMatchObject({
        code: "store-timeout",
        message: "Another process has the SQLite file locked. Look for one that hangs.",
        cause,
      });
      expect(isLocked(error)).toBe(true);
    }
  });

  const path = "It cannot be opened. Look at its path and at the rights of its directory.";
  const kept = "The cause is kept in the error.";
  it.each([
    ["open", "SQLITE_NOTADB", "It is no SQLite file. Name another one."],
    [
      "use",
      "SQLITE_CORRUPT_INDEX",
      "It is damaged. Put a backup in its place, or move it away to begin with an empty one.",
    ],
    ["use", "SQLITE_FULL", "The disk is full. Make room on it."],
    [
      "open",
      "SQLITE_READONLY_DIRECTORY",
      "It cannot be written. Look at the rights of the file and of its directory.",
    ],
    ["use", "SQLITE_IOERR_WRITE", "The disk failed. Look at the system's log."],
    ["open", "SQLITE_CANTOPEN", path],
    ["use", "SQLITE_CANTOPEN", kept],
    ["use", "NOT_SQLITE_BUSY", kept],
    ["open", 5, path],
  ] as const)("says what to do (%s, %s)", (what, code, remedy) => {
    const { error, cause } = thrown(what, code);
    expect(error).toMatchObject({
      code: "store-failed",
      message: `The SQLite file failed (${what}, ${code}). ${remedy}`,
      cause,
    });
    expect(isLocked(error)).toBe(false);
  });

  it("says so where it has no code, and stays what it is where it is ours", () => {
    expect(thrown("use").error).toMatchObject({ message: `The SQLite file failed (use, no code). ${kept}` });
    const ours = new AparteError("closed", "The SQLite store was closed.");
    const throwing = () => {
      throw ours;
    };
    expect(() => guarded("use", throwing)).toThrow(ours);
    const text = () => {
      throw "SQLITE_BUSY";
    };
    expect(() => guarded("use", text)).toThrow("The SQLite file failed (use, no code).");
    expect(guarded("use", () => 1)).toBe(1);
    expect(isLocked(ours)).toBe(false);
    expect(isLocked(Object.assign(new Error("of another"), { code: "store-timeout" }))).toBe(false);
  });
});
