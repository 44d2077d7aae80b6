import { afterAll, afterEach } from "vitest";
import { beginSearch, takeLeaks } from "./search.ts";

beginSearch();
// Whichever undici is loaded first makes the requests of all of them; that of a Slack package knows no other's FormData.
await fetch("data:,");

function none(): void {
  const leaks = takeLeaks();
  if (leaks.length > 0) throw new Error(`What must be written nowhere was written:\n${leaks.join("\n")}`);
}
afterEach(none);
afterAll(none);
