import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startCozeEmulator } from "aparte/testing";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
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
  vi.restoreAllMocks();
  for (const end of endings.splice(0).reverse()) await end();
});

/** Without the variables whose names begin so. */
function leaveOut(...beginnings: string[]): void {
  for (const name of Object.keys(environment))
    if (beginnings.some((beginning) => name.startsWith(beginning))) delete environment[name];
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

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
    leaveOut("SLACK");
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

  it("names the token that Slack refuses for its socket", async () => {
    environment.SLACK_APP_TOKEN = "xapp-of-somebody-else";
    await expect(start()).rejects.toMatchObject({
      ...{ code: "option-invalid", field: "SLACK_APP_TOKEN" },
      message: "SLACK_APP_TOKEN was refused by the platform. Look whether it is still valid.",
    });
  });

  it.each(["@slack/bolt", "discord.js"])("says how to install %s where it is missing", async (name) => {
    vi.doMock(name, () => {
      throw new Error("Cannot find package");
    });
    try {
      await expect(start()).rejects.toMatchObject({
        ...{ code: "option-invalid", field: name },
        message: `The package "${name}" is missing. Install both: npm i aparte ${name}`,
      });
    } finally {
      vi.doUnmock(name);
    }
  });

  it("ends with what Discord means when the gateway closes for good", async () => {
    for (const [code, meaning] of [
      [
        4004,
        "the token is not valid (4004). Make a new one: discord.com/developers/applications, your application, Bot, Reset Token.",
      ],
      [4010, "the shard is not one of the bot's (4010)."],
      [
        4011,
        "the bot is in so many guilds that it needs shards (4011): run it with discord.js' ShardingManager.",
      ],
      [4012, "it no longer speaks this version of the gateway (4012). Update discord.js."],
      [4013, "an intent does not exist (4013). Update discord.js."],
      [
        4014,
        "an intent is not switched on (4014). Switch on Message Content Intent: discord.com/developers/applications, your application, Bot, Privileged Gateway Intents.",
      ],
    ] as const) {
      discord.closesWith = code;
      await expect(start()).rejects.toMatchObject({
        ...{ code: "option-invalid", field: "DISCORD_TOKEN" },
        message: `Discord has closed the connection of DISCORD_TOKEN: ${meaning}`,
      });
    }
  });

  it("tells when Discord closes the connection for good later", async () => {
    leaveOut("SLACK");
    await start();
    const told = vi.spyOn(console, "error").mockReturnValue();
    discord.closesWith = 4004;
    discord.endSessions();
    await expect.poll(() => told.mock.calls.join()).toContain("aparte: discord is not connected");
    expect(told.mock.calls.join()).toContain("the token is not valid (4004)");
    expect(told.mock.calls.join()).not.toContain(discord.bot.token);
  });

  it("is asked by Slack over HTTP where there is a secret for its signature", async () => {
    leaveOut("DISCORD", "SLACK_APP_TOKEN");
    const port = await freePort();
    Object.assign(environment, { SLACK_SIGNING_SECRET: slack.signingSecret, SLACK_PORT: String(port) });
    const program = await start();
    expect(program.facts).toContain('platforms: slack as @helper in the workspace "Acme"');
    slack.eventsUrl = `http://127.0.0.1:${port}/slack/events`;
    expect((await fetch(slack.eventsUrl, { method: "POST", body: "{}" })).status).toBe(401);
    await slack.say("UADA", `<@${slack.botUserId}> my name is Ada`);
    await slack.until(
      () => slack.shown(slack.channel).some(({ shown }) => shown.includes("Ada")) || undefined,
    );
    await program.close();
    await expect(fetch(slack.eventsUrl)).rejects.toThrow();
  });

  it.each([
    ["true", 2],
    ["false", 1],
  ])(
    "with SLACK_AGENT_VIEW=%s has for two direct messages as many conversations: %i",
    async (view, count) => {
      leaveOut("DISCORD");
      environment.SLACK_AGENT_VIEW = view;
      environment.APARTE_SCOPE = "user-in-thread";
      const program = await start();
      expect(program.facts).toContain("scope: user-in-thread");
      for (const text of ["my name is Ada", "what is my name?"]) {
        const ended = emulator.once("chat-ended");
        await slack.say("UADA", text, { channel: slack.direct });
        await ended;
      }
      expect(emulator.conversations()).toHaveLength(count);
    },
  );

  it("answers direct messages on Discord, in several guilds, and is gone when it is closed", async () => {
    leaveOut("SLACK");
    discord.addGuild();
    const program = await start();
    expect(program.facts).toContain("platforms: discord as helper in 2 guilds");
    const ada = discord.person("ada");
    discord.sayDirectly(ada, "my name is Ada");
    await discord.until(() =>
      discord.shown(discord.directChannel(ada)).some(({ content }) => content.includes("Ada")),
    );
    expect(discord.connected).toBe(1);
    await program.close();
    await discord.until(() => discord.connected === 0 || undefined);
  });

  it("lets nobody have more turns than they may", async () => {
    leaveOut("SLACK");
    environment.APARTE_TURNS_PER_MINUTE = "1";
    await start();
    const ada = discord.person("ada");
    for (const text of ["my name is Ada", "what is my name?"]) discord.sayDirectly(ada, text);
    const shown = () =>
      discord.shown(discord.directChannel(ada)).filter(({ author }) => author.id === discord.bot.id);
    await discord.until(() => shown().length >= 2 || undefined);
    expect(emulator.chats()).toHaveLength(1);
  });
});
