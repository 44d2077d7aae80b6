import { resolve } from "node:path";
import { openStore } from "aparte";
import { describe, expect, it } from "vitest";

describe("openStore", () => {
  const misread = [
    "redis:localhost:6379",
    "redis://",
    "redis://:pa#ss@host:6379",
    "redis://:pa/ss@host:6379",
    "redis://host:6379/main",
    "redis://host:6379/0/1",
    "redis://host:6379/0?tls=true",
    "rediss://host#0",
    "sqlite://data/aparte.db",
    "sqlite:~/aparte.db",
    "sqlite:./aparte.db?mode=ro",
    "memory:aparte",
    "Redis//host",
  ];
  for (const url of misread) {
    it(`refuses what would be read otherwise than it was meant: ${url}`, async () => {
      const failure = await openStore(url).catch((error: unknown) => error);
      expect(failure).toMatchObject({ code: "option-invalid", field: "store" });
      expect(String(failure)).not.toMatch(/pa[#/]ss/);
    });
  }

  it("takes a path from the root with three slashes, as other programs do", async () => {
    // A folder cannot be opened as a file: it was looked for at the right place.
    const folder = resolve(".");
    await expect(openStore(`sqlite://${folder}`)).rejects.toMatchObject({ code: "store-failed" });
    await (await openStore("memory:")).close();
  });

  it.each([
    ["nothing", undefined, /must be a URL with "memory:", "sqlite:", "redis:" or "rediss:"/],
    ["null", null, /must be a URL with "memory:"/],
    ["a number", 6379, /must be a URL with "memory:"/],
    ["another database", "postgres://host/db", /must be a URL with "memory:"/],
    ["no scheme", "aparte.db", /must be a URL with "memory:"/],
    [
      "options",
      { url: "redis://host" },
      /is neither a URL nor a client of node-redis \(createClient of @keyv\/redis\)/,
    ],
    ["a host too few", "redis://", /it has no host|must be such as/],
    ["a database by its name", "redis://host/main", /its database is no number/],
    ["a query", "redis://host/0?tls=true", /what stands behind "\?" or "#" is not read/],
    [
      "a password in clear",
      "redis://:a#b@host:1",
      /"#", "\/", "\?" and "@" in the password are written %23, %2F, %3F and %40/,
    ],
    ["a host for a file", "sqlite://data/a.db", /"sqlite:\/\/\/a\/file.db" from the root/],
    ["a home", "sqlite:~/a.db", /"~", which only a shell understands/],
    ["a mode", "sqlite:a.db?mode=ro", /takes nothing behind its path/],
    ["more than memory", "memory:a", /has more than "memory:"/],
  ])("says what is wrong with %s", async (_, target, message) => {
    await expect(openStore(target as string)).rejects.toMatchObject({
      ...{ code: "option-invalid", field: "store" },
      message: expect.stringMatching(message),
    });
  });

  it.each([
    ["memory:", { namespace: "bot" }, "namespace"],
    ["memory:", { durability: "full" }, "durability"],
    ["sqlite::memory:", { namespace: "bot" }, "namespace"],
    ["redis://127.0.0.1:1", { durability: "full" }, "durability"],
    ["rediss://127.0.0.1:1", { nameSpace: "bot" }, "nameSpace"],
  ])("refuses an option that %s does not have: %j", async (url, options, field) => {
    const failure = await openStore(url, options as object).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "option-invalid" });
    expect(String(failure)).toContain(field);
  });

  it("opens each kind of store, and says which it is", async () => {
    const logger = { info() {}, warn() {}, error() {} };
    const kinds = [
      ["memory:", {}, { name: "memory", shared: false, durable: false }],
      ["memory://", { logger }, { name: "memory", shared: false, durable: false }],
      ["sqlite::memory:", { logger, durability: "full" }, { name: "sqlite", shared: false, durable: false }],
    ] as const;
    for (const [url, options, kind] of kinds) {
      const store = await openStore(url, options);
      expect(store).toMatchObject(kind);
      await store.close();
    }
  });
});
