import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openJournal } from "../../../src/emulators/coze/journal.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "aparte-journal-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const bytesIn = async (): Promise<string> => {
  const files = await readdir(folder);
  return Buffer.concat(await Promise.all(files.map((file) => readFile(join(folder, file))))).toString(
    "latin1",
  );
};

it("gives back what was put, in the order in which it first came, each as it was last", async () => {
  const path = join(folder, "a.db");
  const journal = await openJournal(path);
  journal.put("chat", "1", { n: 1 });
  journal.put("file", "1", "f");
  journal.put("chat", "2", [2]);
  journal.put("chat", "1", { n: 3 });
  journal.drop("chat", "2");
  journal.drop("token", "1");
  journal.close();
  journal.close();
  const again = await openJournal(path);
  expect(again.load()).toEqual([
    { kind: "chat", id: "1", value: { n: 3 } },
    { kind: "file", id: "1", value: "f" },
  ]);
  again.close();
});

it("leaves nothing of what was dropped on the disk, at its end at the latest", async () => {
  const journal = await openJournal(join(folder, "a.db"));
  journal.put("message", "1", "what-somebody-said");
  expect(await bytesIn()).toContain("what-somebody-said");
  journal.drop("message", "1");
  await expect.poll(bytesIn).not.toContain("what-somebody-said");
  journal.put("message", "2", "what-somebody-said");
  journal.drop("message", "2");
  journal.close();
  expect(await bytesIn()).not.toContain("what-somebody-said");
});

it("names the option where the file cannot be opened, and keeps the cause", async () => {
  await expect(openJournal(folder)).rejects.toMatchObject({
    code: "option-invalid",
    field: "persist",
    message: expect.stringMatching(
      /^The emulator's file could not be opened\. `persist` must name a SQLite file/,
    ),
    cause: expect.any(Error),
  });
});
