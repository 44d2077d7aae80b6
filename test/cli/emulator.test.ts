import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { coze } from "aparte/coze";
import { dialogflowCx } from "aparte/dialogflow-cx";
import { describe, expect, it } from "vitest";
import { builtRoot } from "../build.ts";

async function run(...args: string[]) {
  const entry = join(await builtRoot(), "src/cli/emulator.js");
  const child = spawn(process.execPath, [entry, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let errors = "";
  child.stderr.on("data", (data) => {
    errors += data;
  });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  const line = new Promise<string>((resolve) => child.stdout.once("data", (data) => resolve(String(data))));
  return { child, ended, line, errors: () => errors };
}

describe("npm run emulator", () => {
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

  it("starts Dialogflow CX, with a key file that goes with it", async () => {
    const { child, ended, line } = await run("--service", "dialogflow-cx");
    const { baseURL, agent, credentialsFile } = JSON.parse(await line);
    const backend = dialogflowCx({ baseURL, agent, credentials: credentialsFile });
    await backend.probe?.(AbortSignal.timeout(10_000));
    child.kill("SIGTERM");
    expect(await ended).toBe(0);
    expect(existsSync(credentialsFile)).toBe(false);
  });

  it("ends with 2 when an argument is wrong", async () => {
    for (const args of [["--port", "http"], ["--service", "none"], ["--unknown"]]) {
      const { ended, errors } = await run(...args);
      expect(await ended).toBe(2);
      expect(errors()).toContain("Usage:");
    }
  });
});
