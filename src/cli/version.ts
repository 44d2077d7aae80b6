import { readFileSync } from "node:fs";

/** Of this package. */
export const version: string = readVersion(new URL(".", import.meta.url));

/** The manifest is the first one above this module: sources and build lie at different depths. */
function readVersion(folder: URL): string {
  try {
    return JSON.parse(readFileSync(new URL("package.json", folder), "utf8")).version;
  } catch {
    return readVersion(new URL("..", folder));
  }
}
