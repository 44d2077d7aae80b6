import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { cp, mkdir, mkdtemp, readdir, rm, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import * as aparte from "aparte";
import { Keyv } from "keyv";
import { describe, expect, it } from "vitest";
import { builtRoot } from "./build.ts";

describe("The package", () => {
  it("exports what was promised, and nothing by accident", () => {
    expect(Object.keys(aparte).sort()).toEqual(["AparteError", "Reply", "SessionMapper", "openStore"]);
  });

  it("has a file for every export, and loads each one", async () => {
    const root = await builtRoot();
    const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    const require = createRequire(import.meta.url);
    for (const [name, entry] of Object.entries<string | { default: string }>(exports)) {
      if (typeof entry === "string") continue;
      const file = join(root, entry.default);
      expect(existsSync(file), name).toBe(true);
      const names = Object.keys(await import(file));
      expect(names, name).not.toHaveLength(0);
      // CommonJS packages get the same module.
      expect(Object.keys(require(file)), name).toEqual(expect.arrayContaining(names));
    }
  });
});

describe("The option limits", () => {
  it("is refused by the constructor where its package is missing, and a store counts by it", async () => {
    const folder = await mkdtemp(join(tmpdir(), "aparte-without-"));
    const root = await builtRoot();
    await cp(root, folder, { recursive: true, filter: (path) => !path.endsWith("node_modules") });
    await mkdir(join(folder, "node_modules"));
    const modules = fileURLToPath(new URL("../node_modules", import.meta.url));
    for (const name of await readdir(modules)) {
      if (name !== "rate-limiter-flexible")
        await symlink(join(modules, name), join(folder, "node_modules", name));
    }
    const script = `
      import { openStore, SessionMapper } from "aparte";
      const agents = { helper: { name: "none", open: async () => "1", async *ask() {} } };
      const secret = "a secret of the tests, long enough";
      const told = [];
      for (const options of [{ limits: { person: 1 } }, {}, { limits: { person: 1 }, store: await openStore("sqlite:./x.db") }]) {
        try {
          await new SessionMapper({ agents, secret, ...options }).close();
          told.push("made");
        } catch ({ code, field, message }) {
          told.push([code, field, message]);
        }
      }
      console.log(JSON.stringify(told));
    `;
    const args = ["--preserve-symlinks", "--input-type=module", "--eval", script];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: folder });
    const message =
      'Limits need the package "rate-limiter-flexible". Install it: npm i rate-limiter-flexible';
    expect(JSON.parse(stdout)).toEqual([["option-invalid", "limits", message], "made", "made"]);
    await rm(folder, { recursive: true });
  });
});

describe("A Keyv given as the store", () => {
  const agents = { helper: { name: "none", open: async () => "1", async *ask() {} } };
  const secret = "a secret of the tests, long enough";
  const quiet = { info() {}, warn() {}, error() {} };

  it("is refused when its adapter hides failures", () => {
    const store = (throwOnErrors: boolean) => new Keyv(Object.assign(new Map(), { throwOnErrors }));
    const mapper = (throwOnErrors: boolean) =>
      new aparte.SessionMapper({ agents, secret, store: store(throwOnErrors), logger: quiet });
    expect(() => mapper(false)).toThrow(expect.objectContaining({ code: "option-invalid", field: "store" }));
    expect(() => mapper(true)).not.toThrow();
  });

  it("is warned of, since it serves one process only", () => {
    const warnings: string[] = [];
    const logger = { ...quiet, warn: (message: string) => warnings.push(message) };
    const mapper = new aparte.SessionMapper({ agents, secret, store: new Keyv(), logger });
    expect(warnings.join()).toContain("one process");
    return mapper.close();
  });
});
