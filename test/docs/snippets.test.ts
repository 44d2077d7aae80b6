import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** The pages whose blocks are parts of a program, each with what they take as given beside the imports above them. */
const pages: Readonly<Record<string, string>> = {
  coze: "",
  sonaops: "",
  "dialogflow-cx": `
    import { SessionMapper } from "aparte";
    declare const agent: string;`,
  "many-processes": `
    import type { Backend } from "aparte";
    declare const secret: string, agents: { helper: Backend };`,
  slack: `
    import { openStore, type SessionMapper } from "aparte";
    import { type SlackContext, slackInstallations } from "aparte/slack";
    declare const mapper: SessionMapper, app: App<SlackContext>, secret: string, token: string, appToken: string;
    declare const signingSecret: string, clientId: string, clientSecret: string, stateSecret: string, scopes: string[];`,
  discord: `
    import type { SessionMapper } from "aparte";
    import { discord } from "aparte/discord";
    import { Client, GatewayIntentBits, Partials } from "discord.js";
    declare const mapper: SessionMapper, client: Client, token: string;`,
  botkit: `
    import type { SessionMapper } from "aparte";
    declare const mapper: SessionMapper;
    declare function personOf(cookie: string | undefined): string | undefined;`,
};

/** Each block as a file of its own, below what the page has imported by then. */
function filesOf(page: string, given: string): string[] {
  const text = readFileSync(join(root, "docs", `${page}.md`), "utf8");
  /** By name, where it comes from. */
  const imported = new Map<string, string>();
  return [...text.matchAll(/^( *)```ts\n([\s\S]*?)^\1```/gm)].map(([, , block = ""]) => {
    const isImport = (line: string) => line.trim().startsWith("import ");
    const lines = block.split("\n");
    for (const line of lines.filter(isImport)) {
      const [, names = "", from = ""] = /\{(.*)\} from (".*")/.exec(line) ?? [];
      for (const name of names.split(",")) imported.set(name.trim(), from);
    }
    const rest = lines.filter((line) => !isImport(line)).join("\n");
    const imports = [...imported].map(([name, from]) => `import { ${name} } from ${from};`).join("\n");
    // In a block of its own, so that it may name what is given anew.
    return `${given}\n${imports}\n{\n${rest}\n}\nexport {};\n`;
  });
}

describe("The parts of programs on the pages", () => {
  it("compile", async () => {
    // Below test/, so that the package's name leads to the sources.
    const folder = mkdtempSync(join(root, "test/docs/.snippets-"));
    try {
      for (const [page, given] of Object.entries(pages)) {
        const files = filesOf(page, given);
        expect(files.length, page).toBeGreaterThan(0);
        for (const [index, file] of files.entries()) writeFileSync(join(folder, `${page}-${index}.ts`), file);
      }
      const settings = {
        extends: "../../tsconfig.json",
        compilerOptions: { rootDir: "../../..", noEmit: true, noUnusedLocals: false },
        include: ["*.ts"],
      };
      writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(settings));
      const tsc = join(root, "node_modules/typescript/bin/tsc");
      const run = promisify(execFile)(process.execPath, [tsc, "-p", folder]);
      const { stdout } = await run.catch((error) => error as { stdout: string });
      expect(stdout).toBe("");
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
