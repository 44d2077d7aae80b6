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

  it.each([
    ["digits", "84017263594028167135902847163", 29],
    ["hexadecimal digits", "a9f03c7b1e5d28460b7c91e3", 24],
    ["capital hexadecimal digits", "A9F03C7B1E5D28460B7C91E3", 24],
    ["small letters", "qzkwmvxjrtplgbdnfhcsy", 21],
    ["capital letters", "QZKWMVXJRTPLGBDNFHCSY", 21],
    ["letters", "qZkWmVxJrTpLgBdNf", 17],
    ["small letters and digits", "q8zk3wm0vx7jr5tpl2g", 19],
    ["letters and digits", "q8Zk3Wm0Vx7Jr5Tp", 16],
    ["signs", "!%&/(=?*+~#-_.:,;<>", 19],
    ["letters of other scripts", "天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑", 19],
    ["letters and signs", "q%z/k=w?m+v#x-j_", 17],
  ])(
    "of %s may have as many characters as sixteen letters and digits have chance, and no fewer",
    (_, whole, length) => {
      // Longer than needed where sixteen characters are more than enough.
      const enough = whole.padEnd(length, "R8");
      expect(secretProblem(enough.slice(0, length))).toBeUndefined();
      expect(secretProblem(enough.slice(0, Math.min(length, 16) - 1))).toBe(
        "too short: at least 16 characters",
      );
      if (length > 17) expect(secretProblem(enough.slice(0, length - 1))).toBe("too easy to guess");
    },
  );

  // Twelve characters count more than 71 bits, thirteen more than 77, and any two more than 11: 95 are needed.
  const random = "q8Zk3Wm0Vx7Jr";

  it.each([
    ...[
      "aparte",
      "password",
      "passwort",
      "passphrase",
      "passw",
      "pass",
      "secret",
      "geheim",
      "admin",
      "default",
    ],
    ...["changeme", "change-me", "change_me", "change me", "changeit", "change-this", "example", "welcome"],
    ...[
      "letmein",
      "qwerty",
      "qwertz",
      "qwertyuiop",
      "asdf",
      "asdfgh",
      "your",
      "token",
      "test",
      "testing",
      "dev",
    ],
    ...["development", "prod", "production", "hello", "world", "master", "access", "login", "key"],
  ])("counts %s as little as two letters, wherever it stands and however it is written", (word) => {
    // With a sign, each character counts more.
    const some = /^[a-z]+$/.test(word) ? random : random.slice(0, 12);
    for (const written of [word, word.toUpperCase()]) {
      expect(secretProblem(some + written), written).toBe("too easy to guess");
      expect(secretProblem(written + some), written).toBe("too easy to guess");
      expect(secretProblem(`${some.slice(0, 6)}${written}${some.slice(6)}`), written).toBe(
        "too easy to guess",
      );
      expect(secretProblem(`${some}5${written}`), written).toBeUndefined();
    }
  });

  it.each(["11111", "aaaaaaaaa", "34567", "76543", "bcdef", "fedcba", "q8Zk3", "Zk3Wm0Vx"])(
    "counts %s as two characters, since they follow from those before",
    (row) => {
      expect(secretProblem(random + row)).toBe("too easy to guess");
      expect(secretProblem(`${random}5${row}`)).toBeUndefined();
    },
  );

  it.each(["111", "1111", "3456", "q8Zk", "345", "cba", "q8Z", "135", "13579", "acegi", "1122"])(
    "counts %s by its characters: that is chance",
    (row) => {
      expect(secretProblem(random + row)).toBeUndefined();
    },
  );

  it("is estimated in time also where it is long", () => {
    expect(secretProblem(randomBytes(3_000).toString("base64url"))).toBeUndefined();
    expect(secretProblem("a".repeat(3_000))).toBe("too easy to guess");
    expect(secretProblem("ab".repeat(1_500))).toBe("too easy to guess");
  });

  it("is refused by the mapper with the command that makes a good one, and is not repeated", () => {
    const agents = { helper: { name: "none", open: async () => "1", async *ask() {} } };
    const make = () => new SessionMapper({ agents, secret: "passwordpassword" });
    expect(make).toThrow(/too easy to guess.*node -p "require\('crypto'\)\.randomBytes\(32\)/);
    expect(make).toThrow(expect.objectContaining({ code: "option-invalid", field: "secret" }));
    expect(make).not.toThrow(/passwordpassword/);
  });
});
