import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";

const page = await readFile("docs/guarantees.md", "utf8");
const files = new Map(
  [...page.matchAll(/^\| ([\w-]+) \| `([^`]+)` \|$/gm)].map(([, name = "", path = ""]) => [name, path]),
);

/** Every test that the page names, with the short name of its file. */
const named = page
  .split("\n")
  .filter((line) => line.startsWith("| "))
  .flatMap((line) => [...line.matchAll(/(?:^|[|;] )([\w-]+) "([^"]+)"/g)])
  .map(([, name = "", title = ""]) => ({ name, title }));

async function titlesIn(path: string): Promise<string[]> {
  const source = await readFile(path, "utf8");
  // A test's title is the first text after its `it…(`, or after the rows of its `it.each`.
  return [...source.matchAll(/(?:\bit\w*|\)|\])(?:<[^>]*>)?\(\s*"((?:[^"\\]|\\.)*)"\s*,/g)].map(
    ([, title = ""]) => title,
  );
}

describe("The guarantees", () => {
  it("name tests in every table", () => {
    expect(files.size).toBeGreaterThan(15);
    expect(named.length).toBeGreaterThan(60);
    for (const line of page.split("\n").filter((row) => /^\| (?!name|---)/.test(row))) {
      if (!/^\| (?:promise|fault|store|platform) \|/.test(line) && !/^\| [\w-]+ \| `/.test(line)) {
        expect(line).toMatch(/[\w-]+ "[^"]+"/);
      }
    }
  });

  it.each(named)("$name: $title", async ({ name, title }) => {
    const path = files.get(name);
    expect(path, `There is no file called ${name}.`).toBeDefined();
    expect(await titlesIn(path ?? "")).toContain(title);
  });

  it("name no file in vain", () => {
    const used = new Set(named.map(({ name }) => name));
    expect([...files.keys()].filter((name) => !used.has(name))).toEqual([]);
  });
});
