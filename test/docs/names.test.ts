import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { builtRoot } from "../build.ts";
import { publicNames } from "./public-names.ts";

const heads: Readonly<Record<string, string>> = {
  aparte: "What applications type, and what agents' services and stores of your own are.",
  "aparte/backend": "The kit for backends of your own: see [writing a backend](backend.md).",
  "aparte/adapter": "The kit for adapters of your own: see [writing an adapter](adapter.md).",
  "aparte/testing": "Contract suites, emulators of the services, and the simulator: for tests.",
};

describe("The list of public names", () => {
  it("has a line for each of them", () => {
    const missing = [...publicNames()].flatMap(([entry, names]) =>
      names.filter(({ line }) => line === undefined).map(({ name }) => `${entry} ${name}`),
    );
    expect(missing).toEqual([]);
  });

  it("has whole sentences", () => {
    const cut = [...publicNames()].flatMap(([entry, names]) =>
      names
        .filter(({ line = "" }) => !line.endsWith(".") || /e\.g\.$|@/.test(line.replaceAll(/`[^`]*`/g, "")))
        .map(({ name, line }) => `${entry} ${name}: ${line}`),
    );
    expect(cut).toEqual([]);
  });

  it("has every name that a module gives when it runs, and no other", async () => {
    const root = await builtRoot();
    const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    for (const [entry, names] of publicNames()) {
      const file = join(root, exports[entry.replace("aparte", ".")].default);
      const values = names.filter(({ isType }) => !isType).map(({ name }) => name);
      expect(Object.keys(await import(file)).sort(), entry).toEqual(values.sort());
    }
  });

  it("is the page docs/names.md (written anew by `vitest -u`)", async () => {
    const parts = [...publicNames()].map(([entry, names]) =>
      [
        `## ${entry}`,
        ...(heads[entry] === undefined ? [] : ["", heads[entry]]),
        "",
        "| name | |",
        "|---|---|",
        ...names.map(
          ({ name, isType, line = "" }) =>
            `| \`${name}\`${isType ? " (type)" : ""} | ${line.replaceAll("|", "\\|")} |`,
        ),
      ].join("\n"),
    );
    const page = `# Every public name\n\nWith the first sentence of its documentation; the rest is in the declarations, where editors show it.\n\n${parts.join("\n\n")}\n`;
    await expect(page).toMatchFileSnapshot("../../docs/names.md");
  });
});
