import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import * as aparte from "aparte";
import { Keyv } from "keyv";
import { describe, expect, it } from "vitest";
import { builtRoot } from "./build.ts";

describe("The package", () => {
  it("exports what was promised, and nothing by accident", () => {
    expect(Object.keys(aparte).sort()).toEqual([
      "AparteError",
      "Reply",
      "ReplyText",
      "SessionMapper",
      "Transcript",
      "attachmentError",
      "cut",
      "describeError",
      "fetchAttachment",
      "openStore",
      "optionInvalid",
      "personSession",
      "readAttachment",
      "refuseUnknown",
      "silentNotices",
      "tablesAsCode",
    ]);
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
