import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe } from "vitest";
import { manyProcesses } from "./suite.ts";

describe("Four processes on a SQLite file", () => {
  const folder = mkdtempSync(join(tmpdir(), "aparte-many-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  let count = 0;
  manyProcesses(async () => `sqlite:${join(folder, `${count++}.db`)}`, { people: 100, messages: 5 });
});
