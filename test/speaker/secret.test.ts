import { randomBytes } from "node:crypto";
import { SessionMapper } from "aparte";
import { describe, expect, it } from "vitest";
import { secretProblem } from "../../src/speaker/secret.ts";

describe("A secret", () => {
  it("is refused when it is easy to guess", () => {
    const weak = [
      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
      "passwordpasswordpassword",
      "changeme-changeme-changeme",
      "test-secret-test-secret-test-secret",
      "0123456789abcdef0123456789abcdef",
      "abcdefghijklmnopqrstuvwxyz",
      "12345678901234567890",
      "zyxwvutsrqponmlkjihgfedcba",
      "0badcafe0badf00d",
      "my-secret-password",
    ];
    for (const secret of weak) expect(secretProblem(secret), secret).toBe("too easy to guess");
    expect(secretProblem("x8fK2mQ9")).toBe("too short: at least 16 characters");
  });

  it("is taken when it was made at random, in any of the usual ways", () => {
    for (let round = 0; round < 50; round++) {
      for (const secret of [
        randomBytes(16).toString("hex"),
        randomBytes(16).toString("base64url"),
        randomBytes(32).toString("base64"),
        crypto.randomUUID(),
      ]) {
        expect(secretProblem(secret), secret).toBeUndefined();
      }
    }
  });

  it("is refused by the mapper with the command that makes a good one, and is not repeated", () => {
    const agents = { helper: { name: "none", open: async () => "1", async *ask() {} } };
    const make = () => new SessionMapper({ agents, secret: "passwordpassword" });
    expect(make).toThrow(/too easy to guess.*node -p "require\('crypto'\)\.randomBytes\(32\)/);
    expect(make).toThrow(expect.objectContaining({ code: "option-invalid", field: "secret" }));
    expect(make).not.toThrow(/passwordpassword/);
  });
});
