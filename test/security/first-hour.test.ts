import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { coze } from "aparte/coze";
import { describe, expect, it } from "vitest";
import { builtRoot } from "../build.ts";
import { folder, launch, say, start } from "../support/program.ts";

async function run(...args: string[]) {
  const entry = join(await builtRoot(), "src/cli/aparte.js");
  const child = spawn(process.execPath, [entry, "emulator", ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let errors = "";
  child.stderr.on("data", (data) => {
    errors += data;
  });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  const line = new Promise<string>((resolve) => child.stdout.once("data", (data) => resolve(String(data))));
  return { child, ended, line, errors: () => errors };
}

describe("aparte emulator", () => {
  it("prints one line of JSON with all that a client needs, and ends with 0", async () => {
    const { child, ended, line } = await run("--port", "0");
    const facts = JSON.parse(await line);
    expect(facts).toMatchObject({
      baseURL: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      appId: expect.stringMatching(/^\d+$/),
      keyId: expect.any(String),
      botId: expect.stringMatching(/^\d+$/),
    });
    const { baseURL, appId, keyId, botId, privateKeyFile } = facts;
    const backend = coze({ baseURL, appId, keyId, botId, privateKey: readFileSync(privateKeyFile, "utf8") });
    await backend.probe(AbortSignal.timeout(10_000));
    child.kill("SIGTERM");
    expect(await ended).toBe(0);
    expect(existsSync(privateKeyFile)).toBe(false);
  });

  it("ends with 2 when an argument is wrong", async () => {
    for (const args of [["--port", "http"], ["--service", "none"], ["--unknown"]]) {
      const { ended, errors } = await run(...args);
      expect(await ended).toBe(2);
      expect(errors()).toContain("Usage:");
    }
  });
});

describe("The program on an old Node", () => {
  it("ends with a sentence that says which one it needs, and loads nothing else", async () => {
    const old = `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.18.3" } });`;
    const script = `data:text/javascript,${encodeURIComponent(old)}`;
    const { ended, output } = await launch({ PORT: "0", NODE_OPTIONS: `--import=${script}` });
    expect(await ended).toBe(2);
    expect(output()).toBe("aparte needs Node 20.19 or later, and this is 20.18.3. See https://nodejs.org\n");
  });
});

describe("The program where the package libsql is missing", () => {
  const url = (script: string) => `data:text/javascript,${encodeURIComponent(script)}`;
  const resolve = `export const resolve = (name, context, next) => {
    if (name === "libsql") throw Object.assign(new Error("Cannot find package"), { code: "ERR_MODULE_NOT_FOUND" });
    return next(name, context);
  }`;
  const register = `import { register } from "node:module"; register(${JSON.stringify(url(resolve))});`;
  const settings = { NODE_OPTIONS: `--import=${url(register)}` };

  it("answers from memory, and says so", async () => {
    const program = await start(settings);
    expect(program.output()).toMatch(/^store: memory: all is lost at the end.*npm i aparte libsql$/m);
    expect(await say(program, "Ada", "1", "my name is Ada")).not.toBe("");
    expect(await say(program, "Ada", "2", "what is my name?")).toContain("Ada");
    expect(await program.stop("SIGTERM")).toBe(0);
    expect(existsSync(join(folder, ".aparte/aparte.db"))).toBe(false);
  });

  it("does not start with a SQLite file that was asked for", async () => {
    const { ended, output } = await launch({ ...settings, PORT: "0", APARTE_STORE: "sqlite:own.db" });
    expect(await ended).toBe(2);
    expect(output()).toContain("APARTE_STORE needs the package libsql");
  });
});
