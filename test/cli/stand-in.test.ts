import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Program, startProgram, storeOf } from "../../src/cli/program.ts";
import { type ProgramSettings, readSettings } from "../../src/cli/settings.ts";
import { SqliteFile } from "../../src/stores/sqlite/file.ts";
import { statusAs } from "../support/ask-as.ts";

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

/** What lets a script in at the page. */
const tokenOf = ({ pageUrl = "" }: Program) => ({
  ...{ "x-aparte": "1", authorization: `Bearer ${new URL(pageUrl).searchParams.get("token")}` },
});

async function say(program: Program, text: string): Promise<unknown> {
  const response = await fetch(`${program.url}/messages?person=Ada`, {
    method: "POST",
    headers: { ...tokenOf(program), "content-type": "application/json", accept: "application/json" },
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
    await expect(start()).rejects.toMatchObject({
      ...{ code: "option-invalid", field: "APARTE_FOLDER" },
      message:
        "APARTE_FOLDER is another program's already, which runs the stand-in agent there. Set another one, or an agent's keys.",
    });
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

  it.each([
    [{ retention: { idle: "0d" } }, "retention.idle"],
    [{ freshAfter: "0h" }, "freshAfter"],
    [{ overlap: "drop" }, "overlap"],
    [{ linkHosts: ["https://x"] }, "linkHosts"],
    [{ encrypt: "yes" }, "encrypt"],
    [{ limits: { person: 0 } }, "limits.person"],
    [{ secret: ["short"] }, "secret"],
  ])(
    "gives what is set to its mapper, and does not start where that refuses it: %j",
    async (wrong, field) => {
      const settings = { ...settingsOf(), ...wrong } as ProgramSettings;
      await expect(startProgram(settings)).rejects.toMatchObject({ field });
      // It has given back all that it had by then.
      await start();
    },
  );

  it.each(["", "/secret"])(
    "says that its folder cannot be used: a file stands in the place of %j",
    async (end) => {
      const file = join(folder, "other");
      if (end === "") writeFileSync(file, "");
      else mkdirSync(file + end, { recursive: true });
      await expect(start({ APARTE_FOLDER: file })).rejects.toMatchObject({
        ...{ code: "option-invalid", field: "APARTE_FOLDER" },
        message: expect.stringMatching(/^APARTE_FOLDER cannot be used \(E\w+\): \/.*other$/),
      });
    },
  );

  it("finishes what is being answered when it is closed, and is not ready meanwhile", async () => {
    const program = await start();
    const headers = { ...tokenOf(program), "content-type": "application/json" };
    const body = JSON.stringify({ id: "1", text: "slow: 100 one two three four five" });
    const response = await fetch(`${program.url}/messages?person=Ada`, { method: "POST", headers, body });
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    await reader.read(); // It has begun to answer.
    const closed = program.close();
    const ready = await fetch(`${program.url}/readyz`);
    expect([ready.status, await ready.json()]).toEqual([503, { status: "not ready" }]);
    expect((await fetch(`${program.url}/healthz`)).status).toBe(200);
    let rest = "";
    for (let step = await reader.read(); !step.done; step = await reader.read())
      rest += Buffer.from(step.value);
    expect(rest).toMatch(/"type":"message".*four five/);
    await closed;
    await expect(fetch(program.url)).rejects.toThrow();
  });

  it("makes a secret of its own, which nobody else may read", async () => {
    await start();
    const file = join(folder, "secret");
    expect(readFileSync(file, "utf8")).toMatch(/^[\w-]{43}$/);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it("says where others reach it, and shows them its page only where that is asked for", async () => {
    const shut = await start({ HOST: "0.0.0.0" });
    expect(shut.pageUrl).toBeUndefined();
    expect(shut.facts.slice(-2)).toEqual([
      "reachable: from wherever 0.0.0.0 is: /healthz, /readyz",
      "page: off, since others reach this address. Whoever has its token may speak as everybody on it; --page switches it on",
    ]);
    const { port } = new URL(shut.url);
    const none = await fetch(`http://127.0.0.1:${port}/`);
    expect([none.status, await none.text()]).toEqual([404, "Not found"]);
    expect(await (await fetch(`http://127.0.0.1:${port}/healthz`)).json()).toEqual({
      status: "ok",
      platforms: [],
    });
    await shut.close();

    const open = await start({ HOST: "0.0.0.0", APARTE_PAGE: "on" });
    expect(open.facts.slice(-2)).toEqual([
      "reachable: from wherever 0.0.0.0 is: /healthz, /readyz, and the page by its token",
      `page: ${open.pageUrl}`,
    ]);
    const there = `http://127.0.0.1:${new URL(open.url).port}/people`;
    expect(await statusAs("bot.example", there)).toBe(401);
    expect(await statusAs("bot.example", there, tokenOf(open))).toBe(200);
    await open.close();

    const own = await start({ HOST: "localhost", APARTE_SCOPE: "channel" });
    expect(own.facts).toContain("scope: user");
    expect(await statusAs("bot.example", `${own.url}/people`, tokenOf(own))).toBe(403);
    await own.close();
    expect((await start({ APARTE_PAGE: "off" })).facts.at(-1)).toBe("page: off");
  });

  it("names the port where another program has it, and else the host", async () => {
    const { port } = new URL((await start()).url);
    const other = join(folder, "other");
    await expect(start({ PORT: port, APARTE_FOLDER: other })).rejects.toMatchObject({ field: "PORT" });
    await expect(start({ HOST: "192.0.2.1", APARTE_FOLDER: other })).rejects.toMatchObject({ field: "HOST" });
    await start({ APARTE_FOLDER: other });
  });
});

describe("The program's store", () => {
  it("is told without its password", async () => {
    const url = "redis://user:a-password@db.example:6379/1";
    const { told } = await storeOf(settingsOf({ APARTE_STORE: url }));
    expect(told).toBe("redis://db.example:6379/1");
  });

  it("is told by its variable where its address is none", async () => {
    await expect(start({ APARTE_STORE: "mysql://db.example" })).rejects.toMatchObject({
      code: "option-invalid",
      field: "APARTE_STORE",
      message: 'APARTE_STORE must be a URL with "memory:", "sqlite:", "redis:" or "rediss:".',
    });
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
      const told =
        "memory: all is lost at the end, since the package libsql is missing. To keep it: npm i aparte libsql";
      expect(await storeOf(settingsOf())).toEqual({ url: "memory:", told });
      // Nothing is kept that two could have in one folder.
      for (const program of [await start(), await start()]) {
        expect(program.facts).toContain(`store: ${told}`);
        await say(program, "my name is Ada");
        expect(await say(program, "what is my name?")).toMatchObject({
          text: expect.stringContaining("Your name is Ada"),
        });
      }
      for (const file of ["aparte.db", "coze-emulator.db", "stand-in.lock"])
        expect(existsSync(join(folder, file))).toBe(false);
    } finally {
      vi.doUnmock("libsql");
    }
  });
});
