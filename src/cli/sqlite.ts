/** Whether the package is there that SQLite files need, with its part for this platform. */
export function hasSqlite(): Promise<boolean> {
  return import("libsql").then(
    () => true,
    () => false,
  );
}
