import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { openStore, SessionMapper, type Speaker } from "aparte";
import { coze } from "aparte/coze";
import { type CozeEmulator, startCozeEmulator } from "aparte/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { builtRoot } from "../build.ts";
import { DiscordServer } from "../fakes/discord-server.ts";
import { SlackServer } from "../fakes/slack-server.ts";
import { found, keyOf } from "../support/canaries.ts";
import { LogLines } from "../support/log-lines.ts";

const secret = randomBytes(32).toString("base64url");
const endings: (() => unknown)[] = [];

let emulator: CozeEmulator;
let folder: string;

beforeEach(async () => {
  emulator = await startCozeEmulator();
  folder = mkdtempSync(join(tmpdir(), "aparte-canaries-"));
  endings.push(
    () => rmSync(folder, { recursive: true }),
    () => emulator.close(),
  );
});
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

/** All that the store has on disk. */
function onDisk(): string {
  return readdirSync(folder)
    .map((file) => readFileSync(join(folder, file), "latin1"))
    .join("\n");
}

/** What a service says of a failure may repeat the person's words. */
const echo = "bad request: word-canary";

function service() {
  const { appId, keyId, privateKey, botId, baseURL } = emulator;
  return { appId, keyId, privateKey, botId, baseURL };
}

describe("A run of the program on two platforms, with all that can fail", () => {
  it("writes no word, no id of anybody, no token and no key to its output, and keeps what it may", async () => {
    const [slack, discord] = await Promise.all([SlackServer.start(), DiscordServer.start()]);
    endings.push(
      () => slack.close(),
      () => discord.close(),
    );
    const storeUrl = `sqlite:${join(folder, "aparte.db")}`;
    const child = spawn(process.execPath, [join(await builtRoot(), "src/cli/aparte.js")], {
      cwd: folder,
      env: {
        ...{ PATH: process.env.PATH, PORT: "0", APARTE_SECRET: secret, APARTE_STORE: storeUrl },
        ...{ COZE_APP_ID: emulator.appId, COZE_KEY_ID: emulator.keyId, COZE_BOT_ID: emulator.botId },
        ...{ COZE_BASE_URL: emulator.baseURL, COZE_PRIVATE_KEY: emulator.privateKey },
        ...{ SLACK_BOT_TOKEN: slack.token, SLACK_APP_TOKEN: slack.appToken, SLACK_API_URL: slack.apiUrl },
        ...{ DISCORD_TOKEN: discord.bot.token, DISCORD_API_URL: discord.rest.api },
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    const ready = new Promise<void>((resolve) => {
      for (const stream of [child.stdout, child.stderr]) {
        stream.on("data", (data) => {
          output += data;
          if (output.includes("aparte is ready")) resolve();
        });
      }
    });
    const ended = once(child, "close");
    endings.push(() => child.kill("SIGKILL"));
    await Promise.race([ready, ended]);

    const answers = () => slack.shown(slack.direct).filter(({ isStreaming }) => !isStreaming).length;
    const says = async (text: string) => {
      const before = answers();
      await slack.say("USERCANARY", text, { channel: slack.direct });
      await slack.until(() => answers() > before);
    };
    await says("word-canary");
    for (const fault of [
      { code: 4000, msg: echo },
      { status: 502, body: `<html>${echo}</html>` },
      { chatFailed: { code: 4011, msg: echo } },
      { errorEvent: { after: 1, data: JSON.stringify({ code: 4013, msg: echo }) } },
    ]) {
      emulator.fail({ method: "POST", path: "/v3/chat", ...fault });
      await says("word-canary");
    }
    // The platform does not take an answer at first.
    slack.fail({ method: "chat.postMessage", error: "internal_error" });
    await says("word-canary");
    const person = discord.person("name-canary");
    discord.say(person, `<@${discord.bot.id}> word-canary`);
    await discord.until(() => discord.shown().some(({ content }) => content.includes("word-canary")));
    child.kill("SIGTERM");
    expect(await ended).toEqual([0, null]);

    // The same as the program has it, for what it minted and kept.
    const store = await openStore(storeUrl);
    const log = new LogLines();
    const agents = { helper: coze(service()) };
    const mapper = new SessionMapper({ agents, store, secret, logger: log });
    endings.push(() => mapper.close());
    const speakers: Speaker[] = [];
    for await (const { speaker } of mapper.sessions()) {
      const { scope, direct, ...ids } = speaker;
      const own = scope === "user-in-thread" ? { scope: "user-in-thread" as const } : {};
      speakers.push({ ...(ids as Speaker), ...own, direct: direct !== undefined });
    }
    expect(new Set(speakers.map(({ user }) => user))).toEqual(new Set(["USERCANARY", person.id]));
    const tokens: Record<string, string> = {};
    for (const speaker of speakers) {
      const { accessToken = "none" } = await mapper.resolve(speaker);
      tokens[`a token on ${speaker.platform} ${speaker.thread}`] = accessToken;
    }
    const people = { "an id on Slack": "USERCANARY", "an id on Discord": person.id, "a name": "name-canary" };
    const secrets = {
      ...{ secret, "Coze's key": keyOf(emulator.privateKey), "Slack's token": slack.token },
      ...{ "Slack's app token": slack.appToken, "Discord's token": discord.bot.token, ...tokens },
    };
    const words = { words: "word-canary" };
    expect(emulator.conversations().length, "none is new to the one who looks").toBe(speakers.length);
    expect(found(output, { ...people, ...secrets, ...words })).toEqual([]);
    expect(output, "what failed is told").toMatch(/a turn failed.*backend-/);
    expect(found(onDisk(), { ...secrets, ...words })).toEqual([]);
    expect(found(onDisk(), people)).toEqual(["an id on Slack", "an id on Discord"]);
    for (const speaker of speakers) expect(await mapper.forget(speaker)).toMatchObject({ found: true });
    expect(found(onDisk(), { ...people, ...secrets, ...words })).toEqual([]);
    expect(emulator.conversations()).toEqual([]);
    expect(found(inspect(log.lines, { depth: 20 }), { ...people, ...secrets, ...words })).toEqual([]);
  });
});
