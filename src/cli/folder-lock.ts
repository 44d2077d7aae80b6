import { AparteError } from "../errors.ts";

/** How long a program that is about to end is waited for, in milliseconds. */
const waitMs = 3_000;

/**
 * Keeps other programs from the stand-in agent of a folder: its memory is one program's, and another would not see
 * what this one was told. The lock ends with the process, however that ends.
 * @param path of the file that is locked
 * @returns gives it back
 * @throws {AparteError} `option-invalid` when another program has it, or `libsql` is missing.
 */
export async function lockFolder(path: string): Promise<() => void> {
  const { default: Database } = await import("libsql").catch((cause: unknown) => {
    throw new AparteError("option-invalid", 'The package "libsql" is missing. Install it: npm i libsql', {
      field: "libsql",
      cause,
    });
  });
  const database = new Database(path, { timeout: waitMs });
  try {
    database.exec("BEGIN EXCLUSIVE");
  } catch (cause) {
    database.close();
    const problem =
      "is another program's already, which runs the stand-in agent there. Set another one, or an agent's keys.";
    throw new AparteError("option-invalid", `APARTE_FOLDER ${problem}`, { field: "APARTE_FOLDER", cause });
  }
  return () => {
    database.exec("ROLLBACK");
    database.close();
  };
}
