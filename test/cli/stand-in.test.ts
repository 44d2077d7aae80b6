import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Program, startProgram, storeOf } from "../../src/cli/program.ts";
import { readSettings } from "../../src/cli/settings.ts";
import { SqliteFile } from "../../src/stores/sqlite/file.ts";

let folder: string;
const programs: Program[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "aparte-alone-"));
});

afterEach(async () => {
  for (const program of programs.splice(0)) await program.close();
  rmSync(folder, { recursive: true });
});

const settingsOf = (environment: Record<string, string> = {}) =>
  readSettings({ PORT: "0", APARTE_FOLDER: folder, ...environment });

async function start(environment?: Record<string, string>): Promise<Program> {
  const program = await startProgram(settingsOf(environment));
  programs.push(program);
  return program;
}

async function say({ url, pageUrl = "" }: Program, text: string): Promise<unknown> {
  const response = await fetch(`${url}/messages?person=Ada`, {
    method: "POST",
    headers: {
      ...{ "x-aparte": "1", authorization: `Bearer ${new URL(pageUrl).searchParams.get("token")}` },
      ...{ "content-type": "application/json", accept: "application/json" },
    },
    body: JSON.stringify({ id: crypto.randomUUID(), text }),
  });
  return response.json();
}

describe("The program with nothing set", () => {
  it("says which version it is, and answers by a stand-in for an agent", async () => {
    const program = await start();
    const manifest = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
    expect(program.facts[0]).toBe(`aparte ${manifest.version} on Node ${process.versions.node}`);
    expect(program.facts).toContain("agents: helper (a stand-in on this machine)");
    expect(await say(program, "my name is Ada")).toMatchObject({
      text: expect.stringContaining("your name is Ada"),
    });
  });

  it("has its folder to itself until its end, and then another one may have it", async () => {
    const first = await start();
    await expect(start()).rejects.toMatchObject({ code: "option-invalid", field: "APARTE_FOLDER" });
    await say(first, "my name is Ada");
    await first.close();
    expect(await say(await start(), "what is my name?")).toMatchObject({
      text: expect.stringContaining("Your name is Ada"),
    });
  });

  it("is not ready where its store does not answer, and is well all the same", async () => {
    const program = await start();
    const status = async (path: string) => (await fetch(program.url + path)).status;
    expect(await status("/readyz")).toBe(200);
    const file = await SqliteFile.open(join(folder, "aparte.db"));
    file.exec("ALTER TABLE aparte_lanes RENAME TO elsewhere");
    expect([await status("/readyz"), await status("/healthz")]).toEqual([503, 200]);
    file.exec("ALTER TABLE elsewhere RENAME TO aparte_lanes");
    file.close();
    expect(await status("/readyz")).toBe(200);
  });

  const hasIPv6 = Object.values(networkInterfaces())
    .flat()
    .some((each) => each?.address === "::1");
  it.skipIf(!hasIPv6)("shows its page where only this machine reaches it, by IPv6 too", async () => {
    const program = await start({ HOST: "::1" });
    expect(program.facts.join("\n")).toContain("reachable: from this machine: ");
    expect(await say(program, "hello")).toHaveProperty("text");
  });

  it("does not start with a time of retention that the mapper refuses", async () => {
    const settings = { ...settingsOf(), retention: { idle: "0d" as const } };
    await expect(startProgram(settings)).rejects.toMatchObject({ field: "retention.idle" });
  });
});

describe("The program's store", () => {
  it("is told without its password", async () => {
    const url = "redis://user:a-password@db.example:6379/1";
    const { told } = await storeOf(settingsOf({ APARTE_STORE: url }));
    expect(told).toBe("redis://db.example:6379/1");
  });

  it("cannot be a SQLite file where the package for those is missing", async () => {
    vi.doMock("libsql", () => {
      throw new Error("Cannot find package");
    });
    try {
      const settings = settingsOf({ APARTE_STORE: "sqlite:./own.db" });
      await expect(storeOf(settings)).rejects.toMatchObject({
        code: "option-invalid",
        field: "APARTE_STORE",
        message: "APARTE_STORE needs the package libsql, installed beside aparte: npm i aparte libsql",
      });
      expect(await storeOf(settingsOf())).toMatchObject({ url: "memory:", told: /npm i aparte libsql$/ });
    } finally {
      vi.doUnmock("libsql");
    }
  });
});
