import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));

const pages = [
  ...["README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md"],
  ...readdirSync(join(root, "docs")).map((name) => `docs/${name}`),
  ...readdirSync(join(root, "examples")).map((name) => `examples/${name}/README.md`),
].filter((page) => existsSync(join(root, page)));

function textOf(page: string): string {
  return readFileSync(join(root, page), "utf8");
}

/** What a page's headings are called in links. */
function anchorsOf(page: string): string[] {
  return [...textOf(page).matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

/** The links of a page within the repository. */
function linksOf(page: string): string[] {
  return [...textOf(page).matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, link = ""]) => link)
    .filter((link) => !/^https?:/.test(link));
}

describe("The pages", () => {
  it("have no dead link", () => {
    const dead = pages.flatMap((page) =>
      linksOf(page).filter((link) => {
        const [path = "", anchor] = link.split("#");
        const target = path === "" ? page : join(dirname(page), path);
        if (!existsSync(join(root, target))) return true;
        return anchor !== undefined && !anchorsOf(target).includes(anchor);
      }),
    );
    expect(dead).toEqual([]);
  });

  it("that are packed link to nothing that is not", () => {
    const { files } = JSON.parse(textOf("package.json")) as { readonly files: readonly string[] };
    const packed = ["README.md", "LICENSE", "package.json", ...files];
    const isPacked = (path: string) => packed.some((file) => path === file || path.startsWith(`${file}/`));
    const left = pages.filter(isPacked).flatMap((page) =>
      linksOf(page)
        .map((link) => join(dirname(page), link.split("#")[0] || "."))
        .filter((target) => target !== dirname(page) && !isPacked(target)),
    );
    expect(left).toEqual([]);
  });

  it("are each reached from the README", () => {
    const reached = new Set(["README.md"]);
    for (const page of reached) {
      for (const link of linksOf(page)) {
        const target = join(dirname(page), link.split("#")[0] ?? "");
        if (target.endsWith(".md")) reached.add(target);
      }
    }
    const docs = pages.filter((page) => page.startsWith("docs/"));
    expect(docs.filter((page) => !reached.has(page))).toEqual([]);
  });

  it.each([
    ["README.md", "src/options.ts", "MapperOptions", ["clock"]],
    ["docs/coze.md", "src/backends/coze/options.ts", "CozeOptions", []],
    ["docs/sonaops.md", "src/backends/sonaops/options.ts", "SonaopsOptions", []],
    ["docs/dialogflow-cx.md", "src/backends/dialogflow-cx/options.ts", "DialogflowCxOptions", []],
    ["docs/slack.md", "adapters/slack/options.ts", "SlackOptions", []],
    ["docs/discord.md", "adapters/discord/options.ts", "DiscordOptions", []],
    ["docs/botkit.md", "adapters/botkit/options.ts", "BotkitOptions", []],
    ["docs/web.md", "adapters/web/options.ts", "WebOptions", []],
  ])("list every option, and no other: %s", (page, file, name, hidden) => {
    const [, body = ""] =
      new RegExp(`interface ${name}\\b[^{]*\\{([\\s\\S]*?)^\\}`, "m").exec(textOf(file)) ?? [];
    const declared = [...body.matchAll(/^ {2}(?:readonly )?(\w+)\??[:(]/gm)].map(([, option = ""]) => option);
    const [, table = ""] = /\| option \| default \| \|\n([\s\S]*?)\n\n/.exec(`${textOf(page)}\n\n`) ?? [];
    const listed = table.split("\n").flatMap((row) => {
      const [, names = ""] = row.split("|");
      return [...names.matchAll(/`(\w+)`/g)].map(([, option = ""]) => option);
    });
    const hiddenOnes: readonly string[] = hidden;
    expect(listed.length).toBeGreaterThan(5);
    expect(listed.sort()).toEqual(declared.filter((option) => !hiddenOnes.includes(option)).sort());
  });
});
