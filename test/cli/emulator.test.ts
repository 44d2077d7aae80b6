import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { coze } from "aparte/coze";
import { dialogflowCx } from "aparte/dialogflow-cx";
import { sonaops } from "aparte/sonaops";
import { describe, expect, it } from "vitest";
import { aparte, folder } from "../support/command.ts";

const usage = "Usage: aparte emulator [--service coze|sonaops|dialogflow-cx] [--port N] [--persist FILE]\n";
const emulator = (...args: string[]) => aparte(["emulator", ...args]);
const modeOf = (file: string) => statSync(file).mode & 0o777;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe("aparte emulator", () => {
  it("starts Coze, with a key that only its owner can read, and removes it at the end", async () => {
    const { line, out, stop } = emulator();
    const { service, baseURL, appId, keyId, botId, privateKeyFile, ...others } = JSON.parse(await line);
    expect([service, others]).toEqual(["coze", {}]);
    expect(out()).toBe(`${JSON.stringify(JSON.parse(out()))}\n`);
    expect(modeOf(privateKeyFile)).toBe(0o600);
    const privateKey = readFileSync(privateKeyFile, "utf8");
    await coze({ baseURL, appId, keyId, botId, privateKey }).probe(AbortSignal.timeout(10_000));
    expect(await stop()).toBe(0);
    expect(existsSync(dirname(privateKeyFile))).toBe(false);
    await expect(fetch(baseURL)).rejects.toThrow();
  });

  it("keeps Coze's state and key where it is told to, at the port that it is told", async () => {
    const file = join(folder, "state.db");
    const key = `${file}.private-key.pem`;
    writeFileSync(key, "of somebody else", { mode: 0o644 });
    const port = await freePort();
    const first = emulator("--service", "coze", "--persist", file, "--port", String(port));
    const told = JSON.parse(await first.line);
    expect(told).toMatchObject({ baseURL: `http://127.0.0.1:${port}`, privateKeyFile: key });
    const privateKey = readFileSync(key, "utf8");
    expect(privateKey).toMatch(/^-----BEGIN PRIVATE KEY-----/);
    expect(modeOf(key)).toBe(0o600);
    expect(await first.stop()).toBe(0);
    expect(existsSync(key)).toBe(true);
    const second = emulator("--persist", file);
    expect(JSON.parse(await second.line)).toMatchObject({ appId: told.appId, keyId: told.keyId });
    expect(readFileSync(key, "utf8")).toBe(privateKey);
  });

  it("starts Sonaops, and says with which key and how it wants requests signed", async () => {
    const port = await freePort();
    const { line, stop } = emulator("--service", "sonaops", "--port", String(port));
    const { service, baseURL, apiKey, apiSecret, agentId, profile, ...others } = JSON.parse(await line);
    expect([service, baseURL, others]).toEqual(["sonaops", `http://127.0.0.1:${port}`, {}]);
    const backend = sonaops({ baseURL, apiKey, apiSecret, agentId, profile });
    await backend.probe?.(AbortSignal.timeout(10_000));
    expect(await stop()).toBe(0);
  });

  it("starts Dialogflow CX, with a key file that goes with it", async () => {
    const port = await freePort();
    const { line, stop } = emulator("--service", "dialogflow-cx", "--port", String(port));
    const { service, baseURL, agent, credentialsFile, ...others } = JSON.parse(await line);
    expect([service, baseURL, others]).toEqual(["dialogflow-cx", `http://127.0.0.1:${port}`, {}]);
    const backend = dialogflowCx({ baseURL, agent, credentials: credentialsFile });
    await backend.probe?.(AbortSignal.timeout(10_000));
    expect(await stop()).toBe(0);
    expect(existsSync(credentialsFile)).toBe(false);
  });

  it("says how it is used, and starts nothing", async () => {
    const { ended, out } = emulator("--port", "http", "--help");
    expect([await ended, out()]).toEqual([0, usage]);
  });

  it.each([
    [["--port", "http"], '--port must be a number from 0 to 65535 (0 takes a free one), not "http".'],
    [["--port", "65536"], '--port must be a number from 0 to 65535 (0 takes a free one), not "65536".'],
    [["--port", "80x"], '--port must be a number from 0 to 65535 (0 takes a free one), not "80x".'],
    [["--port", "x80"], '--port must be a number from 0 to 65535 (0 takes a free one), not "x80".'],
    [["--service", "none"], 'There is no emulator "none". Known: coze, sonaops, dialogflow-cx.'],
    [["--service", "toString"], 'There is no emulator "toString". Known: coze, sonaops, dialogflow-cx.'],
    [["--persist="], "--persist must name a file."],
    [["--service", "sonaops", "--persist", "x"], "--persist is not for sonaops: it keeps nothing."],
    [
      ["--service", "dialogflow-cx", "--persist", "x"],
      "--persist is not for dialogflow-cx: its sessions lapse anyway.",
    ],
  ])("ends with 2, what is wrong and how it is used: %j", async (args, problem) => {
    const { ended, out, err } = emulator(...args);
    expect([await ended, out(), err()]).toEqual([2, "", `${problem}\n${usage}`]);
  });

  it("ends with 2 for an option that does not exist", async () => {
    const { ended, err } = emulator("--unknown");
    expect(await ended).toBe(2);
    expect(err()).toMatch(/^Unknown option '--unknown'.*\nUsage: /);
  });

  it("ends with 2 and what is wrong where it cannot keep its state, or have its port", async () => {
    const lost = emulator("--persist", folder);
    expect(await lost.ended).toBe(2);
    expect(lost.err()).toMatch(/^The emulator's file could not be opened\. [^\n]*\n$/);
    const { baseURL } = JSON.parse(await emulator("--service", "sonaops").line);
    const taken = emulator("--service", "sonaops", "--port", new URL(baseURL).port);
    expect(await taken.ended).toBe(2);
    expect(taken.err()).toMatch(/port[^\n]*\n$/);
  });

  it("ends with 1 and the reason where it cannot write its key", async () => {
    const file = join(folder, "state.db");
    mkdirSync(`${file}.private-key.pem`);
    const { ended, err } = emulator("--persist", file);
    expect(await ended).toBe(1);
    expect(err()).toMatch(/EISDIR[^\n]*\n$/);
  });
});
