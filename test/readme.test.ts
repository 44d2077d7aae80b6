import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));

/** What the README's examples take as given. */
const given = `
import type { App } from "@slack/bolt";
import type { Botkit } from "botkit";
import type { Client } from "discord.js";
import type { Speaker } from "aparte";
declare const appId: string, keyId: string, privateKey: string, botId: string, secret: string;
declare const id: string, text: string, app: App, client: Client, speaker: Speaker, controller: Botkit;
`;

describe("The README", () => {
  it("shows code that compiles", async () => {
    const readme = await readFile(join(root, "README.md"), "utf8");
    const code = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)]
      .map(([, block = ""]) => block)
      .filter((block) => !block.startsWith("// "))
      .join("\n");
    expect(code).toContain("new SessionMapper");
    // Below test/, so that it is checked as the tests are.
    const folder = await mkdtemp(join(root, "test", ".readme-"));
    try {
      await writeFile(join(folder, "readme.ts"), `${given}${code}`);
      const settings = {
        extends: "../tsconfig.json",
        compilerOptions: { rootDir: "../..", noUnusedLocals: false },
        include: ["readme.ts"],
      };
      await writeFile(join(folder, "tsconfig.json"), JSON.stringify(settings));
      const tsc = join(root, "node_modules/typescript/bin/tsc");
      const { stdout } = await promisify(execFile)(process.execPath, [tsc, "-p", folder]).catch(
        (error) => error,
      );
      expect(stdout).toBe("");
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe("The program's page", () => {
  it("names every variable that the program reads, and no other", async () => {
    const page = await readFile(join(root, "docs/program.md"), "utf8");
    const settings = await readFile(join(root, "src/cli/settings.ts"), "utf8");
    const names = (text: string) => {
      const all = text.match(/\b(?:APARTE|COZE|SONAOPS|DIALOGFLOW|SLACK|DISCORD)_[A-Z_]*[A-Z]\b/g) ?? [];
      return [...new Set(all)].sort();
    };
    expect(names(page)).toEqual(names(settings));
  });
});
