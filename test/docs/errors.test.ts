import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { AparteError, type AparteErrorCode } from "aparte";
import { describe, expect, it } from "vitest";

const read = (path: string) => readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), "utf8");

describe("The page of errors", () => {
  const rows = [...read("docs/errors.md").matchAll(/^\| `([a-z-]+)` \| (.+) \| (.+) \| (yes|no) \|$/gm)];

  it("has every code, and no other", () => {
    const [, table = ""] = /const isRetryable = \{([^}]*)\}/.exec(read("src/errors.ts")) ?? [];
    const codes = [...table.matchAll(/^ {2}"?([a-z-]+)"?:/gm)].map(([, code]) => code);
    expect(codes).toContain("busy");
    expect(rows.map(([, code]) => code)).toEqual(codes);
  });

  it("says of each whether the same call may be made again", () => {
    for (const [, code, , , repeat] of rows) {
      expect(new AparteError(code as AparteErrorCode, "").retryable, code).toBe(repeat === "yes");
    }
  });
});
