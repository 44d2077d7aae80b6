import { AparteError } from "../errors.ts";
import { describeError } from "../logger.ts";
import { wrong } from "./variables.ts";

/**
 * Keeps other programs from the stand-in agent of a folder: its memory is one program's, and another would not see
 * what this one was told. The lock ends with the process, however that ends.
 * @param path of the file that is locked
 * @returns gives it back
 * @throws {AparteError} `option-invalid` when another program has it, or `libsql` is missing; `store-failed`.
 */
export async function lockFolder(path: string): Promise<() => void> {
  const { SqliteFile } = await import("../stores/sqlite/file.ts");
  const file = await SqliteFile.open(path);
  try {
    file.exec("BEGIN EXCLUSIVE");
  } catch (cause) {
    file.close();
    if (!(cause instanceof AparteError && cause.code === "store-timeout")) throw cause;
    const problem =
      "is another program's already, which runs the stand-in agent there. Set another one, or an agent's keys.";
    throw new AparteError("option-invalid", `APARTE_FOLDER ${problem}`, { field: "APARTE_FOLDER", cause });
  }
  return () => {
    // Not left to the end of the file, which libsql may put off until its statements are collected as garbage.
    file.exec("ROLLBACK");
    file.close();
  };
}

/** @throws {AparteError} `option-invalid` when the files of the folder cannot be used */
export function inFolder<Result>(folder: string, work: Promise<Result>): Promise<Result> {
  return work.catch((cause: unknown) => {
    throw wrong("APARTE_FOLDER", `cannot be used (${describeError(cause).code}): ${folder}`, cause);
  });
}
