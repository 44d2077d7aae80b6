const keptEntries = 10_000;

/** Adds an entry to a log that keeps its last 10,000 at least. */
export function log<Entry>(entries: Entry[], entry: Entry): void {
  entries.push(entry);
  if (entries.length > 2 * keptEntries) entries.splice(0, entries.length - keptEntries);
}
