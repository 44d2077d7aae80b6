import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, describe, expect, it, vi } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
// Below test/, so that the package's name leads to the sources; begins with a dot, so that no test file is found twice.
const folder = join(root, "test/docs/.pages");
rmSync(folder, { recursive: true, force: true });
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Block {
  /** Its file, where its first line names one; a program of its own otherwise. */
  readonly file: string;
  readonly isProgram: boolean;
  readonly code: string;
}

/** The pages whose every block of TypeScript is whole; of the README, those that are a file. */
const pages = ["errors", "adapter", "backend", "store", "web", "README"];

function blocksOf(page: string): Block[] {
  const isReadme = page === "README";
  const text = readFileSync(join(root, isReadme ? "." : "docs", `${page}.md`), "utf8");
  return [...text.matchAll(/^```ts\n([\s\S]*?)^```/gm)].flatMap(([, code = ""], index) => {
    const named = /^\/\/ (\S+\.ts)\n/.exec(code)?.[1];
    if (named === undefined && isReadme) return [];
    return [{ file: named ?? `program-${index}.ts`, isProgram: named === undefined || isReadme, code }];
  });
}

/** What a program's comments say that it prints: `console.log(…); // this`. `…` stands for anything. */
function told(code: string): (string | RegExp)[] {
  return [...code.matchAll(/^\s*console\.log\(.*\); \/\/ (.*)$/gm)].map(([, line = ""]) =>
    line.includes("…") ? new RegExp(`^${line.split("…").map(escaped).join(".*")}$`) : line,
  );
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

for (const page of pages) {
  const blocks = blocksOf(page);
  mkdirSync(join(folder, page), { recursive: true });
  for (const { file, code } of blocks) writeFileSync(join(folder, page, file), code);

  const programs = blocks.filter(({ isProgram }) => isProgram);
  if (programs.length > 0)
    describe(`The page docs/${page}.md`, () => {
      for (const { file, code } of programs) {
        it(`does what its program says: ${file}`, async () => {
          const log = vi.spyOn(console, "log").mockImplementation(() => {});
          try {
            await import(join(folder, page, file));
            const printed = log.mock.calls.map((values) => values.join(" "));
            const expected = told(code);
            expect(printed).toEqual(
              expected.map((line) => (typeof line === "string" ? line : expect.stringMatching(line))),
            );
          } finally {
            log.mockRestore();
          }
        });
      }
    });
  for (const { file } of blocks) if (file.endsWith(".test.ts")) await import(join(folder, page, file));
}

describe("The pages' examples", () => {
  it("compile", async () => {
    const settings = {
      extends: "../../tsconfig.json",
      compilerOptions: { rootDir: "../../..", noEmit: true },
      include: pages.map((page) => `${page}/*.ts`),
    };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(settings));
    const tsc = join(root, "node_modules/typescript/bin/tsc");
    const run = promisify(execFile)(process.execPath, [tsc, "-p", folder]);
    const { stdout } = await run.catch((error) => error as { stdout: string });
    expect(stdout).toBe("");
  });
});
