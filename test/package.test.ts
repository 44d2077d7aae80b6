import { existsSync, readFileSync } from "node:fs";
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
      "fetchAttachment",
      "openStore",
      "optionInvalid",
      "readAttachment",
      "refuseUnknown",
      "silentNotices",
    ]);
  });

  it("has a file for every export, and loads each one", async () => {
    const root = await builtRoot();
    const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    for (const [name, path] of Object.entries<string>(exports)) {
      const file = join(root, path);
      if (!path.endsWith(".js")) continue;
      expect(existsSync(file), name).toBe(true);
      expect(Object.keys(await import(file)), name).not.toHaveLength(0);
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
