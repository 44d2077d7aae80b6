import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startCozeEmulator } from "aparte/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startProgram } from "../../src/cli/program.ts";
import { readSettings } from "../../src/cli/settings.ts";
import { DiscordServer } from "../fakes/discord-server.ts";
import { SlackServer } from "../fakes/slack-server.ts";

const endings: (() => unknown)[] = [];
let environment: Record<string, string>;
let slack: SlackServer;
let discord: DiscordServer;
let emulator: Awaited<ReturnType<typeof startCozeEmulator>>;

beforeEach(async () => {
  const folder = mkdtempSync(join(tmpdir(), "aparte-bots-"));
  [emulator, slack, discord] = await Promise.all([
    startCozeEmulator(),
    SlackServer.start(),
    DiscordServer.start(),
  ]);
  endings.push(
    () => rmSync(folder, { recursive: true }),
    () => emulator.close(),
    () => slack.close(),
    () => discord.close(),
  );
  environment = {
    PORT: "0",
    APARTE_SECRET: "a secret of the tests, long enough",
    APARTE_STORE: `sqlite:${join(folder, "aparte.db")}`,
    COZE_APP_ID: emulator.appId,
    COZE_KEY_ID: emulator.keyId,
    COZE_BOT_ID: emulator.botId,
    COZE_BASE_URL: emulator.baseURL,
    COZE_PRIVATE_KEY: emulator.privateKey,
    SLACK_BOT_TOKEN: slack.token,
    SLACK_APP_TOKEN: slack.appToken,
    SLACK_API_URL: slack.apiUrl,
    DISCORD_TOKEN: discord.bot.token,
    DISCORD_API_URL: discord.rest.api,
  };
});

afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

async function start() {
  const program = await startProgram(readSettings(environment));
  endings.push(() => program.close());
  return program;
}

describe("The program with Slack, Discord and Coze", () => {
  it("answers the same two people in the same channels, interleaved, each with only their own", async () => {
    const program = await start();
    expect(await (await fetch(`${program.url}/healthz`)).json()).toMatchObject({
      platforms: ["slack", "discord"],
    });
    expect((await fetch(program.url)).status).toBe(404);
    expect(program.pageUrl).toBeUndefined();
    expect(program.facts).toContain("agents: helper (coze)");
    expect(program.facts).toContain(
      'platforms: slack as @helper in the workspace "Acme", discord as helper in 1 guild',
    );
    expect(program.facts).toContain("page: off, where a bot runs");

    const onSlack = async (user: string, text: string) => {
      const ts = await slack.say(user, `<@${slack.botUserId}> ${text}`);
      return slack.until(
        () =>
          slack.shown(slack.channel).find((message) => message.thread === ts && !message.isStreaming)
            ?.shown || undefined,
      );
    };
    const people = { ada: discord.person("ada"), ben: discord.person("ben") };
    const onDiscord = async (user: keyof typeof people, text: string) => {
      const known = new Set(discord.shown().map(({ id }) => id));
      const done = emulator.once("chat-ended");
      discord.say(people[user], `<@${discord.bot.id}> ${text}`);
      await done;
      return discord.until(
        () => discord.shown().find(({ id, content }) => !known.has(id) && /[.?!]$/.test(content))?.content,
      );
    };

    await Promise.all([onSlack("UADA", "my name is Ada"), onSlack("UBEN", "my name is Ben")]);
    await onDiscord("ada", "my name is Adele");
    await onDiscord("ben", "my name is Benno");
    const [ada, ben] = await Promise.all([
      onSlack("UADA", "what is my name?"),
      onSlack("UBEN", "what is my name?"),
    ]);
    expect(ada).toContain("Your name is Ada.");
    expect(ben).toContain("Your name is Ben.");
    expect(await onDiscord("ada", "what is my name?")).toContain("Your name is Adele.");
    expect(await onDiscord("ben", "what is my name?")).toContain("Your name is Benno.");
    expect(emulator.conversations()).toHaveLength(4);
  });

  it("answers Discord's commands, and offers to stop an answer and to begin anew", async () => {
    await start();
    await discord.until(() => discord.commands.has("forget"));
    const ada = discord.person("ada");
    const options = [{ name: "question", type: 3, value: "my name is Ada" }];
    discord.interact(ada, { data: { id: "1", name: "ask", type: 1, options } });
    const answer = await discord.until(() =>
      discord.shown().find((message) => JSON.stringify(message.components).includes("New conversation")),
    );
    expect(answer.content).toContain("Ada");
  });

  it("ends what runs when it is closed, and takes nothing new from then on", async () => {
    for (const name of ["SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "SLACK_API_URL"]) delete environment[name];
    const program = await start();
    const ada = discord.person("ada");
    const begun = emulator.once("chat");
    discord.say(ada, `<@${discord.bot.id}> slow: 50 one two three four`);
    await begun;
    const closed = program.close();
    discord.say(discord.person("ben"), `<@${discord.bot.id}> hello`);
    const options = [{ name: "question", type: 3, value: "hello" }];
    const asked = discord.interact(ada, { data: { id: "1", name: "ask", type: 1, options } });
    await closed;
    expect(asked.response).toBeUndefined();
    expect(discord.shown().map(({ content }) => content)).toEqual([
      expect.stringContaining("two three four"),
    ]);
    expect(emulator.chats()).toHaveLength(1);
  });

  it("ends with what is wrong when a platform refuses its token", async () => {
    environment.SLACK_BOT_TOKEN = "xoxb-of-somebody-else";
    await expect(start()).rejects.toMatchObject({ code: "option-invalid", field: "SLACK_BOT_TOKEN" });
    environment.SLACK_BOT_TOKEN = slack.token;
    environment.DISCORD_TOKEN = "not.the.token";
    await expect(start()).rejects.toMatchObject({ code: "option-invalid", field: "DISCORD_TOKEN" });
  });

  it("ends with what Discord means when the gateway closes for good", async () => {
    for (const [code, meaning] of [
      [4014, "Message Content Intent"],
      [4004, "Reset Token"],
    ] as const) {
      discord.closesWith = code;
      const failure = await start().catch((error: unknown) => error);
      expect(failure).toMatchObject({ code: "option-invalid", field: "DISCORD_TOKEN" });
      expect(String(failure)).toContain(`(${code})`);
      expect(String(failure)).toContain(meaning);
    }
  });
});
