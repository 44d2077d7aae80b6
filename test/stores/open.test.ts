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
});
