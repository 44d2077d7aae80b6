import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";

async function titlesIn(path: string): Promise<string[]> {
  const source = await readFile(path, "utf8");
  // A test's title is the first text after its `it…(`, or after the rows of its `it.each`.
  return [...source.matchAll(/(?:\bit\w*|\)|\])(?:<[^>]*>)?\(\s*"((?:[^"\\]|\\.)*)"\s*,/g)].map(
    ([, title = ""]) => title,
  );
}

interface Page {
  readonly path: string;
  readonly fewestFiles: number;
  readonly fewestTests: number;
  /** The heading from which its tables name tests, up to the next one. */
  readonly from?: string;
}

/** The pages whose tables name tests, each with a list of the files. */
const pages: readonly Page[] = [
  { path: "docs/guarantees.md", fewestFiles: 16, fewestTests: 61 },
  { path: "docs/slack.md", fewestFiles: 19, fewestTests: 130, from: "## What shows it" },
  { path: "docs/discord.md", fewestFiles: 19, fewestTests: 100, from: "## What shows it" },
  { path: "docs/botkit.md", fewestFiles: 2, fewestTests: 30, from: "## What shows it" },
  { path: "docs/service-documents.md", fewestFiles: 9, fewestTests: 65 },
  { path: "SECURITY.md", fewestFiles: 14, fewestTests: 30, from: "## Attacks, and their tests" },
];

describe.each(pages)("$path", async ({ path: pagePath, fewestFiles, fewestTests, from }) => {
  const whole = await readFile(pagePath, "utf8");
  const page = from === undefined ? whole : (whole.split(`${from}\n`)[1]?.split("\n## ")[0] ?? "");
  const files = new Map(
    [...page.matchAll(/^\| ([\w-]+) \| `([^`]+\.ts)` \|$/gm)].map(([, name = "", path = ""]) => [name, path]),
  );
  /** Every test that the page names, with the short name of its file. */
  const named = page
    .split("\n")
    .filter((line) => line.startsWith("| "))
    .flatMap((line) => [...line.matchAll(/(?:^|[|;] )([\w-]+) "([^"]+)"/g)])
    .map(([, name = "", title = ""]) => ({ name, title }));

  it("names tests in every table", () => {
    expect(files.size).toBeGreaterThanOrEqual(fewestFiles);
    expect(named.length).toBeGreaterThanOrEqual(fewestTests);
    for (const line of page.split("\n").filter((row) => /^\| (?!name \||---)/.test(row))) {
      const isHead = /^\| (?:behaviour|promise|fault|store|platform|rule|field or rule|attack) \|/.test(line);
      if (!isHead && !/^\| [\w-]+ \| `/.test(line)) expect(line).toMatch(/[\w-]+ "[^"]+"/);
    }
  });

  it.each(named)("$name: $title", async ({ name, title }) => {
    const path = files.get(name);
    expect(path, `There is no file called ${name}.`).toBeDefined();
    expect(await titlesIn(path ?? "")).toContain(title);
  });

  it("names no file in vain", () => {
    const used = new Set(named.map(({ name }) => name));
    expect([...files.keys()].filter((name) => !used.has(name))).toEqual([]);
  });
});
