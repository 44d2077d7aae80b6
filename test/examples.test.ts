import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type CozeEmulator, startCozeEmulator } from "aparte/testing";
import { SignJWT } from "jose";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { builtRoot } from "./build.ts";
import { DiscordServer } from "./fakes/discord-server.ts";
import { SlackServer } from "./fakes/slack-server.ts";
import { TelegramServer } from "./fakes/telegram-server.ts";

const examples = fileURLToPath(new URL("../examples", import.meta.url));
const ada = { id: 1, name: "ada" };
const bob = { id: 2, name: "bob" };

let emulator: CozeEmulator;
let folder: string;
let children: ChildProcess[] = [];

beforeEach(async () => {
  emulator = await startCozeEmulator();
  folder = await mkdtemp(join(tmpdir(), "aparte-example-"));
});

afterEach(async () => {
  for (const child of children) child.kill("SIGKILL");
  children = [];
  await emulator.close();
  await rm(folder, { recursive: true });
});

let compiled: Promise<void> | undefined;

/** As the examples' READMEs say: Node 20 runs no TypeScript. It is compiled against the built package's types. */
async function compile(root: string): Promise<void> {
  const target = join(root, "examples");
  await cp(examples, target, { recursive: true });
  const settings = { extends: join(examples, "tsconfig.json"), include: ["**/*.ts"] };
  const compilerOptions = { rootDir: ".", outDir: "." };
  await writeFile(join(target, "tsconfig.json"), JSON.stringify({ ...settings, compilerOptions }));
  const tsc = join(examples, "../node_modules/typescript/bin/tsc");
  await promisify(execFile)(process.execPath, [tsc, "-p", target]);
}

/** Runs an example as its README says, on the built package and the variables that it names. */
async function run(path: string, variables: Record<string, string> = {}, args: readonly string[] = []) {
  // Where the package's own name leads to the build, as it does in the repository.
  const root = await builtRoot();
  compiled ??= compile(root);
  await compiled;
  const { appId, keyId, privateKey, botId, baseURL } = emulator;
  const child = spawn(process.execPath, [join(root, "examples", path), ...args], {
    cwd: folder,
    env: {
      PATH: process.env.PATH,
      APARTE_SECRET: "a secret of the tests, long enough",
      COZE_APP_ID: appId,
      COZE_KEY_ID: keyId,
      COZE_PRIVATE_KEY: privateKey,
      COZE_BOT_ID: botId,
      COZE_BASE_URL: baseURL,
      ...variables,
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  return child;
}

/** Waits for the line that says it is ready. */
async function ready(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error("The example has no output.");
  for await (const line of createInterface(child.stdout)) if (line.startsWith("ready")) return line;
  throw new Error("The example ended before it was ready.");
}

async function terminate(child: ChildProcess): Promise<unknown> {
  const exit = once(child, "exit");
  child.kill("SIGTERM");
  return (await exit)[0];
}

describe.each(["telegram-grammy/bot.js", "chat-sdk/bot.js"])("The example %s", (path) => {
  let telegram: TelegramServer;
  beforeEach(async () => {
    telegram = await TelegramServer.start();
  });
  afterEach(() => telegram.close());

  const start = async () => {
    const child = await run(path, { TELEGRAM_TOKEN: telegram.token, TELEGRAM_API_URL: telegram.url });
    await ready(child);
    return child;
  };
  const shows = (chat: number, text: string) => telegram.until(() => telegram.textIn(chat).includes(text));

  it("gives two people a conversation each, in private and in a group, also after a restart", async () => {
    const first = await start();
    telegram.say(ada, "My name is Ada Lovelace.");
    telegram.say(bob, "My name is Bob Dylan.");
    await Promise.all([shows(ada.id, "Turn 1."), shows(bob.id, "Turn 1.")]);
    telegram.say(ada, "What do you know of me?");
    await shows(ada.id, "Ada Lovelace");
    telegram.say(ada, "@helper_bot What do you know of me?", -500);
    await shows(-500, "Turn 1.");
    expect(telegram.textIn(-500)).not.toContain("Lovelace");
    expect(await terminate(first)).toBe(0);

    await start();
    telegram.say(bob, "What do you know of me?");
    await shows(bob.id, "Bob Dylan");
    expect(telegram.textIn(bob.id)).not.toContain("Ada");
    expect(emulator.conversations()).toHaveLength(3);
  });
});

describe("The example telegram-grammy/bot.js", () => {
  it("goes on with a reply whose process was killed, in the same message, and starts over when asked to", async () => {
    const telegram = await TelegramServer.start();
    const variables = { TELEGRAM_TOKEN: telegram.token, TELEGRAM_API_URL: telegram.url };
    const first = await run("telegram-grammy/bot.js", variables);
    await ready(first);
    telegram.say(ada, "slow: 200 one two three four five six seven eight nine ten");
    await telegram.until(() => telegram.textIn(ada.id).includes("You said"));
    first.kill("SIGKILL");
    await once(first, "exit");
    expect(telegram.textIn(ada.id)).not.toContain("ten");
    await ready(await run("telegram-grammy/bot.js", variables));
    await telegram.until(() => telegram.textIn(ada.id).includes("nine ten"));
    expect(telegram.shown).toHaveLength(1);
    expect(emulator.chats()).toHaveLength(1);
    telegram.say(ada, "/reset");
    await telegram.until(() => telegram.textIn(ada.id).includes("I have forgotten what we talked about."));
    await telegram.close();
  });

  it("goes on when Telegram has had too many calls, and asks none before it may", async () => {
    const telegram = await TelegramServer.start();
    await ready(
      await run("telegram-grammy/bot.js", { TELEGRAM_TOKEN: telegram.token, TELEGRAM_API_URL: telegram.url }),
    );
    // Of the drafts, and where there are none: of the whole answer.
    telegram.limit("editMessageText", 1);
    telegram.say(ada, "slow: 200 one two three four five six seven eight nine ten");
    await telegram.until(() => telegram.refused === 1);
    await telegram.until(() => telegram.textIn(ada.id).includes("nine ten"));
    telegram.limit("sendMessage", 1);
    telegram.say(bob, "hello");
    await telegram.until(() => telegram.textIn(bob.id).includes("Turn 1."));
    expect(telegram.refused).toBe(2);
    expect(telegram.tooEarly).toBe(0);
    expect(telegram.textIn(ada.id)).not.toContain("(ref");
    expect(emulator.chats()).toHaveLength(2);
    await telegram.close();
  });
});

describe("The example slack-bolt/bot.js", () => {
  it("answers people apart, by another agent in one channel, and leaves its own listeners their messages", async () => {
    const slack = await SlackServer.start();
    const child = await run("slack-bolt/bot.js", {
      SLACK_BOT_TOKEN: slack.token,
      SLACK_APP_TOKEN: slack.appToken,
      SLACK_API_URL: slack.apiUrl,
    });
    const lines: string[] = [];
    const log = createInterface(child.stdout as NodeJS.ReadableStream);
    log.on("line", (line) => lines.push(line));
    await expect.poll(() => lines, { timeout: 30_000 }).toContain("ready");
    const mention = `<@${slack.botUserId}>`;
    const shown = (text: string) =>
      slack.until(() => slack.shown("C1").find((message) => message.shown.includes(text)));
    await slack.say("U1", `${mention} My name is Ada Lovelace.`);
    await shown("Turn 1.");
    await slack.say("U1", `${mention} What do you know of me?`);
    await shown("Ada Lovelace");
    const told = () => lines.filter((line) => /^turn \S+ by helper: \d+ ms$/.test(line)).length;
    await expect.poll(told, { timeout: 30_000 }).toBe(2);
    await slack.say("U1", `${mention} new conversation, please`);
    await shown("Let us start over.");
    expect(await terminate(child)).toBe(0);
    await slack.close();
  });
});

describe("The example discord-js/bot.js", () => {
  it("answers people apart, and registers its commands", async () => {
    const discord = await DiscordServer.start();
    const child = await run("discord-js/bot.js", {
      DISCORD_TOKEN: discord.bot.token,
      DISCORD_API_URL: discord.rest.api,
    });
    await ready(child);
    const shown = (text: string) =>
      discord.until(() => discord.shown().find(({ content }) => content.includes(text)));
    const mention = `<@${discord.bot.id}>`;
    discord.say(discord.person("ann"), `${mention} My name is Ada Lovelace.`);
    await shown("Turn 1.");
    discord.say(discord.person("ann"), `${mention} What do you know of me?`);
    await shown("Ada Lovelace");
    await discord.until(() => discord.commands.has("ask"));
    expect(await terminate(child)).toBe(0);
    await discord.close();
  });
});

describe("The example express-app/app.js", () => {
  it("answers people with the app's own JWT, and callers with its key", async () => {
    const variables = {
      PORT: "0",
      APP_JWT_SECRET: "a secret of the app's own JWTs, long enough",
      APP_API_KEY: "the key",
    };
    const child = await run("express-app/app.js", variables);
    const url = (await ready(child)).split(" ")[1] ?? "";
    const token = (sub: string) =>
      new SignJWT()
        .setProtectedHeader({ alg: "HS256" })
        .setSubject(sub)
        .setAudience("express-app")
        .setExpirationTime("1h")
        .sign(new TextEncoder().encode(variables.APP_JWT_SECRET));
    let count = 0;
    const chat = async (user: string, text: string) => {
      count += 1;
      const response = await fetch(`${url}/chat`, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          accept: "application/json",
          authorization: `Bearer ${await token(user)}`,
        },
        body: JSON.stringify({ id: `m${count}`, text }),
      });
      return response.text();
    };
    await chat("ada", "My name is Ada Lovelace.");
    await chat("bob", "My name is Bob Dylan.");
    expect(await chat("ada", "What do you know of me?")).toContain("Ada Lovelace");
    expect(await chat("bob", "What do you know of me?")).not.toContain("Ada");
    expect((await fetch(`${url}/chat`, { method: "POST", body: "{}" })).status).toBe(401);

    const answer = (key: string, body: object) =>
      fetch(`${url}/answer`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-api-key": key },
        body: JSON.stringify(body),
      });
    const response = await answer("the key", { id: "a1", user: "u1", text: "word5" });
    expect(await response.json()).toEqual({ text: expect.stringContaining("word5") });
    expect((await answer("no key", { id: "a2", user: "u1", text: "word6" })).status).toBe(401);
    expect((await answer("the key", { id: "a3", user: "", text: "word6" })).status).toBe(400);
    expect(await terminate(child)).toBe(0);
  });
});

describe("The example coze-client/ask.js", () => {
  it("talks to Coze with its own client, in the person's conversation", async () => {
    const ask = async (user: string, text: string) => {
      const child = await run("coze-client/ask.js", {}, [user, text]);
      let output = "";
      child.stdout?.setEncoding("utf8").on("data", (part) => {
        output += part;
      });
      expect((await once(child, "exit"))[0]).toBe(0);
      return output;
    };
    await ask("ada", "My name is Ada Lovelace.");
    expect(await ask("ada", "What do you know of me?")).toContain("Ada Lovelace");
    expect(await ask("bob", "What do you know of me?")).not.toContain("Ada");
    expect(emulator.conversations()).toHaveLength(2);
    // Coze's client tells a refusal as an event, which is easily passed over.
    emulator.deleteConversation(emulator.conversations()[0]?.id ?? "");
    expect(await ask("ada", "Are you there?")).toContain("Turn 1.");
    emulator.expireTokens();
    expect(await ask("ada", "And now?")).toContain("Turn 2.");
  });
});
